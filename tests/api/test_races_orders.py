"""Many buyers at once: nothing is sold twice, nothing is lost, nobody waits for ever (R46, R47)."""
import collections
import random
import time
import uuid
from concurrent import futures

import psycopg2
import pytest

from plazatest import process, sql as sql_module
from plazatest.goods import API, UNKNOWN, Goods, cart, checkout, crowd, key, order, pay, together
from plazatest.load import Ledger, Load

BUYERS, UNITS = 500, 100
THREADS = 50
KILLS = 25


@pytest.fixture(scope="module")
def msql(env):
    return lambda text, args=(): sql_module.query(env, text, args)


@pytest.fixture(scope="module")
def goods(users, msql):
    return Goods(users, msql)


@pytest.fixture(scope="module")
def shops(goods):
    return [goods.seller() for _ in range(3)]


@pytest.fixture(scope="module")
def buyers(env, users, msql):
    return crowd(env, users, msql, BUYERS)


def statuses(results):
    return collections.Counter((r.status, r.problem) for r in results)


def sold(sql, product):
    """(orders, units) that are not cancelled"""
    return sql("SELECT count(DISTINCT o.id), coalesce(sum(i.quantity), 0) FROM order_item AS i JOIN orders AS o ON o.id = i.order_id "
               "WHERE i.product_id = %s AND o.status NOT IN ('cancelled', 'payment_failed')", (product,))[0]


def test_r46_500_buyers_of_100_units(buyers, goods, shops, sql):
    hot = goods.product(shops[0], stock=UNITS)
    results = together([lambda b=b: order(b, {hot: 1}) for b in buyers], THREADS)
    for b in buyers:
        b.close()
    assert statuses(results) == {(201, None): UNITS, (409, "out-of-stock"): BUYERS - UNITS}
    assert goods.stock(hot) == [0]
    assert sold(sql, hot) == (UNITS, UNITS)


def test_r46_stock_and_sales_stay_in_balance(buyers, goods, shops, sql):
    """Orders of several hot products, cancellations and payments that stay unknown, all at once."""
    hot = {goods.product(s, stock=60): 60 for s in shops}
    least = []

    def shop_around(b):
        r = order(b, {p: random.randint(1, 3) for p in random.sample(list(hot), random.randint(1, 3))},
                  random.choice(["tok_success", "tok_success", UNKNOWN, "tok_declined"]))
        least.extend(goods.stock(*hot))
        if r.status == 201 and random.random() < 0.5:
            for o in r.json["orders"]:
                assert b.post(f"{API}/orders/{o['id']}/cancel", {}).status == 200
        b.close()
        return r

    results = together([lambda b=b: shop_around(b) for b in buyers[:200]], 20)
    assert {s for s, _ in statuses(results)} <= {201, 402, 409}
    assert {p for _, p in statuses(results)} <= {None, "payment-declined", "out-of-stock"}
    assert min(least) >= 0
    for product, n in hot.items():
        assert goods.stock(product)[0] + sold(sql, product)[1] == n


def test_r46_the_last_unit_is_sold_once(buyers, goods, shops, sql):
    for _ in range(10):
        last = goods.product(shops[0], stock=1)
        results = together([lambda b=b: order(b, {last: 1}) for b in random.sample(buyers, 8)])
        assert statuses(results) == {(201, None): 1, (409, "out-of-stock"): 7}
        assert (goods.stock(last), sold(sql, last)) == ([0], (1, 1))


def test_a_cart_is_ordered_once(client, goods, shops, sql):
    tea = goods.product(shops[0])
    made = cart(client, {tea: 2}).json["id"]
    clones = [client.clone() for _ in range(10)]
    results = together([lambda c=c: checkout(c, made) for c in clones])
    assert statuses(results) == {(201, None): 1, (404, "not-found"): 9}
    assert (goods.stock(tea), sold(sql, tea)) == ([8], (1, 2))


def test_adding_while_ordering_loses_nothing(client, goods, shops, sql):
    """What comes while the cart is ordered is in the order or is refused; it never vanishes."""
    for _ in range(5):
        tea = goods.product(shops[0], stock=100)
        made = cart(client, {tea: 1}).json["id"]
        at = f"{API}/carts/{made}/products"
        adds = [lambda c=client.clone(): c.post(at, {"productId": tea}) for _ in range(8)]
        results = together(adds + [lambda c=client.clone(): checkout(c, made)])
        assert results[-1].status == 201
        assert {r.status for r in results[:-1]} <= {200, 404}
        assert sold(sql, tea)[1] == 1 + sum(r.status == 200 for r in results[:-1])


def test_200_threads_with_the_same_products_in_any_order(buyers, goods, shops, env):
    """Stock and feeds are locked in one order, whatever order the lines come in."""
    same = [goods.product(s, stock=10_000) for s in shops + shops[:2]]
    before = deadlocks(env)

    def buy(b):
        lines = random.sample(same, len(same))
        r = b.post(f"{API}/orders", pay(items=[{"productId": p, "quantity": 1} for p in lines]), headers=key())
        for o in r.json["orders"] if r.status == 201 and random.random() < 0.3 else []:
            assert b.post(f"{API}/orders/{o['id']}/cancel", {}).status == 200
        b.close()
        return r

    results = together([lambda b=b: buy(b) for b in buyers[:200]])
    assert statuses(results) == {(201, None): 200}
    assert deadlocks(env) == before


def test_200_threads_with_the_same_shops(buyers, goods, shops, env):
    """The same for the feeds alone: every purchase has products of its own, all have the same sellers."""
    mine = {b: [goods.product(s) for s in shops] for b in buyers[:40]}
    before = deadlocks(env)
    calls = [lambda b=b: order(b.clone(), dict.fromkeys(mine[b], 1)) for b in mine for _ in range(5)]
    assert statuses(together(calls)) == {(201, None): 200}
    assert deadlocks(env) == before


