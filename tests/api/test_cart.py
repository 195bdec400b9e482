"""Carts: of users, of guests with a token, and how the one becomes the other."""
import base64
import threading
import uuid

import pytest

from plazatest.goods import API, Goods, cart, checkout, key, pay

THREADS = 50


@pytest.fixture(scope="module")
def goods(env, users):
    from plazatest import sql
    return Goods(users, lambda text, args=(): sql.query(env, text, args))


@pytest.fixture(scope="module")
def shops(goods):
    return goods.seller(), goods.seller()


@pytest.fixture
def tea(goods, shops):
    return goods.product(shops[0], price=250)


def guest(anonymous):
    """A guest with a cart: its answer; the token is a header of the client from now on."""
    r = cart(anonymous)
    anonymous.headers["X-Cart-Token"] = r.headers["X-Cart-Token"]
    return r


def quantities(r):
    return {i["productId"]: i["quantity"] for i in r.json["items"]}


def test_a_user_has_one_open_cart(client):
    first, again = client.post(f"{API}/carts"), client.post(f"{API}/carts")
    assert (first.status, again.status) == (201, 200)
    assert first.json == {**again.json, "expiresAt": first.json["expiresAt"]}
    assert first.headers["Location"] == again.headers["Location"] == f"{API}/carts/{first.json['id']}"
    assert first.headers["ETag"].startswith('"1.') and "X-Cart-Token" not in first.headers
    assert [c["id"] for c in client.pages(f"{API}/carts")] == [first.json["id"]]


def test_lines_are_added_set_and_removed(client, goods, shops, tea):
    other = goods.product(shops[1], price=99, stock=1)
    at = f"{API}/carts/{cart(client, {tea: 2, other: 1}).json['id']}"
    r = client.post(f"{at}/products", {"product_id": tea})  # the older name, and one unit when none is said
    assert quantities(r) == {tea: 3, other: 1}
    assert r.json["quantity"] == 4 and r.json["total"] == {"amount": 3 * 250 + 99, "currency": "USD"}
    line = next(i for i in r.json["items"] if i["productId"] == tea)
    assert line["unitPrice"]["amount"] == 250 and line["subtotal"]["amount"] == 750
    assert (line["sellerId"], line["shopId"]) == (shops[0].user["id"], shops[0].shop)
    assert not line["priceChanged"] and line["available"]
    r = client.put(f"{at}/products/{other}", {"quantity": 5})
    assert quantities(r) == {tea: 3, other: 5}
    assert [i["available"] for i in r.json["items"] if i["productId"] == other] == [False]
    assert quantities(client.put(f"{at}/products/{other}", {"quantity": 0})) == {tea: 3}
    assert client.put(f"{at}/products/{other}", {"quantity": 0}).status == 404
    assert client.delete(f"{at}/products/{other}").status == 404
    last = client.delete(f"{at}/products/{tea}")
    assert (last.status, last.json["items"], last.json["total"], last.json["quantity"]) == (200, [], None, 0)
    assert client.get(f"{at}/with-products").json == client.get(at).json == last.json


def test_a_cart_is_emptied_and_ended(client, tea):
    made = cart(client, {tea: 2})
    at = f"{API}/carts/{made.json['id']}"
    assert client.post(f"{at}/empty").json["items"] == []
    assert client.delete(at, headers={"If-Match": '"1"'}).problem == "precondition-failed"
    assert client.delete(at).status == 204
    assert client.get(at).status == client.delete(at).status == 404
    assert cart(client).json["id"] != made.json["id"]


def test_a_changed_price_is_told_and_counts(client, goods, sql, tea):
    at = f"{API}/carts/{cart(client, {tea: 2}).json['id']}"
    sql("UPDATE product SET price = 300 WHERE id = %s", (tea,))
    r = client.get(at)
    assert r.json["items"][0]["priceChanged"] and r.json["total"]["amount"] == 600
    assert not client.put(f"{at}/products/{tea}", {"quantity": 2}).json["items"][0]["priceChanged"]


@pytest.mark.parametrize("change", ["status = 'inactive'", "deleted_at = now()"])
def test_what_is_not_on_sale_is_not_available(client, sql, tea, change):
    at = f"{API}/carts/{cart(client, {tea: 1}).json['id']}"
    sql(f"UPDATE product SET {change} WHERE id = %s", (tea,))
    assert not client.get(at).json["items"][0]["available"]
    assert client.post(f"{at}/products", {"productId": tea}).problem == "not-found"
    assert client.delete(f"{at}/products/{tea}").status == 200


