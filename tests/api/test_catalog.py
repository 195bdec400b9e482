"""Categories, products, stock, lists: what sellers write and everybody reads."""
import itertools
import uuid

import pytest

API = "/api/v1"
_serial = itertools.count(1)


def new_category(admin, **extra):
    r = admin.post(f"{API}/categories", {"name": f"Things {uuid.uuid4().hex[:10]}", **extra})
    assert r.status == 201, r
    return r.json


@pytest.fixture(scope="module")
def category(admin):
    return new_category(admin)


def offer(seller, category, **extra):
    body = {"categoryId": category["id"], "title": f"Thing {next(_serial)}", "price": {"amount": 1000}, "stock": 5}
    r = seller.post(f"{API}/products", {**body, **extra})
    assert r.status == 201, r
    return r.json


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def ids(items):
    return [i["id"] for i in items]


# ---- categories ----

def test_a_category_gets_a_slug_from_its_name(admin):
    tail = uuid.uuid4().hex[:8]
    made = new_category(admin, name=f"Niños & Bebés {tail}", nameEs="Niños", description="Small people")
    assert made["slug"] == f"ninos-bebes-{tail}"
    assert (made["parentId"], made["depth"], made["version"]) == (None, 0, 1)
    assert admin.get(f"{API}/categories/{made['id']}").json == made


def test_the_list_shows_each_category_before_those_below_it(admin, anonymous):
    root = new_category(admin, position=7)
    late = new_category(admin, parentId=root["id"], position=2)
    early = new_category(admin, parentId=root["id"], position=1)
    below = new_category(admin, parentId=early["id"])
    found = [c["id"] for c in admin.pages(f"{API}/categories?limit=3")]
    mine = [i for i in found if i in {root["id"], late["id"], early["id"], below["id"]}]
    assert mine == [root["id"], early["id"], below["id"], late["id"]]
    assert len(found) == len(set(found))
    assert ids(anonymous.get(f"{API}/categories?parent={root['id']}").json["items"]) == [early["id"], late["id"]]


def test_a_category_moves_with_all_below_it(admin):
    a, b = new_category(admin), new_category(admin)
    child = new_category(admin, parentId=a["id"])
    leaf = new_category(admin, parentId=child["id"])
    assert admin.put(f"{API}/categories/{child['id']}", {"parentId": b["id"]}).json["parentId"] == b["id"]
    assert admin.get(f"{API}/categories/{leaf['id']}").json["depth"] == 2
    r = admin.patch(f"{API}/categories/{child['id']}", {"parentId": None}, headers={"If-Match": '"2"'})
    assert (r.status, r.json["parentId"], r.json["depth"]) == (200, None, 0)
    assert admin.get(f"{API}/categories/{leaf['id']}").json["depth"] == 1


def test_the_tree_stays_a_tree(admin):
    a = new_category(admin)
    b = new_category(admin, parentId=a["id"])
    for parent in (a["id"], b["id"]):
        r = admin.put(f"{API}/categories/{a['id']}", {"parentId": parent})
        assert (r.status, r.json["errors"][0]["code"]) == (422, "not_a_tree")
    r = admin.post(f"{API}/categories", {"name": "Lost", "parentId": str(uuid.uuid4())})
    assert (r.status, r.json["errors"][0]["pointer"]) == (422, "/parentId")


def test_the_tree_has_five_levels_at_most(admin):
    parent = new_category(admin)
    for _ in range(4):
        parent = new_category(admin, parentId=parent["id"])
    r = admin.post(f"{API}/categories", {"name": "Too deep", "parentId": parent["id"]})
    assert (r.status, r.json["errors"][0]["code"]) == (422, "too_deep")


def test_slugs_are_unique_and_well_formed(admin):
    taken = new_category(admin)
    r = admin.post(f"{API}/categories", {"name": "Other", "slug": taken["slug"]})
    assert (r.status, r.problem, r.json["errors"][0]["code"]) == (409, "conflict", "taken")
    for slug in ("With Space", "-a", "a--b", "ñ"):
        r = admin.post(f"{API}/categories", {"name": "Other", "slug": slug})
        assert (r.status, r.json["errors"][0]["code"]) == (422, "format"), slug


