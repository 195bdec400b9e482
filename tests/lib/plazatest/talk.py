"""People who talk while something is broken: in pairs and in a group, over HTTP and over MQTT. They send, read, change,
remove, react, offer and answer, and some block each other in between. What each of them did is on record (Act), with
its time and its answer, for checker.py to hold against what everybody was told.

Whoever gets no answer asks the same again, as a client does, before doing anything else. So each act has an outcome in
the end, and a person's acts have an order.
"""
import json
import random
import threading
import time
import uuid

from plazatest.fold import open_chat
from plazatest.http import Response

TEXT, PATIENCE_S, REPEAT_S = "text", 20, 1.0
NOT_AUTHORISED = 5  # CONNACK of MQTT 3.1.1
# What may be refused to whom does this, with no fault in it.
MAY = {"send": {"blocked"}, "edit": {"already-read", "blocked", "not-found"}, "delete": {"already-read", "not-found"},
       "react": {"not-found", "blocked", "conflict"}, "answer": {"offer-closed", "blocked", "not-found"}}
WEIGHTS = {"send": 55, "read": 10, "delivered": 4, "edit": 12, "delete": 4, "react": 10, "answer": 5}
EMOJI = ("👍", "🎉", "❤️")


class Act:
    """Something that somebody wanted, from its first attempt to the answer."""

    def __init__(self, kind, client, chat, seq=None, **more):
        self.kind, self.client, self.who, self.chat, self.seq = kind, client, client.user["id"], chat, seq
        self.more = more
        self.begin, self.end, self.tries = time.monotonic(), None, 0
        self.done = self.problem = self.answer = None

    def close(self, problem=None, answer=None):
        self.end, self.problem, self.done, self.answer = time.monotonic(), problem, problem is None, answer

    def __repr__(self):
        return (f"<{self.kind} {self.more} {self.who[-4:]} in {self.chat and self.chat[-4:]} #{self.seq} "
                f"{self.begin:.3f}-{self.end or 0:.3f} {self.tries} tries: {self.problem or self.done}>")


