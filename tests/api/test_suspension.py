"""What a suspended seller offers: out of lists, search, carts and orders at once, and back with the account."""
import concurrent.futures
import time
import uuid

import pytest

from plazatest import sql as sql_module
from plazatest.goods import API, Goods, cart, checkout, order

QUEUE = API + "/admin/moderation"


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


@pytest.fixture(scope="module")
def staff(users, sql):
    """Two moderators: one suspends, the other decides appeals."""
    made = []
    for _ in range(2):
        who = users.client()
        sql("UPDATE account SET role = 'moderator' WHERE id = %s", (who.user["id"],))
        made.append(users.login(who.email))
    return made


def suspend(staff, users, who, **more):
    case = users.client().post(f"{API}/users/{who.user['id']}/report", {"reason": "scam"}).json["id"]
    assert staff[0].post(f"{QUEUE}/reports/{case}/claim").status == 200
    r = staff[0].post(f"{QUEUE}/reports/{case}/resolve", {"action": "suspend", "note": "No", **more})
    assert r.status == 200, r


def lift(staff, who):
    body = {"email": who.email, "password": who.password, "body": "Please"}
    appeal = who.post(API + "/auth/appeals", body, token=False)
    assert appeal.status == 201, "who is suspended can still appeal"
    r = staff[1].post(f"{QUEUE}/appeals/{appeal.json['id']}/decide", {"outcome": "lift", "note": "Yes"})
    assert r.status == 200, r


def word_of(sql, product):
    """A word that only this product has in its title."""
    word = "".join(chr(ord("a") + int(c, 16)) for c in uuid.uuid4().hex[:16])
    sql("UPDATE product SET title = %s WHERE id = %s", (word, product))
    return word


def seen(who, goods, seller, product, word):
    """Where a product is found: by its id, its category, its shop, its words."""
    listed = [f"/products?category={goods.category}&limit=100", f"/products?seller={seller.user['id']}", f"/search?q={word}"]
    return (who.get(f"{API}/products/{product}").status == 200,
            *(product in {p["id"] for p in who.pages(API + path)} for path in listed))


def test_products_go_with_the_seller_and_come_back(users, goods, staff, client, sql):
    seller = goods.seller()
    on_sale, hidden = goods.product(seller), goods.product(seller)
    assert seller.patch(f"{API}/products/{hidden}", {"status": "inactive"}, headers={"If-Match": "*"}).status == 200
    word = word_of(sql, on_sale)
    assert seen(client, goods, seller, on_sale, word) == (True,) * 4
    suspend(staff, users, seller)
    assert seen(client, goods, seller, on_sale, word) == (False,) * 4
    lift(staff, seller)
    assert seen(client, goods, seller, on_sale, word) == (True,) * 4
    assert client.get(f"{API}/products/{hidden}").status == 404, "what was hidden by its seller stays so"
    assert order(client, {on_sale: 1}).status == 201
    back = users.login(seller.email)
    assert back.post(f"{API}/products", {"categoryId": goods.category, "title": "New", "price": {"amount": 1}}).status == 201


def test_carts_show_it_and_orders_say_why(users, goods, staff, client):
    seller, other = goods.seller(), goods.seller()
    gone, stays = goods.product(seller), goods.product(other)
    mine = cart(client, {gone: 1, stays: 1}).json["id"]
    suspend(staff, users, seller)
    lines = {i["productId"]: i["available"] for i in client.get(f"{API}/carts/{mine}").json["items"]}
    assert lines == {gone: False, stays: True}
    for r in (checkout(client, mine), order(client, {gone: 1, stays: 1}),
              client.post(f"{API}/carts/{mine}/products", {"productId": gone, "quantity": 1}),
              client.put(f"{API}/carts/{mine}/products/{gone}", {"quantity": 2})):
        assert (r.status, r.problem) == (409, "product-unavailable") and gone in r.json["detail"]
    assert goods.stock(gone, stays) == [10, 10]
    assert client.delete(f"{API}/carts/{mine}/products/{gone}").status == 200
    assert checkout(client, mine).status == 201


def test_owners_of_carts_hear_of_it(users, goods, staff, client, device):
    seller = goods.seller()
    product = goods.product(seller)
    mine = cart(client, {product: 1}).json["id"]
    d = device(client)
    suspend(staff, users, seller)
    assert d.wait("cart:changed", lambda m: m["reason"] == "status")["d"]["productId"] == product
    lift(staff, seller)
    end = time.monotonic() + 10
    while len([e for e in d.events("cart:changed") if e["d"]["reason"] == "status"]) < 2:
        assert time.monotonic() < end, "not told that it is back"
        time.sleep(0.1)
    assert client.get(f"{API}/carts/{mine}").json["items"][0]["available"] is True