def test_only_an_empty_category_can_be_removed(admin, seller):
    parent = new_category(admin)
    child = new_category(admin, parentId=parent["id"])
    product = offer(seller, child)
    assert admin.delete(f"{API}/categories/{child['id']}").problem == "conflict"
    assert seller.delete(f"{API}/products/{product['id']}").status == 204
    assert admin.delete(f"{API}/categories/{parent['id']}").problem == "conflict"
    assert admin.delete(f"{API}/categories/{child['id']}").status == 204
    assert admin.get(f"{API}/categories/{child['id']}").status == 404
    assert admin.delete(f"{API}/categories/{child['id']}").status == 404
    assert seller.post(f"{API}/products", {"categoryId": child["id"], "title": "T", "price": {"amount": 1}}).status == 422
    assert admin.delete(f"{API}/categories/{parent['id']}").status == 204


def test_a_stale_category_is_not_overwritten(admin):
    made = new_category(admin)
    path = f"{API}/categories/{made['id']}"
    etag = admin.get(path).headers["ETag"]
    assert admin.patch(path, {"name": "First"}, headers={"If-Match": etag}).json["version"] == 2
    assert admin.patch(path, {"name": "Second"}, headers={"If-Match": etag}).problem == "precondition-failed"
    assert admin.patch(path, {"name": "Third"}).problem == "precondition-required"
    r = admin.patch(path, {"name": None}, headers={"If-Match": '"2"'})
    assert (r.status, r.json["errors"][0]["pointer"]) == (422, "/name")


def test_only_administrators_write_categories(seller, client, category):
    for who in (seller, client):
        assert who.post(f"{API}/categories", {"name": "Mine"}).problem == "forbidden"
        assert who.put(f"{API}/categories/{category['id']}", {"name": "Mine"}).problem == "forbidden"
        assert who.delete(f"{API}/categories/{category['id']}").problem == "forbidden"


def test_public_lists_may_be_cached_and_revalidated(anonymous, category):
    r = anonymous.get(f"{API}/categories/{category['id']}")
    assert "public" in r.headers["Cache-Control"]
    assert anonymous.get(f"{API}/categories/{category['id']}", headers={"If-None-Match": r.headers["ETag"]}).status == 304


# ---- products ----

def test_a_product_is_on_sale_at_once(seller, anonymous, category):
    r = seller.post(f"{API}/products", {
        "categoryId": category["id"], "title": "  Silla \"azul\" ñ  ", "description": "Line one\nline two",
        "price": {"amount": 2599, "currency": "EUR"}, "condition": "used", "stock": 3})
    assert r.status == 201
    p = r.json
    assert r.headers["Location"] == f"{API}/products/{p['id']}"
    assert (p["title"], p["description"]) == ('Silla "azul" ñ', "Line one\nline two")
    assert p["price"] == {"amount": 2599, "currency": "EUR"}
    assert (p["condition"], p["status"], p["stock"], p["version"], p["images"]) == ("used", "active", 3, 1, [])
    assert p["sellerId"] == seller.user["id"]
    assert p["category"] == {k: category[k] for k in ("id", "slug", "name")}
    seen = anonymous.get(f"{API}/products/{p['id']}")
    assert seen.json == p
    assert seen.headers["ETag"] == '"1.3"'


def test_the_older_names_of_members_are_taken(seller, category):
    r = seller.post(f"{API}/products", {"id_category": category["id"], "product_name": "Old", "price": {"amount": 5}, "quantity": 2})
    assert (r.status, r.json["title"], r.json["stock"]) == (201, "Old", 2)


@pytest.mark.parametrize("fault,pointer", [
    ({"title": ""}, "/title"), ({"title": "   "}, "/title"), ({"title": "x" * 201}, "/title"), ({"title": None}, "/title"),
    ({"description": "x" * 10001}, "/description"), ({"price": {"amount": -1}}, "/price"), ({"price": 5}, "/price"),
    ({"price": {"amount": 1, "currency": "usd"}}, "/price"), ({"price": {"amount": 10 ** 15}}, "/price"),
    ({"stock": -1}, "/stock"), ({"stock": 10 ** 9 + 1}, "/stock"), ({"condition": "broken"}, "/condition"),
    ({"categoryId": "x"}, "/categoryId"), ({"categoryId": str(uuid.UUID(int=7))}, "/categoryId"),
    ({"sellerId": str(uuid.UUID(int=7))}, "/sellerId"), ({"status": "active"}, "/status")])
