"""What an application keeps, changed by the events of the feed alone: it must equal what a new one loads."""
import copy

API = "/api/v1"
UNREAD_MAX = 1000  # the server stops counting there
ORDER = ("id", "number", "status", "total", "version", "delivery")  # what events tell of an order


def open_chat(client, peer, **more):
    r = client.post("/chats", {"peerId": peer.user["id"], **more})
    assert r.status in (200, 201), r
    return r.json["id"]


def send(client, chat, text="Hello", **more):
    r = client.post(f"/chats/{chat}/messages", {"body": text, **more})
    assert r.status in (200, 201), r
    return r.json


def sync(client, since=None, **query):
    if since is not None:
        query["since"] = since
    r = client.get(API + "/sync?" + "&".join(f"{k}={v}" for k, v in query.items()))
    assert r.status == 200, r
    return r.json


def events(client, since, limit=7):
    """All events behind a place, page by page."""
    found, more = [], True
    while more:
        page = sync(client, since, limit=limit)
        assert page["from"] == since and not page["reset"]
        found += page["events"]
        since, more = page["to"], page["more"]
    return found


class State:
    """What an application keeps: conversations with their messages, notifications, blocks, and of a seller the stock of
    some products. It is loaded once, and from then on only changed by events; `chat:changed`, `cart:changed` and
    `inventory:alert` alone say: read that again."""

    def __init__(self, client, products=()):
        self.client = client
        here = sync(client)
        self.us, self.epoch = here["to"], here["epoch"]
        self.dirty = set()  # conversations whose unread messages are to be counted
        self.stock = {}
        for p in products:
            self.read_stock(p)
        self.chats = {c["id"]: c for c in client.pages("/chats?limit=100")}
        self.messages = {c: {m["seq"]: m for m in client.pages(f"/chats/{c}/messages?limit=100")} for c in self.chats}
        self.notifications = {n["id"]: n for n in client.pages(API + "/notifications?limit=100")}
        self.unread_notifications = client.get(API + "/notifications/unread-count").json["unread"]
        self.blocks = {b["id"] for b in client.get("/users/me/blocks").json["items"]}
        self.read_cart()
        self.orders = {o["id"]: o for o in client.pages(API + "/orders?limit=100")}

    def read_cart(self):
        """There is at most one; its ETag tells of changes that its version does not."""
        self.cart = self.client.get(API + "/carts").json["items"]

    def read_stock(self, product):
        self.stock[product] = self.client.get(f"{API}/products/{product}/stock").json["stock"]

    def read_chat(self, chat):
        r = self.client.get(f"/chats/{chat}")
        if r.status == 404:  # no member any more
            self.chats.pop(chat, None), self.messages.pop(chat, None)
            return
        self.chats[chat] = r.json
        self.messages[chat] = {m["seq"]: m for m in self.client.pages(f"/chats/{chat}/messages?limit=100")}

    def message(self, m):
        if m["chatId"] not in self.chats:  # it was hidden until now
            self.read_chat(m["chatId"])
        chat = self.chats[m["chatId"]]
        m = {k: v for k, v in m.items() if k != "ref"}
        known = self.messages[m["chatId"]]
        known[m["seq"]] = m
        if m["seq"] > chat["lastSeq"]:
            chat["lastSeq"], chat["lastMessageAt"], chat["hidden"] = m["seq"], m["createdAt"], False
        if m["seq"] == chat["lastSeq"]:
            chat["lastMessage"] = m
        self.dirty.add(chat["id"])

    def count(self, chat):
        """What the other side sent behind the place that was read; a shop's staff is one side."""
        me, buyer = self.client.user["id"], chat["buyerId"]
        other = lambda who: who != me if buyer is None else (who == buyer) != (me == buyer)
        chat["unread"] = min(UNREAD_MAX, sum(m["seq"] > chat["readSeq"] and other(m["senderId"]) and not m.get("deleted")
                                             for m in self.messages[chat["id"]].values()))

    def receipt(self, kind, d):
        chat = self.chats.get(d["chatId"])
        if chat is None:  # left since
            return
        if d["userId"] == self.client.user["id"]:
            chat["readSeq"] = max(chat["readSeq"], d["seq"])
            self.dirty.add(chat["id"])
            return
        if chat["kind"] == "group":  # it tells who wrote, and stands in the list of participants
            return
        chat["peerReceivedSeq"] = max(chat["peerReceivedSeq"], d["seq"])
        if kind == "message:read":
            chat["peerReadSeq"] = max(chat["peerReadSeq"], d["seq"])

    def notification(self, d, at):
        made = {k: v for k, v in d.items() if k not in ("kind", "unread")}
        self.notifications[d["id"]] = {"link": None, **made, "type": d["kind"], "read": False, "createdAt": at}
        self.unread_notifications = d["unread"]

    def clear(self, d):
        order = sorted(self.notifications)  # ids are in the order of their time
        ids = d.get("ids") or [i for i in order if "upTo" not in d or i <= d["upTo"]]
        for i in ids:
            if d["removed"]:
                del self.notifications[i]
            else:
                self.notifications[i]["read"] = True
        self.unread_notifications = d["unread"]

    def order(self, d):
        """The event has what changes; the rest of a new order is read."""
        if d["orderId"] not in self.orders:
            self.orders[d["orderId"]] = self.client.get(f"{API}/orders/{d['orderId']}").json
            return
        o = self.orders[d["orderId"]]
        if d["version"] > o["version"]:
            o.update(status=d["status"], version=d["version"])

    def delivery(self, d):
        """It stands beside a step of the order where it makes one, with the same version."""
        o = self.orders[d["orderId"]]
        if d["version"] >= o["version"]:
            o.update(version=d["version"], delivery={"state": d["state"], **{k: d.get(k) for k in ("carrier", "tracking",
                                                                                                   "eta")}})

    def apply(self, e):
        assert e["us"] == self.us + 1, "no gap"
        self.us, kind, d = e["us"], e["t"], e["d"]
        if kind in ("message:sent", "message:receive", "message:edit", "message:delete", "message:offer"):
            self.message(d)
        elif kind == "message:reaction":
            known = self.messages.get(d["chatId"], {}).get(d["seq"])
            if known:
                known.pop("reactions", None)
                self.message({**known, **({"reactions": d["reactions"]} if d["reactions"] else {})})
        elif kind in ("message:read", "message:delivered"):
            self.receipt(kind, d)
        elif kind == "chat:changed":
            self.read_chat(d["chatId"])
        elif kind == "notification:new":
            self.notification(d, e["ts"])
        elif kind == "notification:clear":
            self.clear(d)
        elif kind in ("order:created", "order:updated", "order:cancelled"):
            self.order(d)
        elif kind == "delivery:updated":
            self.delivery(d)
        elif kind == "cart:changed":
            self.read_cart()
        elif kind == "inventory:alert":
            if d["productId"] in self.stock:
                self.read_stock(d["productId"])
        elif kind == "user:block":
            (self.blocks.add if d["on"] else self.blocks.discard)(d["userId"])
        else:
            raise AssertionError(kind)

    def seen(self):
        """What the user sees: hidden conversations are kept, not shown."""
        for chat in self.dirty & self.chats.keys():
            self.count(self.chats[chat])
        self.dirty.clear()
        shown = {i: c for i, c in self.chats.items() if not c["hidden"]}
        return copy.deepcopy({"us": self.us, "chats": shown, "messages": {i: self.messages[i] for i in shown},
                              "notifications": self.notifications, "unread": self.unread_notifications,
                              "cart": self.cart, "stock": self.stock,
                              "blocks": self.blocks, "orders": {i: {k: o[k] for k in ORDER} for i, o in
                                                                self.orders.items()}})


class App(State):
    """An application that also takes live events, by the rule of all clients: drop what it has, apply what comes next,
    ask for what is missing, load everything again where the epoch is another one."""

    def __init__(self, client, products=()):
        super().__init__(client, products)
        self.gaps = self.dropped = self.reloads = 0

    def reload(self):
        State.__init__(self, self.client, list(self.stock))
        self.reloads += 1

    def catch_up(self):
        more = True
        while more:
            page = sync(self.client, self.us, ep=self.epoch, limit=200)
            if page["reset"]:
                return self.reload()
            for e in page["events"]:
                self.apply(e)
            more = page["more"]

    def hear(self, e):
        """A live event."""
        if "us" not in e:
            return
        if e["ep"] != self.epoch:
            self.reload()
        elif e["us"] <= self.us:
            self.dropped += 1
        elif e["us"] == self.us + 1:
            self.apply(e)
        else:
            self.gaps += 1
            self.catch_up()
