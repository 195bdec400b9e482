"""Programs die between COMMIT and what comes behind it (F2, F3, F9).

PostgreSQL is told to wait for a standby that does not exist: a transaction is on disk then, but COMMIT does not return,
until the setting is taken back. Whoever asked is killed while it waits. So what was committed is published by nobody,
and the one who asked has no answer.
"""
import contextlib
import time

import pytest

from plazatest import process
from plazatest.fold import App, State, open_chat
from plazatest.load import ROUNDS, Load
from plazatest.sql import connect

LAG_S = 5.0
HANDS_S = 2.0
BACK_S = 15  # what ends again and again is started later and later, and the device waits a second between its attempts
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = %s"


@contextlib.contextmanager
def commits_held(sql):
    def standby(name):
        sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'", user="postgres")
        sql("SELECT pg_reload_conf()", user="postgres")
    standby("nobody")
    try:
        yield lambda program: sql(WAITING, (program,), user="postgres")[0][0]
    finally:
        standby("")


def drained(sql):
    return sql("SELECT count(*) FROM outbox") == [(0,)]


def test_f2_f3_workers_die_while_their_commit_returns(env, scene, sql, note):
    dead = 0
    with scene.load() as load:
        for _ in range(3 * ROUNDS):
            time.sleep(scene.rng.uniform(0.3, 0.6))
            count = len(process.workers(env))
            with commits_held(sql) as waiting:
                process.wait(lambda: waiting("plaza-fcgi") >= 1, 5, "commits are held")
                dead += waiting("plaza-fcgi")
                for pid in process.workers(env):
                    process.end_worker(env, pid)
            process.wait(lambda: len(process.workers(env)) == count, 5, "new workers")
        time.sleep(0.5)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"all workers killed {3 * ROUNDS} times, {dead} of them between COMMIT and its answer, seed {scene.seed}: {load}; "
         f"outbox empty {lag:.1f} s later")
    assert lag < LAG_S
    note("  " + scene.verdict())


def test_f9_ingest_dies_while_its_commit_returns(env, scene, sql, note):
    """The message was accepted: its sender hears so from the relay, or when the uplink is repeated."""
    dead, scene.talk.door = 2 * ROUNDS, "mqtt"
    # One sender only: others would wait for the locks of the first, and not for the commit.
    with Load([scene.talk.a], scene.talk.step) as load:
        for _ in range(dead):
            time.sleep(scene.rng.uniform(0.2, 0.4))
            old = process.service(env, "ingest")
            with commits_held(sql) as waiting:
                process.wait(lambda: waiting("plaza-ingest") == 1, BACK_S, "an uplink is held")
                process.kill(old)
            process.restarted(env, "ingest", old)
        time.sleep(0.5)
    scene.talk.door = None
    again = sum(a.tries > 1 for a in scene.talk.acts)
    lag = process.wait(lambda: drained(sql), 30, "the outbox is empty again")
    note(f"ingest killed {dead} times between COMMIT and its answer, seed {scene.seed}: {load}, {again} asked again; "
         f"outbox empty {lag:.1f} s later")
    assert not load.bad and lag < LAG_S
    with scene.load() as load:
        time.sleep(0.5)
    note("  " + scene.verdict())


@pytest.fixture
def left(users, sql):
    """(one, other, leave): leave(n) puts n messages of the one into the outbox that no worker publishes."""
    one, other = users.client(), users.client()
    chat = open_chat(one, other)

    def leave(n):
        sql("SELECT set_config('plaza.uid', %s, false); "
            "SELECT (message_send(%s, uuid_v7(), 'text', 'Left', NULL, NULL, NULL)).events FROM generate_series(1, %s)",
            (one.user["id"], chat, n))
    return one, other, leave


def told_twice(client, app, d, n):
    """The device heard events twice; their effect is there once. Returns how many."""
    process.wait(lambda: len({e["d"]["seq"] for e in d.events("message:receive")}) == n, 10, "all have come")
    live = [e for e in d.events() if "us" in e]
    doubled = len(live) - len({e["us"] for e in live})
    for e in live:
        app.hear(e)
    fresh = State(client)
    app.us = fresh.us
    assert app.seen() == fresh.seen()
    assert [len(known) for known in app.messages.values()] == [n]
    return doubled


def test_f9_a_relay_dies_between_publishing_and_confirming(env, left, device, sql, note):
    """It cannot remove the rows that it has published, because another transaction holds them, and is killed. The next
    one publishes them again."""
    _, other, leave = left
    process.wait(lambda: drained(sql), 15, "nothing else is to be published")
    app, d, n = App(other), device(other), 20
    leave(n)
    old = process.service(env, "relay")
    with contextlib.closing(connect(env)) as holder, holder.cursor() as cur:
        holder.autocommit = False
        cur.execute("SELECT FROM outbox FOR UPDATE")
        waits = "FROM pg_stat_activity WHERE application_name = 'plaza-relay' AND wait_event_type = 'Lock'"
        d.wait("message:receive")
        process.wait(lambda: sql("SELECT count(*) " + waits, user="postgres") == [(1,)], 5, "the relay confirms")
        process.kill(old)
        sql("SELECT pg_terminate_backend(pid) " + waits, user="postgres")
    process.restarted(env, "relay", old)
    lag = process.wait(lambda: drained(sql), 15, "the outbox is empty again")
    process.wait(lambda: len(d.events("message:receive")) > n, 10, "all have come, and some twice")
    doubled = told_twice(other, app, d, n)
    note(f"relay killed between publishing and confirming: {doubled} events of {n} messages came twice, each had one effect; "
         f"outbox empty {lag:.1f} s later")
    assert doubled


def test_two_relays_that_both_publish_tell_it_once(env, left, device, sql, note, second_relay):
    """The first is stopped with rows in its hands and loses its lock; the second publishes them; then the first goes on."""
    _, other, leave = left
    app, d, n = App(other), device(other), 20
    assert lock_holders(sql) == 1, "the second stands by"
    first = process.service(env, "relay")
    with process.stopped(process.service(env, "mosquitto")):
        leave(n)
        time.sleep(HANDS_S)  # half a second old they are published into the socket of the broker, which does not answer
        with process.stopped(first):
            sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                "AND pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'plaza-relay')", user="postgres")
            process.wait(lambda: lock_holders(sql) == 1, 5, "the second leads")
            time.sleep(HANDS_S)  # it publishes what it finds
    process.wait(lambda: drained(sql), 15, "the outbox is empty again")
    process.wait(lambda: len(d.events("message:receive")) > n, 10, "all have come, and some twice")
    doubled = told_twice(other, app, d, n)
    assert second_relay.poll() is None and lock_holders(sql) == 1
    note(f"two relays published the same rows: {doubled} events of {n} messages came twice, each had one effect")
    assert doubled


def lock_holders(sql):
    return sql("SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' "
               "AND l.granted AND a.application_name = 'plaza-relay'", user="postgres")[0][0]
