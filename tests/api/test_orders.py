"""Checkout, purchases of several sellers, and the steps of an order."""
import itertools
import os
import re
import uuid

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from plazatest import sql as sql_module
from plazatest.goods import API, DECLINED, UNKNOWN, Goods, cart, checkout, key, order, pay

STATES = ["pending", "payment_confirmed", "payment_failed", "confirmed", "delivered", "completed", "cancelled"]
ACTORS = ["buyer", "seller", "admin", "system"]
VERBS = {"cancel": "cancelled", "confirm": "confirmed", "mark-delivered": "delivered", "complete": "completed"}
SEQUENCES = int(os.environ.get("PLAZA_SEQUENCES", "1000"))  # of random steps
PIECE = 100  # of them in one transaction


@pytest.fixture(scope="module")
def goods(env, users):
    return Goods(users, lambda text, args=(): sql_module.query(env, text, args))


@pytest.fixture(scope="module")
def shops(goods):
    return [goods.seller() for _ in range(4)]


@pytest.fixture(scope="module")
def buyer(users):
    return users.client()


def step(who, ident, verb, **kw):
    if verb == "mark-delivered":
        return who.patch(f"{API}/orders/{ident}/{verb}", **kw)
    if verb == "cancel":
        kw.setdefault("json_body", {})
    return who.post(f"{API}/orders/{ident}/{verb}", **kw)


def amounts(group):
    """Every amount of a purchase, checked against the sums that it must be."""
    for o in group["orders"]:
        for line in o["items"]:
            assert line["subtotal"]["amount"] == line["unitPrice"]["amount"] * line["quantity"]
        assert o["total"]["amount"] == sum(line["subtotal"]["amount"] for line in o["items"])
    assert group["total"]["amount"] == sum(o["total"]["amount"] for o in group["orders"])
    return group["total"]["amount"]


# ---- checkout ----

def test_a_cart_of_several_sellers_becomes_an_order_for_each(client, goods, shops, sql):
    lines = {goods.product(s, price=100 * n + n): n for n, s in enumerate(shops[:3], 1)}
    lines[goods.product(shops[0], price=7)] = 4
    made = cart(client, lines)
    r = checkout(client, made.json["id"], address="Calle 13 #4\nManta", note='"gift" 🎁',
                 expectedTotal=made.json["total"])
    assert r.status == 201, r
    group = r.json
    assert amounts(group) == made.json["total"]["amount"]
    assert (group["paymentStatus"], group["refunded"]["amount"]) == ("paid", 0)
    assert {o["sellerId"] for o in group["orders"]} == {s.user["id"] for s in shops[:3]}
    assert sorted((i["productId"], i["quantity"]) for o in group["orders"] for i in o["items"]) == sorted(lines.items())
    for o in group["orders"]:
        assert (o["status"], o["paymentStatus"], o["fulfilmentStatus"]) == ("payment_confirmed", "paid", "unfulfilled")
        assert (o["address"], o["note"], o["buyerId"]) == ("Calle 13 #4\nManta", '"gift" 🎁', client.user["id"])
        assert client.get(f"{API}/orders/{o['id']}").json == o
    assert r.headers["Location"] == f"{API}/order-groups/{group['id']}"
    assert client.get(r.headers["Location"]).json == group
    assert goods.stock(*lines) == [10 - n for n in lines.values()]
    assert client.get(f"{API}/carts/{made.json['id']}").status == 404
    assert checkout(client, made.json["id"]).status == 404
    assert sql("SELECT total, captured, refunded, provider FROM order_group WHERE id = %s", (group["id"],)) == \
        [(group["total"]["amount"], group["total"]["amount"], 0, "mock")]
    assert cart(client).json["items"] == []


def test_lines_can_be_ordered_without_a_cart(client, goods, shops):
    lines = {goods.product(s, price=1999): 2 for s in shops[:3]}
    r = order(client, lines)
    assert (r.status, len(r.json["orders"]), amounts(r.json)) == (201, 3, 6 * 1999)
    assert goods.stock(*lines) == [8, 8, 8]


