"""How messages end by retention, and accounts by erasure."""
import hashlib
import json

import pytest

from plazatest import goods as shopping
from plazatest.fold import API, open_chat, send, sync
from plazatest.goods import Goods
from plazatest.world import PDF


def done(r, status=204):
    assert r.status == status, r
    return r.json if r.body else None


def refused(r, status, problem):
    assert (r.status, r.problem) == (status, problem), r


# ---- retention ----

def age(sql, chat, days, upto):
    sql("UPDATE message SET created_at = now() - make_interval(days => %s) WHERE chat_id = %s AND seq <= %s",
        (days, chat, upto))


def purge(sql, chat):
    return sql("SELECT chat_purge(%s)", (chat,))[0][0]


@pytest.fixture
def talk(users):
    """(two users, their conversation with four messages)"""
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    for i, who in enumerate((a, b, a, b), 1):
        send(who, chat, f"No. {i}")
    return a, b, chat


def test_old_messages_go_and_leave_a_proof(talk, sql):
    a, b, chat = talk
    docs = [d for (d,) in sql("SELECT doc FROM message WHERE chat_id = %s AND seq <= 2 ORDER BY seq", (chat,))]
    age(sql, chat, 729, 2)
    assert purge(sql, chat) == 0
    age(sql, chat, 731, 2)
    here = sync(a)["to"]
    assert purge(sql, chat) == 2
    assert [m["seq"] for m in a.get(f"/chats/{chat}/messages").json["items"]] == [4, 3]
    upto, n, digest = sql("SELECT upto_seq, messages, encode(digest, 'hex') FROM chat_purge WHERE chat_id = %s", (chat,))[0]
    assert (upto, n, digest) == (2, 2, hashlib.sha256("\n".join(docs).encode()).hexdigest())
    assert (a.get(f"/chats/{chat}").json["unread"], b.get(f"/chats/{chat}").json["unread"]) == (1, 1)
    assert send(a, chat, "Next")["seq"] == 5
    page = sync(a, 0)
    assert not page["reset"] and [e["us"] for e in page["events"]] == list(range(1, here + 2))
    assert [e["t"] for e in page["events"]].count("chat:changed") == 3


def test_messages_with_an_order_are_kept_longer(talk, sql, users):
    goods = Goods(users, sql)
    seller, buyer = goods.seller(), users.client()
    product = goods.product(seller)
    chat = done(buyer.post("/chats", {"productId": product}), 201)["id"]
    send(buyer, chat)
    assert shopping.order(buyer, {product: 1}).status == 201
    age(sql, chat, 3000, 1)
    assert purge(sql, chat) == 0
    age(sql, chat, 3651, 1)
    assert purge(sql, chat) == 1


def test_a_case_keeps_what_it_is_about(talk, sql):
    a, b, chat = talk
    done(a.post(f"/users/{b.user['id']}/report", {"reason": "abuse", "chatId": chat}), 201)
    age(sql, chat, 5000, 4)
    assert purge(sql, chat) == 0
    sql("UPDATE report SET status = 'dismissed', resolved_at = now() WHERE chat_id = %s", (chat,))
    done(a.post(f"/users/{b.user['id']}/report", {"reason": "abuse"}), 201)
    done(a.post(f"/users/{b.user['id']}/report", {"reason": "abuse", "chatId": chat}), 201)
    assert purge(sql, chat) == 0, "a later report is kept as well"
    sql("UPDATE report SET status = 'dismissed', resolved_at = now() WHERE target_id = %s", (b.user["id"],))
    assert purge(sql, chat) == 4
    assert (a.get(f"/chats/{chat}").json["lastMessage"], a.get(f"/chats/{chat}").json["unread"]) == (None, 0)


def test_the_job_goes_through_all_once_a_day(talk, sql):
    _, _, chat = talk
    age(sql, chat, 731, 4)
    sql("UPDATE chat_purge_stand SET round = current_date - 1, chat_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'")
    rounds = 0
    while sql("SELECT job_purge_messages()")[0][0]:
        rounds += 1
        assert rounds < 1000
    assert rounds > 1 and sql("SELECT count(*) FROM message WHERE chat_id = %s", (chat,)) == [(0,)]
    assert sql("SELECT job_purge_messages()") == [(0,)]


