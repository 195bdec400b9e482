"""The chat over MQTT: every uplink is the twin of a REST call, and every event arrives on all devices it is for."""
import json
import time
import uuid

import paho.mqtt.client as paho
import pytest

from plazatest import redis
from plazatest.fold import open_chat, send

API = "/api/v1"


def plain(message):
    return {k: v for k, v in message.items() if k != "ref"}


def fresh():
    return str(uuid.uuid4())


@pytest.fixture
def pair(users):
    buyer, seller = users.client(), users.seller()
    return buyer, seller, open_chat(buyer, seller)


def quiet(device, kind, seconds=0.7):
    """No event of this kind arrives for a while. There is no event to wait for, so this is a matter of time."""
    time.sleep(seconds)
    return device.events(kind) == []


# ---- the session ----

def test_a_session_tells_all_that_a_device_needs(env, client, device):
    d = device(client)
    s = d.session
    assert s["username"] == client.user["id"] and s["clientId"].startswith(client.user["id"] + "_")
    assert s["clientId"].endswith(s["did"]) and s["urls"] and s["keepalive"] > 0
    assert f"u/{client.user['id']}/#" in s["subscribe"]
    again = client.post(API + "/realtime/token", {})
    assert again.status == 200 and set(again.json) == set(s)
    assert client.post("/api/realtime/token", {}).status == 200


def test_the_feed_of_the_session_is_where_sync_goes_on(client, device):
    s = device(client).session
    sync = client.get(API + f"/sync?since={s['us']}&ep={s['epoch']}").json
    assert (sync["reset"], sync["events"], sync["to"]) == (False, [], s["us"])


# ---- what is sent by REST arrives ----

def test_a_message_arrives_on_all_devices_of_both(pair, users, device):
    buyer, seller, chat = pair
    phone, tablet = device(seller), device(users.login(seller.email))
    own, other = device(buyer), device(users.login(buyer.email))
    sent = send(buyer, chat)
    for d in (phone, tablet):
        assert d.wait("message:receive")["d"] == plain(sent)
    for d in (own, other):
        assert d.wait("message:sent")["d"] == sent
    assert phone.events("message:sent") == [] and own.events("message:receive") == []


def test_live_and_later_are_the_same_event(pair, device):
    buyer, seller, chat = pair
    d = device(seller)
    sent = send(buyer, chat)
    live = d.wait("message:receive")
    later = [e for e in seller.get(API + "/sync?since=0").json["events"] if e["t"] == "message:receive"]
    assert later == [live] and live["d"] == plain(sent)


def test_receipts_edits_and_removals_arrive(pair, device):
    buyer, seller, chat = pair
    mine, theirs = device(buyer), device(seller)
    sent = send(buyer, chat, "Befor")
    seller.post(f"/chats/{chat}/delivered", {"seq": 1})
    assert mine.wait("message:delivered")["d"] == {"chatId": chat, "seq": 1, "userId": seller.user["id"]}
    edited = buyer.patch(f"/chats/{chat}/messages/{sent['id']}", {"body": "Before"}).json
    for d in (mine, theirs):
        assert d.wait("message:edit")["d"] == edited
    gone = send(buyer, chat, "Oops")
    buyer.delete(f"/chats/{chat}/messages/{gone['id']}")
    for d in (mine, theirs):
        e = d.wait("message:delete")["d"]
        assert (e["id"], e["deleted"], e["body"]) == (gone["id"], True, "")
    seller.post(f"/chats/{chat}/read", {"seq": 2})
    for d in (mine, theirs):
        assert d.wait("message:read")["d"] == {"chatId": chat, "seq": 2, "userId": seller.user["id"]}