def test_a_bad_product_is_refused_with_its_member(seller, category, fault, pointer):
    body = {"categoryId": category["id"], "title": "T", "price": {"amount": 1}, **fault}
    r = seller.post(f"{API}/products", body)
    assert (r.status, r.problem) == (422, "invalid")
    assert [e["pointer"] for e in r.json["errors"]] == [pointer]


def test_put_changes_what_is_sent(seller, category):
    p = offer(seller, category, description="Before")
    r = seller.put(f"{API}/products/{p['id']}", {"price": {"amount": 1}, "title": "After"})
    assert (r.status, r.json["title"], r.json["description"], r.json["version"]) == (200, "After", "Before", 2)
    assert r.json["price"] == {"amount": 1, "currency": "USD"}
    assert seller.put(f"{API}/products/{p['id']}", {"title": "After"}).json["version"] == 2


def test_a_merge_patch_empties_by_null(seller, category):
    p = offer(seller, category, description="Before")
    path = f"{API}/products/{p['id']}"
    r = seller.patch(path, {"description": None}, headers={"If-Match": '"1.5"'})
    assert (r.status, r.json["description"], r.headers["ETag"]) == (200, "", '"2.5"')
    for member in ("title", "price", "categoryId", "condition", "status"):
        r = seller.patch(path, {member: None}, headers={"If-Match": '"2.5"'})
        assert (r.status, r.json["errors"][0]["pointer"]) == (422, f"/{member}")


def test_r13_of_two_editors_the_slower_is_told(seller, category):
    p = offer(seller, category)
    path = f"{API}/products/{p['id']}"
    other = seller.clone()
    for n in range(20):
        etag = seller.get(path).headers["ETag"]
        assert seller.patch(path, {"title": f"A {n}"}, headers={"If-Match": etag}).status == 200
        assert other.patch(path, {"title": f"B {n}"}, headers={"If-Match": etag}).problem == "precondition-failed"
    assert seller.get(path).json["title"] == "A 19"
    assert seller.patch(path, {"title": "C"}).problem == "precondition-required"
    assert seller.patch(path, {"title": "C"}, headers={"If-Match": "nonsense"}).problem == "precondition-failed"


def test_a_sale_does_not_outdate_an_edit(seller, category):
    p = offer(seller, category)
    etag = seller.get(f"{API}/products/{p['id']}").headers["ETag"]
    assert seller.put(f"{API}/products/{p['id']}/stock", {"stock": 4}).status == 200
    assert seller.get(f"{API}/products/{p['id']}").headers["ETag"] == '"1.4"' != etag
    assert seller.patch(f"{API}/products/{p['id']}", {"title": "Still"}, headers={"If-Match": etag}).status == 200


def test_a_hidden_product_is_seen_by_its_seller_and_the_staff_only(seller, users, admin, anonymous, category):
    p = offer(seller, category)
    path = f"{API}/products/{p['id']}"
    assert seller.put(path, {"status": "inactive"}).json["status"] == "inactive"
    for who in (anonymous, users.client(), users.seller()):
        assert who.get(path).problem == "not-found"
    assert seller.get(path).json["status"] == admin.get(path).json["status"] == "inactive"
    assert p["id"] not in ids(anonymous.pages(f"{API}/products?seller={seller.user['id']}"))
    assert seller.put(path, {"status": "active"}).status == 200
    assert anonymous.get(path).status == 200


def test_moderation_is_not_the_sellers(seller, admin, anonymous, category):
    p = offer(seller, category)
    path = f"{API}/products/{p['id']}"
    assert seller.put(path, {"status": "rejected"}).problem == "invalid-transition"
    assert admin.put(path, {"status": "rejected"}).json["status"] == "rejected"
    assert seller.put(path, {"status": "active"}).problem == "invalid-transition"
    assert anonymous.get(path).status == 404
    assert admin.put(path, {"status": "active"}).status == 200


def test_foreign_products_cannot_be_written(users, seller, category):
    p = offer(seller, category)
    thief, path = users.seller(), f"{API}/products/{p['id']}"
    assert thief.put(path, {"title": "Mine"}).problem == "not-found"
    assert thief.patch(path, {"title": "Mine"}, headers={"If-Match": '"1"'}).problem == "not-found"
    assert thief.delete(path).problem == "not-found"
    assert thief.put(path + "/stock", {"stock": 0}).problem == "not-found"
    assert thief.get(path + "/stock").problem == "not-found"
    assert users.client().put(path, {"title": "Mine"}).problem == "forbidden"
    assert seller.get(path).json == p


