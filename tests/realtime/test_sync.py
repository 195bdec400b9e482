"""GET /sync: the feed repairs every gap, and folding it over an old state gives the new one."""
import concurrent.futures
import signal
import time
import uuid

import pytest

from plazatest import process
from plazatest.fold import API, State, events, open_chat, send, sync
from plazatest.goods import Goods, order


@pytest.fixture
def verify(users):
    """verify(action): for every party the old state plus the events is the new state."""
    parties = {}

    def check(action, *people):
        for p in people:
            parties.setdefault(p.user["id"], State(p))
        result = action()
        for p in people:
            state = parties[p.user["id"]]
            for e in events(p, state.us):
                state.apply(e)
            fresh = State(p)
            state.us = max(state.us, fresh.us)  # asking told others of deliveries, never oneself
            assert state.seen() == fresh.seen(), action
        return result
    return check


def made(r):
    assert 200 <= r.status < 300, r
    return r.json if r.body else None


# ---- the fold ----

def test_every_action_is_told_completely(users, admin, verify):
    a, b = users.client(), users.seller()
    both = (a, b)
    chat = verify(lambda: open_chat(a, b), *both)
    first = verify(lambda: send(a, chat, "One"), *both)
    verify(lambda: send(a, chat, "Two"), *both)
    verify(lambda: send(b, chat, "Three", replyTo=first["seq"]), *both)
    verify(lambda: b.post(f"/chats/{chat}/delivered", {"seq": 2}), *both)
    verify(lambda: a.patch(f"/chats/{chat}/messages/{first['id']}", {"body": "Uno"}), *both)
    verify(lambda: a.delete(f"/chats/{chat}/messages/{first['id']}"), *both)
    verify(lambda: b.post(f"/chats/{chat}/read", {"seq": 2}), *both)
    verify(lambda: a.post(f"/chats/{chat}/read", {"seq": 99}), *both)
    verify(lambda: a.put(f"/chats/{chat}/mute", {"on": True}), *both)
    verify(lambda: a.put(f"/chats/{chat}/archive", {"on": True}), *both)
    verify(lambda: b.delete(f"/chats/{chat}"), *both)
    verify(lambda: send(a, chat, "Back"), *both)
    verify(lambda: a.post(f"/users/{b.user['id']}/block"), *both)
    verify(lambda: a.post(f"/chats/{chat}/messages", {"body": "x"}), *both)
    verify(lambda: a.delete(f"/users/{b.user['id']}/block"), *both)
    second = verify(lambda: send(b, chat, "Four"), *both)
    for emoji, on in (("👍", True), ("❤️", True), ("👍", False), ("❤️", False)):
        verify(lambda: a.post(f"/chats/{chat}/messages/{second['id']}/reactions", {"emoji": emoji, "on": on}), *both)
    verify(lambda: a.patch("/users/me/sharing", {"readReceipts": False}), *both)
    verify(lambda: a.post(f"/chats/{chat}/read", {"seq": 99}), *both)
    verify(lambda: send(a, chat, "Five"), *both)
    verify(lambda: b.post(f"/chats/{chat}/read", {"seq": 99}), *both)
    tell = {"userId": a.user["id"], "type": "order.paid", "title": "Paid"}
    made = [verify(lambda: admin.post(API + "/notifications/send", tell).json["id"], *both) for _ in range(3)]
    verify(lambda: a.post(f"{API}/notifications/{made[1]}/read"), *both)
    verify(lambda: a.delete(f"{API}/notifications/{made[0]}"), *both)
    verify(lambda: a.post(API + "/notifications/read-all", {}), *both)


