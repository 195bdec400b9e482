"""What the replaced systems let happen over their sockets, and must not happen here. Where another file proves it more
closely, README.md of this folder names that test."""
import json
import time
import uuid

import paho.mqtt.client as paho
import pytest

from plazatest import process
from plazatest.fold import open_chat, send, sync
from plazatest.goods import Goods, order
from plazatest.mqtt import Device, queue_of, ws_url
from plazatest.world import later

API = "/api/v1"


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


@pytest.fixture
def pair(users):
    a, b = users.client(), users.seller()
    return a, b, open_chat(a, b)


def fresh():
    return str(uuid.uuid4())


def granted(device, *filters):
    """What the broker says of each filter: QoS, or 0x80."""
    codes = []
    device.paho.on_subscribe = lambda _c, _u, _m, qos: codes.append(list(qos))
    device.paho.subscribe([(f, 1) for f in filters])
    process.wait(lambda: codes, 5, "a SUBACK")
    return codes[0]


def refused(device, verb, data, timeout=10):
    """The code with which an uplink is refused."""
    ref = fresh()
    device.publish(verb, data, ref, did=device.session["did"])
    return device.wait("message:error", lambda m: m["ref"] == ref, timeout=timeout)["d"]["code"]


def settled(device):
    """Everything that was sent to the device before now has arrived."""
    ref = fresh()
    device.publish("hello", {}, ref, did=device.session["did"])
    device.wait("session:resumed", lambda m: m["ref"] == ref)


def heard(device):
    return [m for m in device.events() if not m["t"].startswith("session:")]


# ---- rooms of others ----

def test_a_seller_enters_no_other_shop(users, goods, device):
    mine, theirs = goods.seller(), goods.seller()
    d = device(mine)
    assert granted(d, f"s/{theirs.shop}/in", f"s/{theirs.shop}/#", "s/#", "s/+/in", f"s/{mine.user['id']}/in") == [128] * 5
    assert granted(d, f"s/{mine.shop}/#") == [1]
    order(users.client(), {goods.product(theirs): 1})
    order(users.client(), {goods.product(mine): 1})
    d.wait("order:created")
    assert {m["d"]["shopId"] for m in d.events("order:created")} == {mine.shop}


def test_a_client_enters_no_shop_no_inbox_and_no_room_of_an_order(users, goods, device):
    buyer, stranger, seller = users.client(), users.client(), goods.seller()
    ident = order(buyer, {goods.product(seller): 1}).json["orders"][0]["id"]
    d = device(stranger)
    rooms = [f"s/{seller.shop}/in", f"u/{buyer.user['id']}/in", f"u/{buyer.user['id']}/#", f"u/{ident}/in", f"o/{ident}/status",
             f"order-{ident}", f"client-{buyer.user['id']}", f"seller-{seller.user['id']}", "admins", "orders", "a/stats",
             "a/mod", "b/role/admin", "b/role/seller", "#", "u/+/in"]
    assert granted(d, *rooms) == [128] * len(rooms)
    seller.post(f"{API}/orders/{ident}/confirm")
    settled(d)
    assert heard(d) == []


def test_a_message_goes_to_its_members_and_to_nobody_else(pair, users, device):
    a, b, chat = pair
    outside, member = device(users.client()), device(b)
    send(a, chat, "for one of all")
    member.wait("message:receive")
    settled(outside)
    assert heard(outside) == []


# ---- speaking to others ----

def test_no_client_broadcasts(users, goods, admin, device):
    seller = goods.seller()
    ears = [device(users.client()), device(seller), device(admin)]
    rogue = device(goods.seller())
    fake = json.dumps({"v": 1, "t": "broadcast:new", "id": fresh(), "ts": "2026-01-01T00:00:00.000Z",
                       "d": {"broadcastId": fresh(), "audience": "all", "level": "critical", "text": "forged",
                             "until": "2030-01-01T00:00:00.000Z"}})
    for topic in ("b/all", "b/role/client", "b/role/seller", "b/role/admin", f"s/{seller.shop}/in", "a/mod", "a/stats",
                  f"u/{admin.user['id']}/in", f"u/{seller.user['id']}/eph", f"u/{seller.user['id']}/d/x", "sys/kick", "sys/pres"):
        rogue.paho.publish(topic, fake, qos=1).wait_for_publish(5)
    r = admin.post(API + "/broadcasts", {"text": "real", "until": later()})
    for d in ears:
        d.wait("broadcast:new", lambda m: m["broadcastId"] == r.json["id"])
        assert "forged" not in json.dumps(d.events())
    assert admin.delete(f"{API}/broadcasts/{r.json['id']}").status == 204