def test_a_cart_can_be_ordered_by_its_id(client, goods, shops):
    made = cart(client, {goods.product(shops[0]): 3})
    r = client.post(f"{API}/orders", pay(cartId=made.json["id"]), headers=key())
    assert (r.status, r.json["total"]["amount"]) == (201, 3000)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10 ** 9) | st.sampled_from([0, 1, 99, 100_000_000]),
                          st.integers(1, 999)), min_size=1, max_size=8))
def test_r45_lines_sum_to_the_totals_exactly(goods, shops, buyer, lines):
    bought = {goods.product(shops[s], price=price, stock=999): (s, price, n) for s, price, n in lines}
    r = order(buyer, {p: n for p, (_, _, n) in bought.items()})
    assert r.status == 201, r
    assert amounts(r.json) == sum(price * n for _, price, n in bought.values())
    by_seller = {o["sellerId"]: o["total"]["amount"] for o in r.json["orders"]}
    for s in {s for s, _, _ in bought.values()}:
        assert by_seller[shops[s].user["id"]] == sum(price * n for t, price, n in bought.values() if t == s)
    assert goods.stock(*bought) == [999 - n for _, _, n in bought.values()]


def test_r50_a_changed_price_is_refused_when_a_total_was_expected(client, goods, shops, sql):
    tea = goods.product(shops[0], price=500)
    made = cart(client, {tea: 2})
    sql("UPDATE product SET price = 501 WHERE id = %s", (tea,))
    at = made.json["id"]
    assert checkout(client, at, expectedTotal=made.json["total"]).problem == "price-changed"
    assert checkout(client, at, expectedTotal={"amount": 1002, "currency": "EUR"}).problem == "price-changed"
    assert goods.stock(tea) == [10]
    assert checkout(client, at, expectedTotal={"amount": 1002}).status == 201


def test_a_cart_is_ordered_as_it_was_seen(client, goods, shops):
    tea = goods.product(shops[0])
    made = cart(client, {tea: 1})
    at, seen = made.json["id"], {"If-Match": made.headers["ETag"]}
    assert client.put(f"{API}/carts/{at}/products/{tea}", {"quantity": 5}).status == 200
    assert checkout(client, at, headers={**key(), **seen}).problem == "precondition-failed"
    assert goods.stock(tea) == [10]
    assert checkout(client, at, headers={**key(), "If-Match": '"3"'}).json["total"]["amount"] == 5000


def test_a_declined_payment_orders_nothing(client, goods, shops, sql):
    tea = goods.product(shops[0])
    made = cart(client, {tea: 2})
    for token in (DECLINED, "tok_unheard_of"):
        r = checkout(client, made.json["id"], token)
        assert (r.status, r.problem) == (402, "payment-declined")
    assert order(client, {tea: 1}, DECLINED).problem == "payment-declined"
    assert goods.stock(tea) == [10]
    assert sql("SELECT count(*) FROM order_group WHERE buyer_id = %s", (client.user["id"],)) == [(0,)]
    assert client.get(f"{API}/carts/{made.json['id']}").json["quantity"] == 2


def test_the_token_decides_and_not_chance(client, goods, shops):
    tea = goods.product(shops[0], stock=99)
    for _ in range(20):
        assert order(client, {tea: 1}).status == 201
        assert order(client, {tea: 1}, token=DECLINED).problem == "payment-declined"
    assert goods.stock(tea) == [79]


def test_what_is_not_there_is_not_sold(client, goods, shops, sql):
    few, many = goods.product(shops[0], stock=1), goods.product(shops[1], stock=5)
    assert order(client, {few: 2, many: 1}).problem == "out-of-stock"
    assert goods.stock(few, many) == [1, 5]
    assert order(client, {few: 1, str(uuid.uuid4()): 1}).problem == "not-found"
    for change in ("status = 'inactive'", "status = 'active', deleted_at = now()"):
        sql(f"UPDATE product SET {change} WHERE id = %s", (many,))
        assert order(client, {few: 1, many: 1}).problem == "not-found"
    euro = goods.product(shops[0], currency="EUR")
    assert order(client, {few: 1, euro: 1}).problem == "conflict"
    dear = goods.product(shops[0], price=99999999999999, stock=2)
    assert order(client, {dear: 2}).problem == "conflict"
    assert goods.stock(few, euro, dear) == [1, 10, 2]
    assert order(client, {dear: 1}).status == 201
    assert checkout(client, cart(client).json["id"]).problem == "cart-empty"


