"""LiveMarket Chat: its clients call the paths that they know, and find the members, envelopes and statuses that they know.

Written from that system's documents alone; what it left open to anybody is refused here.
"""
import uuid

import pytest
from plazatest import process
from plazatest.http import PASSWORD
from plazatest.mqtt import Device
from plazatest.world import PDF, picture

NAMES = {"id", "chatId", "senderId", "content", "type", "createdAt"}


def person(users):
    """Somebody who registers and signs in as that system's clients do."""
    c = users.anonymous()
    c.old = True
    c.name, c.email = "u_" + uuid.uuid4().hex[:12], f"lm-{uuid.uuid4()}@plaza.example"
    made = data(c.post("/auth/register", {"username": c.name, "email": c.email, "password": PASSWORD}), 201)
    c.id = made["id"]
    c.token = data(c.post("/auth/login", {"email": c.email, "password": PASSWORD}))["token"]
    return c


def data(r, status=200):
    assert (r.status, r.json["status"]) == (status, "success"), r
    assert r.json["message"]
    return r.json.get("data")


def refused(r, status, code):
    """A failure in that system's envelope."""
    assert (r.status, r.json["status"], r.json["code"]) == (status, "error", code), r
    assert r.json["message"] and r.headers["Content-Type"].startswith("application/json")
    return r.json.get("errors")


@pytest.fixture
def ana(users):
    return person(users)


@pytest.fixture
def bruno(users):
    return person(users)


@pytest.fixture
def eva(users):
    """A stranger to the other two."""
    return person(users)


def open_chat(one, other):
    return data(one.post("/chats", {"to": other.id}), 201)["id"]


def send(who, chat, content, **more):
    return data(who.post(f"/chats/{chat}/messages", {"content": content, **more}), 201)


def history(who, chat):
    return data(who.get(f"/chats/{chat}/messages"))


# ---- accounts ----

def test_registering_and_signing_in(users):
    c = users.anonymous()
    c.old = True
    given = {"username": "u_" + uuid.uuid4().hex[:12], "email": f"lm-{uuid.uuid4()}@plaza.example", "password": PASSWORD}
    made = data(c.post("/auth/register", given), 201)
    assert (made["username"], made["email"]) == (given["username"], given["email"])
    assert {"id", "avatarUrl", "status", "createdAt"} <= set(made) and "password" not in made
    refused(c.post("/auth/register", given), 409, "email-taken")
    got = data(c.post("/auth/login", {"email": given["email"], "password": PASSWORD}))
    c.token = got["token"]
    assert got["user"]["id"] == made["id"]
    assert data(c.get(f"/users/{made['id']}"))["email"] == given["email"]


def test_faults_are_told_by_member_with_400(users):
    c = users.anonymous()
    c.old = True
    errors = refused(c.post("/auth/register", {"username": "x", "email": "nobody", "password": PASSWORD}), 400, "invalid")
    assert set(errors) == {"username", "email"} and all(errors.values())
    errors = refused(c.post("/auth/register", {"username": "some_body", "email": "a@plaza.example", "password": "short"}),
                     400, "weak-password")
    assert set(errors) == {"password"}
    assert set(refused(c.post("/auth/login", {}), 400, "invalid")) == {"email", "password"}


def test_wrong_passwords_and_unknown_addresses_look_the_same(users, ana):
    c = users.anonymous()
    c.old = True
    wrong = c.post("/auth/login", {"email": ana.email, "password": "not this one"})
    unknown = c.post("/auth/login", {"email": f"{uuid.uuid4()}@plaza.example", "password": PASSWORD})
    for r in (wrong, unknown):
        refused(r, 401, "invalid-credentials")
    assert wrong.json["message"] == unknown.json["message"]


def test_the_envelope_speaks_the_users_language(users, ana):
    spanish = {"Accept-Language": "es"}
    assert data(ana.get("/chats", headers=spanish)) == []
    assert ana.put(f"/users/{ana.id}", {"username": ana.name}, headers=spanish).json["message"] == "Usuario actualizado"
    assert ana.get("/chats", headers=spanish, token=False).json["message"] != ana.get("/chats", token=False).json["message"]


# ---- users ----