def test_no_client_ends_the_connection_of_another(users, device):
    victim, rogue = device(users.client()), device(users.client())
    kick = json.dumps({"uid": victim.session["username"], "did": "*", "before": int(time.time()) + 60, "reason": "x"})
    rogue.paho.publish("sys/kick", kick, qos=1).wait_for_publish(5)
    settled(rogue)
    settled(victim)
    assert victim.connected.is_set() and victim.events("session:revoked") == []


@pytest.mark.parametrize("name", ["senderId", "from", "userId", "recipientId", "sender_id"])
def test_the_sender_is_who_signed_in_whatever_the_payload_says(pair, users, device, name):
    a, b, chat = pair
    other = users.client()
    d = device(a)
    assert refused(d, "send", {"chatId": chat, "body": "forged", name: other.user["id"]}) == "invalid"
    assert refused(d, "read", {"chatId": chat, "seq": 0, name: b.user["id"]}) == "invalid"
    cmid = fresh()
    d.publish("send", {"chatId": chat, "body": "mine"}, cmid)
    assert d.wait("message:sent", lambda m: m["ref"] == cmid)["d"]["senderId"] == a.user["id"]
    assert [m["body"] for m in b.get(f"/chats/{chat}/messages").json["items"]] == ["mine"]


def test_nobody_acts_in_a_conversation_of_others(pair, users, device):
    a, b, chat = pair
    message = send(a, chat, "private")
    watcher, d = device(b), device(users.client())
    for verb, data in (("send", {"body": "x"}), ("read", {"seq": 1}), ("delivered", {"seq": 1}), ("typing", {"on": True}),
                       ("history", {}), ("edit", {"messageId": message["id"], "body": "x"}),
                       ("delete", {"messageId": message["id"]})):
        assert refused(d, verb, {"chatId": chat, **data}) == "not-found", verb
    settled(watcher)
    assert [m["t"] for m in heard(watcher) if m["t"] != "message:receive"] == []
    assert "private" not in json.dumps(d.events())
    assert a.get(f"/chats/{chat}").json["peerReadSeq"] == 0


def test_only_the_author_edits_and_removes(pair, device):
    a, b, chat = pair
    message = send(a, chat, "as it was")
    d = device(b)
    for verb, more in (("edit", {"body": "changed"}), ("delete", {})):
        assert refused(d, verb, {"chatId": chat, "messageId": message["id"], **more}) in ("not-found", "forbidden")
    assert a.get(f"/chats/{chat}/messages").json["items"][0]["body"] == "as it was"


def test_nobody_clears_the_notifications_of_another(users, admin, device):
    a, d = users.client(), device(users.client())
    n = admin.post(API + "/notifications/send", {"userId": a.user["id"], "type": "promotion", "title": "T"}).json["id"]
    assert refused(d, "nclear", {"upTo": n}) == "not-found"
    assert a.get(API + "/notifications/unread-count").json["unread"] == 1


def test_the_answer_goes_to_the_own_devices_only(users, device):
    """`did` and the topic name who wants the answer; neither reaches another user."""
    a, b = users.client(), users.client()
    mine, theirs = device(a), device(b)
    for did in (theirs.session["did"], f"../{b.user['id']}/in", "#", "+", "x" * 40, "a/b"):
        mine.publish("hello", {}, fresh(), did=did)
    settled(mine)
    settled(theirs)
    assert [m["t"] for m in theirs.events()] == ["session:resumed"]
    assert {t.split("/")[1] for t, _ in mine.messages} == {a.user["id"]}


# ---- signing in ----

def test_a_token_in_the_url_opens_nothing(env, client):
    """There it would stand in logs and histories."""
    d = Device(env, client, connect=False)
    for url in (f"/mqtt?token={d.session['password']}", f"/mqtt?access_token={client.token}"):
        c = paho.Client(client_id=d.session["clientId"], clean_session=True, transport="websockets")
        c.ws_set_options(path=url)
        assert connack(env, c) != 0
    for path in ("/auth/me", "/notifications", "/sync"):
        r = client.get(f"{API}{path}?token={client.token}&access_token={client.token}", token=False)
        assert r.status == 401, r


def connack(env, c, port=None):
    """The CONNACK's code; -1 when there was none."""
    codes = []
    c.on_connect = lambda _c, _u, _f, rc: codes.append(rc)
    c.on_disconnect = lambda *_: codes.append(-1)
    c.reconnect_delay_set(60, 60)
    c.connect("127.0.0.1", port or int(ws_url(env).split(":")[2].split("/")[0]))
    c.loop_start()
    process.wait(lambda: codes, 5, "an answer")
    c.disconnect()
    c.loop_stop()
    return codes[0]