def test_conversations_blocks_and_notifications_arrive(users, admin, device):
    a, b = users.client(), users.client()
    d = device(a)
    chat = open_chat(b, a)
    assert d.wait("chat:changed")["d"] == {"chatId": chat}
    a.post(f"/users/{b.user['id']}/block")
    assert d.wait("user:block")["d"] == {"userId": b.user["id"], "on": True}
    r = admin.post(API + "/notifications/send", {"userId": a.user["id"], "type": "order.paid", "title": "Paid"})
    assert d.wait("notification:new")["d"]["id"] == r.json["id"]


def test_a_report_reaches_the_moderators_only(users, admin, client, device):
    target = users.client()
    staff, reporter = device(admin), device(client)
    r = client.post(f"/users/{target.user['id']}/report", {"reason": "spam"})
    assert staff.wait("report:new", lambda d: d["reportId"] == r.json["id"])["d"]["targetId"] == target.user["id"]
    assert reporter.events("report:new") == []


def test_typing_is_shown_to_the_peer_and_not_across_a_block(pair, device):
    buyer, seller, chat = pair
    mine, theirs = device(buyer), device(seller)
    buyer.post(f"/chats/{chat}/typing", {"on": True, "kind": "voice"})
    e = theirs.wait("user:typing")
    assert e["d"] == {"chatId": chat, "userId": buyer.user["id"], "on": True, "kind": "voice"} and "us" not in e
    assert mine.events("user:typing") == []
    mine.publish("typing", {"chatId": chat, "on": False}, fresh(), qos=0)
    assert theirs.wait("user:typing", lambda d: not d["on"])
    seller.post(f"/users/{buyer.user['id']}/block")
    before = len(theirs.events("user:typing"))
    buyer.post(f"/chats/{chat}/typing", {"on": True})
    time.sleep(0.7)
    assert len(theirs.events("user:typing")) == before


# ---- uplinks ----

def test_sending_over_mqtt_is_sending(pair, device):
    buyer, seller, chat = pair
    mine, theirs = device(buyer), device(seller)
    cmid = fresh()
    for _ in range(2):
        mine.publish("send", {"chatId": chat, "body": "Over MQTT"}, cmid)
    sent = mine.wait("message:sent")["d"]
    assert (sent["ref"], sent["seq"], sent["body"]) == (cmid, 1, "Over MQTT")
    assert theirs.wait("message:receive")["d"] == plain(sent)
    by_rest = buyer.post(f"/chats/{chat}/messages", {"body": "Over MQTT", "cmid": cmid})
    assert (by_rest.status, by_rest.json) == (200, sent), "both doors know the same id"
    assert len(buyer.get(f"/chats/{chat}/messages").json["items"]) == 1


def test_a_repetition_over_mqtt_is_answered_again(pair, device):
    buyer, _, chat = pair
    cmid = fresh()
    first = buyer.post(f"/chats/{chat}/messages", {"body": "R", "cmid": cmid}).json
    d = device(buyer)
    d.publish("send", {"chatId": chat, "body": "R"}, cmid, did=d.session["did"])
    assert d.wait("message:repeated")["d"] == first
    d.publish("send", {"chatId": chat, "body": "Other"}, cmid)
    assert d.wait("message:error")["d"]["code"] == "message-conflict"


def test_receipts_edits_and_removals_over_mqtt(pair, device):
    buyer, seller, chat = pair
    mine, theirs = device(buyer), device(seller)
    sent = send(buyer, chat, "Befor")
    theirs.publish("delivered", {"chatId": chat, "seq": 1}, fresh())
    assert mine.wait("message:delivered")["d"]["seq"] == 1
    mine.publish("edit", {"chatId": chat, "messageId": sent["id"], "body": "Before"}, fresh())
    assert theirs.wait("message:edit")["d"]["body"] == "Before"
    mine.publish("delete", {"chatId": chat, "messageId": sent["id"]}, fresh())
    assert theirs.wait("message:delete")["d"]["deleted"] is True
    send(buyer, chat)
    theirs.publish("read", {"chatId": chat, "seq": 2}, fresh())
    assert mine.wait("message:read")["d"] == {"chatId": chat, "seq": 2, "userId": seller.user["id"]}


