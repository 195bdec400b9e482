"""Groups, shared inboxes, reactions and offers as devices see them."""
import uuid

import pytest

from plazatest import goods as shopping
from plazatest.fold import open_chat, send
from plazatest.goods import Goods


def done(r, status=200):
    assert r.status == status, r
    return r.json if r.body else None


def got(device, kind, match=lambda d: True):
    return device.wait(kind, match)["d"]


@pytest.fixture
def deal(users, sql):
    """(buyer, seller, product, conversation about it)"""
    goods = Goods(users, sql)
    seller, buyer = goods.seller(), users.client()
    product = goods.product(seller, price=1000, stock=10)
    return buyer, seller, product, done(buyer.post("/chats", {"productId": product}), 201)["id"]


def test_a_reaction_by_mqtt_comes_to_both(deal, device):
    buyer, seller, _, chat = deal
    mine, theirs = device(buyer), device(seller)
    m = send(buyer, chat)
    theirs.publish("react", {"chatId": chat, "messageId": m["id"], "emoji": "👍"})
    for d in (mine, theirs):
        told = got(d, "message:reaction")
        assert (told["userId"], told["emoji"], told["on"], told["seq"]) == (seller.user["id"], "👍", True, m["seq"])
        assert told["reactions"] == [{"emoji": "👍", "count": 1, "userIds": [seller.user["id"]]}]
    ref = str(uuid.uuid4())
    theirs.publish("react", {"chatId": chat, "messageId": m["id"], "emoji": "no"}, ref)
    error = got(theirs, "message:error", lambda e: e["ref"] == ref)
    assert (error["code"], error["field"]) == ("invalid", "/emoji")


def test_an_offer_by_mqtt_is_accepted_and_stands_in_the_cart(deal, device):
    buyer, seller, product, chat = deal
    mine, theirs = device(buyer), device(seller)
    ref = str(uuid.uuid4())
    theirs.publish("send", {"chatId": chat, "type": "offer", "productId": product, "quantity": 3,
                            "price": {"amount": 700, "currency": "USD"}, "expiresInHours": 1}, ref)
    sent = got(theirs, "message:sent", lambda m: m["ref"] == ref)
    came = got(mine, "message:receive")
    assert came["offer"] == sent["offer"] and came["offer"]["quantity"] == 3
    done(buyer.post(f"/chats/{chat}/messages/{came['id']}/offer", {"action": "accept"}))
    for d in (mine, theirs):
        assert got(d, "message:offer")["offer"]["status"] == "accepted"
    cart = got(mine, "cart:changed")
    assert cart["reason"] == "offer"
    found = shopping.cart(buyer).json
    assert (found["id"], found["version"], found["total"]["amount"]) == (cart["cartId"], cart["version"], 2100)
    assert theirs.events("cart:changed") == []


def test_a_group_hears_each_other(users, device):
    owner, one, two = users.client(), users.client(), users.client()
    for peer in (one, two):
        open_chat(owner, peer)
    devices = [device(who) for who in (owner, one, two)]
    chat = done(owner.post("/chats", {"title": "Club", "memberIds": [one.user["id"], two.user["id"]]}), 201)["id"]
    for d in devices:
        got(d, "chat:changed", lambda e: e["chatId"] == chat)
    devices[1].publish("send", {"chatId": chat, "body": "Hello all"})
    got(devices[1], "message:sent")
    for d in (devices[0], devices[2]):
        assert got(d, "message:receive")["body"] == "Hello all"
    devices[2].publish("read", {"chatId": chat, "seq": 1})
    assert got(devices[1], "message:read", lambda e: e["userId"] == two.user["id"])["seq"] == 1
    # Only who wrote it learns who has read it.
    assert devices[0].events("message:read") == []
    devices[0].publish("typing", {"chatId": chat, "on": True}, qos=0)
    for d in devices[1:]:
        assert got(d, "user:typing")["userId"] == owner.user["id"]
    done(two.patch("/users/me/sharing", {"typing": False}))
    devices[2].publish("typing", {"chatId": chat, "on": True}, qos=0)
    devices[0].publish("typing", {"chatId": chat, "on": False}, qos=0)
    assert got(devices[1], "user:typing", lambda e: not e["on"])["userId"] == owner.user["id"]
    assert two.user["id"] not in [e["d"]["userId"] for e in devices[1].events("user:typing")]
    assert [e["d"]["on"] for e in devices[2].events("user:typing")] == [True]


def test_all_of_the_staff_hear_a_customer(users, device):
    owner, helper, buyer = users.seller(), users.client(), users.client()
    members = f"/api/v1/sellers/{owner.user['shopId']}/members"
    done(owner.post(members, {"userId": helper.user["id"]}), 201)
    invited = helper.get("/api/v1/notifications").json["items"][0]
    assert invited["type"] == "shop.invitation"
    done(helper.post(members + "/accept"))
    desk, phone, theirs = device(owner), device(helper), device(buyer)
    chat = open_chat(buyer, owner)
    send(buyer, chat, "Anybody there?")
    for d in (desk, phone):
        assert got(d, "message:receive")["body"] == "Anybody there?"
    phone.publish("send", {"chatId": chat, "body": "Yes"})
    assert got(theirs, "message:receive")["senderId"] == helper.user["id"]
    assert got(desk, "message:receive", lambda m: m["body"] == "Yes")["senderId"] == helper.user["id"]
    phone.publish("read", {"chatId": chat, "seq": 2})
    got(desk, "chat:changed", lambda e: e["chatId"] == chat)
    assert got(theirs, "message:read")["seq"] == 2
