"""Rules for messages: words, disguises, contact data before an order, and how fast a change is in force."""
import time
import uuid

import pytest

API = "/api/v1"
FILTERS = API + "/admin/moderation/filters"
IN_FORCE = 5  # seconds after which every worker must know a rule


@pytest.fixture(scope="module")
def people(users):
    return users.client(), users.seller()


@pytest.fixture
def pair(people):
    a, b = people
    r = a.post(API + "/chats", {"peerId": b.user["id"]})
    return a, b, r.json["id"]


def post(who, chat, text, **more):
    return who.post(f"{API}/chats/{chat}/messages", {"body": text, **more})


def word():
    """Letters only, so that no digit of it stands for one."""
    return "".join(chr(ord("a") + int(c, 16)) for c in uuid.uuid4().hex[:12])


def until(call, good):
    """The first answer that is good, within the time in which rules come into force."""
    end = time.monotonic() + IN_FORCE
    while not good(r := call()):
        assert time.monotonic() < end, r
        time.sleep(0.1)
    return r


def settle():
    """All workers know what is in force now."""
    time.sleep(2.2)


@pytest.fixture
def rule(admin):
    """rule(pattern, action, kind): made, in force, and gone at the end."""
    made = []

    def make(pattern, action, kind="word", **more):
        r = admin.post(FILTERS, {"kind": kind, "pattern": pattern, "action": action, **more})
        assert r.status == 201, r
        made.append(r.json["id"])
        settle()
        return r.json
    yield make
    for ident in made:
        admin.delete(f"{FILTERS}/{ident}")


def contact(admin, name):
    return next(r for r in admin.pages(FILTERS + "?kind=contact") if r["pattern"] == name)


@pytest.fixture
def set_class(admin):
    """set_class(name, …): a class of contact data for one test."""
    before = {}

    def put(name, **members):
        r = contact(admin, name)
        before.setdefault(r["id"], {"action": r["action"], "enabled": r["enabled"]})
        answer = admin.patch(f"{FILTERS}/{r['id']}", members, headers={"If-Match": f'"{r["version"]}"'})
        assert answer.status == 200, answer
        settle()
    yield put
    for ident, members in before.items():
        admin.patch(f"{FILTERS}/{ident}", members, headers={"If-Match": "*"})
    settle()


# ---- words ----

def test_a_refused_word_is_refused_however_it_is_written(pair, rule):
    a, _, chat = pair
    bad = word()
    rule(bad, "refuse", language="en")
    for text in (f"you {bad}!", bad.upper(), " ".join(bad), "\u200b".join(bad), bad.replace("a", "@").replace("e", "3")):
        r = post(a, chat, text)
        assert (r.status, r.problem) == (422, "filtered"), (text, r)
        assert [(e["pointer"], e["code"]) for e in r.json["errors"]] == [("/body", "word")]
    assert post(a, chat, f"{bad}ish is another word").status == 201
    assert a.post(f"{API}/chats/{chat}/messages", {"text": bad}).json["errors"][0]["pointer"] == "/text"


def test_a_masked_word_is_starred_and_a_repetition_is_the_same_message(pair, rule):
    a, _, chat = pair
    bad, cmid = word(), str(uuid.uuid4())
    rule(bad[:6] + "*", "mask", kind="pattern")
    first = post(a, chat, f"é {bad}, ok", cmid=cmid)
    assert (first.status, first.json["body"]) == (201, f"é {'*' * len(bad)}, ok")
    again = post(a, chat, f"é {bad}, ok", cmid=cmid)
    assert (again.status, again.json) == (200, first.json)


def test_a_flagged_word_is_sent_and_opens_one_case(pair, rule, admin):
    a, b, _ = pair
    chat = b.post(API + "/chats", {"peerId": a.user["id"]}).json["id"]
    bad = word()
    rule(bad, "flag")
    for _ in range(2):
        sent = post(b, chat, f"this is {bad}")
        assert (sent.status, sent.json["body"]) == (201, f"this is {bad}")
    cases = [c for c in admin.pages(API + "/admin/moderation/reports?limit=100&reason=filter") if c["chatId"] == chat]
    assert [(c["targetId"], c["hint"], c["reporterId"], c["status"]) for c in cases] == [(b.user["id"], "word", None, "open")]
    shown = admin.get(f"{API}/admin/moderation/reports/{cases[0]['id']}").json
    assert shown["snapshot"][-1]["body"] == f"this is {bad}" and shown["snapshotValid"]