def test_bad_orders_are_refused(client, goods, shops):
    tea = goods.product(shops[0])
    line = {"productId": tea, "quantity": 1}
    for body, pointer in [
            ({}, "/payment"), ({"payment": {"method": "mock"}}, "/payment/token"),
            ({"payment": {"method": "cash", "token": "x"}}, "/payment/method"), (pay(), "/items"), (pay(items=[]), "/items"),
            (pay(items=[line], cartId=str(uuid.uuid4())), "/items"), (pay(items=[line, line]), "/items/1/productId"),
            (pay(items=[{"productId": tea}]), "/items/0/quantity"), (pay(items=[{**line, "price": 1}]), "/items/0/price"),
            (pay(items=[{**line, "quantity": 0}]), "/items/0/quantity"), (pay(items=[line], total=5), "/total"),
            (pay(items=[line] * 101), "/items"), (pay(items=[line], note="x" * 501), "/note"),
            (pay(items=[line], expectedTotal={"amount": 9.99}), "/expectedTotal")]:
        r = client.post(f"{API}/orders", body, headers=key())
        assert (r.status, r.problem) == (422, "invalid"), (body, r)
        assert pointer in [e["pointer"] for e in r.json["errors"]], (body, r)
    assert goods.stock(tea) == [10]


# ---- idempotency ----

def test_r47_a_key_is_needed(client, goods, shops):
    tea = goods.product(shops[0])
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "x" * 256}, {"Idempotency-Key": "a b"}):
        r = client.post(f"{API}/orders", pay(items=[{"productId": tea, "quantity": 1}]), headers=headers)
        assert (r.status, r.problem) == (400, "idempotency-key-missing"), headers
        assert client.post(f"{API}/carts/{uuid.uuid4()}/checkout", pay(), headers=headers).status == 400
    assert goods.stock(tea) == [10]


def test_r47_a_repeated_request_gets_the_first_answer(client, users, goods, shops, sql):
    tea = goods.product(shops[0])
    body, k = pay(items=[{"productId": tea, "quantity": 2}]), key()
    first, again = client.post(f"{API}/orders", body, headers=k), client.post(f"{API}/orders", body, headers=k)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body and first.headers["Location"] == again.headers["Location"]
    assert (first.headers["Idempotency-Replayed"], again.headers["Idempotency-Replayed"]) == (None, "true")
    assert first.headers["Content-Type"] == again.headers["Content-Type"]
    # What is left is of the moment of the answer, not of the first one.
    left = [int(re.search(r"r=(\d+)", limit)[1]) for r in (first, again) for limit in r.headers.get_all("RateLimit")]
    assert left == [left[0], left[0] - 1]
    assert goods.stock(tea) == [8]
    step(client, first.json["orders"][0]["id"], "cancel")
    assert client.post(f"{API}/orders", body, headers=k).body == first.body
    other = pay(items=[{"productId": tea, "quantity": 3}])
    r = client.post(f"{API}/orders", other, headers=k)
    assert (r.status, r.problem) == (422, "idempotency-key-reused")
    assert users.client().post(f"{API}/orders", body, headers=k).headers["Idempotency-Replayed"] is None
    assert sql("SELECT count(*) FROM order_group WHERE buyer_id = %s", (client.user["id"],)) == [(1,)]


def test_r47_a_key_belongs_to_its_cart(client, goods, shops):
    tea, k = goods.product(shops[0]), key()
    made = cart(client, {tea: 1}).json["id"]
    first = checkout(client, made, headers=k)
    assert first.status == 201 and checkout(client, made, headers=k).body == first.body
    assert checkout(client, cart(client, {tea: 1}).json["id"], headers=k).problem == "idempotency-key-reused"