def test_a_suspended_seller_does_nothing_with_old_tokens(users, goods, staff, client):
    seller = goods.seller()
    product = goods.product(seller)
    chat = client.post(API + "/chats", {"productId": product}).json["id"]
    sold = order(client, {product: 1}).json["orders"][0]["id"]
    suspend(staff, users, seller)
    for r in (seller.post(f"{API}/chats/{chat}/messages", {"body": "Hello"}),
              seller.post(f"{API}/products", {"categoryId": goods.category, "title": "New", "price": {"amount": 1}}),
              seller.patch(f"{API}/products/{product}", {"status": "active"}, headers={"If-Match": "*"}),
              seller.post(f"{API}/orders/{sold}/confirm"), seller.post(API + "/realtime/session")):
        assert (r.status, r.problem) == (401, "invalid-token")
    assert client.get(f"{API}/orders/{sold}").json["status"] == "payment_confirmed", "orders stay"
    assert users.client().post(API + "/chats", {"productId": product}).problem == "not-found"


def test_nobody_puts_a_product_of_a_suspended_seller_on_sale(users, goods, staff, admin):
    seller = goods.seller()
    gone, hidden = goods.product(seller), goods.product(seller)
    assert seller.patch(f"{API}/products/{hidden}", {"status": "inactive"}, headers={"If-Match": "*"}).status == 200
    suspend(staff, users, seller)
    for product in (gone, hidden):
        r = admin.patch(f"{API}/products/{product}", {"status": "active"}, headers={"If-Match": "*"})
        assert r.problem == "invalid-transition"
    assert admin.patch(f"{API}/products/{gone}", {"status": "suspended"}, headers={"If-Match": "*"}).problem == "invalid"
    assert admin.patch(f"{API}/products/{gone}", {"title": "Better"}, headers={"If-Match": "*"}).status == 200
    assert users.anonymous().get(f"{API}/products/{gone}").status == 404


def test_a_large_shop_goes_at_once_for_orders_and_soon_from_the_lists(users, goods, staff, client, sql):
    seller = goods.seller()
    first = goods.product(seller)
    sql("INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency) "
        "SELECT uuid_v7(), %s, %s, %s, 'One of many', '', 100, 'USD' FROM generate_series(1, 1100)",
        (seller.user["id"], seller.shop, goods.category))
    sql("INSERT INTO stock (product_id, quantity) SELECT p.id, 5 FROM product AS p WHERE p.seller_id = %s "
        "ON CONFLICT DO NOTHING", (seller.user["id"],))

    def on_sale():
        return sql("SELECT count(*) FROM listing WHERE shop_id = %s", (seller.shop,))[0][0]

    def wait(n):
        end = time.monotonic() + 30
        while on_sale() != n:
            assert time.monotonic() < end, on_sale()
            time.sleep(0.1)
    assert on_sale() == 1101
    last = str(sql("SELECT id FROM product WHERE seller_id = %s ORDER BY id DESC LIMIT 1", (seller.user["id"],))[0][0])
    suspend(staff, users, seller)
    for product in (first, last):
        assert order(client, {product: 1}).problem == "product-unavailable"
    wait(0)
    lift(staff, seller)
    wait(1101)
    assert sql("SELECT unsettled FROM shop WHERE id = %s", (seller.shop,)) == [(False,)]


def test_race_of_a_new_product_and_the_suspension_leaves_nothing_on_sale(env, users, goods, staff, sql):
    """Both wait for the shop: whoever comes second sees the other."""
    for _ in range(3):
        seller = goods.seller()
        hidden = goods.product(seller)
        assert seller.patch(f"{API}/products/{hidden}", {"status": "inactive"}, headers={"If-Match": "*"}).status == 200
        calls = [lambda: suspend(staff, users, seller),
                 lambda: seller.clone().post(f"{API}/products", {"categoryId": goods.category, "title": "New",
                                                                "price": {"amount": 1}, "stock": 1}),
                 lambda: seller.clone().patch(f"{API}/products/{hidden}", {"status": "active"}, headers={"If-Match": "*"})]
        c = sql_module.connect(env, "plaza_owner")
        c.autocommit = False
        with c.cursor() as cur, concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            cur.execute("SELECT FROM shop WHERE owner_id = %s FOR UPDATE", (seller.user["id"],))
            running = [pool.submit(call) for call in calls]
            time.sleep(0.7)
            c.rollback()
            for r in running:
                r.result()
        c.close()
        assert sql("SELECT count(*) FROM listing WHERE shop_id = %s", (seller.shop,)) == [(0,)]
        assert sql("SELECT count(*) FROM product WHERE seller_id = %s AND status = 'active'", (seller.user["id"],)) == [(0,)]