@pytest.mark.parametrize("how", ["nothing", "id only", "access token", "another's name"])
def test_a_name_without_its_token_is_nobody(env, users, how):
    a, b = users.client(), users.client()
    mine, theirs = (Device(env, c, connect=False).session for c in (a, b))
    c = paho.Client(client_id=theirs["clientId"] if how != "nothing" else "", clean_session=True)
    if how == "id only":  # as `register` of an older system took it
        c.username_pw_set(theirs["username"])
    elif how == "access token":
        c.username_pw_set(theirs["username"], b.token)
    elif how == "another's name":
        c.username_pw_set(theirs["username"], mine["password"])
    assert connack(env, c, int(env.mqtt_port)) == 5


def test_a_foreign_page_brings_no_rights_along(env, client):
    """No cookie signs anybody in, so a page of another origin that opens the socket is nobody."""
    r = client.post(API + "/realtime/session", {}, headers={"Origin": "https://evil.example"})
    assert not any(h.lower() == "set-cookie" for h in r.headers.keys())
    assert r.headers.get("Access-Control-Allow-Origin") is None
    c = paho.Client(client_id="x", clean_session=True, transport="websockets")
    c.ws_set_options(path="/mqtt", headers={"Origin": "https://evil.example"})
    assert connack(env, c) != 0


@pytest.mark.parametrize("method,path", [("GET", "/admin/clients"), ("GET", "/admin/stats"), ("POST", "/notify"),
                                         ("POST", "/broadcasts"), ("GET", "/realtime/connections"), ("GET", "/broadcasts"),
                                         ("POST", "/realtime/session"), ("GET", "/presence/online-users")])
def test_nothing_about_realtime_is_open_to_strangers(anonymous, method, path):
    assert anonymous.request(method, API + path, {} if method == "POST" else None).problem == "unauthenticated"


# ---- being away, being slow, having two devices ----

def test_nothing_is_lost_while_away(pair, device):
    a, b, chat = pair
    d = device(b)
    last = d.session["us"]
    d.close()
    for n in range(5):
        send(a, chat, str(n))
    assert [e["d"]["body"] for e in sync(b, last)["events"] if e["t"] == "message:receive"] == list("01234")


def test_the_second_device_does_not_replace_the_first(pair, users, device):
    a, b, chat = pair
    both = [device(b), device(users.login(b.email))]
    send(a, chat, "to both")
    for d in both:
        assert d.wait("message:receive")["d"]["body"] == "to both"
        assert d.connected.is_set()


def test_who_reads_slowly_loses_nothing_for_good(env, pair, users, device, sql):
    """More comes than the broker keeps for a device that does not read. What it drops shows as a gap, or not at all when
    nothing follows: then a beat tells. Nobody else waits, and the device stays connected."""
    a, b, chat = pair
    slow, other = Device(env, b), device(a)
    base, n, many = slow.session["us"], 40, queue_of(env) + 300
    slow.paho.loop_stop()  # from now on nobody takes what arrives
    begin = time.monotonic()
    for k in range(n):
        send(a, chat, f"{k} ")
    for _ in range(0, many, 100):
        sql("SELECT notify(%s, 'order.paid', 'Many', '', NULL, 'low') FROM generate_series(1, 100)", (b.user["id"],))
    assert time.monotonic() - begin < 30
    process.wait(lambda: len(other.events("message:sent")) == n, 20, "the others hear everything")
    process.wait(lambda: sql("SELECT count(*) FROM outbox") == [(0,)], 30, "all have gone to the broker")
    slow.paho.loop_start()
    time.sleep(2)  # until the queue is empty; there is no event to wait for
    live = {e["us"] for e in slow.events() if "us" in e}
    assert len(live) < n + many, "the broker did drop some, or this proves nothing"
    upto = base
    while upto + 1 in live:
        upto += 1
    slow.publish("beat", {"state": "active", "us": upto}, did=slow.session["did"], qos=0)
    ahead = slow.wait("feed:ahead")["d"]["us"]
    missing, at = {}, upto
    while at < ahead:
        page = sync(b, at, limit=200)
        missing.update({e["us"]: e for e in page["events"]})
        at = page["to"]
    got = {e["us"]: e for e in slow.events() if "us" in e} | missing
    assert [got[us]["d"]["body"].split()[0] for us in sorted(got) if got[us]["t"] == "message:receive"] == \
        [str(k) for k in range(n)]
    assert slow.connected.is_set()
    slow.close()