def test_r47_a_refused_request_leaves_the_key_free(client, goods, shops, sql):
    tea, k = goods.product(shops[0], stock=0), key()
    assert order(client, {tea: 1}, headers=k).problem == "out-of-stock"
    sql("UPDATE stock SET quantity = 1 WHERE product_id = %s", (tea,))
    assert order(client, {tea: 1}, headers=k).status == 201


# ---- reading ----

def test_orders_are_for_their_parties(client, users, admin, goods, shops):
    group = order(client, {goods.product(shops[0]): 1, goods.product(shops[1]): 1}).json
    theirs = {o["sellerId"]: o["id"] for o in group["orders"]}
    mine, other = theirs[shops[0].user["id"]], theirs[shops[1].user["id"]]
    for path in (f"/orders/{mine}", f"/orders/{mine}/history"):
        for who in (client, shops[0], admin):
            assert who.get(API + path).status == 200
        for who in (shops[1], users.client()):
            assert who.get(API + path).problem == "not-found"
    assert admin.get(f"{API}/order-groups/{group['id']}").json == group
    for who in (shops[0], users.client()):
        assert who.get(f"{API}/order-groups/{group['id']}").problem == "not-found"
    for verb in VERBS:
        assert step(shops[0], other, verb).problem == "not-found"
        assert step(admin, str(uuid.uuid4()), verb).problem == "not-found"
    for verb in ("confirm", "mark-delivered"):
        assert step(client, mine, verb).problem == "forbidden"
    assert step(users.client(), mine, "cancel").problem == "not-found"
    r = client.get(f"{API}/orders/{mine}")
    assert client.get(f"{API}/orders/{mine}", headers={"If-None-Match": r.headers["ETag"]}).status == 304


def test_lists_go_by_role_and_page_by_cursor(users, admin, goods):
    shop, client = goods.seller(), users.client()
    tea = goods.product(shop, stock=100)
    made = [order(client, {tea: 1}).json["orders"][0]["id"] for _ in range(5)][::-1]
    for who, path in ((client, "/orders"), (client, "/orders/my-orders"), (client, "/orders?as=buyer"), (shop, "/orders"),
                      (shop, "/orders/seller/orders"), (shop, "/orders?as=seller")):
        assert [o["id"] for o in who.pages(f"{API}{path}{'&' if '?' in path else '?'}limit=2")] == made
    assert list(shop.pages(f"{API}/orders?as=buyer")) == list(client.pages(f"{API}/orders?as=seller")) == []
    assert list(client.pages(f"{API}/orders?as=all")) == []
    seen = list(itertools.islice(admin.pages(f"{API}/orders?limit=100"), 5))
    assert [o["id"] for o in seen] == made
    assert client.get(f"{API}/orders/seller/orders").problem == "forbidden"
    cursor = client.get(f"{API}/orders?limit=1").json["nextCursor"]
    assert client.get(f"{API}/orders?as=buyer&cursor={cursor}").problem == "bad-cursor"
    assert client.get(f"{API}/orders?limit=101").problem == client.get(f"{API}/orders?as=x").problem == "invalid"


# ---- steps ----

def test_an_order_from_payment_to_completion(client, goods, shops):
    shop = shops[0]
    ident = order(client, {goods.product(shop): 1}).json["orders"][0]["id"]
    r = step(shop, ident, "confirm")
    assert (r.status, r.json["status"], r.json["version"], r.headers["ETag"]) == (200, "confirmed", 2, '"2"')
    assert step(shop, ident, "mark-delivered", headers={"If-Match": '"1"'}).problem == "precondition-failed"
    r = step(shop, ident, "mark-delivered", headers={"If-Match": '"2"'})
    assert (r.json["status"], r.json["fulfilmentStatus"]) == ("delivered", "fulfilled")
    assert step(client, ident, "complete").json["status"] == "completed"
    history = client.get(f"{API}/orders/{ident}/history").json["items"]
    assert [(h["n"], h["status"], h["actor"], h["actorId"]) for h in history] == [
        (1, "payment_confirmed", "buyer", client.user["id"]), (2, "confirmed", "seller", shop.user["id"]),
        (3, "delivered", "seller", shop.user["id"]), (4, "completed", "buyer", client.user["id"])]