def test_a_deleted_product_is_gone_for_all(seller, admin, anonymous, category):
    p = offer(seller, category)
    assert seller.delete(f"{API}/products/{p['id']}").status == 204
    for who in (seller, admin, anonymous):
        assert who.get(f"{API}/products/{p['id']}").status == 404
    assert seller.delete(f"{API}/products/{p['id']}").status == 404
    assert p["id"] not in ids(seller.pages(f"{API}/products?mine=true"))


@pytest.mark.parametrize("ident", ["x", "00000000-0000-0000-0000-000000000000", str(uuid.UUID(int=9)), "1' OR '1'='1"])
def test_an_id_of_nothing_is_not_found(seller, ident):
    path = f"{API}/products/{ident.replace(' ', '%20')}"
    assert seller.get(path).problem == "not-found"
    assert seller.put(path, {"title": "T"}).problem == "not-found"


def test_names_of_shop_and_category_follow_in_the_documents(admin, seller, anonymous, sql):
    category = new_category(admin)
    p = offer(seller, category)
    assert admin.put(f"{API}/categories/{category['id']}", {"name": "Renamed"}).status == 200
    sql("UPDATE shop SET name = 'The \"new\" shop' WHERE owner_id = %s", (seller.user["id"],))
    seen = anonymous.get(f"{API}/products/{p['id']}")
    assert seen.json["category"]["name"] == "Renamed"
    assert seen.json["shop"]["name"] == 'The "new" shop'
    assert seen.headers["ETag"] == '"3.5"'
    card = seller.get(f"{API}/products?category={category['slug']}").json["items"][0]
    assert (card["category"]["name"], card["shop"]["name"]) == ("Renamed", 'The "new" shop')


# ---- stock ----

def test_stock_is_set_and_added_to(seller, category):
    p = offer(seller, category, stock=5, lowThreshold=2)
    path = f"{API}/products/{p['id']}/stock"
    assert {k: v for k, v in seller.get(path).json.items() if k != "updatedAt"} == {"productId": p["id"], "stock": 5, "lowThreshold": 2}
    assert seller.put(path, {"stock": 9}).json["stock"] == 9
    assert seller.put(path, {"lowThreshold": 3}).json["lowThreshold"] == 3
    assert seller.post(path, {"delta": 4}, headers=key()).json["stock"] == 13
    assert seller.post(path, {"delta": -13}, headers=key()).json["stock"] == 0
    assert seller.post(path, {"delta": -1}, headers=key()).problem == "out-of-stock"
    assert seller.put(path, {"stock": 10 ** 9}).status == 200
    assert seller.post(path, {"delta": 10 ** 9}, headers=key()).problem == "invalid"


