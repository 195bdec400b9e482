"""E-Commerce Chat: its clients call the paths that they know, and find the members and statuses that they know.

Written from that system's documents alone; what it left open to anybody is refused here.
"""
import uuid

import pytest
from plazatest import process
from plazatest.http import PASSWORD
from plazatest.mqtt import Device
from plazatest.world import PDF, picture

MESSAGE = {"_id", "conversation", "sender", "content", "attachments", "readBy", "createdAt", "updatedAt"}
UPLOAD = {"url", "filename", "storedAs", "mimeType", "size"}


def person(users, role="customer"):
    c = users.anonymous()
    c.name, c.email = f"Somebody {uuid.uuid4().hex[:6]}", f"ec-{uuid.uuid4()}@plaza.example"
    r = c.post("/api/auth/signup", {"name": c.name, "email": c.email, "password": PASSWORD, "role": role})
    assert r.status == 201, r
    c.id, c.token = r.json["_id"], r.json["token"]
    return c


def good(r, status=200):
    assert r.status == status, r
    return r.json


def refused(r, status, code):
    """A failure: that system told it by one of three names."""
    assert (r.status, r.problem) == (status, code), r
    assert r.json["message"] and r.json["message"] == r.json["msg"] == r.json["error"]
    return [pointer for pointer, _ in r.faults]


@pytest.fixture
def ana(users):
    return person(users)


@pytest.fixture
def bruno(users):
    return person(users, "merchant")


@pytest.fixture
def eva(users):
    """A stranger to the other two."""
    return person(users)


def start(one, other):
    return good(one.post("/api/conversations", {"participantIds": [other.id]}), 201)["_id"]


def send(who, conversation, content, **more):
    return good(who.post("/api/messages", {"conversationId": conversation, "content": content, **more}), 201)


def messages(who, conversation):
    return good(who.get(f"/api/messages/{conversation}"))


# ---- accounts ----

@pytest.mark.parametrize("asked,stored,told", [("customer", "client", "customer"), ("merchant", "seller", "merchant"),
                                               ("designer", "seller", "merchant"), (None, "client", "customer")])
def test_signing_up_and_in(users, sql, asked, stored, told):
    c = users.anonymous()
    given = {"name": "Ana", "email": f"ec-{uuid.uuid4()}@plaza.example", "password": PASSWORD,
             **({"role": asked} if asked else {})}
    made = good(c.post("/api/auth/signup", given), 201)
    assert (made["name"], made["email"], made["role"]) == ("Ana", given["email"], told)
    assert sql("SELECT role FROM account WHERE id = %s", (made["_id"],)) == [(stored,)]
    got = good(c.post("/api/auth/login", {"email": given["email"], "password": PASSWORD}))
    assert (got["_id"], got["role"]) == (made["_id"], told)
    assert got["token"] == got["accessToken"], "the members of our own answer are there too"
    assert good(c.get("/api/conversations", token=got["token"])) == []


@pytest.mark.parametrize("role", ["admin", "agent", "moderator", "service"])
def test_nobody_makes_themselves_staff(users, sql, role):
    email = f"ec-{uuid.uuid4()}@plaza.example"
    r = users.anonymous().post("/api/auth/signup", {"name": "Eva", "email": email, "password": PASSWORD, "role": role})
    assert refused(r, 400, "invalid") == ["/role"]
    assert sql("SELECT count(*) FROM account WHERE name = 'Eva' AND role NOT IN ('client', 'seller')") == [(0,)]


def test_refusals_at_the_door(users, ana):
    c = users.anonymous()
    again = {"name": "Ana", "email": ana.email, "password": PASSWORD}
    refused(c.post("/api/auth/signup", again), 400, "email-taken")
    assert refused(c.post("/api/auth/signup", {"name": "Ana"}), 400, "invalid") == ["/email", "/password"]
    assert refused(c.post("/api/auth/signup", {**again, "email": f"{uuid.uuid4()}@plaza.example", "password": "short"}),
                   400, "weak-password") == ["/password"]
    wrong = c.post("/api/auth/login", {"email": ana.email, "password": "not this one"})
    unknown = c.post("/api/auth/login", {"email": f"{uuid.uuid4()}@plaza.example", "password": PASSWORD})
    for r in (wrong, unknown):
        refused(r, 401, "invalid-credentials")
    assert wrong.json["message"] == unknown.json["message"]