def test_bad_lines_are_refused(client, goods, shops, tea):
    at = f"{API}/carts/{cart(client, {tea: 990}).json['id']}/products"
    for body, pointer in [({"productId": tea, "quantity": 0}, "/quantity"), ({"productId": tea, "quantity": 1000}, "/quantity"),
                          ({"productId": tea, "quantity": 1.5}, "/quantity"), ({"quantity": 1}, "/productId"),
                          ({"productId": "x"}, "/productId"), ({"productId": tea, "price": 1}, "/price"),
                          ({"productId": tea, "quantity": 10}, "/quantity")]:
        r = client.post(at, body)
        assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", pointer), body
    assert client.post(at, {"productId": str(uuid.uuid4())}).problem == "not-found"
    assert client.put(f"{at}/{uuid.uuid4()}", {"quantity": 1}).problem == "not-found"
    assert client.put(f"{at}/nonsense", {"quantity": 1}).problem == "not-found"
    assert client.post(at, {"productId": goods.product(shops[0], currency="EUR")}).problem == "conflict"
    assert client.post(at, {"productId": goods.product(shops[0], price=99999999999999), "quantity": 2}).problem == "conflict"
    assert quantities(client.get(at[:-9])) == {tea: 990}


def test_a_cart_has_at_most_100_lines(client, goods, shops, sql):
    at = f"{API}/carts/{cart(client).json['id']}/products"
    products = [goods.product(shops[0]) for _ in range(101)]
    assert all(client.post(at, {"productId": p}).status == 200 for p in products[:100])
    assert client.post(at, {"productId": products[100]}).problem == "conflict"
    assert client.post(at, {"productId": products[0]}).json["quantity"] == 101


def test_if_match_guards_a_change_that_asks_for_it(client, tea):
    made = cart(client)
    at = f"{API}/carts/{made.json['id']}/products"
    old = {"If-Match": made.headers["ETag"]}
    assert client.post(at, {"productId": tea}, headers=old).status == 200
    for r in (client.post(at, {"productId": tea}, headers=old), client.put(f"{at}/{tea}", {"quantity": 7}, headers=old),
              client.delete(f"{at}/{tea}", headers=old), client.post(f"{at[:-9]}/empty", headers=old),
              client.post(at, {"productId": tea}, headers={"If-Match": '"99999999999"'})):
        assert (r.status, r.problem) == (412, "precondition-failed")
    assert quantities(client.get(at[:-9])) == {tea: 1}