def test_a_profile_is_read_and_changed(ana, bruno):
    name = "v_" + uuid.uuid4().hex[:12]
    changed = data(ana.put(f"/users/{ana.id}", {"username": name, "avatarUrl": "/files/1", "status": "offline",
                                                "email": ana.email}))
    assert (changed["username"], changed["avatarUrl"]) == (name, "/files/1")
    seen = data(bruno.get(f"/users/{ana.id}"))
    assert seen["username"] == name and "email" not in seen and "updatedAt" not in seen
    assert seen["status"] == "offline"
    refused(bruno.get(f"/users/{uuid.uuid4()}"), 404, "not-found")


def test_an_address_is_not_just_written_down(ana, bruno):
    assert set(refused(ana.put(f"/users/{ana.id}", {"email": bruno.email}), 400, "invalid")) == {"email"}
    assert data(ana.get(f"/users/{ana.id}"))["email"] == ana.email


def test_nobody_changes_a_profile_without_being_its_owner(users, ana, eva):
    refused(ana.put(f"/users/{ana.id}", {"username": "taken_over"}, token=False), 401, "unauthenticated")
    refused(eva.put(f"/users/{ana.id}", {"username": "taken_over"}), 404, "not-found")
    refused(eva.put(f"/users/{ana.id}", {"email": eva.email}), 404, "not-found")
    assert data(ana.get(f"/users/{ana.id}"))["username"] == ana.name


def test_only_contacts_see_who_is_there(env, users, ana, bruno, eva):
    open_chat(ana, bruno)
    passer_by = users.anonymous()
    passer_by.old = True

    def seen(who):
        return data(who.get(f"/users/{ana.id}"))["status"]

    phone = Device(env, ana)
    try:
        process.wait(lambda: seen(bruno) == "online", 20, "a contact sees nobody there")
        assert [seen(who) for who in (ana, eva, passer_by)] == ["online", "offline", "offline"]
        bruno.post(f"/users/{ana.id}/block")
        assert seen(bruno) == "offline"
    finally:
        phone.close()


# ---- chats ----

def test_two_talk(ana, bruno):
    chat = open_chat(ana, bruno)
    assert data(bruno.post("/chats", {"to": ana.id}))["id"] == chat, "one private chat of two"
    sent = send(ana, chat, "¿Sigue disponible? 🙂")
    assert NAMES <= set(sent)
    assert (sent["chatId"], sent["senderId"], sent["content"], sent["type"]) == (chat, ana.id, "¿Sigue disponible? 🙂", "text")
    assert (sent["isDeleted"], sent["isEdited"], sent["isReaded"]) == (False, False, False)
    answer = send(bruno, chat, "Sí", type="text", senderId=bruno.id, chatId=chat)
    assert [m["id"] for m in history(bruno, chat)] == [sent["id"], answer["id"]], "oldest first"
    [shown] = data(bruno.get("/chats"))
    assert (shown["id"], shown["type"], set(shown["participants"])) == (chat, "private", {ana.id, bruno.id})
    assert shown["name"] == ana.name and shown["lastMessage"]["content"] == "Sí"
    assert shown["createdAt"] <= shown["updatedAt"]


def test_reading_marks_what_was_read(ana, bruno):
    chat = open_chat(ana, bruno)
    send(ana, chat, "one")
    send(ana, chat, "two")
    assert bruno.post(f"/chats/{chat}/read", {"seq": 1}).status == 204
    for who in (ana, bruno):
        assert [m["isReaded"] for m in history(who, chat)] == [True, False]


def test_changing_and_removing_while_unread(ana, bruno):
    chat = open_chat(ana, bruno)
    first, second, third = (send(ana, chat, t) for t in ("one", "two", "three"))
    path = f"/chats/{chat}/messages/"
    changed = data(ana.put(path + first["id"], {"content": "uno"}))
    assert (changed["content"], changed["isEdited"]) == ("uno", True) and changed["updatedAt"] >= changed["createdAt"]
    assert data(ana.delete(path + second["id"])) is None
    refused(bruno.put(path + first["id"], {"content": "mine"}), 404, "not-found")
    refused(bruno.delete(path + first["id"]), 404, "not-found")
    assert [(m["content"], m["isDeleted"]) for m in history(bruno, chat)] == [("uno", False), ("", True), ("three", False)]
    bruno.post(f"/chats/{chat}/read", {"seq": 3})
    refused(ana.put(path + third["id"], {"content": "3"}), 409, "already-read")
    refused(ana.delete(path + third["id"]), 409, "already-read")