@pytest.mark.parametrize("method,path,body", [
    ("GET", "/api/conversations", None), ("POST", "/api/conversations", {"participantIds": [str(uuid.uuid4())]}),
    ("POST", "/api/messages", {"conversationId": str(uuid.uuid4()), "content": "x"}),
    ("GET", f"/api/messages/{uuid.uuid4()}", None), ("GET", "/api/presence/online-users", None),
    ("GET", "/api/notifications", None), ("POST", f"/api/notifications/{uuid.uuid4()}/read", None),
    ("POST", f"/api/conversations/{uuid.uuid4()}/read", {}), ("GET", f"/uploads/{uuid.uuid4()}.pdf", None)])
def test_everything_behind_the_door_needs_a_token(users, method, path, body):
    c = users.anonymous()
    refused(c.request(method, path, body), 401, "unauthenticated")
    refused(c.request(method, path, body, token="no.such.token"), 401, "invalid-token")


# ---- conversations ----

def test_starting_once_or_twice_is_the_same_conversation(ana, bruno):
    made = good(ana.post("/api/conversations", {"participantIds": [bruno.id]}), 201)
    assert set(made) == {"_id", "participants", "createdAt", "updatedAt"}
    assert set(made["participants"]) == {ana.id, bruno.id}
    again = good(bruno.post("/api/conversations", {"participantIds": [bruno.id, ana.id]}), 201)
    assert again["_id"] == made["_id"]
    for ids in ([], [ana.id], [ana.id, ana.id], [bruno.id, str(uuid.uuid4())], [bruno.id, str(uuid.uuid4()), ana.id]):
        assert refused(ana.post("/api/conversations", {"participantIds": ids}), 400, "invalid") == ["/participantIds"]
    refused(ana.post("/api/conversations", {"participantIds": [str(uuid.uuid4())]}), 404, "not-found")


def test_the_list_has_people_and_the_last_message(ana, bruno, eva):
    first, second = start(ana, bruno), start(ana, eva)
    send(ana, second, "to Eva")
    last = send(bruno, first, "to Ana")
    shown = good(ana.get("/api/conversations"))
    assert [c["_id"] for c in shown] == [first, second]
    assert set(shown[0]) == {"_id", "participants", "lastMessage", "createdAt", "updatedAt"}
    assert shown[0]["lastMessage"] == last
    people = {p["_id"]: p for p in shown[0]["participants"]}
    assert people == {ana.id: {"_id": ana.id, "name": ana.name, "email": None, "role": "customer"},
                      bruno.id: {"_id": bruno.id, "name": bruno.name, "email": None, "role": "merchant"}}
    assert good(ana.get(f"/api/conversations/{first}")) == shown[0]
    page = ana.get("/api/conversations?limit=1")
    rest = ana.get(f"/api/conversations?limit=1&cursor={page.headers['X-Next-Cursor']}")
    assert page.json + rest.json == shown and "X-Next-Cursor" not in rest.headers


def test_messages_come_in_order_with_their_senders(ana, bruno):
    c = start(ana, bruno)
    sent = send(ana, c, "Is it still there?")
    assert set(sent) == MESSAGE
    assert (sent["conversation"], sent["sender"], sent["content"], sent["attachments"]) == (c, ana.id, "Is it still there?", [])
    assert sent["readBy"] == [ana.id]
    answer = good(bruno.post("/api/messages", {"conversationId": c, "senderId": bruno.id, "recipientId": ana.id,
                                               "text": "It is"}), 201)
    shown = messages(ana, c)
    assert [m["_id"] for m in shown] == [sent["_id"], answer["_id"]] and set(shown[0]) == MESSAGE
    assert shown[1]["sender"] == {"_id": bruno.id, "name": bruno.name, "email": None, "role": "merchant"}
    late = ana.get(f"/api/messages/{c}?limit=1")
    early = ana.get(f"/api/messages/{c}?limit=1&cursor={late.headers['X-Next-Cursor']}")
    assert early.json + late.json == shown


def test_a_message_says_something(ana, bruno):
    c = start(ana, bruno)
    for body in ({}, {"content": ""}, {"content": "  "}, {"content": "", "attachments": []}):
        assert refused(ana.post("/api/messages", {"conversationId": c, **body}), 400, "invalid") == ["/content"]
    assert refused(ana.post("/api/messages", {"content": "x"}), 400, "invalid") == ["/conversationId"]