def test_a_cancelled_order_gives_units_and_money_back(client, goods, shops, sql):
    lines = {goods.product(shops[0], price=300): 2, goods.product(shops[0], price=5): 1, goods.product(shops[1], price=70): 3}
    group = order(client, lines).json
    at = f"{API}/order-groups/{group['id']}"
    first = next(o for o in group["orders"] if o["sellerId"] == shops[0].user["id"])
    second = next(o for o in group["orders"] if o is not first)
    r = step(client, first["id"], "cancel", json_body={"reason": 'changed "my" mind'})
    assert (r.json["status"], r.json["paymentStatus"], r.json["fulfilmentStatus"]) == ("cancelled", "refunded", "unfulfilled")
    assert goods.stock(*lines) == [10, 10, 7]
    now = client.get(at).json
    assert (now["paymentStatus"], now["refunded"]["amount"]) == ("partially_refunded", 605)
    assert step(client, first["id"], "cancel").problem == "invalid-transition"
    assert step(shops[1], second["id"], "confirm").status == step(shops[1], second["id"], "cancel").status == 200
    assert goods.stock(*lines) == [10, 10, 10]
    now = client.get(at).json
    assert (now["paymentStatus"], now["refunded"], amounts(now)) == ("refunded", now["total"], 815)
    history = client.get(f"{API}/orders/{first['id']}/history").json["items"]
    assert (history[-1]["status"], history[-1]["reason"]) == ("cancelled", 'changed "my" mind')
    assert sql("SELECT captured, refunded FROM order_group WHERE id = %s", (group["id"],)) == [(815, 815)]


def test_nobody_buys_their_own_product(goods, shops, sql):
    seller, (own, foreign) = shops[0], (goods.product(shops[0]), goods.product(shops[1]))
    for lines in ({own: 1}, {foreign: 1, own: 1}):
        r = order(seller, lines)
        assert (r.status, r.problem) == (403, "own-product")
    assert goods.stock(own, foreign) == [10, 10]
    made = cart(seller, {foreign: 1}).json["id"]
    sql("INSERT INTO cart_item (cart_id, product_id, quantity, seen_price) VALUES (%s, %s, 1, 1000)", (made, own))
    assert checkout(seller, made).problem == "own-product"
    assert order(seller, {foreign: 1}).status == 201


def test_an_unknown_payment_waits_and_then_gives_up(client, goods, shops, sql):
    lines = {goods.product(shops[0]): 2, goods.product(shops[1]): 3}
    group = order(client, lines, UNKNOWN).json
    assert group["paymentStatus"] == "processing"
    assert {(o["status"], o["paymentStatus"]) for o in group["orders"]} == {("pending", "processing")}
    assert goods.stock(*lines) == [8, 7]
    assert step(shops[0], group["orders"][0]["id"], "confirm").status in (404, 409)
    assert sql("SELECT captured FROM order_group WHERE id = %s", (group["id"],)) == [(0,)]
    sql("SELECT * FROM job_expire_orders()")  # too early for these
    assert goods.stock(*lines) == [8, 7]
    sql("UPDATE orders SET created_at = now() - interval '16 minutes' WHERE group_id = %s", (group["id"],))
    for _ in range(20):
        if sql("SELECT done FROM job_expire_orders()") == [(0,)]:
            break
    assert goods.stock(*lines) == [10, 10]
    now = client.get(f"{API}/order-groups/{group['id']}").json
    assert (now["paymentStatus"], now["refunded"]["amount"]) == ("failed", 0)
    assert {(o["status"], o["paymentStatus"]) for o in now["orders"]} == {("cancelled", "failed")}
    history = client.get(f"{API}/orders/{now['orders'][0]['id']}/history").json["items"]
    assert [(h["status"], h["actor"], h["actorId"]) for h in history] == [("pending", "buyer", client.user["id"]),
                                                                       ("cancelled", "system", None)]