def test_what_happens_to_an_order_is_told_completely(users, sql, verify):
    goods = Goods(users, sql)
    a, b = users.client(), goods.seller()
    both = (a, b)
    product = goods.product(b)
    for state in ("assigned", "failed", "in_transit", "completed"):
        if state == "assigned":
            o = verify(lambda: order(a, {product: 1}).json["orders"][0]["id"], *both)
            verify(lambda: b.post(f"{API}/orders/{o}/confirm"), *both)
        verify(lambda s=state: b.patch(f"{API}/orders/{o}/delivery", {"state": s, "tracking": f"RR {s}"}), *both)
    verify(lambda: a.post(f"{API}/orders/{o}/complete"), *both)
    o = verify(lambda: order(a, {product: 1}).json["orders"][0]["id"], *both)
    verify(lambda: b.post(f"{API}/orders/{o}/confirm"), *both)
    verify(lambda: b.patch(f"{API}/orders/{o}/mark-delivered"), *both)
    o = verify(lambda: order(a, {product: 1}).json["orders"][0]["id"], *both)
    verify(lambda: a.post(f"{API}/orders/{o}/cancel", {"reason": "no"}), *both)


def test_a_storm_is_told_completely(users, verify):
    a, b, c = users.client(), users.client(), users.client()
    chats = {(0, 1): open_chat(a, b), (0, 2): open_chat(a, c), (1, 2): open_chat(b, c)}

    def act(i):
        who = (a, b, c)[i % 3].clone()
        chat = list(chats.items())[i % 3 if i % 2 else (i + 1) % 3]
        if i % 3 in chat[0]:
            for k in range(5):
                m = send(who, chat[1], f"{i}.{k}")
                if k == 2:
                    who.patch(f"/chats/{chat[1]}/messages/{m['id']}", {"body": "changed"})
                elif k == 3:
                    who.delete(f"/chats/{chat[1]}/messages/{m['id']}")
            who.post(f"/chats/{chat[1]}/read", {"seq": 10 + i})

    def storm():
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            list(pool.map(act, range(12)))
    verify(storm, a, b, c)


# ---- places, epochs, resets ----

def test_pages_join_without_gap(users):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    for i in range(20):
        send(a, chat, str(i))
    got = events(b, 0)
    assert [e["us"] for e in got] == list(range(1, len(got) + 1))
    assert [e["d"]["body"] for e in got if e["t"] == "message:receive"] == [str(i) for i in range(20)]
    assert sync(b, got[-1]["us"])["events"] == []
    assert sync(b, got[4]["us"], limit=3)["events"] == got[5:8]


def test_no_place_another_epoch_and_the_future_mean_reload(users):
    a, b = users.client(), users.client()
    send(a, open_chat(a, b))
    here = sync(b)
    assert here["reset"] and here["events"] == [] and here["to"] > 0
    assert not sync(b, here["to"], ep=here["epoch"])["reset"]
    for answer in (sync(b, 0, ep="another"), sync(b, here["to"] + 1), sync(b, 10 ** 15)):
        assert answer == {**here, "from": answer["from"], "reset": True}


def test_a_restored_database_has_another_epoch(users, sql):
    a, b = users.client(), users.client()
    send(a, open_chat(a, b))
    here = sync(b)
    sql("UPDATE feed_head SET epoch = 'restored' WHERE account_id = %s", (b.user["id"],))
    assert sync(b, here["to"], ep=here["epoch"])["reset"]
    assert not sync(b, here["to"], ep="restored")["reset"]


def test_what_retention_removed_means_reload(users, sql):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    for _ in range(3):
        send(a, chat)
    before = sync(b)["to"]
    sql("UPDATE feed SET created_at = now() - interval '70 days' WHERE account_id = %s", (b.user["id"],))
    sql("SELECT partition_make('feed', date_trunc('month', now() - interval '70 days')::date)")
    sql("SELECT job_partitions()")
    assert sql("SELECT count(*) FROM feed_default") == [(0,)]
    assert sync(b, before - 1)["reset"] and not sync(b, before)["reset"]
    send(a, chat)
    assert [e["us"] for e in sync(b, before)["events"]] == [before + 1], "numbers go on"


