"""PostgreSQL goes away in the middle of work and comes back (F22)."""
import signal
import time
import uuid

import pytest

from plazatest import process
from plazatest.fold import open_chat
from plazatest.load import ROUNDS

CRASHES = 2
ENDS = 20
READY_S = 5.0


@pytest.mark.parametrize("sig", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "kill -9"])
def test_f22_a_crash_of_the_server_loses_nothing_acknowledged(env, scene, note, sig):
    """The server ends at once, with all its backends (pg_ctl stop -m immediate) or leaving them to find out, and the
    next start replays the log."""
    probe, slowest = scene.users.anonymous(), 0.0
    with scene.load() as load:
        for _ in range(CRASHES * ROUNDS):
            time.sleep(scene.rng.uniform(1, 2))
            begin, old = time.monotonic(), process.service(env, "postgres")
            process.kill(old, sig)
            process.restarted(env, "postgres", old)
            process.wait(lambda: probe.get("/health/ready").status == 200, 2 * READY_S, "ready again")
            slowest = max(slowest, time.monotonic() - begin)
        time.sleep(1)
    note(f"PostgreSQL crashed {CRASHES * ROUNDS} times by {sig.name}, seed {scene.seed}: {load}; ready within {slowest:.1f} s")
    assert slowest < READY_S
    for _, status, r in load.bad:
        assert status == 503 and r.problem == "unavailable" and int(r.headers["Retry-After"]) > 0, (status, r)
    note("  " + scene.verdict())


def test_f24_backends_that_are_ended_leave_nothing_half_told(env, scene, sql, note):
    """Some die before their COMMIT: what such a transaction would have told is told to nobody."""
    ended = 0
    with scene.load() as load:
        for _ in range(ENDS * ROUNDS):
            time.sleep(scene.rng.uniform(0.05, 0.15))
            ended += sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'plaza_web' "
                         "AND state <> 'idle'", user="postgres")[0][0]
        time.sleep(0.5)
    note(f"{ended} backends ended at work, seed {scene.seed}: {load}")
    assert {status for _, status, _ in load.bad} <= {503}
    note("  " + scene.verdict())


def test_a_hung_server_is_given_up(env, scene, note):
    """Backends that do not answer: requests end by themselves, and work goes on afterwards."""
    stopped = 3.0
    with scene.load() as load:
        time.sleep(1)
        begin, backends = time.monotonic(), process.children(process.service(env, "postgres"))
        for pid in backends:
            process.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(stopped)
        finally:
            for pid in backends:
                process.kill(pid, signal.SIGCONT)
        time.sleep(2)
    worst = load.percentile(1, begin - 1)
    note(f"backends stopped {stopped:.0f} s, seed {scene.seed}: {load}; slowest {worst:.1f} s")
    assert all(status in (503, 504) for _, status, _ in load.bad)
    note("  " + scene.verdict())


def test_an_uplink_without_a_database_is_told_to_come_again(env, users, device):
    """Nobody is taken for a stranger because nothing could be looked up."""
    a, b = users.client(), users.client()
    chat, d = open_chat(a, b), device(a)
    server = process.service(env, "postgres")
    stopped = [server, *process.children(server)]
    for pid in stopped:
        process.kill(pid, signal.SIGSTOP)
    try:
        d.publish("send", {"chatId": chat, "body": "hello"}, str(uuid.uuid4()))
        assert d.wait("message:error", timeout=30)["d"]["code"] == "unavailable"
    finally:
        for pid in stopped:
            process.kill(pid, signal.SIGCONT)