def test_administrators_choose_the_days(admin, client):
    before = done(admin.get(f"{API}/admin/retention"), 200)
    assert set(before) == {"chat", "chatOrder", "group"}
    assert done(admin.patch(f"{API}/admin/retention", {"group": 100}), 200) == {**before, "group": 100}
    done(admin.patch(f"{API}/admin/retention", before), 200)
    refused(admin.patch(f"{API}/admin/retention", {"chat": 61}), 422, "invalid")
    refused(client.get(f"{API}/admin/retention"), 403, "forbidden")


# ---- a conversation for a court ----

def export(admin, chat, limit=100):
    return list(admin.pages(f"{API}/admin/chats/{chat}/export?reason=by+order&limit={limit}"))


def test_an_export_is_a_chain_with_everything_that_was_said(talk, admin, sql):
    a, b, chat = talk
    m = send(a, chat, "First words")
    done(a.patch(f"/chats/{chat}/messages/{m['id']}", {"body": "Other words"}), 200)
    gone = send(a, chat, "Taken back")
    done(a.delete(f"/chats/{chat}/messages/{gone['id']}"))
    records = export(admin, chat)
    assert [r["seq"] for r in records] == list(range(7))
    before = hashlib.sha256(chat.encode()).digest()
    for r in records:
        before = hashlib.sha256(before + r["record"].encode()).digest()
        assert r["chainHash"] == before.hex()
    assert export(admin, chat, limit=2) == records
    head, edited, removed = (json.loads(records[i]["record"]) for i in (0, 5, 6))
    assert {p["id"] for p in head["members"]} == {a.user["id"], b.user["id"]} and head["removed"] == []
    assert (edited["message"]["body"], edited["earlier"][0]["body"]) == ("Other words", "First words")
    assert (removed["message"]["deleted"], removed["earlier"][0]["body"]) == (True, "Taken back")
    age(sql, chat, 731, 2)
    purge(sql, chat)
    head = json.loads(export(admin, chat)[0]["record"])
    assert (head["removed"][0]["uptoSeq"], head["removed"][0]["messages"]) == (2, 2)


def test_each_page_of_an_export_stands_in_the_audit_trail(talk, admin, client):
    chat = talk[2]
    export(admin, chat, limit=3)
    rows = [r for r in admin.pages(f"{API}/admin/audit?action=chat.export&limit=100") if r["objectId"] == chat]
    assert [r["data"] for r in rows] == [{"reason": "by order", "after": 2}, {"reason": "by order", "after": -1}]
    refused(client.get(f"{API}/admin/chats/{chat}/export?reason=curiosity"), 403, "forbidden")
    refused(admin.get(f"{API}/admin/chats/{chat}/export"), 422, "invalid")


# ---- erasure ----

ERASURE = f"{API}/privacy/erasure"


def ask(client):
    return client.post(ERASURE, {"password": client.password})


def due(sql, client):
    sql("UPDATE erasure SET erase_at = now() WHERE account_id = %s", (client.user["id"],))


def erase(sql, client):
    """Runs the job until this account is gone."""
    due(sql, client)
    for _ in range(20):
        sql("SELECT done FROM job_erase()")
        if not sql("SELECT 1 FROM erasure WHERE account_id = %s", (client.user["id"],)):
            return
    raise AssertionError("still there")


def test_erasure_takes_the_password_and_can_be_cancelled(users):
    a = users.client()
    refused(a.post(ERASURE, {"password": "wrong"}), 401, "invalid-credentials")
    refused(a.get(ERASURE), 404, "not-found")
    asked = done(ask(a), 202)
    assert asked["eraseAt"] > asked["askedAt"]
    assert done(ask(a), 202) == asked == done(a.get(ERASURE), 200)
    assert a.get(f"{API}/notifications").json["items"][0]["type"] == "account.erasure"
    done(a.delete(ERASURE))
    refused(a.delete(ERASURE), 404, "not-found")