@pytest.mark.parametrize("query", ["since=-1", "since=x", "limit=0", "limit=201", "since=1&since=2", "what=1"])
def test_nonsense_is_refused(client, query):
    assert client.get(f"{API}/sync?{query}").status in (400, 422)


def test_nobody_reads_anothers_feed(users, anonymous):
    a, b, stranger = users.client(), users.client(), users.client()
    text = f"private-{uuid.uuid4()}"
    send(a, open_chat(a, b), text)
    assert text in b.get(API + "/sync?since=0").text
    assert text not in stranger.get(API + "/sync?since=0").text
    assert anonymous.get(API + "/sync?since=0").problem == "unauthenticated"


# ---- asking tells what has arrived ----

def test_asking_for_more_delivers_what_came_before(users):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    for _ in range(3):
        send(a, chat)
    got = sync(b, 0)["events"]
    assert a.get(f"/chats/{chat}").json["peerReceivedSeq"] == 0, "on its way is not there"
    second = next(e["us"] for e in got if e["d"].get("seq") == 2)
    sync(b, second)
    assert a.get(f"/chats/{chat}").json["peerReceivedSeq"] == 2
    for _ in range(2):
        sync(b, got[-1]["us"])
    assert a.get(f"/chats/{chat}").json["peerReceivedSeq"] == 3
    told = [e["d"]["seq"] for e in events(a, 0) if e["t"] == "message:delivered"]
    assert told == [2, 3]


# ---- without the broker ----

def drained(sql):
    return sql("SELECT count(*) FROM outbox") == [(0,)]


