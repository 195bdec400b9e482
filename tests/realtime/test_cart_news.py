"""Owners of carts hear of products that change, once for each change and never for a sale."""
import time

import pytest

from plazatest import process
from plazatest.fold import State, events
from plazatest.goods import API, Goods, cart, checkout, crowd, order, together


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


@pytest.fixture
def told(sql):
    """told(client): [(product, reason)] that stand in the client's feed, when nothing waits to be told."""
    def read(client):
        process.wait(lambda: sql("SELECT count(*) FROM cart_news") == [(0,)], 15, "all news are told")
        return [tuple(r) for r in sql("SELECT data::json->>'productId', data::json->>'reason' FROM feed "
                                      "WHERE account_id = %s AND type = 'cart:changed' ORDER BY us", (client.user["id"],))]
    return read


def reprice(seller, product, amount):
    r = seller.put(f"{API}/products/{product}", {"price": {"amount": amount, "currency": "USD"}})
    assert r.status == 200, r


def restock(seller, product, n):
    r = seller.put(f"{API}/products/{product}/stock", {"stock": n})
    assert r.status == 200, r


def test_another_price_is_told_to_owners_of_carts_only(users, goods, device, told, sql):
    seller, owner, other = goods.seller(), users.client(), users.client()
    product, unrelated = goods.product(seller, price=500), goods.product(seller)
    mine = cart(owner, {product: 2}).json
    cart(other, {unrelated: 1})
    guest = users.anonymous()
    theirs = cart(guest)
    r = guest.post(f"{API}/carts/{theirs.json['id']}/products", {"productId": product, "quantity": 1},
                   headers={"X-Cart-Token": theirs.headers["X-Cart-Token"]})
    assert r.status == 200, "nobody can be told of a guest's cart, and it harms nothing"
    d = device(owner)
    reprice(seller, product, 450)
    m = d.wait("cart:changed")
    assert m["d"] == {"cartId": mine["id"], "version": mine["version"], "productId": product, "reason": "price"}
    assert m["us"] > 0
    n = d.wait("notification:new")["d"]
    title = sql("SELECT title FROM product WHERE id = %s", (product,))[0][0]
    assert (n["kind"], n["body"], n["link"], n["priority"]) == ("cart.price", title, f"/products/{product}", "low")
    line = owner.get(f"{API}/carts/{mine['id']}").json["items"][0]
    assert line["unitPrice"]["amount"] == 450 and line["priceChanged"]
    assert told(owner) == [(product, "price")] and told(other) == []


def test_one_unread_line_about_a_product_is_enough(users, goods, told):
    seller, owner = goods.seller(), users.client()
    assert owner.put(f"{API}/users/{owner.user['id']}", {"locale": "es"}).status == 200
    product = goods.product(seller)
    cart(owner, {product: 1})
    for n, amount in enumerate((900, 800)):
        reprice(seller, product, amount)
        assert told(owner) == [(product, "price")] * (n + 1)
    lines = owner.get(f"{API}/notifications").json["items"]
    assert [x["title"] for x in lines] == ["Cambió un precio en tu carrito"]
    assert owner.post(f"{API}/notifications/{lines[0]['id']}/read").status == 204
    reprice(seller, product, 700)
    told(owner)
    assert len(owner.get(f"{API}/notifications").json["items"]) == 2


def test_selling_out_and_coming_back_are_told_and_sales_are_not(users, goods, told):
    seller, owner, buyer = goods.seller(), users.client(), users.client()
    product = goods.product(seller, stock=3)
    cart(owner, {product: 1})
    for n in range(2):
        assert order(buyer, {product: 1}).status == 201
        assert told(owner) == []
    assert order(buyer, {product: 1}).status == 201
    assert told(owner) == [(product, "stock")]
    restock(seller, product, 5)
    assert told(owner) == [(product, "stock")] * 2
    restock(seller, product, 9)
    assert told(owner) == [(product, "stock")] * 2
    assert owner.get(f"{API}/notifications").json["items"] == []


def test_leaving_the_shop_and_coming_back_are_told(users, goods, told):
    seller, owner = goods.seller(), users.client()
    product = goods.product(seller)
    cart(owner, {product: 1})
    for status in ("inactive", "active"):
        assert seller.put(f"{API}/products/{product}", {"status": status}).status == 200
        told(owner)
    assert seller.put(f"{API}/products/{product}", {"title": "Another name"}).status == 200
    assert seller.delete(f"{API}/products/{product}").status == 204
    assert told(owner) == [(product, "status")] * 3


def test_an_ordered_or_dropped_cart_hears_nothing(users, goods, told):
    seller, ordered, dropped = goods.seller(), users.client(), users.client()
    product = goods.product(seller)
    assert checkout(ordered, cart(ordered, {product: 1}).json["id"]).status == 201
    assert dropped.delete(f"{API}/carts/{cart(dropped, {product: 1}).json['id']}").status == 204
    reprice(seller, product, 1)
    assert told(ordered) == told(dropped) == []


def test_many_carts_are_told_in_pieces_each_once(env, users, goods, told, sql):
    seller = goods.seller()
    product = goods.product(seller)
    owners = crowd(env, users, sql, 250)
    sql("WITH made AS (INSERT INTO cart (id, account_id) SELECT gen_random_uuid(), u FROM unnest(%s::uuid[]) AS u "
        "RETURNING id) INSERT INTO cart_item (cart_id, product_id, quantity, seen_price) SELECT id, %s, 1, 1 FROM made",
        ([o.user["id"] for o in owners], product))
    reprice(seller, product, 77)
    told(owners[0])
    per_owner = sql("SELECT count(*) FROM feed WHERE account_id = ANY (%s::uuid[]) AND type = 'cart:changed' "
                    "GROUP BY account_id", ([o.user["id"] for o in owners],))
    assert per_owner == [(1,)] * 250


def test_changes_while_others_order_end_in_no_deadlock(users, goods, told, sql):
    """Prices change, units run out and come back, carts are filled and ordered: nothing fails but for the price or the
    stock, and nothing stays to be told."""
    seller = goods.seller()
    products = [goods.product(seller, price=100 + n, stock=2) for n in range(3)]
    owner = users.client()
    cart(owner, {p: 1 for p in products})
    ended = time.monotonic() + 4

    def seller_changes(n):
        c = seller.clone()
        while time.monotonic() < ended:
            for p in products[n:] + products[:n]:
                r = c.put(f"{API}/products/{p}/stock", {"stock": 2})
                assert r.status == 200, r
                reprice(c, p, int(time.monotonic() * 1000) % 900 + 1)

    def buys(c):
        while time.monotonic() < ended:
            r = checkout(c, cart(c, {p: 1 for p in products}).json["id"])
            assert r.status == 201 or r.problem in ("out-of-stock", "price-changed"), r
    together([lambda: seller_changes(0), lambda: seller_changes(1), *[lambda c=users.client(): buys(c) for _ in range(3)]])
    assert {"price"} <= {reason for _, reason in told(owner)} <= {"price", "stock"}


@pytest.mark.parametrize("change", ["price", "stock"])
def test_the_cart_of_an_application_follows(users, goods, told, change):
    """Whoever read a cart and reads it again only when told has what a new reader sees."""
    seller, owner = goods.seller(), users.client()
    product = goods.product(seller, stock=4)
    cart(owner, {product: 1})
    state = State(owner)
    reprice(seller, product, 31) if change == "price" else restock(seller, product, 0)
    told(owner)
    for e in events(owner, state.us):
        state.apply(e)
    assert state.seen() == State(owner).seen()
