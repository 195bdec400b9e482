"""Workers that are killed or told to end while they work (F1, F2, F7)."""
import random
import signal
import time

from plazatest import process
from plazatest.load import Load

KILLS = 40
ROUNDS = 6
# A killed worker takes with it what it works on, and what waits on its other kept connections.
LOST_PER_KILL = 1.5

def test_f1_a_killed_worker_costs_its_own_request_only(env, users, note):
    seed = random.randrange(10 ** 6)
    rng = random.Random(seed)
    slowest = 0.0
    with Load([users.client() for _ in range(6)], lambda c: c.get(f"/api/v1/users/{c.user['id']}")) as load:
        count = len(process.workers(env))
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.05, 0.15))
            process.end_worker(env, rng.choice(process.workers(env)))
            slowest = max(slowest, process.wait(lambda: len(process.workers(env)) == count, 1, "a new worker"))
    note(f"kill -9 of {KILLS} workers, seed {seed}: {load}; a new worker within {slowest * 1e3:.0f} ms")
    assert sum(n for s, n in load.statuses.items() if s != 200) <= KILLS * LOST_PER_KILL
    assert set(load.statuses) <= {200, 503}
    assert all(r.problem == "unavailable" and r.headers["Retry-After"] for _, _, r in load.bad)


def test_f7_workers_that_are_told_to_end_lose_no_request(env, users, note):
    ended = 0
    with Load([users.client() for _ in range(6)], lambda c: c.get(f"/api/v1/users/{c.user['id']}")) as load:
        time.sleep(0.5)
        for _ in range(ROUNDS):
            for pid in process.workers(env):
                process.end_worker(env, pid, signal.SIGTERM)
                process.wait(lambda p=pid: p not in process.workers(env), 5, "the worker ends")
                ended += 1
            time.sleep(0.2)
    note(f"SIGTERM to {ended} workers one after another: {load}")
    assert set(load.statuses) == {200}