def test_reading_is_told_by_who_has_read(ana, bruno):
    c = start(ana, bruno)
    assert good(bruno.post(f"/api/conversations/{c}/read", {"userId": bruno.id})) == {"success": True}, "nothing to read"
    send(ana, c, "one")
    assert good(bruno.post(f"/api/conversations/{c}/read", {"userId": bruno.id, "recipientId": ana.id})) == {"success": True}
    send(ana, c, "two")
    for who in (ana, bruno):
        assert [set(m["readBy"]) for m in messages(who, c)] == [{ana.id, bruno.id}, {ana.id}]


def test_what_was_removed_is_not_shown(ana, bruno):
    c = start(ana, bruno)
    gone = send(ana, c, "gone")
    send(ana, c, "still there")
    assert ana.delete(f"/api/v1/chats/{c}/messages/{gone['_id']}").status == 204
    assert [m["content"] for m in messages(bruno, c)] == ["still there"]


def test_a_product_is_shown_by_its_title(ana, bruno, admin):
    category = admin.post("/api/v1/categories", {"name": f"Things {uuid.uuid4()}"}).json["id"]
    product = bruno.post("/api/v1/products", {"categoryId": category, "title": "Copper jug", "price": {"amount": 3500}}).json
    c = start(ana, bruno)
    assert ana.post(f"/api/v1/chats/{c}/messages", {"type": "card", "productId": product["id"]}).status == 201
    assert [m["content"] for m in messages(bruno, c)] == ["Copper jug"]


def test_both_doors_lead_to_one_conversation(ana, bruno):
    c = start(ana, bruno)
    sent = send(ana, c, "hello")
    [seen] = bruno.get(f"/api/v1/chats/{c}/messages").json["items"]
    assert (seen["id"], seen["body"]) == (sent["_id"], "hello")
    bruno.post(f"/api/v1/chats/{c}/messages", {"body": "hi"})
    assert [m["content"] for m in messages(ana, c)] == ["hello", "hi"]


def test_the_same_key_is_the_same_message(ana, bruno):
    c, key = start(ana, bruno), {"Idempotency-Key": str(uuid.uuid4())}
    made = [ana.post("/api/messages", {"conversationId": c, "content": "once"}, headers=key) for _ in range(2)]
    assert [r.status for r in made] == [201, 200] and made[0].json["_id"] == made[1].json["_id"]
    refused(ana.post("/api/messages", {"conversationId": c, "content": "other"}, headers=key), 409, "message-conflict")


def test_typing_reaches_the_other_one_only(env, ana, bruno, eva):
    c = start(ana, bruno)
    start(ana, eva)
    devices = [Device(env, who) for who in (bruno, eva)]
    try:
        for path, on in (("typing", True), ("stop-typing", False)):
            body = {"senderId": ana.id, "recipientId": bruno.id}
            assert good(ana.post(f"/api/conversations/{c}/{path}", body)) == {"success": True}
            devices[0].wait("user:typing", lambda d, on=on: d["userId"] == ana.id and d["on"] is on)
        assert devices[1].events("user:typing") == []
    finally:
        for d in devices:
            d.close()


# ---- what that system let through ----

def test_nobody_writes_reads_or_types_in_another_ones_name(ana, bruno, eva):
    c = start(ana, bruno)
    for who in (bruno.id, eva.id):
        refused(ana.post("/api/messages", {"conversationId": c, "content": "x", "senderId": who}), 403, "forbidden")
        refused(ana.post(f"/api/conversations/{c}/read", {"userId": who}), 403, "forbidden")
        refused(ana.post(f"/api/conversations/{c}/typing", {"senderId": who}), 403, "forbidden")
        refused(ana.post(f"/api/conversations/{c}/stop-typing", {"senderId": who}), 403, "forbidden")
    refused(ana.post("/api/messages", {"conversationId": c, "content": "x", "recipientId": eva.id}), 403, "forbidden")
    refused(ana.post(f"/api/conversations/{c}/typing", {"recipientId": eva.id}), 403, "forbidden")
    assert messages(bruno, c) == []