def test_edits_are_read_too(pair, rule, users):
    a, b = users.client(), users.client()
    chat = a.post(API + "/chats", {"peerId": b.user["id"]}).json["id"]
    bad, flagged = word(), word()
    rule(bad, "refuse")
    rule(flagged, "flag")
    sent = post(a, chat, "nothing bad").json
    r = a.patch(f"{API}/chats/{chat}/messages/{sent['id']}", {"body": bad})
    assert (r.problem, r.json["errors"][0]["code"]) == ("filtered", "word")
    assert a.patch(f"{API}/chats/{chat}/messages/{sent['id']}", {"body": "call 0991234567"}).problem == "filtered"
    assert a.patch(f"{API}/chats/{chat}/messages/{sent['id']}", {"body": flagged}).json["body"] == flagged


def test_what_was_sent_before_the_rule_is_repeated_not_refused(pair, rule):
    a, _, chat = pair
    bad, cmid = word(), str(uuid.uuid4())
    first = post(a, chat, bad, cmid=cmid)
    rule(bad, "refuse")
    assert post(a, chat, bad).problem == "filtered"
    again = post(a, chat, bad, cmid=cmid)
    assert (again.status, again.json) == (200, first.json)


def test_a_rule_is_in_force_soon_and_ends_soon(pair, admin):
    a, _, chat = pair
    bad = word()
    made = admin.post(FILTERS, {"kind": "word", "pattern": bad, "action": "refuse"}).json
    until(lambda: post(a, chat, bad), lambda r: r.problem == "filtered")
    settle()
    assert all(post(a, chat, bad).problem == "filtered" for _ in range(8)), "every worker knows it"
    assert admin.delete(f"{FILTERS}/{made['id']}").status == 204
    until(lambda: post(a, chat, bad), lambda r: r.status == 201)


# ---- contact data ----

@pytest.mark.parametrize("kind,text", [
    ("phone", "llámame al 099 123 4567"), ("phone", "cero nueve nueve uno dos tres cuatro cinco seis siete"),
    ("email", "juan arroba gmail punto com"), ("email", "j u a n @ g m a i l . c o m"), ("url", "mira https://otra.com/x"),
    ("handle", "mi insta es juan_99")])
def test_contact_data_wait_for_a_paid_order(pair, kind, text):
    a, _, chat = pair
    r = post(a, chat, text)
    assert (r.status, r.problem) == (422, "filtered")
    assert (r.json["errors"][0]["pointer"], r.json["errors"][0]["code"]) == ("/body", "contact")
    assert kind in r.json["errors"][0]["detail"] and "order" in r.json["detail"]
    es = a.post(f"{API}/chats/{chat}/messages", {"body": text}, headers={"Accept-Language": "es"})
    assert "pedido" in es.json["detail"] and es.json["title"] == "El texto no está permitido"


@pytest.mark.parametrize("text", ["El precio es $ 1.250.000", "pedido 1000012345", "el 12/10/2024 a las 15:30",
                                  "tallas 38 39 40 41", "120 x 80 x 40 cm"])
def test_numbers_of_other_things_pass(pair, text):
    a, _, chat = pair
    assert post(a, chat, text).status == 201


def test_after_a_paid_order_both_may_tell_and_a_refund_ends_it(users, admin):
    buyer, seller = users.client(), users.seller()
    category = admin.post(API + "/categories", {"name": f"F {uuid.uuid4()}"}).json["id"]
    thing = seller.post(API + "/products", {"categoryId": category, "title": "T", "stock": 5, "price": {"amount": 100}}).json["id"]
    chat = buyer.post(API + "/chats", {"productId": thing}).json["id"]
    assert post(buyer, chat, "0991234567").problem == "filtered"
    order = buyer.post(API + "/orders", {"items": [{"productId": thing, "quantity": 1}],
                                         "payment": {"method": "mock", "token": "tok_success"}},
                       headers={"Idempotency-Key": str(uuid.uuid4())}).json["orders"][0]["id"]
    plain = buyer.post(API + "/chats", {"peerId": seller.user["id"]}).json["id"]
    for who in (buyer, seller):
        for place in (chat, plain):
            assert post(who, place, "0991234567, ana@example.org").status == 201
    third = seller.post(API + "/chats", {"peerId": users.client().user["id"]}).json["id"]
    assert post(seller, third, "0991234567").problem == "filtered", "with somebody else nothing was paid"
    assert buyer.post(f"{API}/orders/{order}/cancel", {"reason": "r"}).status == 200
    assert post(buyer, chat, "0991234567").problem == "filtered"