def test_parallel_adds_are_all_counted(client, goods, shops):
    products = [goods.product(shops[0]) for _ in range(5)]
    made = cart(client)
    at = f"{API}/carts/{made.json['id']}"
    statuses = []

    def add(n, mine):
        statuses.append(mine.post(f"{at}/products", {"productId": products[n % 5]}).status)
        mine.close()

    threads = [threading.Thread(target=add, args=(n, client.clone())) for n in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    r = client.get(at)
    assert statuses == [200] * THREADS
    assert quantities(r) == {p: THREADS // 5 for p in products}
    assert r.json["version"] == 1 + THREADS


def test_the_cart_of_somebody_else_is_not_there(client, users, anonymous, tea):
    ident = cart(client, {tea: 1}).json["id"]
    at = f"{API}/carts/{ident}"
    for stranger in (users.client(), users.seller(), anonymous):
        for r in (stranger.get(at), stranger.get(f"{at}/with-products"), stranger.post(f"{at}/products", {"productId": tea}),
                  stranger.put(f"{at}/products/{tea}", {"quantity": 3}), stranger.delete(f"{at}/products/{tea}"),
                  stranger.post(f"{at}/empty"), stranger.delete(at)):
            assert (r.status, r.problem) == (404, "not-found")
    stranger = users.client()
    mine = cart(stranger).json["id"]
    token = guest(users.anonymous()).headers["X-Cart-Token"]
    assert stranger.post(f"{at}/merge", {"cartToken": token}).status == 404
    assert checkout(stranger, ident).status == 404
    assert stranger.post(f"{API}/orders", pay(cartId=ident), headers=key()).status == 404
    assert cart(stranger).json["id"] == mine
    assert client.get(at).json["quantity"] == 1


def test_an_administrator_sees_a_cart_and_changes_nothing(client, admin, tea):
    at = f"{API}/carts/{cart(client, {tea: 1}).json['id']}"
    assert admin.get(at).json == client.get(at).json
    assert admin.post(f"{at}/empty").status == admin.delete(at).status == 404


def test_a_guest_has_a_cart_by_its_token(anonymous, users, tea):
    r = guest(anonymous)
    at = f"{API}/carts/{r.json['id']}"
    assert r.status == 201 and r.headers["Location"] == at
    assert quantities(anonymous.post(f"{at}/products", {"productId": tea, "quantity": 2})) == {tea: 2}
    assert quantities(anonymous.get(at)) == {tea: 2}
    assert users.anonymous().get(at).status == 404
    other = users.anonymous()
    guest(other)
    assert other.get(at).status == 404
    assert anonymous.get(f"{API}/carts").problem == "unauthenticated"


def test_a_tampered_token_opens_nothing(anonymous, users, client, tea):
    made = guest(anonymous)
    at, good = f"{API}/carts/{made.json['id']}", made.headers["X-Cart-Token"]
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    bad = [raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:] for i in range(len(raw))]
    bad += [raw[:-1], raw + b"\0", raw[:16], b"", raw[:16] + bytes(len(raw) - 16)]
    mine = cart(client).json["id"]
    for token in [base64.urlsafe_b64encode(b).rstrip(b"=").decode() for b in bad] + [good + "=", good + "A", " ", "é"]:
        if token.strip() and token.isascii():
            assert anonymous.get(at, headers={"X-Cart-Token": token}).status == 404, token
        assert client.post(f"{API}/carts/{mine}/merge", {"cartToken": token}).status in (404, 422)
    assert anonymous.get(at).status == 200


def test_merging_sums_the_quantities(anonymous, client, goods, shops, tea):
    other, third = goods.product(shops[1]), goods.product(shops[1])
    at = f"{API}/carts/{guest(anonymous).json['id']}"
    for product, n in ((tea, 2), (other, 998)):
        assert anonymous.post(f"{at}/products", {"productId": product, "quantity": n}).status == 200
    mine = cart(client, {tea: 3, other: 5, third: 1})
    merge = f"{API}/carts/{mine.json['id']}/merge"
    token = {"cartToken": anonymous.headers["X-Cart-Token"]}
    r = client.post(merge, token)
    assert quantities(r) == {tea: 5, other: 999, third: 1}
    assert quantities(client.post(merge, token)) == {tea: 5, other: 999, third: 1}  # once more does nothing
    assert anonymous.get(at).status == 404


def test_a_guests_cart_joins_at_sign_in(anonymous, client, tea):
    at = f"{API}/carts/{guest(anonymous).json['id']}"
    assert anonymous.post(f"{at}/products", {"productId": tea, "quantity": 2}).status == 200
    token = {"X-Cart-Token": anonymous.headers["X-Cart-Token"]}
    made = client.post(f"{API}/carts", headers=token)
    assert made.status == 201 and quantities(made) == {tea: 2}
    again = client.post(f"{API}/carts", headers=token)
    assert again.status == 200 and quantities(again) == {tea: 2} and again.json["id"] == made.json["id"]
    assert anonymous.get(at).status == 404


def test_a_merge_that_does_not_fit_changes_nothing(anonymous, client, goods, shops, tea):
    at = f"{API}/carts/{guest(anonymous).json['id']}"
    euro = goods.product(shops[0], currency="EUR")
    assert anonymous.post(f"{at}/products", {"productId": euro}).status == 200
    mine = cart(client, {tea: 1})
    token = anonymous.headers["X-Cart-Token"]
    assert client.post(f"{API}/carts/{mine.json['id']}/merge", {"cartToken": token}).problem == "conflict"
    assert client.post(f"{API}/carts", headers={"X-Cart-Token": token}).problem == "conflict"
    assert quantities(client.get(f"{API}/carts/{mine.json['id']}")) == {tea: 1}
    assert quantities(anonymous.get(at)) == {euro: 1}


def test_nobody_puts_their_own_product_in_a_cart(client, goods, shops, tea):
    at = f"{API}/carts/{cart(shops[0]).json['id']}"
    for r in (shops[0].post(f"{at}/products", {"productId": tea}), shops[0].put(f"{at}/products/{tea}", {"quantity": 1})):
        assert (r.status, r.problem) == (403, "own-product")
    other = goods.product(shops[1])
    assert quantities(shops[0].post(f"{at}/products", {"productId": other})) == {other: 1}
    assert quantities(cart(client, {tea: 1})) == {tea: 1}


def test_a_sellers_own_products_stay_behind_at_sign_in(anonymous, goods, tea):
    seller, other = goods.seller(), goods.seller()
    own, foreign = goods.product(seller), goods.product(other)
    at = f"{API}/carts/{guest(anonymous).json['id']}"
    for product in (own, foreign):
        assert anonymous.post(f"{at}/products", {"productId": product, "quantity": 2}).status == 200
    r = seller.post(f"{API}/carts", headers={"X-Cart-Token": anonymous.headers["X-Cart-Token"]})
    assert (r.status, quantities(r)) == (201, {foreign: 2})


def test_many_merges_of_one_cart_count_once(anonymous, users, tea):
    at = f"{API}/carts/{guest(anonymous).json['id']}"
    assert anonymous.post(f"{at}/products", {"productId": tea, "quantity": 2}).status == 200
    token = {"X-Cart-Token": anonymous.headers["X-Cart-Token"]}
    client = users.client()
    clones, got = [client.clone() for _ in range(8)] + [users.client() for _ in range(8)], []
    threads = [threading.Thread(target=lambda c=c: got.append(c.post(f"{API}/carts", headers=token))) for c in clones]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {r.status for r in got} <= {200, 201}
    assert sum(r.json["quantity"] for r in map(cart, [client] + clones[8:])) == 2


def test_a_cart_that_nobody_touches_ends(anonymous, client, sql, tea):
    theirs = guest(anonymous).json["id"]
    mine = cart(client, {tea: 1}).json["id"]
    sql("UPDATE cart SET expires_at = now() - interval '1 second' WHERE id IN (%s, %s)", (mine, theirs))
    assert client.get(f"{API}/carts/{mine}").status == anonymous.get(f"{API}/carts/{theirs}").status == 404
    assert client.post(f"{API}/carts/{mine}/products", {"productId": tea}).status == 404
    assert list(client.pages(f"{API}/carts")) == [] and checkout(client, mine).status == 404
    fresh = cart(client)
    assert (fresh.status, fresh.json["items"]) == (201, []) and fresh.json["id"] != mine
    assert client.post(f"{API}/carts/{fresh.json['id']}/merge",
                       {"cartToken": anonymous.headers["X-Cart-Token"]}).json["items"] == []
    sql("SELECT job_expire_carts()")
    assert {s for s, in sql("SELECT status FROM cart WHERE id IN (%s, %s)", (mine, theirs))} == {"expired"}
    assert sql("SELECT count(*) FROM cart_item WHERE cart_id = %s", (theirs,)) == [(0,)]
    sql("UPDATE cart SET updated_at = now() - interval '31 days' WHERE id = %s", (theirs,))
    sql("SELECT job_expire_carts()")
    assert sql("SELECT id::text FROM cart WHERE id IN (%s, %s)", (mine, theirs)) == [(mine,)]


def test_every_change_renews_the_lease(client, sql, tea):
    ident = cart(client).json["id"]
    sql("UPDATE cart SET expires_at = now() + interval '1 minute' WHERE id = %s", (ident,))
    client.post(f"{API}/carts/{ident}/products", {"productId": tea})
    assert sql("SELECT expires_at > now() + interval '13 days' FROM cart WHERE id = %s", (ident,)) == [(True,)]


def test_reading_a_cart_can_be_conditional(client, sql, tea):
    made = cart(client, {tea: 1})
    at = f"{API}/carts/{made.json['id']}"
    seen = {"If-None-Match": made.headers["ETag"]}
    r = client.get(at, headers=seen)
    assert (r.status, r.body) == (304, b"")
    sql("UPDATE product SET price = 251 WHERE id = %s", (tea,))  # the version of the cart stays, what it shows does not
    r = client.get(at, headers=seen)
    assert (r.status, r.json["version"], r.json["total"]["amount"]) == (200, made.json["version"], 251)
    assert client.put(f"{at}/products/{tea}", {"quantity": 2}, headers={"If-Match": made.headers["ETag"]}).status == 200
