"""The broker and the daemons die while people talk and buy: a doorbell less, nothing lost (F9, F10, F11, F13)."""
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest

from plazatest import process
from plazatest.fold import App, State, events, open_chat
from plazatest.load import ROUNDS

KILLS = 2
LAG_S, POLL_S = 5.0, 0.5
HANDS_S = 2.0
NOT_AUTHORISED = 5  # CONNACK of MQTT 3.1.1


def drained(sql):
    return sql("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "kill -9"])
def test_f10_a_broker_that_ends_loses_nothing(env, scene, sql, note, sig):
    have = {scene.devices[t.user["id"]]: t for t in scene.talkers}
    with scene.load() as load:
        for _ in range(KILLS * ROUNDS):
            time.sleep(scene.rng.uniform(1, 2))
            old = process.service(env, "mosquitto")
            process.kill(old, sig)
            process.restarted(env, "mosquitto", old)
        time.sleep(1)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"broker ended {KILLS * ROUNDS} times by {sig.name}, seed {scene.seed}: {load}; outbox empty {lag:.1f} s later")
    # Nobody who writes or reads over HTTP has noticed.
    assert not load.bad
    note("  " + scene.verdict(missed=scene.devices))
    live = missed = 0
    for d, talker in have.items():
        assert d.connected.wait(30), "the device is back"
        got = {e["us"] for e in d.events() if "us" in e}
        every = {e["us"] for e in events(talker, min(got) - 1)}
        live, missed = live + len(got & every), missed + len(every - got)
        assert not got - every, "a device knows what the feed does not"
    note(f"  {live} events came over MQTT, {missed} by /sync")


def test_f11_without_a_broker_everything_works_by_polling(env, scene, admin, sql, note):
    """Conversations, groups, orders, notifications: applications that ask every half second have all of it. The outbox
    waits meanwhile."""
    scene.talk.door, polls, most, seconds = "http", 0, 0, 3 * ROUNDS
    buyer = scene.buyers[0]
    apps = [*scene.apps.values(), App(buyer.clone())]
    with process.down(env, "mosquitto"):
        end = time.monotonic() + seconds
        with scene.load() as load:
            while time.monotonic() < end:
                time.sleep(POLL_S)
                tell = {"userId": buyer.user["id"], "type": "order.paid", "title": "Paid"}
                assert admin.post("/api/v1/notifications/send", tell).status == 201
                for app in apps:
                    app.catch_up()
                polls += len(apps)
        assert not load.bad
        for app in apps:
            app.catch_up()
        for app in apps:
            app.catch_up()  # the others asked, and so heard of deliveries
            fresh = State(app.client)
            app.us = max(app.us, fresh.us)
            assert app.seen() == fresh.seen()
        assert len(apps[-1].orders) > 0 < len(apps[-1].notifications)
        most = sql("SELECT count(*) FROM outbox")[0][0]
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"no broker for {seconds} s, seed {scene.seed}: {load}; {polls} polls; {most} rows waited, published {lag:.1f} s "
         "after it was back")
    for d in scene.devices.values():
        assert d.connected.wait(30), "the device is back"
    note("  " + scene.verdict(missed=scene.devices))


@pytest.mark.parametrize("name", ["relay", "ingest"])
def test_f9_a_killed_daemon_delays_and_loses_nothing(env, scene, sql, note, name):
    watcher = scene.talkers[0]
    d = scene.devices[watcher.user["id"]]
    with scene.load() as load:
        for _ in range(KILLS * ROUNDS):
            time.sleep(scene.rng.uniform(0.5, 1))
            old = process.service(env, name)
            process.kill(old)
            process.restarted(env, name, old)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"{name} killed {KILLS * ROUNDS} times, seed {scene.seed}: {load}; outbox empty {lag:.1f} s later")
    assert not load.bad and lag < LAG_S
    note("  " + scene.verdict())
    # The device was there all the time: what it has is what the feed says, in order, each event once or more.
    every = [e["us"] for e in events(watcher, d.session["us"])]
    process.wait(lambda: {e["us"] for e in d.events() if "us" in e} >= set(every), LAG_S, "the device has all")


def test_f9_uplinks_change_hands(env, users, device, sql, note, second_ingest):
    """Two processes share the shards of a broker. Whichever ends, the other has all of them at once, and a device that
    repeats what is not answered has its answer."""
    shards, devices = "SELECT count(*) FROM pg_locks WHERE classid = 20261 AND granted GROUP BY pid", {}
    for _ in range(200):
        client = users.client()
        devices.setdefault(client.user["id"][-1], client)
        if len(devices) == 16:
            break
    devices = [device(c) for c in devices.values()]

    def answered(name, held):
        refs, begin = {d: str(uuid.uuid4()) for d in devices}, time.monotonic()
        longest = 0
        while refs and time.monotonic() < begin + 10:
            for d, ref in refs.items():
                d.publish("hello", {}, ref)
            time.sleep(0.1)
            heard = {d for d, ref in refs.items() if any(e["d"]["ref"] == ref for e in d.events("session:resumed"))}
            longest = time.monotonic() - begin if heard else longest
            refs = {d: ref for d, ref in refs.items() if d not in heard}
        assert not refs and longest < HANDS_S, f"{name}: {longest:.1f} s, {len(refs)} without an answer"
        process.wait(lambda: sorted(n for n, in sql(shards)) == held, HANDS_S, f"{name}: the shards are {held}")
        return f"{name}: {longest:.1f} s"

    said = [answered("one more", [8, 8])]
    with process.down(env, "ingest"):
        said.append(answered("the first is killed", [16]))
    said.append(answered("and back", [8, 8]))
    second_ingest.terminate()
    said.append(answered("the second ends", [16]))
    note(f"uplinks of 16 shards answered while owners change: {', '.join(said)}")


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


def test_f13_a_list_that_cannot_be_written_is_told_and_repaired(env, users, device, note):
    """The broker keeps nothing on disk; all it reads there is the list of ended sessions. Where it cannot be renewed the
    log says so at once, ended sessions stay ended, and the list is made up for."""
    folder, log = Path(env.run_dir) / "data/broker", Path(env.log_dir) / "ingest.log"
    client, said = users.client(), log.stat().st_size
    gone = device(client)
    folder.chmod(0o555)
    try:
        assert client.post("/api/v1/auth/logout").status == 204
        process.wait(lambda: gone.rc == NOT_AUTHORISED, 10, "the device is cut off and refused")
        for name in ("ingest", "mosquitto"):
            old = process.service(env, name)
            process.kill(old)
            process.restarted(env, name, old)
        alarm = process.wait(lambda: str(folder).encode() in log.read_bytes()[said:], 10, "the log says so")
        time.sleep(1)
        process.wait(lambda: not gone.connected.is_set(), 10, "the new broker refuses it as well")
    finally:
        folder.chmod(0o750)
    sid = gone.session["clientId"].split("_")[1]
    mended = process.wait(lambda: sid in (folder / "revocations").read_text(), 60, "the list has it")
    note(f"the list of ended sessions could not be written: told within {alarm:.1f} s, mended {mended:.1f} s after it could")


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