def test_history_over_mqtt_is_the_page_of_rest(pair, device):
    buyer, seller, chat = pair
    for i in range(5):
        send(buyer, chat, f"m{i}")
    d, ref = device(seller), fresh()
    d.publish("history", {"chatId": chat, "before": 5, "limit": 2}, ref)
    e = d.wait("message:history")["d"]
    assert (e["ref"], e["chatId"], e["more"]) == (ref, chat, True)
    assert e["items"] == seller.get(f"/chats/{chat}/messages?before=5&limit=2").json["items"]


def test_a_history_that_no_packet_holds_comes_in_parts(pair, device):
    buyer, seller, chat = pair
    for i in range(24):
        send(buyer, chat, f"{i} " + "é" * 3900)
    d, got, before = device(seller), [], 25
    while before > 1:
        ref = fresh()
        d.publish("history", {"chatId": chat, "before": before, "limit": 24}, ref)
        e = d.wait("message:history", lambda m, r=ref: m["ref"] == r)["d"]
        assert 1 < len(e["items"]) < 24
        got += e["items"]
        before = got[-1]["seq"]
        assert e["more"] == (before > 1)
    assert got == seller.get(f"/chats/{chat}/messages?before=25&limit=24").json["items"]


def test_notifications_are_cleared_over_mqtt(admin, client, device):
    ids = [admin.post(API + "/notifications/send", {"userId": client.user["id"], "type": "promotion", "title": "T"}).json["id"]
           for _ in range(2)]
    d = device(client)
    d.publish("nclear", {"upTo": ids[0]}, fresh())
    assert d.wait("notification:clear")["d"] == {"upTo": ids[0], "removed": False, "unread": 1}
    d.publish("nclear", {}, fresh())
    assert d.wait("notification:clear", lambda x: "upTo" not in x)["d"]["unread"] == 0


def test_hello_tells_where_the_feed_stands(client, device):
    d, ref = device(client), fresh()
    d.publish("hello", {"app": "test 1"}, ref)
    e = d.wait("session:resumed")["d"]
    assert e == {"ref": ref, "epoch": d.session["epoch"], "to": d.session["us"]}


@pytest.mark.parametrize("verb,data,code", [
    ("send", {"body": ""}, "invalid"), ("send", {"body": "x", "chatId": fresh()}, "not-found"),
    ("send", {"body": "x", "chatId": 5}, "not-found"), ("send", {"body": "x", "what": 1}, "invalid"),
    ("read", {"seq": -1}, "invalid"), ("read", {"seq": 1, "chatId": fresh()}, "not-found"),
    ("edit", {"messageId": fresh(), "body": "x"}, "not-found"), ("delete", {"messageId": fresh()}, "not-found"),
    ("delivered", {}, "invalid"), ("history", {"limit": 1000}, "invalid")])
def test_a_refused_uplink_is_answered_to_its_device(pair, users, device, verb, data, code):
    buyer, _, chat = pair
    d, other, ref = device(buyer), device(users.login(buyer.email)), fresh()
    d.publish(verb, {"chatId": chat, **data}, ref, did=d.session["did"])
    e = d.wait("message:error")
    assert (e["d"]["ref"], e["d"]["code"]) == (ref, code) and e["d"]["title"]
    assert [t for t, m in d.messages if m["t"] == "message:error"] == [f"u/{buyer.user['id']}/d/{d.session['did']}"]
    assert other.wait("message:error")["d"]["ref"] == ref, "all devices hear it, and the others leave it alone"


