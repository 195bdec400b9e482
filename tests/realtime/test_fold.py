"""Every event with a place in a user's feed: what it does to an old state is what a new one shows.

The events are those of events.def: one without an action here fails, and so does an action whose event does not come.
"""
import re

import pytest

from plazatest import process
from plazatest.env import ROOT
from plazatest.fold import API, App, State, events, open_chat, send
from plazatest.goods import Goods, cart, order

ROW = re.compile(r'^EVENT\((\w+), "([\w:]+)", ([^"]*?), (true|false),', re.MULTILINE)
DURABLE = [m[2] for m in ROW.finditer((ROOT / "realtime/events.def").read_text()) if m[4] == "true"]
USD = {"currency": "USD"}


class Stage:
    """A buyer and a seller with a product and a conversation about it, and somebody who administers."""

    def __init__(self, users, admin, sql):
        goods = Goods(users, sql)
        self.sql, self.admin = sql, admin
        self.buyer, self.seller = users.client(), goods.seller()
        self.product = goods.product(self.seller, stock=10, threshold=8)
        self.chat = made(self.buyer.post("/chats", {"productId": self.product}))["id"]
        self.message = send(self.buyer, self.chat, "One")
        self.path = f"/chats/{self.chat}/messages/{self.message['id']}"


def made(r):
    assert 200 <= r.status < 300, r
    return r.json if r.body else None


def bought(s, n=1):
    return made(order(s.buyer, {s.product: n}))["orders"][0]["id"]


def prepared(before, then):
    """An action in two parts; only what the second one does is folded."""
    def prepare(s):
        thing = before(s)
        return lambda: then(s, thing)
    return prepare


def at_once(action):
    return prepared(lambda s: None, lambda s, _: action(s))


def confirmed(s):
    o = bought(s)
    made(s.seller.post(f"{API}/orders/{o}/confirm"))
    return o


def offered(s):
    return made(s.seller.post(f"/chats/{s.chat}/messages", {"type": "offer", "productId": s.product,
                                                            "price": {"amount": 700, **USD}}))["id"]


def told(s):
    return made(s.admin.post(API + "/notifications/send",
                             {"userId": s.buyer.user["id"], "type": "order.paid", "title": "Paid"}))["id"]


def repriced(s, _):
    made(s.seller.put(f"{API}/products/{s.product}", {"price": {"amount": 31, **USD}}))
    process.wait(lambda: s.sql("SELECT count(*) FROM cart_news") == [(0,)], 15, "all news are told")


# For each event who must hear it, and what causes it.
ACTIONS = {
    "message:receive": ("seller", at_once(lambda s: send(s.buyer, s.chat, "Two"))),
    "message:sent": ("buyer", at_once(lambda s: send(s.buyer, s.chat, "Two"))),
    "message:delivered": ("buyer", at_once(lambda s: made(s.seller.post(f"/chats/{s.chat}/delivered", {"seq": 1})))),
    "message:read": ("buyer", at_once(lambda s: made(s.seller.post(f"/chats/{s.chat}/read", {"seq": 1})))),
    "message:edit": ("seller", at_once(lambda s: made(s.buyer.patch(s.path, {"body": "Uno"})))),
    "message:delete": ("seller", at_once(lambda s: made(s.buyer.delete(s.path)))),
    "message:offer": ("seller", prepared(offered, lambda s, m: made(
        s.buyer.post(f"/chats/{s.chat}/messages/{m}/offer", {"action": "accept"})))),
    "message:reaction": ("buyer", at_once(lambda s: made(s.seller.post(s.path + "/reactions", {"emoji": "👍"})))),
    "chat:changed": ("buyer", at_once(lambda s: made(s.buyer.put(f"/chats/{s.chat}/mute", {"on": True})))),
    "user:block": ("buyer", at_once(lambda s: made(s.buyer.post(f"/users/{s.seller.user['id']}/block")))),
    "notification:new": ("buyer", at_once(told)),
    "notification:clear": ("buyer", prepared(told, lambda s, n: made(s.buyer.post(f"{API}/notifications/{n}/read")))),
    "order:created": ("seller", at_once(bought)),
    "order:updated": ("buyer", prepared(bought, lambda s, o: made(s.seller.post(f"{API}/orders/{o}/confirm")))),
    "order:cancelled": ("seller", prepared(bought, lambda s, o: made(
        s.buyer.post(f"{API}/orders/{o}/cancel", {"reason": "no"})))),
    "delivery:updated": ("buyer", prepared(confirmed, lambda s, o: made(
        s.seller.patch(f"{API}/orders/{o}/delivery", {"state": "in_transit", "tracking": "RR 1"})))),
    "cart:changed": ("buyer", prepared(lambda s: cart(s.buyer, {s.product: 1}), repriced)),
    "inventory:alert": ("seller", at_once(lambda s: bought(s, 5))),
}


def test_every_durable_event_has_an_action():
    assert sorted(ACTIONS) == sorted(DURABLE)


@pytest.mark.parametrize("kind", DURABLE)
def test_an_old_state_and_the_event_give_the_new_state(users, admin, sql, device, kind):
    s = Stage(users, admin, sql)
    who, prepare = ACTIONS[kind]
    act, reader = prepare(s), getattr(s, who)
    watched = [s.product] if kind == "inventory:alert" else []  # a sale is not told of its stock otherwise
    parties = {p: State(p, watched if p is s.seller else ()) for p in (s.buyer, s.seller)}
    app, d = App(reader, watched), device(reader)
    act()
    for client, state in parties.items():
        found = events(client, state.us)
        assert client is not reader or kind in [e["t"] for e in found], "the event has come"
        for e in found:
            state.apply(e)
        fresh = State(client, list(state.stock))
        state.us = fresh.us
        assert state.seen() == fresh.seen()
    d.wait(kind)
    for e in d.events():
        app.hear(e)
    app.catch_up()
    app.us = fresh.us if reader is s.seller else app.us
    assert app.seen() == {**State(reader, watched).seen(), "us": app.us}, "the live event does the same"