def test_a_late_payment_counts_for_what_is_left(client, goods, shops, sql):
    lines = {goods.product(shops[0], price=100): 1, goods.product(shops[1], price=30): 1, goods.product(shops[2], price=4): 1}
    group = order(client, lines, UNKNOWN).json
    one, two, three = [o["id"] for o in group["orders"]]
    assert step(client, one, "cancel").json["paymentStatus"] == "failed"
    move(sql, None, "service", two, "payment_confirmed")
    move(sql, None, "service", three, "payment_failed")
    left = {o["id"]: o for o in client.get(f"{API}/order-groups/{group['id']}").json["orders"]}
    assert [(left[i]["status"], left[i]["paymentStatus"]) for i in (one, two, three)] == [
        ("cancelled", "failed"), ("payment_confirmed", "paid"), ("payment_failed", "failed")]
    assert sql("SELECT captured, refunded FROM order_group WHERE id = %s", (group["id"],)) == \
        [(left[two]["total"]["amount"], 0)]
    assert sum(goods.stock(*lines)) == 29


# ---- the state machine ----

def move(sql, user, role, ident, to):
    """order_move() as this caller; the problem's name, or None."""
    return sql("DO $$ BEGIN PERFORM app_enter(%s, NULL, %s); PERFORM order_move(%s, 0, %s, ''); END $$",
               (user, role, ident, to))


@pytest.fixture(scope="module")
def placed(goods, shops, buyer):
    """An order whose copies are brought into every state."""
    return order(buyer, {goods.product(shops[0], stock=1000): 1}).json["orders"][0]


def copy(sql, ident, state):
    """An order like this one, in this state. Nobody can bring an order into a state it cannot reach, but one can be
    made in it."""
    return sql("WITH o AS (SELECT * FROM orders WHERE id = %s), g AS (INSERT INTO order_group (id, buyer_id, provider, total, "
               "captured, currency) SELECT uuid_v7(), o.buyer_id, 'mock', o.total, CASE %s WHEN 'pending' THEN 0 ELSE o.total "
               "END, o.currency FROM o RETURNING id), c AS (INSERT INTO orders (id, group_id, buyer_id, seller_id, shop_id, "
               "status, payment_status, total, currency, items) SELECT uuid_v7(), g.id, o.buyer_id, o.seller_id, o.shop_id, "
               "%s, CASE %s WHEN 'pending' THEN 'processing' ELSE 'paid' END, o.total, o.currency, o.items FROM o, g "
               "RETURNING id) INSERT INTO order_item SELECT c.id, i.product_id, i.quantity, i.unit_price FROM c, order_item AS i "
               "WHERE i.order_id = %s RETURNING order_id::text", (ident, state, state, state, ident))[0][0]


@pytest.fixture(scope="module")
def allowed(env):
    return set(sql_module.query(env, "SELECT from_status, to_status, actor FROM order_transition"))


@pytest.mark.parametrize("state", STATES)
def test_r48_only_the_steps_of_the_table_are_taken(state, placed, allowed, sql, buyer, admin, shops):
    actors = {"buyer": buyer, "seller": shops[0], "admin": admin}
    for actor, (verb, to) in itertools.product(actors, VERBS.items()):
        ident = copy(sql, placed["id"], state)
        r = step(actors[actor], ident, verb)
        if actor == "buyer" and verb in ("confirm", "mark-delivered"):
            assert r.problem == "forbidden"
        elif (state, to, actor) in allowed:
            assert (r.status, r.json["status"], r.json["version"]) == (200, to, 2), (actor, verb)
        else:
            assert (r.status, r.problem) == (409, "invalid-transition"), (actor, verb)
            assert sql("SELECT status, version FROM orders WHERE id = %s", (ident,)) == [(state, 1)]


@pytest.mark.parametrize("state", STATES)
def test_r48_nor_by_the_function_itself(state, placed, allowed, sql, buyer, admin, shops):
    who = {"buyer": (buyer.user["id"], "client"), "seller": (shops[0].user["id"], "seller"),
           "admin": (admin.user["id"], "admin"), "system": (None, "service")}
    for actor, to in itertools.product(ACTORS, STATES):
        ident = copy(sql, placed["id"], state)
        try:
            move(sql, *who[actor], ident, to)
            done = True
        except Exception as e:
            assert e.pgcode == "PZ000" and "invalid-transition" in str(e), e
            done = False
        assert done == ((state, to, actor) in allowed), (state, to, actor)