def test_an_erased_account_leaves_no_person(users, sql):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    group = None
    for peer in (a, b):
        open_chat(peer, users.client())
    group = done(a.post("/chats", {"title": "Club", "memberIds": [b.user["id"]]}), 201)["id"]
    send(a, chat, "My words")
    file = done(a.upload(f"{API}/files", [("file", "passport.pdf", "application/pdf", PDF)]), 201)["id"]
    done(a.post(f"/chats/{chat}/messages", {"type": "file", "fileIds": [file], "body": "See"}), 201)
    assert b.get(f"{API}/files/{file}/link").status == 200
    here = sync(b)["to"]
    done(ask(a), 202)
    erase(sql, a)
    refused(a.get("/auth/me"), 401, "invalid-token")
    refused(b.post("/auth/login", {"email": a.email, "password": a.password}), 401, "invalid-credentials")
    doc = b.get(f"/chats/{chat}").json
    assert doc["peer"]["name"] == "Erased user"
    said = b.get(f"/chats/{chat}/messages").json["items"]
    assert [m["body"] for m in said] == ["See", "My words"] and "attachments" not in said[0]
    refused(b.get(f"{API}/files/{file}/link"), 404, "not-found")
    refused(b.post(f"/chats/{chat}/messages", {"body": "Hello?"}), 403, "blocked")
    assert b.get(f"/chats/{group}").json["role"] == "owner"
    assert {e["d"]["chatId"] for e in sync(b, here)["events"] if e["t"] == "chat:changed"} == {chat, group}
    everywhere = [t for (t,) in sql("SELECT table_name FROM information_schema.columns WHERE table_schema = 'plaza' "
                                    "AND data_type = 'text' GROUP BY 1")]
    for table in everywhere:
        left = sql(f"SELECT t::text FROM {table} AS t WHERE t::text LIKE %s OR t::text LIKE %s",
                   (f"%{a.email}%", "%passport.pdf%"))
        assert not left or table in ("file", "outbox"), (table, left)


def test_a_seller_is_erased_with_the_shop(users, sql):
    goods = Goods(users, sql)
    seller, buyer = goods.seller(), users.client()
    products = [goods.product(seller) for _ in range(3)]
    helper, members = users.client(), f"{API}/sellers/{seller.shop}/members"
    done(seller.post(members, {"userId": helper.user["id"]}), 201)
    done(helper.post(members + "/accept"), 200)
    chat = open_chat(buyer, seller)
    send(buyer, chat, "Is it still there?")
    assert helper.get(f"/chats/{chat}").status == 200
    bought = done(shopping.order(buyer, {products[0]: 1}), 201)["orders"][0]["id"]
    refused(ask(seller), 409, "conflict")
    refused(ask(buyer), 409, "conflict")
    done(seller.post(f"{API}/orders/{bought}/cancel", {"reason": "closing"}), 200)
    done(ask(seller), 202)
    erase(sql, seller)
    for p in products:
        refused(buyer.get(f"{API}/products/{p}"), 404, "not-found")
    name, status = sql("SELECT name, status FROM shop WHERE id = %s", (seller.shop,))[0]
    assert (name, status) == ("Erased shop", "closed")
    assert buyer.get(f"{API}/orders").json["items"][0]["sellerId"] == seller.user["id"]
    # The shop is nobody's: its staff has no inbox any more.
    refused(helper.get(f"/chats/{chat}"), 404, "not-found")
    refused(helper.get(members), 404, "not-found")


def test_an_account_with_new_orders_waits(users, sql):
    goods = Goods(users, sql)
    buyer = users.client()
    done(ask(buyer), 202)
    assert shopping.order(buyer, {goods.product(goods.seller()): 1}).status == 201
    due(sql, buyer)
    sql("SELECT done FROM job_erase()")
    assert buyer.get("/auth/me").status == 200