def test_a_hidden_chat_comes_back_with_the_next_message(ana, bruno):
    chat = open_chat(ana, bruno)
    send(ana, chat, "one")
    assert data(ana.delete(f"/chats/{chat}")) is None
    assert data(ana.get("/chats")) == []
    assert [c["id"] for c in data(bruno.get("/chats"))] == [chat], "hidden for one"
    send(bruno, chat, "two")
    assert [c["id"] for c in data(ana.get("/chats"))] == [chat]


def test_lists_go_on_behind_a_cursor(ana, bruno, eva):
    chats = [open_chat(ana, other) for other in (bruno, eva)]
    for n in range(3):
        send(ana, chats[0], str(n))
    send(ana, chats[1], "last")
    first = ana.get("/chats?limit=1").json
    assert [c["id"] for c in first["data"]] == [chats[1]]
    second = ana.get(f"/chats?limit=1&cursor={first['nextCursor']}").json
    assert [c["id"] for c in second["data"]] == [chats[0]] and second["nextCursor"] is None
    late = ana.get(f"/chats/{chats[0]}/messages?limit=2").json
    assert [m["content"] for m in late["data"]] == ["1", "2"]
    early = ana.get(f"/chats/{chats[0]}/messages?limit=2&cursor={late['nextCursor']}").json
    assert [m["content"] for m in early["data"]] == ["0"] and early["nextCursor"] is None
    refused(ana.get("/chats?cursor=x%26limit%3D1"), 400, "bad-cursor")


def test_the_same_key_is_the_same_message(ana, bruno):
    chat = open_chat(ana, bruno)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    made = [ana.post(f"/chats/{chat}/messages", {"content": "once"}, headers=key) for _ in range(2)]
    assert [r.status for r in made] == [201, 200] and made[0].json["data"]["id"] == made[1].json["data"]["id"]
    refused(ana.post(f"/chats/{chat}/messages", {"content": "other"}, headers=key), 409, "message-conflict")
    assert len(history(bruno, chat)) == 1


def test_both_doors_lead_to_one_conversation(ana, bruno):
    """What one says through the old paths, the other reads through the new ones."""
    chat = open_chat(ana, bruno)
    sent = send(ana, chat, "hello")
    [seen] = bruno.get(f"/api/v1/chats/{chat}/messages").json["items"]
    assert (seen["id"], seen["body"]) == (sent["id"], "hello")
    bruno.post(f"/api/v1/chats/{chat}/messages", {"body": "hi"})
    assert [m["content"] for m in history(ana, chat)] == ["hello", "hi"]


# ---- what that system let through ----

def test_nobody_writes_in_another_ones_name(ana, bruno, eva):
    chat = open_chat(ana, bruno)
    refused(ana.post(f"/chats/{chat}/messages", {"content": "I am Bruno", "senderId": bruno.id}), 403, "forbidden")
    other = open_chat(ana, eva)
    errors = refused(ana.post(f"/chats/{chat}/messages", {"content": "where", "chatId": other}), 400, "invalid")
    assert set(errors) == {"chatId"}
    assert history(bruno, chat) == []


def test_bounds_are_those_of_the_canonical_rows_under_the_old_names(ana, bruno):
    chat = open_chat(ana, bruno)
    send(ana, chat, "x" * 4000)
    for content in ("x" * 4001, " "):
        assert set(refused(ana.post(f"/chats/{chat}/messages", {"content": content}), 400, "invalid")) == {"content"}
    assert set(refused(ana.post(f"/users/{bruno.id}/report", {"reason": "x" * 1001}), 400, "invalid")) == {"reason"}
    assert set(refused(ana.post("/chats", {}), 400, "invalid")) == {"to"}
    refused(ana.post("/chats", {"to": ana.id}), 400, "invalid")


def test_strangers_reach_nothing_of_a_chat(ana, bruno, eva):
    chat = open_chat(ana, bruno)
    sent = send(ana, chat, "between us")
    path = f"/chats/{chat}"
    for r in (eva.get(path + "/messages"), eva.post(path + "/messages", {"content": "me too"}), eva.delete(path),
              eva.put(f"{path}/messages/{sent['id']}", {"content": "x"}), eva.delete(f"{path}/messages/{sent['id']}")):
        refused(r, 404, "not-found")
    for method, where, body in (("GET", "/chats", None), ("GET", path + "/messages", None),
                                ("POST", path + "/messages", {"content": "x"}), ("DELETE", path, None),
                                ("POST", f"/users/{ana.id}/block", None), ("POST", f"/users/{ana.id}/report", {}),
                                ("POST", "/chats", {"to": ana.id})):
        refused(eva.request(method, where, body, token=False), 401, "unauthenticated")
    assert data(eva.get("/chats")) == [] and len(history(bruno, chat)) == 1


