"""The broker and the daemons die while people talk and buy: a doorbell less, nothing lost (F9, F10, F11)."""
import threading
import time

import pytest

from plazatest import process
from plazatest.fold import events, open_chat

KILLS = 3
LAG_S = 5.0
NOT_AUTHORISED = 5  # CONNACK of MQTT 3.1.1


def drained(sql):
    return sql("SELECT count(*) FROM outbox") == [(0,)]


def test_f10_a_killed_broker_loses_nothing(env, scene, device, sql, note):
    devices = [device(t) for t in scene.talkers]
    have = {d: t for d, t in zip(devices, scene.talkers)}
    with scene.load() as load:
        for _ in range(KILLS):
            time.sleep(scene.rng.uniform(1, 2))
            old = process.service(env, "mosquitto")
            process.kill(old)
            process.restarted(env, "mosquitto", old)
        time.sleep(1)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"broker killed {KILLS} times, seed {scene.seed}: {load}; outbox empty {lag:.1f} s later")
    # Nobody who writes or reads over HTTP has noticed.
    assert not load.bad
    note("  " + scene.verdict())
    live = missed = 0
    for d, talker in have.items():
        assert d.connected.wait(30), "the device is back"
        got = {e["us"] for e in d.events() if "us" in e}
        every = {e["us"] for e in events(talker, min(got) - 1)}
        live, missed = live + len(got & every), missed + len(every - got)
        assert not got - every, "a device knows what the feed does not"
    note(f"  {live} events came over MQTT, {missed} by /sync")


@pytest.mark.parametrize("name", ["relay", "ingest"])
def test_f9_a_killed_daemon_delays_and_loses_nothing(env, scene, device, sql, note, name):
    watcher = scene.talkers[0]
    d = device(watcher)
    with scene.load() as load:
        for _ in range(KILLS):
            time.sleep(scene.rng.uniform(0.5, 1))
            old = process.service(env, name)
            process.kill(old)
            process.restarted(env, name, old)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"{name} killed {KILLS} times, seed {scene.seed}: {load}; outbox empty {lag:.1f} s later")
    assert not load.bad and lag < LAG_S
    note("  " + scene.verdict())
    # The device was there all the time: what it has is what the feed says, in order, each event once or more.
    every = [e["us"] for e in events(watcher, d.session["us"])]
    process.wait(lambda: {e["us"] for e in d.events() if "us" in e} >= set(every), LAG_S, "the device has all")


def test_r35_a_new_broker_learns_of_a_kick_that_was_lost(env, users, device, sql):
    """A session ends, but the word of it dies with the broker. The next one refuses its token all the same."""
    gone, other = device(users.client()), device(users.client())
    uid, sid = gone.session["clientId"].split("_")[:2]
    sql("UPDATE session SET revoked_at = now(), revoke_reason = 'logout' WHERE id = %s", (sid,))
    old = process.service(env, "mosquitto")
    process.kill(old)
    process.restarted(env, "mosquitto", old)
    # Both come back by themselves; the one is told to go.
    assert other.connected.wait(10)
    process.wait(lambda: gone.rc == NOT_AUTHORISED, LAG_S + 5, f"the token is refused, rc {gone.rc}")
    assert other.connected.is_set()


def test_f11_uplinks_survive_both(env, users, device, sql, note):
    """A device repeats an uplink until it is answered; broker and ingest die in between; it is one message."""
    a, b = users.client(), users.client()
    chat, mine, theirs = open_chat(a, b), device(a), device(b)
    stop, idents = threading.Event(), [f"00000000-0000-4000-8000-{n:012x}" for n in range(40)]

    def answered():
        return {m["d"]["ref"] for m in mine.events("message:sent")}

    def talk():
        while not stop.is_set() and answered() < set(idents):
            for ident in idents:
                if ident not in answered() and mine.connected.is_set():
                    mine.publish("send", {"chatId": chat, "body": ident}, ident)
            stop.wait(0.5)

    t = threading.Thread(target=talk, daemon=True)
    t.start()
    for name in ("mosquitto", "ingest", "mosquitto", "ingest"):
        time.sleep(0.3)
        old = process.service(env, name)
        process.kill(old)
        process.restarted(env, name, old)
    t.join(40)
    stop.set()
    bodies = [m["body"] for m in a.pages(f"/chats/{chat}/messages?after=0&limit=100")]
    note(f"{len(idents)} uplinks while broker and ingest died twice each: {len(bodies)} messages")
    assert sorted(bodies) == idents
    theirs.wait("message:receive", lambda m: m["body"] == idents[-1], timeout=10)