def test_a_block_refuses_over_mqtt_too(pair, device):
    buyer, seller, chat = pair
    buyer.post(f"/users/{seller.user['id']}/block")
    d, ref = device(seller), fresh()
    d.publish("send", {"chatId": chat, "body": "x"}, ref)
    assert d.wait("message:error")["d"]["code"] == "blocked"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b'{"v":1}', b'{"v":1,"d":5}', b"\xff\xfe", b'{"d":{},"d":{}}',
                                     b'{"v":1,"d":' + b"[" * 500 + b"]" * 500 + b"}"])
def test_nonsense_does_no_harm(pair, device, payload):
    buyer, seller, chat = pair
    d = device(buyer)
    for verb in ("send", "read", "watch", "hello", "history", "beat", "nclear"):
        d.paho.publish(f"{d.session['publishPrefix']}/{verb}", payload, qos=1)
    cmid = fresh()
    d.publish("send", {"chatId": chat, "body": "Still here"}, cmid)
    assert d.wait("message:sent", lambda m: m["ref"] == cmid)


def test_nobody_writes_in_the_name_of_another(pair, users, device):
    buyer, seller, chat = pair
    d, thief = device(seller), device(users.client())
    uplink = f"{d.session['publishPrefix']}/send"
    payload = json.dumps({"v": 1, "id": fresh(), "d": {"chatId": chat, "body": "Forged"}})
    thief.paho.publish(uplink, payload, qos=1)
    thief.paho.publish(f"u/{buyer.user['id']}/in", payload, qos=1)
    send(buyer, chat, "Real")
    d.wait("message:receive")
    assert [m["body"] for m in buyer.get(f"/chats/{chat}/messages").json["items"]] == ["Real"]
    assert d.events("message:sent") == []


@pytest.mark.parametrize("verb,data", [
    ("hello", {}), ("watch", {"userIds": []}), ("beat", {"state": "active"}), ("history", {"limit": 10})])
def test_uplinks_that_write_nothing_have_a_limit_too(env, pair, device, verb, data):
    """Each is work for the database or Redis; the stack's own limits are a thousand times the usual ones."""
    buyer, _seller, chat = pair
    d = device(buyer)
    redis.count(env, "signal", 60, buyer.user["id"], 10 ** 9)
    ref = fresh()
    d.publish(verb, {**data, "chatId": chat} if verb == "history" else data, ref)
    refused = d.wait("message:error", lambda m: m["ref"] == ref)["d"]
    assert refused["code"] == "rate-limited" and 1 <= refused["retryAfter"] <= 60
    redis.count(env, "signal", 60, buyer.user["id"], 0)
    d.publish("history", {"chatId": chat}, again := fresh())
    d.wait("message:history", lambda m: m["ref"] == again)


def test_many_messages_over_mqtt_keep_their_order(pair, device):
    buyer, seller, chat = pair
    mine, theirs = device(buyer), device(seller)
    refs = [fresh() for _ in range(40)]  # below the rate that the broker takes from one device
    for i, ref in enumerate(refs):
        mine.publish("send", {"chatId": chat, "body": f"{i}"}, ref)
    mine.wait("message:sent", lambda m: m["seq"] == 40, timeout=30)
    got = [m["body"] for m in buyer.pages(f"/chats/{chat}/messages?after=0&limit=100")]
    assert got == [str(i) for i in range(40)]
    theirs.wait("message:receive", lambda m: m["seq"] == 40, timeout=30)
    assert {m["d"]["seq"] for m in theirs.events("message:receive")} == set(range(1, 41))


def test_a_second_connection_of_a_device_replaces_the_first(client, device):
    d = device(client)
    twin = paho.Client(client_id=d.session["clientId"], clean_session=True)
    twin.username_pw_set(d.session["username"], d.session["password"])
    d.paho.reconnect_delay_set(30, 60)
    twin.connect("127.0.0.1", d.url("mqtt").port)
    twin.loop_start()
    end = time.monotonic() + 10
    while d.connected.is_set() and time.monotonic() < end:
        time.sleep(0.05)
    twin.disconnect()
    twin.loop_stop()
    assert not d.connected.is_set()
