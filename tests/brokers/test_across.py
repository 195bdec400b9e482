"""Everything works between users of different brokers, and nobody sees that there are several."""
import re
import subprocess
import time
import urllib.parse
import uuid
from pathlib import Path

import pytest

from plazatest import brokers, process
from plazatest import sql as sql_module
from plazatest.fold import events, open_chat, send
from plazatest.goods import Goods, crowd, order
from plazatest.world import later

API = "/api/v1"
KICK_S = 2
NOT_AUTHORISED = 5  # CONNACK of MQTT 3.1.1
# What the unit test of io/brokers.c says of the same ids.
EDGES = [("01900000-0000-7000-8000-ffff00000000", 3, 0), ("01900000-0000-7000-8000-000000000005", 3, 2),
         ("01900000-0000-7000-8000-0000ffffffff", 16, 15), ("01900000-0000-7000-8000-0000ffffffff", 7, 3),
         ("01900000-0000-7000-8000-000080000000", 3, 2), ("ffffffff-ffff-7fff-bfff-ffffffffffff", 1, 0)]


def pairs(k):
    return [(i, j) for i in range(k) for j in range(k) if i != j]


def ports_of(device):
    return [urllib.parse.urlsplit(u).port for u in device.session["urls"] if u.startswith("mqtt:")]


def test_a_session_names_the_broker_of_the_user_and_no_other(env, users, sql, k):
    base = env.base_url.replace("http", "ws", 1)
    seen = set()
    for c in crowd(env, users, sql, 30):
        n, = sql("SELECT broker_of(%s, %s)", (c.user["id"], k))[0]
        assert n == brokers.of(c, k), "SQL and the test agree"
        urls = c.post(API + "/realtime/session", {}).json["urls"]
        assert urls == [base + (f"/mqtt/{n}" if n else "/mqtt"), f"mqtt://127.0.0.1:{brokers.port(env, n)}"], \
            "SQL and the worker agree"
        seen.add(n)
    assert seen == set(range(k))


@pytest.mark.parametrize("user, n, shard", EDGES)
def test_the_database_counts_as_the_programs_do(sql, user, n, shard):
    assert sql("SELECT broker_of(%s, %s)", (user, n)) == [(shard,)]


def test_messages_receipts_and_typing_cross(trio, device, k):
    three, chats = trio
    devices = [device(c, ws=i == 1) for i, c in enumerate(three)]
    for i, j in pairs(k):
        chat, text = chats[i, j], f"{i} to {j}"
        seq = send(three[i], chat, text)["seq"]
        devices[j].wait("message:receive", lambda m: m["body"] == text, timeout=5)
        devices[i].wait("message:sent", lambda m: m["body"] == text, timeout=5)
        cmid = str(uuid.uuid4())
        devices[i].publish("send", {"chatId": chat, "body": text + " by MQTT"}, cmid)
        devices[j].wait("message:receive", lambda m: m["body"] == text + " by MQTT", timeout=5)
        assert devices[i].wait("message:sent", lambda m: m["ref"] == cmid, timeout=5)["d"]["seq"] == seq + 1
        devices[i].publish("typing", {"chatId": chat}, qos=0)
        devices[j].wait("user:typing", lambda d: d["userId"] == three[i].user["id"], timeout=5)
        devices[j].publish("read", {"chatId": chat, "seq": seq + 1})
        devices[i].wait("message:read", lambda d: d["chatId"] == chat and d["seq"] == seq + 1, timeout=5)
    # Each heard of everything once: nobody is on two brokers.
    for c, d in zip(three, devices):
        got = [e["us"] for e in d.events() if "us" in e]
        assert sorted(got) == [e["us"] for e in events(c, d.session["us"])]


def test_presence_crosses(trio, device, k):
    three, _ = trio
    devices = [device(three[0])]
    devices[0].publish("watch", {"userIds": [c.user["id"] for c in three[1:]]}, str(uuid.uuid4()), qos=0)
    for c in three[1:]:
        devices[0].wait("user:status", lambda d: d["userId"] == c.user["id"] and d["state"] == "offline", timeout=5)
    for c in three[1:]:
        there = device(c)
        devices[0].wait("user:status", lambda d: d["userId"] == c.user["id"] and d["state"] == "online", timeout=5)
        there.publish("watch", {"userIds": [three[0].user["id"]]}, str(uuid.uuid4()), qos=0)
        there.wait("user:status", lambda d: d["userId"] == three[0].user["id"] and d["state"] == "online", timeout=5)


def test_a_group_on_all_brokers_is_one_conversation(people, device, k):
    members = [c for some in people(2) for c in some]
    for c in members[1:]:
        open_chat(members[0], c)
    devices = [device(c) for c in members]
    r = members[0].post("/chats", {"title": "All over", "memberIds": [c.user["id"] for c in members[1:]]})
    assert r.status == 201, r
    for c in members:
        send(c, r.json["id"], c.user["id"])
    for d in devices:
        for c in members:
            d.wait("message:sent" if d.session["username"] == c.user["id"] else "message:receive",
                   lambda m: m["body"] == c.user["id"], timeout=5)


def test_shops_and_buyers_hear_of_orders(people, users, sql, device):
    goods = Goods(users, sql)
    seller = goods.seller()
    thing, shop = goods.product(seller, stock=100), device(seller)
    for buyer, in people():
        mine = device(buyer)
        r = order(buyer, {thing: 1})
        assert r.status == 201, r
        ident = r.json["orders"][0]["id"]
        shop.wait("order:created", lambda d: d["orderId"] == ident, timeout=5)
        assert seller.post(f"{API}/orders/{ident}/confirm").status == 200
        mine.wait("order:updated", lambda d: d["orderId"] == ident, timeout=5)
    assert {t.split("/")[0] for t, m in shop.messages if m["t"] == "order:created"} == {"s"}