def test_adding_twice_with_one_key_adds_once(seller, category):
    p = offer(seller, category)
    path, once = f"{API}/products/{p['id']}/stock", key()
    first, again = (seller.post(path, {"delta": 5}, headers=once) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert seller.get(path).json["stock"] == 10
    assert seller.post(path, {"delta": 6}, headers=once).problem == "idempotency-key-reused"
    assert seller.post(path, {"delta": 6}).problem == "idempotency-key-missing"


def test_a_card_shows_whether_it_is_in_stock(seller, category):
    p = offer(seller, category, stock=1)

    def shown():
        return next(c for c in seller.pages(f"{API}/products?seller={seller.user['id']}") if c["id"] == p["id"])["inStock"]
    assert shown() is True
    seller.put(f"{API}/products/{p['id']}/stock", {"stock": 0})
    assert shown() is False
    seller.put(f"{API}/products/{p['id']}/stock", {"stock": 7})
    assert shown() is True


def test_falling_stock_is_told_once(seller, category, sql):
    """Falls and recoveries by the function that sales call; the feed of the seller is the witness."""
    p = offer(seller, category, stock=10, lowThreshold=5)

    def sell(quantity):
        sql("WITH s AS (UPDATE stock SET quantity = %s WHERE product_id = %s) SELECT 1", (quantity, p["id"]))
        sql("SELECT stock_after_change(%s)", (p["id"],))
        return [(d["alert"], d["stock"]) for d in alerts()]

    def alerts():
        rows = sql("SELECT data::json FROM feed WHERE account_id = %s AND type = 'inventory:alert' ORDER BY us", (seller.user["id"],))
        return [r[0] for r in rows]
    assert sell(6) == []
    assert sell(5) == [("low", 5)]
    assert sell(4) == sell(6) == sell(5) == [("low", 5)]
    assert sell(0) == [("low", 5), ("out", 0)]
    assert sell(1) == sell(0) == [("low", 5), ("out", 0)]
    assert sell(7) == [("low", 5), ("out", 0)]
    assert sell(3) == [("low", 5), ("out", 0), ("low", 3)]
    assert alerts()[0]["threshold"] == 5


# ---- lists ----

@pytest.fixture(scope="module")
def shelf(users, admin):
    """A root with two categories below it, twelve products of two sellers with prices that repeat."""
    root = new_category(admin)
    below = [new_category(admin, parentId=root["id"]) for _ in range(2)]
    sellers = [users.seller() for _ in range(2)]
    made = []
    for n in range(12):
        made.append(offer(sellers[n % 2], below[n // 2 % 2], price={"amount": 100 * (n // 3)},
                          condition=("new", "used", "refurbished")[n % 3]))
    return root, below, sellers, made


def price_then_id(p):
    return p["price"]["amount"], p["id"]


@pytest.mark.parametrize("limit", [1, 3, 5, 100])
@pytest.mark.parametrize("sort,order", [
    ("newest", lambda v: sorted(v, key=lambda p: p["id"], reverse=True)),
    ("price", lambda v: sorted(v, key=price_then_id)),
    ("-price", lambda v: sorted(v, key=price_then_id, reverse=True))])
def test_paging_is_complete_and_free_of_duplicates(shelf, sort, order, limit):
    root, _, sellers, made = shelf
    for way in (f"category={root['id']}", f"category={root['slug']}", f"id_category={root['id']}&condition=used"):
        found = ids(sellers[0].pages(f"{API}/products?{way}&sort={sort}&limit={limit}"))
        wanted = [p for p in made if "condition" not in way or p["condition"] == "used"]
        assert found == ids(order(wanted))
    for seller in sellers:
        found = ids(seller.pages(f"{API}/products?seller={seller.user['id']}&sort={sort}&limit={limit}"))
        assert found == ids(order([p for p in made if p["sellerId"] == seller.user["id"]]))


@pytest.mark.parametrize("sort", ["newest", "price", "-price"])
def test_the_list_of_everything_pages_through_everything(shelf, anonymous, sort):
    found = ids(anonymous.pages(f"{API}/products?sort={sort}&limit=40"))
    assert len(found) == len(set(found))
    assert set(found) >= {p["id"] for p in shelf[3]}


@pytest.mark.parametrize("query,keep", [
    ("minPrice=100&maxPrice=200", lambda p: 100 <= p["price"]["amount"] <= 200),
    ("min_price=300", lambda p: p["price"]["amount"] >= 300),
    ("max_price=0", lambda p: p["price"]["amount"] == 0),
    ("minPrice=400", lambda p: False),
    ("condition=new&maxPrice=100", lambda p: p["condition"] == "new" and p["price"]["amount"] <= 100)])
@pytest.mark.parametrize("sort", ["newest", "price", "-price"])
def test_filters_combine(shelf, query, keep, sort):
    root, _, sellers, made = shelf
    asked = f"{API}/products?category={root['id']}&sort={sort}&limit=2&{query}"
    assert set(ids(sellers[0].pages(asked))) == {p["id"] for p in made if keep(p)}


def test_a_category_holds_those_below_it_and_a_subcategory_is_stronger(shelf):
    root, below, sellers, made = shelf
    for b in below:
        wanted = {p["id"] for p in made if p["category"]["id"] == b["id"]}
        assert set(ids(sellers[0].pages(f"{API}/products?category={b['id']}"))) == wanted
        assert set(ids(sellers[0].pages(f"{API}/products?id_category={root['id']}&id_sub_category={b['id']}"))) == wanted
        mixed = f"{API}/products?category={b['slug']}&shop={made[0]['shop']['id']}"
        assert set(ids(sellers[0].pages(mixed))) == wanted & {p["id"] for p in made if p["sellerId"] == made[0]["sellerId"]}
        mixed = f"{API}/products?category={b['slug']}&seller={made[0]['sellerId']}&sort=price"
        assert set(ids(sellers[0].pages(mixed))) == wanted & {p["id"] for p in made if p["sellerId"] == made[0]["sellerId"]}
    assert sellers[0].get(f"{API}/products?category=no-such-thing").json["items"] == []
    assert sellers[0].get(f"{API}/products?category={uuid.uuid4()}").json["items"] == []


def test_pages_by_number_are_the_same_pages(shelf):
    root, _, sellers, made = shelf
    for sort in ("newest", "price", "-price"):
        by_number = [i for n in (1, 2, 3, 4) for i in
                     ids(sellers[0].get(f"{API}/products?category={root['id']}&sort={sort}&limit=5&page={n}").json["items"])]
        assert by_number == ids(sellers[0].pages(f"{API}/products?category={root['id']}&sort={sort}&limit=5"))
    assert sellers[0].get(f"{API}/products?page=51").problem == "invalid"


@pytest.mark.parametrize("old,new", [("sort_by=price&sort_order=desc", "sort=-price"), ("sort_by=price&sort_order=ASC", "sort=price"),
                                     ("sort_by=created_at&sort_order=DESC", "sort=newest"), ("sort=relevance", "sort=newest")])
def test_older_sort_parameters_mean_the_same(shelf, old, new):
    root, _, sellers, _ = shelf
    way = f"{API}/products?category={root['id']}&"
    assert sellers[0].get(way + old).json == sellers[0].get(way + new).json


@pytest.mark.parametrize("query", ["sort=name", "sort_by=created_at&sort_order=asc", "limit=0", "limit=101", "page=0", "minPrice=-1",
                                   "maxPrice=x", "seller=me", "condition=broken", "q=" + "a" * 201, "colour=red"])
def test_bad_filters_are_refused(anonymous, query):
    assert anonymous.get(f"{API}/products?{query}").problem == "invalid"


def test_a_cursor_belongs_to_its_list(shelf):
    root, below, sellers, _ = shelf
    cursor = sellers[0].get(f"{API}/products?category={root['id']}&limit=2").json["nextCursor"]
    for query in (f"category={below[0]['id']}&limit=2", f"category={root['id']}&limit=2&sort=price", "limit=2"):
        assert sellers[0].get(f"{API}/products?{query}&cursor={cursor}").problem == "bad-cursor"
    for bad in ("x", cursor[:-3], cursor + "AAAA", cursor[:8] + "AAAA"):
        assert sellers[0].get(f"{API}/products?category={root['id']}&limit=2&cursor={bad}").problem == "bad-cursor"


def test_sellers_list_their_own_with_any_status(users, category):
    seller = users.seller()
    shown, hidden = offer(seller, category), offer(seller, category)
    seller.put(f"{API}/products/{hidden['id']}", {"status": "inactive"})
    assert ids(seller.pages(f"{API}/products?mine=true&limit=1")) == [hidden["id"], shown["id"]]
    assert ids(seller.pages(f"{API}/products?status=inactive")) == [hidden["id"]]
    assert seller.get(f"{API}/products?status=active").json["items"][0]["id"] == shown["id"]
    assert users.client().get(f"{API}/products?mine=true").json["items"] == []
    assert users.anonymous().get(f"{API}/products?status=inactive").json["items"] == []
    assert seller.get(f"{API}/products?mine=true&sort=price").problem == "invalid"


def test_a_list_is_cached_for_everybody_but_not_for_a_user(anonymous, client):
    assert "public" in anonymous.get(f"{API}/products?limit=1").headers["Cache-Control"]
    assert client.get(f"{API}/products?limit=1").headers["Cache-Control"] == "no-store"


# ---- events ----

def test_the_shop_learns_of_its_products_over_mqtt(seller, category, device):
    d = device(seller)
    p = offer(seller, category, stock=5, lowThreshold=2)
    d.wait("product:updated", lambda e: e["productId"] == p["id"] and e["change"] == "created")
    seller.put(f"{API}/products/{p['id']}", {"title": "New", "price": {"amount": 5}})
    assert d.wait("product:updated", lambda e: e["change"] == "updated")["d"]["fields"] == ["title", "price"]
    seller.put(f"{API}/products/{p['id']}/stock", {"stock": 2})
    alert = d.wait("inventory:alert")["d"]
    assert alert == {"productId": p["id"], "stock": 2, "threshold": 2, "alert": "low"}
    seller.delete(f"{API}/products/{p['id']}")
    d.wait("product:updated", lambda e: e["change"] == "deleted" and e["version"] == 3)