def test_r48_not_even_by_hand(placed, allowed, sql):
    steps = {(a, b) for a, b, _ in allowed}
    for a, b in itertools.product(STATES, STATES):
        ident = copy(sql, placed["id"], a)
        if a == b or (a, b) in steps:
            sql("UPDATE orders SET status = %s WHERE id = %s", (b, ident))
        else:
            with pytest.raises(Exception, match="invalid-transition"):
                sql("UPDATE orders SET status = %s WHERE id = %s", (b, ident))


PUSH = """
CREATE FUNCTION pg_temp.push(p_model uuid, p_count int, p_people text[]) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = plaza AS $$
DECLARE
    states text[] := ARRAY['pending', 'payment_confirmed', 'payment_failed', 'confirmed', 'delivered', 'completed', 'cancelled'];
    ident  uuid;
    person text[];
    first  text;
BEGIN
    FOR i IN 1 .. p_count LOOP
        ident := uuid_v7();
        first := states[1 + i % 2];
        INSERT INTO order_group (id, buyer_id, provider, total, captured, currency)
        SELECT ident, buyer_id, 'mock', total, CASE first WHEN 'pending' THEN 0 ELSE total END, currency
        FROM orders WHERE id = p_model;
        INSERT INTO orders (id, group_id, buyer_id, seller_id, shop_id, status, payment_status, total, currency, items)
        SELECT ident, ident, buyer_id, seller_id, shop_id, first, CASE first WHEN 'pending' THEN 'processing' ELSE 'paid' END,
               total, currency, items
        FROM orders WHERE id = p_model;
        INSERT INTO order_item SELECT ident, product_id, quantity, unit_price FROM order_item WHERE order_id = p_model;
        FOR j IN 1 .. 1 + random() * 7 LOOP
            person := string_to_array(p_people[1 + floor(random() * 4)], ' ');
            PERFORM set_config('plaza.uid', person[1], true), set_config('plaza.role', person[2], true);
            BEGIN
                PERFORM order_move(ident, 0, states[1 + floor(random() * 7)], '');
            EXCEPTION WHEN SQLSTATE 'PZ000' THEN
                IF SQLERRM <> 'invalid-transition' THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
        RETURN NEXT ident::text;
    END LOOP;
END $$"""


def test_r48_random_steps_reach_no_illegal_state(env, placed, sql, buyer, admin, shops, goods):
    """Many orders, each pushed around by everybody; what was refused has left no trace."""
    tea = placed["items"][0]["productId"]
    before, pushed = goods.stock(tea)[0], []
    people = [f"{buyer.user['id']} client", f"{shops[0].user['id']} seller", f"{admin.user['id']} admin", " service"]
    with sql_module.connect(env) as c, c.cursor() as cur:
        cur.execute(PUSH)
        while len(pushed) < SEQUENCES:
            cur.execute("SELECT pg_temp.push(%s, %s, %s)", (placed["id"], PIECE, people))
            pushed += [ident for ident, in cur.fetchall()]
    ended = check_pushed(lambda text: sql(text.replace("OURS", "o.id = ANY (%(ours)s::uuid[])"), {"ours": pushed}))
    assert goods.stock(tea)[0] == before + ended


