"""One broker of three is away. Its users read their feeds; the others notice nothing; nobody loses anything."""
import json
import threading
import time
import uuid
from pathlib import Path

import pytest

from plazatest import brokers, process
from plazatest.fold import State, open_chat, send, sync

PULSE_S = 2
SLOWER_S = 0.2  # whatever depends on the broker that is away waits for the relay, 0.5 s at least
LEFT = 520  # more than the relay takes at a time
BACK_S = 15
LAST_S = 20
API = "/api/v1"
NOT_AUTHORISED = 5  # CONNACK of MQTT 3.1.1


def pulse(client, chat, device, seconds):
    """Messages one after the other; how long each took from the request to the other's device."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        text, begin = str(uuid.uuid4()), time.monotonic()
        send(client, chat, text)
        device.wait("message:receive", lambda m: m["body"] == text, timeout=10)
        times.append(time.monotonic() - begin)
        time.sleep(0.01)
    return sorted(times)


def p99(times):
    return times[int(len(times) * 0.99)]


def events(client, since):
    """All behind a place, by large pages: there are many."""
    found, more = [], True
    while more:
        page = sync(client, since, limit=200)
        found, since, more = found + page["events"], page["to"], page["more"]
    return found


def left_behind(sql, sender, chat, n):
    """Messages whose worker died between COMMIT and publishing."""
    sql("SELECT set_config('plaza.uid', %s, false); SELECT count((message_send(%s, uuid_v7(), 'text', 'Left', NULL, NULL, NULL))"
        ".events) FROM generate_series(1, %s)", (sender.user["id"], chat, n))


class Sender(threading.Thread):
    """Writes into conversations until it is told to stop; every answer must be good."""

    def __init__(self, client, *chats):
        super().__init__(daemon=True)
        self.client, self.chats, self.over = client.clone(), chats, threading.Event()
        self.sent, self.crash = [], None

    def run(self):
        try:
            while not self.over.wait(0.05):
                for chat in self.chats:
                    self.sent.append(send(self.client, chat, "to many")["id"])
        except Exception as e:
            self.crash = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(30)
        if self.crash:
            raise self.crash


def swept(env, since):
    """Rows that the relay has published from this place of its log on."""
    lines = (Path(env.log_dir) / "relay.log").read_text()[since:].splitlines()
    return sum(r.get("sent", 0) for r in map(json.loads, lines) if r.get("event") == "sweep")


def waiting(sql):
    """Rows of the outbox, and brokers with parked ones."""
    return sql("SELECT (SELECT count(*) FROM outbox), ARRAY(SELECT DISTINCT broker FROM outbox_parked ORDER BY 1)")[0]


@pytest.mark.parametrize("how, n", [(brokers.dead, 2), (brokers.hung, 0)], ids=["dead", "hung"])
def test_an_outage_is_felt_by_the_brokers_users_only(env, trio, people, device, sql, note, k, how, n):
    three, chats = trio
    i, j = [m for m in range(k) if m != n]
    a, b, c, away = three[i], three[j], three[n], people()[i][0]
    far = open_chat(away, c)
    da, db, dc = device(a), device(b), device(c)
    group = a.post("/chats", {"title": "All", "memberIds": [b.user["id"], c.user["id"]]}).json["id"]
    state, mark = State(c), len((Path(env.log_dir) / "relay.log").read_text())
    # The test before may have restarted a broker: every worker is back there first.
    process.wait(lambda: pulse(a, chats[i, j], db, 0.5)[-1] < SLOWER_S, BACK_S, "nothing waits for the relay")
    before = pulse(a, chats[i, j], db, PULSE_S)
    with how(env, n):
        with Sender(b, chats[j, n], group) as others:
            during = pulse(a, chats[i, j], db, PULSE_S)
            # What the relay has to send for the broker that is away is before what it has to send for another one.
            left_behind(sql, away, far, LEFT)
            time.sleep(0.6)
            left_behind(sql, b, chats[i, j], 1)
            took = process.wait(lambda: any(m["d"]["body"] == "Left" for m in da.events("message:receive")), 5,
                                "the relay serves the others")
            during += pulse(a, chats[i, j], db, PULSE_S)
        process.wait(lambda: waiting(sql) == (0, [n]), 20, f"rows wait for broker {n} only, not {waiting(sql)}")
        rows, sent = len(others.sent) + LEFT + 1, swept(env, mark)
        assert sent < 2 * rows, f"{sent} rows were published of {rows}: the same again and again"
        time.sleep(1.5)
        assert swept(env, mark) - sent < LEFT / 10, "what waits is left alone"
        for e in events(c, state.us):
            state.apply(e)
        assert state.seen() == State(c).seen(), "the feed has it all meanwhile"
        if how is brokers.dead:
            process.wait(lambda: a.get("/health").json["broker"] == "degraded", 5, "it is told")
    during.sort()
    took_back = process.wait(lambda: waiting(sql) == (0, []), BACK_S, "everything went out")
    note(f"broker {n} {how.__name__}: p99 of the others {1000 * p99(before):.0f} ms before, {1000 * p99(during):.0f} ms "
         f"while; relay served them after {1000 * took:.0f} ms; {len(others.sent)} + {LEFT} messages to those who are cut "
         f"off; all out {took_back:.1f} s after it was back; {swept(env, mark)} rows by the relay")
    assert p99(during) < p99(before) + SLOWER_S
    assert dc.connected.wait(BACK_S)
    send(a, chats[i, n], "last")
    dc.wait("message:receive", lambda m: m["body"] == "last", timeout=LAST_S)
    # The others heard everything live; those who were cut off live or by their feed.
    for who, d in ((a, da), (b, db)):
        every = {e["us"]: e["t"] for e in events(who, d.session["us"])}
        live = lambda: {e["us"] for e in d.events() if "us" in e}
        process.wait(lambda: live() >= set(every), 10, lambda: f"all came live, but for "
                     f"{[(us, t) for us, t in every.items() if us not in live()][:20]}")
    for e in events(c, state.us):
        state.apply(e)
    assert state.seen() == State(c).seen()
    got = {e["us"] for e in dc.events() if "us" in e}
    assert got <= {e["us"] for e in events(c, min(got) - 1)}


def test_all_brokers_may_be_away(env, trio, device, sql, k):
    """Rows wait where they are; one that comes back does not wait for the others."""
    three, chats = trio
    devices = [device(c) for c in three]
    with brokers.dead(env, 1), brokers.dead(env, 2):
        with brokers.dead(env, 0):
            for i in range(k):
                for j in range(i):
                    send(three[i], chats[i, j], "dark")
            time.sleep(1)
            assert waiting(sql)[0] > 0
        assert devices[0].connected.wait(BACK_S)
        process.wait(lambda: waiting(sql) == (0, [1, 2]), BACK_S, "what broker 0 can have went out")
        send(three[2], chats[2, 0], "light")
        devices[0].wait("message:receive", lambda m: m["body"] == "light", timeout=5)
    process.wait(lambda: waiting(sql) == (0, []), BACK_S, "everything went out")
    for c, d in zip(three, devices):
        assert d.connected.wait(BACK_S)
        assert len([e for e in events(c, d.session["us"]) if e["t"] in ("message:sent", "message:receive")]) >= k - 1


def test_a_kick_that_its_broker_missed_is_learned(env, people, device):
    gone, other = people(2)[1]
    d, stays = device(gone), device(other)
    with brokers.dead(env, 1):
        assert gone.post(API + "/auth/logout").status == 204
    assert stays.connected.wait(BACK_S)
    process.wait(lambda: d.rc == NOT_AUTHORISED, BACK_S, f"the token is refused, rc {d.rc}")
    assert stays.connected.is_set()


def test_an_ingest_that_ends_is_replaced_for_its_broker(env, people, device):
    a, b = [some[0] for some in people()[1:]]
    chat = open_chat(a, b)
    da, db = device(a), device(b)
    old = process.service(env, "ingest-1")
    process.kill(old)
    # The uplinks of another broker do not wait for it.
    ident = str(uuid.uuid4())
    db.publish("send", {"chatId": chat, "body": "meanwhile"}, ident)
    db.wait("message:sent", lambda m: m["ref"] == ident, timeout=2)
    process.restarted(env, "ingest-1", old)
    ident = str(uuid.uuid4())

    def answered():
        da.publish("send", {"chatId": chat, "body": "again"}, ident)
        time.sleep(0.3)
        return any(m["d"]["ref"] == ident for m in da.events("message:sent"))
    process.wait(answered, 15, "uplinks are taken again")
    db.wait("message:receive", lambda m: m["body"] == "again")
