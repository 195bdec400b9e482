"""Rules for what everybody reads: names of users, shops and groups, texts of products, canned replies."""
import time
import uuid

import pytest

from plazatest.goods import API, Goods
from plazatest.http import PASSWORD

FILTERS = API + "/admin/moderation/filters"


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


def letters():
    """Letters only, so that no digit of it stands for one."""
    return "".join(chr(ord("a") + int(c, 16)) for c in uuid.uuid4().hex[:12])


@pytest.fixture(scope="module")
def words(admin):
    """A word of each action, in force."""
    made = {action: letters() for action in ("refuse", "mask", "flag")}
    ids = [admin.post(FILTERS, {"kind": "word", "pattern": w, "action": action}).json["id"] for action, w in made.items()]
    time.sleep(2.2)
    yield made
    for ident in ids:
        admin.delete(f"{FILTERS}/{ident}")


def registration(**more):
    return {"name": "New", "email": f"{uuid.uuid4()}@plaza.example", "password": PASSWORD, **more}


def places(users, goods):
    """(pointer, a write of one text there, what then stands there, whether contact data are refused)"""
    anyone = users.anonymous()
    seller, client, mate = goods.seller(), users.client(), users.client()
    product = goods.product(seller)
    chat = client.post(API + "/chats", {"peerId": mate.user["id"]}).json["id"]
    client.post(f"{API}/chats/{chat}/messages", {"body": "Hello"})
    mate.post(f"{API}/chats/{chat}/messages", {"body": "Hello"})
    group = client.post(API + "/chats", {"title": "Group", "memberIds": [mate.user["id"]]}).json["id"]
    reply = seller.post(API + "/canned-replies", {"title": "T", "body": "B"}).json["id"]
    new = {"categoryId": goods.category, "price": {"amount": 1}}
    match = {"If-Match": "*"}
    user = f"{API}/users/{client.user['id']}"
    return [
        ("/name", lambda t: anyone.post(API + "/auth/register", registration(name=t)), lambda r: r.json["user"]["name"], True),
        ("/shopName", lambda t: anyone.post(API + "/auth/register", registration(role="seller", shopName=t)), None, True),
        ("/name", lambda t: client.put(user, {"name": t}), lambda r: r.json["name"], True),
        ("/name", lambda t: client.patch(user, {"name": t}, headers=match), lambda r: r.json["name"], True),
        ("/title", lambda t: client.post(API + "/chats", {"title": t, "memberIds": [mate.user["id"]]}),
         lambda r: r.json["title"], True),
        ("/title", lambda t: client.patch(f"{API}/chats/{group}", {"title": t}), lambda r: r.json["title"], True),
        ("/title", lambda t: seller.post(API + "/products", {**new, "title": t}), lambda r: r.json["title"], True),
        ("/description", lambda t: seller.post(API + "/products", {**new, "title": "A", "description": t}),
         lambda r: r.json["description"], True),
        ("/title", lambda t: seller.put(f"{API}/products/{product}", {"title": t}), lambda r: r.json["title"], True),
        ("/description", lambda t: seller.patch(f"{API}/products/{product}", {"description": t}, headers=match),
         lambda r: r.json["description"], True),
        ("/title", lambda t: seller.post(API + "/canned-replies", {"title": t, "body": "B"}), lambda r: r.json["title"], False),
        ("/body", lambda t: seller.put(f"{API}/canned-replies/{reply}", {"title": "T", "body": t}),
         lambda r: r.json["body"], False)]


def test_a_refused_word_is_refused_everywhere(users, goods, words):
    for pointer, write, _, _ in places(users, goods):
        for text in (f"a {words['refuse']} b", " ".join(words["refuse"]).upper()):
            r = write(text)
            assert (r.status, r.problem) == (422, "filtered"), (pointer, r)
            assert [(e["pointer"], e["code"]) for e in r.json["errors"]] == [(pointer, "word")]


def test_a_masked_word_is_stars_everywhere(users, goods, words):
    for pointer, write, shown, _ in places(users, goods):
        r = write(f"a {words['mask']} b")
        assert r.status in (200, 201), (pointer, r)
        assert shown is None or shown(r) == f"a {'*' * len(words['mask'])} b"


def test_contact_data_are_refused_where_nobody_has_ordered(users, goods):
    for pointer, write, _, refused in places(users, goods):
        r = write("escribe a juan arroba gmail punto com")
        assert (r.problem == "filtered") is refused, (pointer, r)
        if refused:
            assert [(e["pointer"], e["code"], e["detail"]) for e in r.json["errors"]] == [(pointer, "contact", "email")]


def test_a_number_is_a_telephone_where_something_tells_so(users, goods):
    seller = goods.seller()
    new = {"categoryId": goods.category, "price": {"amount": 1}}
    for title in ("Part 099 123 4567", "EAN 4006381333931", "Lot 20240517-001234567"):
        assert seller.post(API + "/products", {**new, "title": title}).status == 201, title
    for title in ("Jug, WhatsApp 099 123 4567", "Jug +593 99 123 4567", "Jug, llámame al 0991234567"):
        r = seller.post(API + "/products", {**new, "title": title})
        assert (r.problem, r.json["errors"][0]["detail"]) == ("filtered", "phone"), title
        assert seller.put(f"{API}/users/{seller.user['id']}", {"name": title}).problem == "filtered"


def test_a_username_is_refused_and_not_masked(users, words):
    client = users.client()
    for action in ("refuse", "mask"):
        r = client.put(f"{API}/users/{client.user['id']}", {"username": words[action]})
        assert (r.problem, r.json["errors"][0]["pointer"]) == ("filtered", "/username")


def cases(sql, account):
    return sql("SELECT hint, note FROM report WHERE target_id = %s AND reason = 'filter' AND status = 'open'", (account,))


def test_a_flagged_word_opens_one_case_about_its_writer(users, goods, words, sql, admin, device):
    seller, staff = goods.seller(), device(admin)
    text = f"a {words['flag']} b"
    r = seller.post(API + "/products", {"categoryId": goods.category, "price": {"amount": 1}, "title": "Good", "description": text})
    assert (r.status, r.json["description"]) == (201, text)
    assert cases(sql, seller.user["id"]) == [("word", "description: " + text)]
    told = staff.wait("report:new", lambda d: d["targetId"] == seller.user["id"])["d"]
    assert told["reason"] == "filter" and "chatId" not in told
    assert seller.put(f"{API}/users/{seller.user['id']}", {"name": text}).status == 200
    assert len(cases(sql, seller.user["id"])) == 1, "one at a time"


def test_a_flagged_name_of_a_new_account_opens_a_case(users, words, sql):
    r = users.anonymous().post(API + "/auth/register", registration(name=words["flag"]))
    assert r.status == 201
    assert cases(sql, r.json["user"]["id"]) == [("word", "name: " + words["flag"])]


def test_a_write_that_fails_opens_no_case(users, goods, words, sql):
    client = users.client()
    assert client.patch(f"{API}/chats/{uuid.uuid4()}", {"title": words["flag"]}).problem == "not-found"
    taken = registration(name=words["flag"], email=client.email)
    assert users.anonymous().post(API + "/auth/register", taken).problem == "email-taken"
    assert cases(sql, client.user["id"]) == []


def test_older_systems_are_filtered_too(users, words):
    anyone = users.anonymous()
    made = registration(name=f"a {words['refuse']}")
    assert anyone.post("/api/auth/signup", made).status == 422
    assert anyone.post("/auth/register", {"username": words["refuse"], "email": made["email"], "password": PASSWORD}).status == 422