def test_a_hung_broker_stops_nobody_and_gets_everything_later(env, users, device, sql):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    d = device(b)
    broker = process.service(env, "mosquitto")
    process.kill(broker, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        for i in range(20):
            send(a, chat, str(i))
        assert time.monotonic() - begin < 5, "no request waits for the broker"
        assert [e["d"]["body"] for e in events(b, 0) if e["t"] == "message:receive"] == [str(i) for i in range(20)]
    finally:
        process.kill(broker, signal.SIGCONT)
    # The workers publish side by side: the last one may come first.
    process.wait(lambda: {m["d"]["seq"] for m in d.events("message:receive")} == set(range(1, 21)), 30, "all have come")
    process.wait(lambda: drained(sql), 15, "the outbox is empty again")


def test_nothing_is_lost_when_the_broker_dies(env, users, device, sql):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    d = device(b)
    send(a, chat, "0")
    have = d.wait("message:receive")["us"]  # what follows it may be lost
    old = process.service(env, "mosquitto")
    process.kill(old)
    for i in range(30):
        send(a, chat, str(i + 1))
    process.restarted(env, "mosquitto", old)
    process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    assert d.connected.wait(30)
    cmid = str(uuid.uuid4())
    send(a, chat, "last", cmid=cmid)
    d.wait("message:receive", lambda m: m["body"] == "last", timeout=20)
    # Whatever was published while the device was away shows as a gap in `us`, and sync fills it.
    got = {e["us"]: e for e in d.events() if "us" in e} | {e["us"]: e for e in events(b, have)}
    assert [got[us]["d"]["body"] for us in sorted(got) if got[us]["t"] == "message:receive"] == \
        [str(i) for i in range(31)] + ["last"]
    assert sorted(got) == list(range(min(got), max(got) + 1))


def test_what_a_dead_worker_left_is_published_by_the_relay(users, device, sql):
    """A worker that ends between COMMIT and publishing leaves a row of the outbox, as this one."""
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    d = device(b)
    sql("SELECT set_config('plaza.uid', %s, false); SELECT events FROM message_send(%s, %s, 'text', 'Left', NULL, NULL, NULL)",
        (a.user["id"], chat, str(uuid.uuid4())))
    assert d.wait("message:receive", timeout=5)["d"]["body"] == "Left"
    process.wait(lambda: drained(sql), 10, "the outbox is empty again")


@pytest.mark.parametrize("name", ["relay", "ingest"])
def test_a_killed_daemon_comes_back_and_goes_on(env, users, device, sql, name):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    d, mine = device(b), device(a)
    old = process.service(env, name)
    process.kill(old)
    process.restarted(env, name, old)
    for i in range(3):
        send(a, chat, str(i))
    cmid = str(uuid.uuid4())

    def uplinked():
        mine.publish("send", {"chatId": chat, "body": "up"}, cmid)  # as a device does: again until it is answered
        time.sleep(0.3)
        return any(m["d"]["ref"] == cmid for m in mine.events("message:sent"))
    process.wait(uplinked, 20, "uplinks are taken again")
    d.wait("message:receive", lambda m: m["body"] == "up")
    assert [m["body"] for m in a.pages(f"/chats/{chat}/messages?after=0")] == ["0", "1", "2", "up"]
    process.wait(lambda: drained(sql), 10, "the outbox is empty again")


def test_a_group_is_told_completely(users, verify):
    a, b, c = users.client(), users.client(), users.client()
    all3 = (a, b, c)
    for peer in (b, c):
        verify(lambda: open_chat(a, peer), *all3)
    ids = [p.user["id"] for p in all3]
    chat = verify(lambda: made(a.post("/chats", {"title": "Club", "memberIds": ids[1:2]}))["id"], *all3)
    first = verify(lambda: send(a, chat, "One"), *all3)
    verify(lambda: send(b, chat, "Two"), *all3)
    verify(lambda: made(a.post(f"/chats/{chat}/participants", {"userIds": ids[2:]})), *all3)
    verify(lambda: send(c, chat, "Three"), *all3)
    verify(lambda: send(a, chat, "Four"), *all3)
    verify(lambda: made(b.post(f"/chats/{chat}/read", {"seq": 3})), *all3)
    verify(lambda: made(c.post(f"/chats/{chat}/delivered", {"seq": 4})), *all3)
    verify(lambda: made(a.post(f"/chats/{chat}/messages/{first['id']}/reactions", {"emoji": "🎉"})), a, b)
    verify(lambda: made(a.patch(f"/chats/{chat}", {"title": "Circle"})), *all3)
    verify(lambda: made(a.patch(f"/chats/{chat}/participants/{ids[1]}", {"role": "admin"})), *all3)
    verify(lambda: made(b.delete(f"/chats/{chat}/participants/{ids[2]}")), *all3)
    verify(lambda: send(b, chat, "Five"), *all3)
    verify(lambda: made(a.delete(f"/chats/{chat}/participants/{ids[0]}")), *all3)
    verify(lambda: send(b, chat, "Six"), *all3)


def test_a_shared_inbox_is_told_completely(users, verify):
    owner, helper, buyer = users.seller(), users.client(), users.client()
    all3 = (owner, helper, buyer)
    shop = owner.user["shopId"]
    chat = verify(lambda: made(buyer.post("/chats", {"sellerId": shop}))["id"], *all3)
    verify(lambda: send(buyer, chat, "One"), *all3)
    members = f"{API}/sellers/{shop}/members"
    verify(lambda: made(owner.post(members, {"userId": helper.user["id"]})), *all3)
    verify(lambda: made(helper.post(members + "/accept")), *all3)
    verify(lambda: send(buyer, chat, "Two"), *all3)
    verify(lambda: made(helper.post(f"/chats/{chat}/read", {"seq": 2})), *all3)
    verify(lambda: send(helper, chat, "Three"), buyer)
    verify(lambda: made(buyer.post(f"/chats/{chat}/read", {"seq": 3})), buyer)
    verify(lambda: made(owner.delete(f"{members}/{helper.user['id']}")), *all3)
    verify(lambda: send(buyer, chat, "Four"), *all3)
