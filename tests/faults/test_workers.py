"""Workers that are killed or told to end while they work (F1, F2, F4, F7)."""
import signal
import threading
import time

import pytest

from plazatest import goods, process
from plazatest import sql as database
from plazatest.load import ROUNDS

KILLS = 40
ROLLS = 2
# A killed worker takes with it what it works on, and what waits on its other kept connections.
LOST_PER_KILL = 2


def test_f1_f2_a_killed_worker_leaves_whole_effects(env, scene, note):
    """Some die before their COMMIT, some behind it with the answer unsent: the key tells which, and nothing is half
    there or there twice."""
    slowest = 0.0
    with scene.load() as load:
        count = len(process.workers(env))
        for _ in range(KILLS * ROUNDS):
            time.sleep(scene.rng.uniform(0.05, 0.15))
            process.end_worker(env, scene.rng.choice(process.workers(env)))
            slowest = max(slowest, process.wait(lambda: len(process.workers(env)) == count, 1, "a new worker"))
    lost = len(load.bad)
    note(f"kill -9 of {KILLS * ROUNDS} workers, seed {scene.seed}: {load}; a new worker within {slowest * 1e3:.0f} ms")
    assert lost <= KILLS * ROUNDS * LOST_PER_KILL
    assert all(status == 503 and r.problem == "unavailable" and r.headers["Retry-After"] for _, status, r in load.bad)
    note("  " + scene.verdict())


def test_f7_workers_that_are_told_to_end_lose_no_request(env, scene, note):
    ended = 0
    with scene.load() as load:
        time.sleep(0.5)
        for _ in range(ROLLS * ROUNDS):
            for pool in ("web", "auth", "egress"):
                for pid in process.workers(env, pool):
                    process.end_worker(env, pid, signal.SIGTERM)
                    process.wait(lambda p=pid, q=pool: p not in process.workers(env, q), 5, "the worker ends")
                    ended += 1
    note(f"SIGTERM to {ended} workers one after another: {load}")
    assert not load.bad
    note("  " + scene.verdict())


def test_f4_a_stopped_worker_delays_its_own_request_only(env, scene, note):
    stopped = 3.0
    with scene.load() as load:
        time.sleep(1)
        begin, pid = time.monotonic(), process.workers(env)[0]
        process.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(stopped)
        finally:
            process.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
    slow = load.slower_than(1.0, begin - 1)
    note(f"a worker stopped {stopped:.0f} s: {load}; {slow} requests waited for it, "
         f"p50 of the others {load.percentile(.5, begin, begin + stopped) * 1e3:.1f} ms")
    assert not load.bad
    assert slow <= len(scene.buyers + scene.talkers)
    note("  " + scene.verdict())


@pytest.mark.parametrize("stood_s", [0.3, 2])
def test_f4_an_order_goes_on_where_its_worker_was_stopped(env, users, sql, stood_s):
    """Stopped between its statement and its COMMIT, the server takes back what it holds; it is done once more."""
    shop = goods.Goods(users, sql)
    product, buyer, other = shop.product(shop.seller(), stock=5), users.client(), users.client()
    answers = []
    with database.connect(env) as c, c.cursor() as holder:
        holder.execute("BEGIN; SELECT FROM stock WHERE product_id = %s FOR UPDATE", (product,))
        t = threading.Thread(target=lambda: answers.append(goods.order(buyer, {product: 2})))
        t.start()
        process.wait(lambda: sql("SELECT 1 FROM pg_locks WHERE NOT granted"), 5, "the order waits for the product")
        stopped = process.workers(env)
        for pid in stopped:
            process.kill(pid, signal.SIGSTOP)
        try:
            holder.execute("ROLLBACK")
            time.sleep(stood_s)
        finally:
            for pid in stopped:
                process.kill(pid, signal.SIGCONT)
    t.join(30)
    assert [a.status for a in answers] == [201], answers[0].body
    assert answers[0].headers["Location"].endswith(answers[0].json["id"])
    assert goods.order(other, {product: 1}).status == 201
    assert shop.stock(product) == [2]
    assert sql("SELECT count(*) FROM order_group WHERE buyer_id = %s", (buyer.user["id"],)) == [(1,)]