def test_announcements_and_the_moderators_topic_are_everywhere(people, users, admin, device, trio):
    devices = [device(c) for c, in people()]
    moderator = device(admin)
    r = admin.post(API + "/broadcasts", {"text": "To all", "until": later()})
    assert r.status == 201, r
    try:
        for d in devices + [moderator]:
            d.wait("broadcast:new", lambda d: d["broadcastId"] == r.json["id"], timeout=5)
            time.sleep(0.1)
            assert len([m for m in d.events("broadcast:new") if m["d"]["broadcastId"] == r.json["id"]]) == 1
    finally:
        admin.delete(f"{API}/broadcasts/{r.json['id']}")
    three, _ = trio
    for a, b in zip(three, three[1:] + three[:1]):
        assert a.post(f"{API}/users/{b.user['id']}/report", {"reason": "spam"}).status == 201
    process.wait(lambda: len(moderator.events("report:new")) >= len(three), 5, "every report was heard of")


def test_a_session_that_ends_is_kicked_wherever_it_is(people, device, note):
    for n, (c, other) in enumerate(people(2)):
        d, stays = device(c), device(other)
        begin = time.monotonic()
        assert c.post(API + "/auth/logout").status == 204
        process.wait(lambda: not d.connected.is_set(), KICK_S, f"broker {n} ends the connection")
        note(f"broker {n}: kicked {1000 * (time.monotonic() - begin):.0f} ms after POST /auth/logout began")
        process.wait(lambda: d.rc == NOT_AUTHORISED, 10, "the token is refused")
        assert stays.connected.is_set()


def test_a_connection_is_logged_wherever_it_is(people, device):
    for c, in people():
        d = device(c)
        process.wait(lambda: [x["device"] for x in c.get(API + "/realtime/connections").json["items"]] ==
                     [d.session["did"]], 5, "a line for it")


def test_each_broker_has_its_uplinks_and_its_list(env, sql, k):
    held = sql("SELECT pid, min(objid::int), max(objid::int), count(*) FROM pg_locks "
               "WHERE locktype = 'advisory' AND classid = 20261 AND granted GROUP BY pid")
    assert sorted(row[1:] for row in held) == [(16 * n, 16 * n + 15, 16) for n in range(k)]
    for n in range(k):
        assert (Path(env.run_dir) / brokers.name("data/broker/revocations", n)).exists()
        assert f"plugin_opt_broker {n}\n" in (Path(env.run_dir) / f"conf/{brokers.name('mosquitto', n)}.conf").read_text()


def test_a_parked_row_has_its_lines_where_they_belong(env, people, sql, k):
    """Split by the database, in a transaction that is taken back; lines keep their order."""
    a, b = (some[0].user["id"] for some in people()[:2])
    line = "{}\x1f{}\x1e".format
    lines = [line(f"u/{a}/in", 1), line(f"u/{b}/in", 2), line("b/all", 3), line(f"u/{a}/in", 4), line("u/nobody", 5)]
    own = {0: [0, 2, 3, 4], 1: [1, 2, 4], 2: [2, 4]}
    with sql_module.connect(env) as c:
        c.autocommit = False
        with c.cursor() as cur:
            cur.execute("INSERT INTO outbox (topic, payload) VALUES ('', %s), (%s, %s) RETURNING id",
                        ("".join(lines), f"u/{b}/in", "6"))
            ids = [i for i, in cur.fetchall()]
            cur.execute("SELECT outbox_park(%s::bigint[], %s)", (ids + [-1], k))
            assert cur.fetchall() == [(2,)], "rows that are gone are left out"
            cur.execute("SELECT broker, lines FROM outbox_parked WHERE id > %s ORDER BY id", (max(ids),))
            assert cur.fetchall() == [(n, "".join(lines[i] for i in some)) for n, some in own.items()] + \
                [(1, line(f"u/{b}/in", 6))]
            cur.execute("SELECT count(*) FROM outbox WHERE id = ANY (%s::bigint[])", (ids,))
            assert cur.fetchall() == [(0,)]
            cur.execute("SELECT outbox_unpark(%s)", (k,))
            cur.execute("SELECT count(*) FROM outbox_parked WHERE id > %s", (max(ids),))
            assert cur.fetchall() == [(4,)], "the number of brokers is the same"
            cur.execute("SELECT outbox_unpark(%s)", (k + 1,))
            cur.execute("SELECT count(*) FROM outbox_parked")
            assert cur.fetchall() == [(0,)]
        c.rollback()


def test_the_doctor_looks_at_every_broker(env, k):
    out = subprocess.run([Path(env.bin_dir) / "plazactl", "-c", env.conf, "doctor"], capture_output=True, text=True).stdout
    assert re.findall(r"^(\w+) +broker (\d) ", out, re.M) == [("ok", str(n)) for n in range(k)]


def test_there_is_no_broker_behind_the_last(env, users, k):
    made = subprocess.run([Path(env.bin_dir) / "plaza-ingest", "-c", env.conf, "-b", str(k)], capture_output=True, text=True)
    assert made.returncode == 1 and f"there is no broker {k}" in made.stdout + made.stderr
    r = users.anonymous().get(f"/mqtt/{k}", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert r.status == 404, r