def test_strangers_reach_nothing_of_a_conversation(ana, bruno, eva):
    c = start(ana, bruno)
    send(ana, c, "between us")
    for r in (eva.get(f"/api/messages/{c}"), eva.get(f"/api/conversations/{c}"),
              eva.post("/api/messages", {"conversationId": c, "content": "me too"}),
              eva.post("/api/messages", {"conversationId": c, "content": "me too", "recipientId": ana.id}),
              eva.post(f"/api/conversations/{c}/read", {"userId": eva.id}),
              eva.post(f"/api/conversations/{c}/typing", {"senderId": eva.id, "recipientId": ana.id})):
        refused(r, 404, "not-found")
    assert good(eva.get("/api/conversations")) == [] and len(messages(bruno, c)) == 1


def test_a_message_is_told_to_its_conversation_only(env, ana, bruno, eva):
    """That system told every connection of every message."""
    c = start(ana, bruno)
    devices = [Device(env, who) for who in (bruno, eva)]
    try:
        sent = send(ana, c, "between us")
        devices[0].wait("message:receive", lambda d: d["id"] == sent["_id"])
        assert devices[1].events("message:receive") == []
    finally:
        for d in devices:
            d.close()


def test_presence_is_told_to_contacts_only(env, ana, bruno, eva):
    start(ana, bruno)
    phone = Device(env, ana)

    def online(who):
        return good(who.get("/api/presence/online-users"))["online"]

    try:
        process.wait(lambda: online(bruno) == [ana.id], 20, "a contact sees nobody there")
        assert online(eva) == []
        assert eva.get(f"/api/presence/{ana.id}").status == 404
    finally:
        phone.close()


# ---- uploads ----

def attachment(upload, kind):
    return {"url": upload["url"], "filename": "any.txt", "mimeType": "text/html", "size": 1, "kind": kind}


def test_files_go_up_and_along(users, ana, bruno, eva):
    c = start(ana, bruno)
    _, name, kind, image = picture()
    one = good(ana.upload("/api/uploads/single", [("file", name, kind, image)]), 201)
    assert set(one) == UPLOAD and (one["filename"], one["mimeType"]) == (name, kind)
    assert one["url"].split("?")[0] == f"/uploads/{one['storedAs']}" and one["storedAs"].endswith(".png")
    two = good(ana.upload("/api/uploads/multiple", [("files", f"{n}.pdf", "application/pdf", PDF) for n in "ab"]), 201)["files"]
    assert [f["filename"] for f in two] == ["a.pdf", "b.pdf"] and all(set(f) == UPLOAD for f in two)
    shown = send(ana, c, "", attachments=[attachment(one, "image")])["attachments"]
    assert [(a["filename"], a["mimeType"], a["kind"]) for a in shown] == [(name, kind, "image")]
    send(ana, c, "all of them", attachments=[attachment(one, "image"), *(attachment(f, "doc") for f in two)])
    got = messages(bruno, c)[-1]
    assert [(a["filename"], a["mimeType"], a["size"], a["kind"]) for a in got["attachments"]][1:] == \
        [(f"{n}.pdf", "application/pdf", len(PDF), "doc") for n in "ab"]
    link = got["attachments"][1]["url"]
    assert users.anonymous().get(link).body == PDF, "a page has no token to show"
    path = link.split("?")[0]
    assert bruno.get(path).body == PDF
    refused(eva.get(path), 404, "not-found")
    refused(users.anonymous().get(path + "?exp=9999999999&by=" + ana.id + "&sig=x"), 403, "forbidden")


def test_only_own_files_are_attached(ana, bruno, eva):
    c = start(ana, bruno)
    theirs = good(eva.upload("/api/uploads/single", [("file", "a.pdf", "application/pdf", PDF)]), 201)
    for url in (theirs["url"], f"/uploads/{uuid.uuid4()}.pdf"):
        refused(ana.post("/api/messages", {"conversationId": c, "content": "x", "attachments": [{"url": url, "kind": "doc"}]}),
                400, "invalid")
    for url in ("https://evil.example/x.png", "/etc/passwd", "/uploads/../../etc/passwd", ""):
        r = ana.post("/api/messages", {"conversationId": c, "content": "x", "attachments": [{"url": url}]})
        assert refused(r, 400, "invalid") == ["/attachments/0/url"]
    assert messages(bruno, c) == []