class Talk:
    """Six people: `a` and `b`; the buyer `c` and the seller `d` of a product; `e` and `f`, of whom `e` blocks the other
    now and then. All but the seller are in a group, too."""

    def __init__(self, users, goods, seller, product):
        self.a, self.b, self.c, self.e, self.f = people = [users.client() for _ in range(5)]
        self.d, self.product, self.people = seller, product, [*people, seller]
        self.members, self.private = {}, []
        for one, other in ((self.a, self.b), (self.e, self.f), (self.a, self.c), (self.a, self.e), (self.a, self.f)):
            self._open(open_chat(one, other), one, other)
        self.quarrel = self.private[1]
        deal = self.c.post("/api/v1/chats", {"productId": product}).json["id"]
        self._open(deal, self.c, self.d)
        self.deal = deal
        r = self.a.post("/api/v1/chats", {"title": "All", "memberIds": [p.user["id"] for p in people[1:]]})
        assert r.status == 201, r
        self.group = r.json["id"]
        self.members[self.group] = [p.user["id"] for p in people]
        self.chats = {p.user["id"]: [c for c, m in self.members.items() if p.user["id"] in m] for p in self.people}
        self.said = {c: [] for c in self.members}    # messages that were acknowledged: (seq, id, sender, type)
        self.acts, self.lock, self.open, self.devices, self.blocking = [], threading.Lock(), {}, {}, False
        self.door = None   # "mqtt": nothing but messages over MQTT; "http": nothing over MQTT
        self.renew = None  # renew(client) for those whose token has ended

    def _open(self, chat, one, other):
        self.members[chat] = [one.user["id"], other.user["id"]]
        self.private.append(chat)

    # ---- what to do next ----

    def _choose(self, client):
        me = client.user["id"]
        chat = random.choice(self.chats[me])
        if client is self.e and self.door != "mqtt" and random.random() < 0.08:
            self.blocking = not self.blocking
            return Act("block", client, self.quarrel, on=self.blocking, peer=self.f.user["id"])
        if client is self.d and self.door != "mqtt" and random.random() < 0.2:
            return Act("send", client, self.deal, key=str(uuid.uuid4()), type="offer", body="")
        kind = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        recent = self.said[chat][-6:]
        if kind in ("edit", "delete"):
            recent = [m for m in recent if m[2] == me and m[3] == TEXT][-1:]
        elif kind == "answer":
            recent = [m for m in self.said[self.deal][-12:] if m[3] == "offer"] if client in (self.c, self.d) else []
            chat = self.deal
        if kind == "send" or not recent or self.door == "mqtt":
            key = str(uuid.uuid4())
            return Act("send", client, random.choice(self.chats[me]), key=key, type=TEXT, body=f"message {key}")
        return self._about(kind, client, chat, *random.choice(recent)[:2])

    @staticmethod
    def _about(kind, client, chat, seq, ident):
        more = {"id": ident}
        if kind == "edit":
            more["body"] = f"changed {uuid.uuid4()}"
        elif kind == "react":
            more.update(emoji=random.choice(EMOJI), on=random.random() < 0.7)
        elif kind == "answer":
            more["action"] = "withdraw" if client.user.get("role") == "seller" else random.choice(("accept", "decline"))
        return Act(kind, client, chat, seq, **more)

    # ---- doing it ----

    def step(self, client):
        """One attempt at the next act, or once more at the one that has no answer yet."""
        me = client.user["id"]
        act = self.open.get(me)
        if act is None:
            act = self.open[me] = self._choose(client)
        r = self._try(client, act)
        if r.status < 300 or r.expected:
            with self.lock:
                self._closed(act, r)
            self.open.pop(me)
        return r

    def _closed(self, act, r):
        act.close(r.problem, r.json if r.body and r.status < 300 else None)
        self.acts.append(act)
        if act.kind == "send" and act.done:
            act.seq = act.answer["seq"]
            self.said[act.chat].append((act.seq, act.answer["id"], act.who, act.more["type"]))

    def _try(self, client, act):
        act.tries += 1
        if act.kind == "send" and act.who in self.devices and act.more["type"] == TEXT:
            if self.door == "mqtt" or self.door is None and int(act.more["key"][0], 16) % 2:
                return self._uplink(client, act)
        r = self._request(client, act)
        r.expected = r.status < 500 and r.problem in MAY.get(act.kind, ())
        if r.status == 401 and self.renew:
            self.renew(client)
        return r

    def _request(self, client, act):
        m, chat = act.more, f"/api/v1/chats/{act.chat}"
        message = f"{chat}/messages/{m.get('id')}"
        if act.kind == "send":
            body = {"cmid": m["key"], "body": m["body"]}
            if m["type"] == "offer":
                body.update(type="offer", productId=self.product, price={"amount": 700, "currency": "USD"})
            return client.post(chat + "/messages", body)
        if act.kind in ("read", "delivered"):
            return client.post(f"{chat}/{act.kind}", {"seq": act.seq})
        if act.kind == "edit":
            return client.patch(message, {"body": m["body"]})
        if act.kind == "delete":
            return client.delete(message)
        if act.kind == "react":
            return client.post(message + "/reactions", {"emoji": m["emoji"], "on": m["on"]})
        if act.kind == "answer":
            return client.post(message + "/offer", {"action": m["action"]})
        return client.request("POST" if m["on"] else "DELETE", f"/api/v1/users/{m['peer']}/block")

    def _uplink(self, client, act):
        """Sends over MQTT, again and again until there is an answer; PUBACK is none."""
        key, end = act.more["key"], time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            device = self.devices[act.who]
            if device.rc == NOT_AUTHORISED and self.renew:
                self.renew(client)
            elif device.connected.is_set():
                device.publish("send", {"chatId": act.chat, "body": act.more["body"]}, key, did=device.session["did"])
            m = device.answer(key, REPEAT_S)
            if m and m["t"] != "message:error":
                return answered(201, m["d"])
            if m and m["d"]["code"] != "unavailable":
                r = answered(409, {"code": m["d"]["code"]})
                r.expected = m["d"]["code"] in MAY["send"]
                return r
            act.tries += 1
        raise AssertionError(f"no answer to {act}")

    def settle(self):
        """Whoever still has no answer asks until there is one."""
        left, end = len(self.open), time.monotonic() + PATIENCE_S
        for me in list(self.open):
            client = self.open[me].client.clone()
            while me in self.open:
                assert time.monotonic() < end, f"no answer to {self.open[me]}"
                r = self.step(client)
                assert me not in self.open or r.status in (409, 503), r
                time.sleep(0.05)
            client.close()
        return left


def answered(status, body):
    """An answer that came over MQTT, in the form of HTTP's."""
    return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