def test_a_block_holds_in_both_directions(ana, bruno):
    chat = open_chat(ana, bruno)
    assert data(ana.post(f"/users/{bruno.id}/block")) is None
    for who in (ana, bruno):
        refused(who.post(f"/chats/{chat}/messages", {"content": "x"}), 403, "blocked")
    refused(ana.post(f"/users/{uuid.uuid4()}/block"), 404, "not-found")


@pytest.mark.parametrize("reason,kept", [("spam", ("spam", "")), ("He was rude to me", ("other", "He was rude to me")),
                                         (None, ("other", ""))])
def test_a_report_reaches_the_moderators(sql, ana, bruno, reason, kept):
    chat = open_chat(ana, bruno)
    body = {"chatId": chat, **({"reason": reason} if reason else {})}
    made = data(ana.post(f"/users/{bruno.id}/report", body), 201)
    assert sql("SELECT reason, note FROM report WHERE id = %s", (made["id"],)) == [kept]
    refused(ana.post(f"/users/{uuid.uuid4()}/report", body), 404, "not-found")


# ---- files ----

def test_a_picture_is_sent_by_its_url(users, ana, bruno, eva):
    chat = open_chat(ana, bruno)
    _, name, kind, image = picture()
    kept = data(ana.upload("/files", [("file", name, kind, image)]), 201)
    sent = send(ana, chat, kept["url"], type="image")
    assert (sent["type"], sent["content"].split("?")[0]) == ("image", f"/files/{kept['id']}")
    [seen] = history(bruno, chat)
    page = users.anonymous()
    assert page.get(seen["content"]).status == 200, "a page has no token to show"
    assert page.get(seen["content"].split("?")[0]).status == 401
    assert eva.get(seen["content"].split("?")[0]).status == 404
    data(send_of(ana, chat, f"https://shop.example{kept['url']}", "image"), 201)


def test_only_own_files_are_sent_and_removed(ana, bruno, eva):
    chat = open_chat(ana, bruno)
    kept = data(ana.upload("/files", [("file", "a.pdf", "application/pdf", PDF)]), 201)
    theirs = data(eva.upload("/files", [("file", "a.pdf", "application/pdf", PDF)]), 201)
    for content in (theirs["url"], "https://evil.example/x.pdf", f"/other/{kept['id']}", kept["id"], ""):
        refused(send_of(ana, chat, content, "file"), 400, "invalid")
    refused(ana.delete(f"/files/{kept['id']}", token=False), 401, "unauthenticated")
    refused(eva.delete(f"/files/{kept['id']}"), 404, "not-found")
    assert ana.get(f"/files/{kept['id']}").body == PDF
    assert data(ana.delete(f"/files/{kept['id']}")) is None
    assert ana.get(f"/files/{kept['id']}").status == 404
    refused(ana.upload("/files", []), 400, "invalid")
    refused(ana.upload("/files", [("file", "a.exe", "application/pdf", b"MZ" + bytes(100))]), 415, "unsupported-media-type")


def send_of(who, chat, content, kind):
    return who.post(f"/chats/{chat}/messages", {"content": content, "type": kind})


# ---- what came after that system ----

def test_a_group_is_a_chat_of_its_type(ana, bruno, eva):
    for other in (bruno, eva):
        open_chat(ana, other)
    group = ana.post("/api/v1/chats", {"title": "Market day", "memberIds": [bruno.id, eva.id]}).json["id"]
    sent = send(eva, group, "hello all")
    shown = next(c for c in data(bruno.get("/chats")) if c["id"] == group)
    assert (shown["type"], shown["name"], set(shown["participants"])) == ("group", "Market day", {ana.id, bruno.id, eva.id})
    assert shown["lastMessage"]["id"] == sent["id"]
    bruno.post(f"/chats/{group}/read", {"seq": 1})
    assert [m["isReaded"] for who in (ana, bruno, eva) for m in history(who, group)] == [False, True, True]


def test_who_does_not_tell_what_they_read_does_not_tell_it_here(ana, bruno):
    chat = open_chat(ana, bruno)
    assert bruno.patch("/api/v1/users/me/sharing", {"readReceipts": False}).status == 200
    send(ana, chat, "secretly read")
    bruno.post(f"/chats/{chat}/read", {"seq": 1})
    assert [m["isReaded"] for who in (ana, bruno) for m in history(who, chat)] == [False, True]
