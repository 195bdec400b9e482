"""The check after every fault: what was accepted against what everybody was told.

Facts are the acts of a talk (talk.py) with their answers, each member's feed as /sync tells it, and what came live. From
them alone it must follow that
- each accepted message was told to each member, once, in the order of its conversation, and nothing else was told;
- the places of a feed have no gaps;
- receipts only go forward, and end where the last answer said;
- nothing was changed or removed that somebody had read, and nothing was refused without a reason;
- nothing passed between two people while one blocked the other;
- the last word about every text, removal, reaction and offer is what everybody sees;
- a live event is the event of the feed with the same place.
"""
import collections

TOLD = ("message:receive", "message:sent")
CHANGES = ("message:edit", "message:delete")
RECEIPTS = ("message:read", "message:delivered")
FOREVER = float("inf")


class Loss(AssertionError):
    """A property does not hold."""


def must(good, text, *about):
    if not good:
        raise Loss(": ".join([text, *map(str, about)]))


class Checker:
    def __init__(self, talk, feeds, before, live):
        """feeds: {user: events of /sync behind before[user]}; live: {user: events as they came}"""
        self.talk, self.feeds, self.before, self.live = talk, feeds, before, live
        self.acts = collections.defaultdict(list)
        for act in talk.acts:
            must(act.done or act.problem, "no outcome", act)
            self.acts[act.kind].append(act)

    def done(self, kind):
        return [a for a in self.acts[kind] if a.done]

    def check(self):
        self.places()
        self.messages()
        self.receipts()
        self.read_stays()
        self.refusals()
        self.blocks()
        self.last_words()
        self.live_is_the_feed()

    # ---- feeds ----

    def places(self):
        for user, feed in self.feeds.items():
            must([e["us"] for e in feed] == list(range(self.before[user] + 1, self.before[user] + 1 + len(feed))),
                 "the feed has gaps", user)

    def messages(self):
        """Accepted = told to all, in order, once."""
        accepted = collections.defaultdict(dict)
        for act in self.done("send"):
            must(act.seq not in accepted[act.chat], "two messages at one place", act)
            accepted[act.chat][act.seq] = act
        for user, feed in self.feeds.items():
            told = collections.defaultdict(list)
            for e in feed:
                if e["t"] in TOLD:
                    told[e["d"]["chatId"]].append(e)
            for chat in (c for c, members in self.talk.members.items() if user in members):
                self._told(user, chat, accepted[chat], told.pop(chat, []))
            must(not told, "told of a conversation of others", user, list(told))

    @staticmethod
    def _told(user, chat, accepted, told):
        places = [e["d"]["seq"] for e in told]
        must(places == sorted(set(places)), "out of order or twice", user, chat)
        must(places == sorted(accepted), "lost, or never accepted", user, chat,
             sorted(set(places) ^ accepted.keys()))
        must(places == list(range(1, len(places) + 1)), "gaps in the conversation", chat)
        for e in told:
            act, d = accepted[e["d"]["seq"]], e["d"]
            must((d["id"], d["senderId"]) == (act.answer["id"], act.who), "another message", act, d)
            must(e["t"] == ("message:sent" if act.who == user else "message:receive"), "told as something else", act)
            must(act.who != user or d["ref"] == act.more["key"], "another's key", act)

    def receipts(self):
        for user, feed in self.feeds.items():
            last = collections.Counter()
            for e in feed:
                if e["t"] in RECEIPTS:
                    key = e["t"], e["d"]["chatId"], e["d"]["userId"]
                    must(e["d"]["seq"] > last[key], "a receipt went back", user, e)
                    last[key] = e["d"]["seq"]

    def read_upto(self):
        """{(user, chat): the last place that was read}"""
        upto = collections.Counter()
        for a in self.done("read"):
            upto[a.who, a.chat] = max(upto[a.who, a.chat], a.seq)
        return upto

    # ---- edit and read ----

    def removals(self):
        """The first of each message: removing what is gone is no fault, whoever has read the place."""
        first = {}
        for a in self.done("delete"):
            first.setdefault(a.more["id"], a)
        return list(first.values())

    def read_stays(self):
        """By the clock, and in the order in which the author was told."""
        for act in self.done("edit") + self.removals():
            for r in self.done("read"):
                must(not (r.chat == act.chat and r.who != act.who and r.seq >= act.seq and r.end < act.begin),
                     "changed although read", act, r)
        for user, feed in self.feeds.items():
            read = collections.Counter()
            for e in feed:
                d = e["d"]
                if e["t"] == "message:read" and d["userId"] != user:
                    read[d["chatId"]] = max(read[d["chatId"]], d["seq"])
                elif e["t"] in CHANGES and d["senderId"] == user:
                    must(d["seq"] > read[d["chatId"]], "changed although read", user, e)

    # ---- refusals ----

    def refusals(self):
        for act in self.acts["edit"] + self.acts["delete"]:
            if act.problem == "already-read":
                must(any(r.chat == act.chat and r.who != act.who and r.seq >= act.seq and r.begin < act.end
                         for r in self.done("read")), "refused as read, but nobody had", act)
            elif act.problem == "not-found":
                must(self._removed(act), "refused as removed, but it was not", act)
        for act in self.acts["react"]:
            must(act.problem != "not-found" or self._removed(act), "refused as removed, but it was not", act)
        for acts in self.acts.values():
            for act in acts:
                if act.problem == "blocked":
                    must(any(begin < act.end and act.begin < end for _, begin, end in self.blocked()),
                         "refused as blocked, but there was no block", act)

    def _removed(self, act):
        return any((d.chat, d.seq) == (act.chat, act.seq) and d.begin < act.end for d in self.done("delete"))

    # ---- blocks ----

    def blocked(self):
        """(surely from, maybe from, maybe until) of each block."""
        found, on = [], None
        for a in self.done("block"):
            if a.more["on"] and on is None:
                on = a
            elif not a.more["on"] and on is not None:
                found.append((on, a))
                on = None
        return [(one.end, one.begin, other.end) for one, other in found] + \
            ([(on.end, on.begin, FOREVER)] if on else [])

    def blocks(self):
        quarrel, blocks, on = self.talk.quarrel, self.done("block"), None
        for a in blocks:
            if not a.more["on"]:
                on = None
                continue
            on = a
            lifted = min((b.begin for b in blocks if not b.more["on"] and b.begin > on.end), default=FOREVER)
            for s in self.done("send") + self.done("edit"):
                must(not (s.chat == quarrel and s.begin > on.end and s.end < lifted), "accepted across a block", s)
        on = False
        for e in self.feeds[self.talk.e.user["id"]]:  # what came live is the same, or is found out as another
            if e["t"] == "user:block":
                on = e["d"]["on"]
            must(not (on and e["t"] in (*TOLD, "message:edit") and e["d"]["chatId"] == quarrel), "told across a block", e)

    # ---- what is left ----

    def last_words(self):
        shown = {}
        for feed in self.feeds.values():
            for e in feed:  # the feed tells messages as they are now
                if e["t"] in TOLD:
                    d = {k: v for k, v in e["d"].items() if k != "ref"}
                    must(shown.setdefault(d["id"], d) == d, "two members see different messages", d)
        edits, removed = {}, {d.more["id"] for d in self.done("delete")}
        for a in self.done("edit"):
            edits[a.more["id"]] = a.more["body"]
        for s in self.done("send"):
            d = shown.get(s.answer["id"])
            must(d is not None, "shown to nobody", s)
            gone = d["id"] in removed
            must(bool(d.get("deleted")) == gone, "removed or not", s, d)
            must(gone or d["body"] == edits.get(d["id"], s.more["body"]), "another text", s, d)
        self._reactions(shown)
        self._offers(shown)

    def _reactions(self, shown):
        last = {}
        for a in self.done("react"):  # a person's acts are in order
            last[a.more["id"], a.more["emoji"], a.who] = a.more["on"]
        for ident, d in shown.items():
            want = {(emoji, who) for (i, emoji, who), on in last.items() if i == ident and on}
            have = {(r["emoji"], who) for r in d.get("reactions", []) for who in r["userIds"]}
            must(have == want or d.get("deleted") and not have, "other reactions", d, want)

    def _offers(self, shown):
        became = {"accept": "accepted", "decline": "declined", "withdraw": "withdrawn"}
        answers = collections.defaultdict(list)
        for a in self.acts["answer"]:
            answers[a.more["id"]].append(a)
        for ident, acts in answers.items():
            d, done = shown[ident], [a for a in acts if a.done]
            must(len(done) <= 1, "an offer was answered twice", *done)
            if d.get("deleted"):
                continue
            # An act that was asked twice may have been refused because of itself.
            could = {became[a.more["action"]] for a in done or [x for x in acts if x.tries > 1]}
            must(d["offer"]["status"] in (could if done else could | {"open"}), "another end of an offer", d, acts)

    # ---- live ----

    def live_is_the_feed(self):
        for user, came in self.live.items():
            feed = {e["us"]: e for e in self.feeds[user]}
            for e in came:
                if e.get("us", 0) <= self.before[user]:
                    continue
                same = feed.get(e["us"])
                must(same is not None, "a device was told what the feed does not have", user, e)
                must(all(e[k] == same[k] for k in ("t", "ep", "id")), "another event at the same place", user, e, same)
                must(all(e["d"].get(k) == same["d"].get(k) for k in ("chatId", "seq", "id", "orderId")),
                     "another event at the same place", user, e, same)

    def rows(self, sql):
        """The table has what was accepted, and nothing else."""
        rows = sql("SELECT chat_id::text, cmid::text, seq FROM message WHERE chat_id = ANY (%s::uuid[])",
                   (list(self.talk.members),))
        must(sorted(rows) == sorted((a.chat, a.more["key"], a.seq) for a in self.done("send")), "lost or doubled rows")

    def __str__(self):
        kinds = ", ".join(f"{len(self.done(k))} {k}" for k in sorted(self.acts))
        refused = collections.Counter(a.problem for acts in self.acts.values() for a in acts if a.problem)
        again = sum(a.tries > 1 for a in self.talk.acts)
        came = sum(len({e["us"] for e in told if e.get("us", 0) > self.before[u]}) for u, told in self.live.items())
        return (f"{kinds}; refused: {dict(refused)}; {again} asked again; {sum(map(len, self.feeds.values()))} events, "
                f"{came} of them live; nothing lost, doubled or out of order")