def deadlocks(env):
    time.sleep(1.2)  # the statistics of a connection are sent once a second
    return sql_module.query(env, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0]


# ---- keys ----

def test_r47_50_requests_with_one_key(users, goods, shops, sql):
    for _ in range(5):
        client = users.client()
        tea, k = goods.product(shops[0], stock=1000), key()
        clones = [client.clone() for _ in range(THREADS)]
        results = together([lambda c=c: order(c, {tea: 3}, headers=k) for c in clones])
        for c in clones:
            c.close()
        assert set(statuses(results)) <= {(201, None), (409, "idempotency-key-in-flight")}
        done = [r for r in results if r.status == 201]
        assert len({r.body for r in done}) == 1
        assert sum(r.headers["Idempotency-Replayed"] is None for r in done) == 1
        assert all(int(r.headers["Retry-After"]) >= 1 for r in results if r.status == 409)
        assert (goods.stock(tea), sold(sql, tea)) == ([997], (1, 3))
        assert order(client, {tea: 3}, headers=k).body == done[0].body


def two_with_one_key(env, client, goods, shop, sql):
    """The answers to an order that has to wait for a lock and to the same one sent meanwhile, and the time of that;
    None when the first had ended before."""
    tea, k = goods.product(shop), key()
    held = psycopg2.connect(host=env.pg_socket, port=int(env.pg_port), dbname=env.pg_database, user="plaza_owner")
    with futures.ThreadPoolExecutor() as pool:
        held.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (tea,))
        first = pool.submit(order, client.clone(), {tea: 1}, headers=k)
        process.wait(lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
                                 (held.info.backend_pid,))[0][0], 5, "it waits")
        begin = time.monotonic()
        second = order(client, {tea: 1}, headers=k)
        took, waits = time.monotonic() - begin, not first.done()
        held.close()
    if not waits:
        return None
    assert first.result().status == 201
    assert order(client, {tea: 1}, headers=k).body == first.result().body
    return second, took


def test_r47_a_request_that_still_runs_is_not_waited_for(env, client, goods, shops, sql):
    # The web server may hand the second to the very worker that waits, over a connection that it has kept.
    seen = next(filter(None, (two_with_one_key(env, client, goods, shops[0], sql) for _ in range(8))))
    second, took = seen
    assert (second.status, second.problem, second.headers["Retry-After"]) == (409, "idempotency-key-in-flight", "1")
    assert took < 1


@pytest.mark.parametrize("change", ["price = 2000", "price = 1", "currency = 'EUR'"])
def test_r46_a_price_that_changes_while_the_order_waits_is_told(env, client, goods, shops, sql, change):
    """The total was made, and is charged, before the stock was waited for; the lines are written afterwards."""
    tea, nut = goods.product(shops[0]), goods.product(shops[1])
    held = psycopg2.connect(host=env.pg_socket, port=int(env.pg_port), dbname=env.pg_database, user="plaza_owner")
    with futures.ThreadPoolExecutor() as pool:
        held.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (tea,))
        waiting = pool.submit(order, client, {tea: 1, nut: 1})
        process.wait(lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
                                 (held.info.backend_pid,))[0][0], 5, "it waits")
        sql(f"UPDATE product SET {change} WHERE id = %s", (tea,))
        held.close()
        assert waiting.result().problem == "price-changed"
    assert goods.stock(tea, nut) == [10, 10]


class Purchases:
    """Writer of a Ledger: two units of two products of two sellers, under a key of the client."""
    name = "purchases"

    def __init__(self, products, stock):
        self.products, self.stock = products, stock

    def new(self, client):
        return str(uuid.uuid4())

    def send(self, client, ident):
        return client.post(f"{API}/orders", pay(items=[{"productId": p, "quantity": 2} for p in self.products]),
                           headers={"Idempotency-Key": ident})

    def same(self, a, b):
        return a == b

    def check(self, sql, acknowledged):
        groups = [answer["id"] for answer in acknowledged.values()]
        assert len(set(groups)) == len(groups), "two keys have one effect"
        there = sql("SELECT g.id::text, count(DISTINCT o.id), sum(i.quantity) FROM order_group AS g "
                    "JOIN orders AS o ON o.group_id = g.id JOIN order_item AS i ON i.order_id = o.id "
                    "WHERE i.product_id = ANY (%s::uuid[]) GROUP BY g.id", (self.products,))
        assert sorted(there) == sorted((g, 2, 4) for g in groups), "lost, doubled or partial orders"
        assert sql("SELECT quantity FROM stock WHERE product_id = ANY (%s::uuid[])", (self.products,)) == \
            [(self.stock - 2 * len(groups),)] * 2


def test_r47_a_worker_killed_between_commit_and_answer(env, users, goods, shops, sql):
    """Workers die at random moments under load. Whoever had no answer asks again with the same key."""
    products = [goods.product(s, stock=100_000) for s in shops[:2]]
    seed = random.randrange(10 ** 6)
    rng = random.Random(seed)
    ledger = Ledger(Purchases(products, 100_000))
    with Load([users.client() for _ in range(8)], ledger.step) as load:
        count = len(process.workers(env))
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.02, 0.15))
            process.end_worker(env, rng.choice(process.workers(env)))
            process.wait(lambda: len(process.workers(env)) == count, 5, "a new worker")
    assert set(load.statuses) - {201}, f"seed {seed}: no kill has hit a request"
    print(f"seed {seed}: {load}; {ledger.verdict(sql)}")