def test_several_files_are_kept_all_or_none(ana, sql):
    def kept():
        return sql("SELECT count(*) FROM file WHERE owner_id = %s AND deleted_at IS NULL", (ana.id,))[0][0]

    bad = ("files", "b.pdf", "application/pdf", b"MZ" + bytes(100))
    fine = ("files", "a.pdf", "application/pdf", PDF)
    refused(ana.upload("/api/uploads/multiple", [fine, fine, bad]), 415, "unsupported-media-type")
    refused(ana.upload("/api/uploads/multiple", [fine] * 6), 400, "bad-multipart")
    refused(ana.upload("/api/uploads/multiple", [fine, ("file", "c.pdf", "application/pdf", PDF)]), 400, "bad-multipart")
    refused(ana.upload("/api/uploads/multiple", [fine], {"owner": "x"}), 400, "bad-multipart")
    assert refused(ana.upload("/api/uploads/multiple", []), 400, "invalid") == ["/files"]
    assert kept() == 0
    good(ana.upload("/api/uploads/multiple", [fine] * 5), 201)
    assert kept() == 5


# ---- notifications ----

def test_a_first_message_is_a_notification(ana, bruno, eva):
    c = start(ana, bruno)
    send(ana, c, "hello")
    [shown] = good(bruno.get("/api/notifications"))
    assert set(shown) == {"_id", "user", "type", "data", "read", "createdAt", "updatedAt"}
    assert (shown["user"], shown["type"], shown["read"]) == (bruno.id, "NEW_CONVERSATION", False)
    assert shown["data"]["conversationId"] == c and shown["data"]["body"] == ana.name
    refused(eva.post(f"/api/notifications/{shown['_id']}/read"), 404, "not-found")
    assert good(bruno.post(f"/api/notifications/{shown['_id']}/read")) == {"success": True}
    assert [n["read"] for n in good(bruno.get("/api/notifications"))] == [True]
    assert good(ana.get("/api/notifications")) == []
    assert bruno.get("/api/v1/notifications").json["items"][0]["type"] == "chat.new"


def test_notifications_of_other_kinds_are_spelled_its_way(ana, sql):
    for n in range(3):
        sql("INSERT INTO notification (id, account_id, type, title, link) "
            "VALUES (uuid_v7(), %s, 'order.paid', %s, '/orders/1') RETURNING 1", (ana.id, f"Paid {n}"))
    first = ana.get("/api/notifications?limit=2")
    assert [(n["type"], n["data"]) for n in first.json][0] == ("ORDER_PAID", {"title": "Paid 2", "body": "", "link": "/orders/1"})
    rest = ana.get(f"/api/notifications?limit=2&cursor={first.headers['X-Next-Cursor']}")
    assert [n["data"]["title"] for n in first.json + rest.json] == ["Paid 2", "Paid 1", "Paid 0"]


# ---- what came after that system ----

def test_a_group_is_a_conversation_of_many(ana, bruno, eva):
    for other in (bruno, eva):
        start(ana, other)
    group = ana.post("/api/v1/chats", {"title": "Market day", "memberIds": [bruno.id, eva.id]}).json["id"]
    send(eva, group, "hello all", recipientId=ana.id)
    good(bruno.post(f"/api/conversations/{group}/read", {"userId": bruno.id, "recipientId": eva.id}))
    shown = good(bruno.get(f"/api/conversations/{group}"))
    assert {p["_id"] for p in shown["participants"]} == {ana.id, bruno.id, eva.id}
    assert [set(m["readBy"]) for m in messages(ana, group)] == [{eva.id, bruno.id}]
    assert eva.delete(f"/api/v1/chats/{group}/participants/{eva.id}").status == 204
    assert messages(ana, group)[0]["sender"]["_id"] == eva.id, "who has left still wrote it"
    refused(ana.post("/api/messages", {"conversationId": group, "content": "x", "recipientId": eva.id}), 403, "forbidden")


def test_who_does_not_tell_what_they_read_does_not_tell_it_here(ana, bruno):
    c = start(ana, bruno)
    assert bruno.patch("/api/v1/users/me/sharing", {"readReceipts": False}).status == 200
    send(ana, c, "secretly read")
    good(bruno.post(f"/api/conversations/{c}/read", {"userId": bruno.id}))
    assert [set(m["readBy"]) for who in (ana, bruno) for m in messages(who, c)] == [{ana.id}, {ana.id, bruno.id}]