def test_a_stranger_learns_nothing_of_a_conversation(pair, users):
    _, _, chat = pair
    stranger = users.client()
    for text in ("hello", "0991234567"):
        assert post(stranger, chat, text).problem == "not-found"


def test_an_administrator_tunes_the_classes(pair, admin, set_class, env):
    a, _, chat = pair
    number = "99123456"
    assert post(a, chat, number).status == 201
    set_class("phone", threshold=8)
    assert post(a, chat, number).problem == "filtered"
    set_class("phone", threshold=9, action="mask")
    assert post(a, chat, "it is 0991234567, ok").json["body"] == "it is **********, ok"
    set_class("phone", enabled=False)
    assert post(a, chat, "0991234567").json["body"] == "0991234567"
    set_class("email", action="flag")
    assert post(a, chat, "ana@example.org").json["body"] == "ana@example.org"
    assert any(c["hint"] == "email" and c["chatId"] == chat
               for c in admin.pages(API + "/admin/moderation/reports?limit=100&reason=filter"))


# ---- the rules themselves ----

@pytest.mark.parametrize("body,pointer", [
    ({"kind": "word", "pattern": "a*", "action": "mask"}, "/pattern"), ({"kind": "pattern", "pattern": "a", "action": "mask"}, "/pattern"),
    ({"kind": "pattern", "pattern": "a*b", "action": "mask"}, "/pattern"), ({"kind": "pattern", "pattern": "**", "action": "mask"}, "/pattern"),
    ({"kind": "word", "pattern": " ! ", "action": "mask"}, "/pattern"), ({"kind": "word", "pattern": "a$$", "action": "mask"}, "/pattern"),
    ({"kind": "contact", "pattern": "phone", "action": "mask"}, "/kind"),
    ({"kind": "word", "pattern": "x", "action": "burn"}, "/action"), ({"kind": "word", "pattern": "x" * 101, "action": "mask"}, "/pattern")])
def test_what_is_no_rule_is_refused(admin, body, pointer):
    r = admin.post(FILTERS, body)
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", pointer)


def test_rules_are_listed_changed_and_removed_with_a_trace(admin, rule):
    made = rule(word(), "flag", language="es", note="why")
    assert admin.post(FILTERS, {"kind": "word", "pattern": made["pattern"], "action": "mask"}).problem == "conflict"
    assert made["id"] in {r["id"] for r in admin.pages(FILTERS + "?limit=1&kind=word&language=es")}
    assert made["id"] not in {r["id"] for r in admin.pages(FILTERS + "?language=en")}
    path = f"{FILTERS}/{made['id']}"
    assert admin.patch(path, {"action": "mask"}).problem == "precondition-required"
    changed = admin.patch(path, {"action": "mask", "enabled": False}, headers={"If-Match": '"1"'})
    assert (changed.json["action"], changed.json["enabled"], changed.json["version"]) == ("mask", False, 2)
    assert admin.patch(path, {"action": "flag"}, headers={"If-Match": '"1"'}).problem == "precondition-failed"
    assert admin.patch(path, {"threshold": 8}, headers={"If-Match": "*"}).problem == "invalid"
    assert admin.delete(path).status == 204
    assert admin.delete(path).problem == "not-found"
    assert admin.patch(path, {"action": "flag"}, headers={"If-Match": "*"}).problem == "not-found"
    traces = [e["action"] for e in admin.pages(f"{API}/admin/audit?objectId={made['id']}")]
    assert traces == ["filter.delete", "filter.update", "filter.create"]
    assert admin.get(FILTERS + "?cursor=x").problem == "bad-cursor"


def test_there_are_no_more_rules_than_programs_load(admin, sql):
    sql("INSERT INTO moderation_rule (id, kind, pattern, action, enabled) "
        "SELECT gen_random_uuid(), 'word', 'many ' || n, 'flag', false FROM generate_series(1, 2000) AS n RETURNING 1")
    try:
        assert admin.post(FILTERS, {"kind": "word", "pattern": word(), "action": "flag"}).problem == "conflict"
    finally:
        sql("DELETE FROM moderation_rule WHERE starts_with(pattern, 'many ') RETURNING 1")


def test_classes_of_contact_data_stay(admin):
    phone = contact(admin, "phone")
    path = f"{FILTERS}/{phone['id']}"
    assert admin.delete(path).problem == "conflict"
    assert admin.patch(path, {"pattern": "fax"}, headers={"If-Match": "*"}).problem == "conflict"
