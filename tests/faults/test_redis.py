"""Redis may be empty, silent or away at any time: nobody notices more than a tenth of a second (F29, F30)."""
import signal
import time

from plazatest import process
from plazatest.load import ROUNDS, Load

SILENCE_S = 6.0
BREAKER_S = 5.0
COMMAND_S = 0.02   # how long a command may take
TRIES = 3          # silent commands that open the breaker of a worker; one more each time it looks again
PAUSE_S = 0.1      # what one worker may lose, once in BREAKER_S
NOISE_S = 0.15     # of a busy machine, on top


def writes(users, n=4):
    """Requests that are counted in Redis."""
    return Load([users.client() for _ in range(n)],
                lambda c: c.put(f"/api/v1/users/{c.user['id']}", {"name": "Counted"}))


def test_f29_a_silent_redis_costs_each_worker_one_short_pause(env, users, note):
    redis = process.service(env, "redis")
    with writes(users) as load:
        time.sleep(2)
        begin = time.monotonic()
        process.kill(redis, signal.SIGSTOP)
        try:
            time.sleep(SILENCE_S)
        finally:
            process.kill(redis, signal.SIGCONT)
        end = time.monotonic()
        time.sleep(1)
    workers = len(process.workers(env))
    paused = load.slower_than(COMMAND_S, begin, end) - load.slower_than(COMMAND_S, begin - 2, begin) * SILENCE_S / 2
    worst = load.percentile(1, begin, end)
    note(f"Redis stopped {SILENCE_S:.0f} s: {load}; p50 {load.percentile(.5, begin, end) * 1e3:.1f} ms, "
         f"slowest {worst * 1e3:.0f} ms, {max(0, paused):.0f} paused")
    assert set(load.statuses) == {200}
    assert worst < PAUSE_S + NOISE_S
    assert load.percentile(.5, begin, end) < COMMAND_S
    assert paused <= 3 * workers * (TRIES + SILENCE_S / BREAKER_S)


def test_f30_an_empty_redis_is_not_noticed(env, users, note):
    """It keeps nothing on disk, so a restart is a FLUSHALL."""
    gone = users.client()
    assert gone.post("/api/v1/auth/logout").status == 204
    with writes(users) as load:
        time.sleep(1)
        for _ in range(3):
            old = process.service(env, "redis")
            process.kill(old)
            process.restarted(env, "redis", old)
            time.sleep(1.2)
    note(f"Redis killed 3 times: {load}; slowest {load.percentile(1) * 1e3:.0f} ms")
    assert set(load.statuses) == {200}
    # What was revoked stays so: that is not kept there.
    assert gone.get("/api/v1/auth/me").problem == "invalid-token"


def test_f29_f30_nothing_is_lost_while_redis_is_silent_or_empty(env, scene, note):
    with scene.load() as load:
        for _ in range(ROUNDS):
            time.sleep(0.5)
            with process.stopped(process.service(env, "redis")):
                time.sleep(1.5)
            old = process.service(env, "redis")
            process.kill(old)
            process.restarted(env, "redis", old)
            time.sleep(0.5)
    note(f"Redis silent and emptied {ROUNDS} times, seed {scene.seed}: {load}")
    assert not load.bad
    note("  " + scene.verdict())