def check_pushed(sql):
    """Returns how many orders have ended."""
    assert sql("SELECT count(*) FROM order_event AS e JOIN orders AS o ON o.id = e.order_id WHERE OURS")[0][0] > SEQUENCES // 2
    # Each step begins where the one before it ended, the table knows it, and the last one is what the order says.
    assert sql("SELECT o.id FROM orders AS o WHERE OURS AND o.version <> "
               "1 + (SELECT count(*) FROM order_event AS e WHERE e.order_id = o.id)") == []
    assert sql("SELECT o.id FROM orders AS o JOIN order_event AS e ON e.order_id = o.id AND e.n = o.version "
               "WHERE OURS AND e.status <> o.status") == []
    assert sql("SELECT o.id FROM orders AS o JOIN order_event AS e ON e.order_id = o.id LEFT JOIN order_event AS d "
               "ON d.order_id = o.id AND d.n = e.n - 1 WHERE OURS AND (e.previous IS DISTINCT FROM d.status AND e.n > 2 "
               "OR (e.previous, e.status, e.actor) NOT IN (SELECT from_status, to_status, actor FROM order_transition))") == []
    # Money and state agree, and nothing was given back twice.
    assert sql("SELECT o.id FROM orders AS o JOIN order_group AS g ON g.id = o.group_id WHERE OURS AND "
               "((o.payment_status, g.captured, g.refunded) NOT IN (VALUES ('processing', 0::bigint, 0::bigint), "
               "('failed', 0, 0), ('paid', g.total, 0), ('refunded', g.total, g.total)) "
               "OR (o.status IN ('cancelled', 'payment_failed')) <> (o.payment_status IN ('failed', 'refunded')) "
               "OR (o.status = 'pending') <> (o.payment_status = 'processing'))") == []
    return sql("SELECT count(*) FROM orders AS o WHERE OURS AND o.status IN ('cancelled', 'payment_failed')")[0][0]


# ---- events ----

def test_buyer_and_shops_are_told(client, goods, shops, device):
    phone, till, other = device(client), device(shops[0]), device(shops[1])
    group = order(client, {goods.product(shops[0]): 1, goods.product(shops[1]): 2}).json
    for o in group["orders"]:
        got = phone.wait("order:created", lambda d, o=o: d["orderId"] == o["id"])
        assert got["d"] == {"orderId": o["id"], "number": o["number"], "groupId": group["id"], "shopId": o["shopId"],
                            "status": "payment_confirmed", "total": o["total"], "version": 1}
    mine = next(o for o in group["orders"] if o["sellerId"] == shops[0].user["id"])
    till.wait("order:created", lambda d: d["orderId"] == mine["id"])
    assert {t for t, m in till.messages if m["t"] == "order:created"} == {f"s/{shops[0].shop}/in"}
    step(shops[0], mine["id"], "confirm")
    for where in (phone, till):
        d = where.wait("order:updated", lambda d: d["orderId"] == mine["id"])["d"]
        assert (d["status"], d["previous"], d["version"]) == ("confirmed", "payment_confirmed", 2)
    step(shops[0], mine["id"], "cancel", json_body={"reason": "sold out"})
    for where in (phone, till):
        d = where.wait("order:cancelled", lambda d: d["orderId"] == mine["id"])["d"]
        assert (d["status"], d["previous"], d["reason"], d["version"]) == ("cancelled", "confirmed", "sold out", 3)
    # The feed of each is without gaps, in the order of the messages.
    us = [m["us"] for m in phone.events() if m["t"].startswith("order:")]
    assert us == list(range(us[0], us[0] + 4))
    assert other.events("order:updated") == []


def test_the_feed_keeps_what_was_told(client, goods, shops, sql):
    group = order(client, {goods.product(shops[0]): 1}).json
    for who in (client, shops[0]):
        rows = sql("SELECT data::json ->> 'groupId' FROM feed WHERE account_id = %s ORDER BY us DESC LIMIT 1", (who.user["id"],))
        assert rows == [(group["id"],)]


def test_a_shop_is_told_once_that_stock_is_low(client, goods, shops, device, sql):
    till = device(shops[0])
    tea = goods.product(shops[0], stock=6, threshold=4)
    for n in (1, 1, 1):
        last = order(client, {tea: n}).json["orders"][0]["id"]
    d = till.wait("inventory:alert", lambda d: d["productId"] == tea)["d"]
    assert (d["stock"], d["threshold"], d["alert"]) == (4, 4, "low")
    order(client, {tea: 3})
    assert till.wait("inventory:alert", lambda d: d["productId"] == tea and d["alert"] == "out")["d"]["stock"] == 0
    assert sum(m["d"]["productId"] == tea for m in till.events("inventory:alert")) == 2
    sql("UPDATE stock SET quantity = 5 WHERE product_id = %s", (tea,))
    step(client, last, "cancel")  # the sixth unit: the alarm is armed again
    assert sql("SELECT quantity, alerted FROM stock WHERE product_id = %s", (tea,)) == [(6, 0)]
