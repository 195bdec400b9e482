"""Conversations and messages over REST: what members may rely on, and what nobody else may do."""
import concurrent.futures
import random
import uuid

import pytest

from plazatest.fold import open_chat, send

API = "/api/v1"


def history(client, chat, query=""):
    r = client.get(f"/chats/{chat}/messages{query}")
    assert r.status == 200, r
    return r.json


def in_list(client, chat):
    return next((c for c in client.pages("/chats?limit=100") if c["id"] == chat), None)


def at_once(clients, call, n):
    """call(client, i) by n threads, each on a connection of its own."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda i: call(clients[i % len(clients)].clone(), i), range(n)))


@pytest.fixture
def pair(users):
    buyer, seller = users.client(), users.seller()
    return buyer, seller, open_chat(buyer, seller)


@pytest.fixture(scope="module")
def stranger(users):
    return users.client()


@pytest.fixture
def product(seller, sql):
    """A product straight into the table: what the catalogue makes of it is no matter here."""
    ident, category = str(uuid.uuid4()), str(uuid.uuid4())
    sql("INSERT INTO category (id, slug, name) VALUES (%s, %s, 'C')", (category, "c-" + category[:8]))
    sql("INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency) "
        "VALUES (%s, %s, %s, %s, 'Old \"lamp\"', '', 1999, 'USD')",
        (ident, seller.user["id"], seller.user["shopId"], category))
    return ident


def a_file(sql, owner, kind="image"):
    ident = str(uuid.uuid4())
    sql("INSERT INTO file (id, owner_id, kind, access, name, media_type, size, path, width, height, thumb_path) "
        "VALUES (%s, %s, %s, 'private', 'photo.webp', 'image/webp', 7, %s, 1, 1, %s)",
        (ident, owner.user["id"], kind, "p" + ident, "t" + ident))
    return ident


# ---- opening ----

def test_a_conversation_of_two_is_opened_once(users):
    a, b = users.client(), users.client()
    first = a.post(API + "/chats", {"peerId": b.user["id"]})
    assert first.status == 201
    assert first.headers["Location"] == f"{API}/chats/{first.json['id']}"
    assert (first.json["buyerId"], first.json["sellerId"]) == (a.user["id"], b.user["id"])
    assert first.json["peer"] == {"id": b.user["id"], "name": b.user["name"], "avatarUrl": None}
    assert (first.json["lastMessage"], first.json["lastSeq"], first.json["unread"]) == (None, 0, 0)
    again = a.post(API + "/chats", {"peerId": b.user["id"]})
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    from_there = b.post(API + "/chats", {"peerId": a.user["id"]})
    assert (from_there.status, from_there.json["id"]) == (200, first.json["id"])
    assert from_there.json["peer"]["id"] == a.user["id"]


def test_twenty_at_once_open_one_conversation(users):
    a, b = users.client(), users.client()
    made = at_once([a, b], lambda c, i: c.post("/chats", {"peerId": (b if i % 2 == 0 else a).user["id"]}), 20)
    assert {r.json["id"] for r in made} and len({r.json["id"] for r in made}) == 1
    assert sorted(r.status for r in made) == [200] * 19 + [201]


def test_a_product_has_a_conversation_of_its_own(client, seller, product):
    plain = open_chat(client, seller)
    r = client.post("/chats", {"productId": product})
    assert r.status == 201 and r.json["id"] != plain
    assert r.json["product"] == {"id": product, "title": 'Old "lamp"'}
    assert (r.json["buyerId"], r.json["sellerId"]) == (client.user["id"], seller.user["id"])
    assert client.post("/chats", {"sellerId": seller.user["shopId"], "productId": product}).json["id"] == r.json["id"]
    back = seller.post("/chats", {"peerId": client.user["id"], "productId": product})
    assert (back.status, back.json["id"]) == (200, r.json["id"])
    assert client.get(f"/chats/{r.json['id']}").json == r.json


def test_nobody_nothing_and_oneself_are_no_partners(client, seller, stranger, product):
    r = client.post("/chats", {})
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", "/peerId")
    assert client.post("/chats", {"peerId": client.user["id"]}).problem == "invalid"
    assert client.post("/chats", {"peerId": str(uuid.uuid4())}).problem == "not-found"
    assert client.post("/chats", {"productId": str(uuid.uuid4())}).problem == "not-found"
    assert client.post("/chats", {"peerId": stranger.user["id"], "productId": product}).problem == "invalid"
    assert seller.post("/chats", {"productId": product}).problem == "invalid"


def test_whoever_did_not_open_it_sees_it_with_the_first_message(pair):
    buyer, seller, chat = pair
    assert in_list(buyer, chat)["hidden"] is False and in_list(seller, chat) is None
    assert seller.get(f"/chats/{chat}").json["hidden"] is True
    send(buyer, chat)
    assert in_list(seller, chat)["unread"] == 1


# ---- sending ----

def test_a_message_is_numbered_shown_to_both_and_named_by_its_place(pair):
    buyer, seller, chat = pair
    text = 'Is it "still" there? \\ ñ 你好 🙂\n\u2028'
    first, second = send(buyer, chat, text), send(seller, chat, "Yes", replyTo=1)
    assert (first["seq"], second["seq"]) == (1, 2)
    assert first["body"] == text and first["senderId"] == buyer.user["id"] and first["type"] == "text"
    assert second["replyTo"] == 1 and uuid.UUID(first["id"]) != uuid.UUID(second["id"])
    for who in pair[:2]:
        shown = history(who, chat)["items"]
        assert [m["seq"] for m in shown] == [2, 1]
        assert shown[1] == {k: v for k, v in first.items() if k != "ref"}
    assert in_list(seller, chat)["lastMessage"]["seq"] == 2


@pytest.mark.parametrize("name", ["body", "content", "text"])
def test_older_names_of_the_text_are_taken(pair, name):
    buyer, _, chat = pair
    r = buyer.post(f"/chats/{chat}/messages", {name: "Hi"})
    assert (r.status, r.json["body"]) == (201, "Hi")


@pytest.mark.parametrize("body,pointer", [
    ({}, "/body"), ({"body": ""}, "/body"), ({"body": " \n\t"}, "/body"), ({"body": "x" * 4001}, "/body"), ({"body": 5}, "/body"),
    ({"body": "x", "type": "shout"}, "/type"), ({"body": "x", "cmid": "1"}, "/cmid"),
    ({"body": "x", "productId": str(uuid.uuid4())}, "/productId"), ({"type": "card"}, "/productId"),
    ({"type": "image"}, "/fileIds"), ({"type": "file", "fileIds": []}, "/fileIds"),
    ({"body": "x", "fileIds": [str(uuid.uuid4())]}, "/fileIds"), ({"body": "x", "replyTo": 0}, "/replyTo"),
    ({"body": "x", "extra": 1}, "/extra")])
def test_what_is_no_message_is_refused(pair, body, pointer):
    buyer, _, chat = pair
    r = buyer.post(f"/chats/{chat}/messages", body)
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", pointer)
    assert history(buyer, chat)["items"] == []


def test_a_message_answers_only_what_is_there(pair):
    buyer, _, chat = pair
    assert buyer.post(f"/chats/{chat}/messages", {"body": "x", "replyTo": 1}).problem == "invalid"
    assert send(buyer, chat)["seq"] == 1


def test_a_card_keeps_title_and_price(client, seller, product, sql):
    chat = open_chat(client, seller)
    card = send(client, chat, "", type="card", productId=product)
    assert card["card"] == {"productId": product, "sellerId": seller.user["id"], "title": 'Old "lamp"',
                            "price": {"amount": 1999, "currency": "USD"}}
    sql("UPDATE product SET title = 'New', price = 1 WHERE id = %s", (product,))
    assert history(seller, chat)["items"][0]["card"] == card["card"]
    missing = client.post(f"/chats/{chat}/messages", {"type": "card", "productId": str(uuid.uuid4())})
    assert missing.problem == "invalid"


def test_files_are_the_senders_and_open_to_members_only(pair, stranger, sql):
    buyer, seller, chat = pair
    mine, paper = a_file(sql, buyer), a_file(sql, buyer, "document")
    shown = send(buyer, chat, "", type="image", fileIds=[mine])
    assert shown["attachments"] == [{"id": mine, "kind": "image", "name": "photo.webp", "mediaType": "image/webp",
                                     "size": 7}]
    foreign = a_file(sql, stranger)
    for files, kind in (([foreign], "image"), ([paper], "image"), ([mine, str(uuid.uuid4())], "file")):
        assert buyer.post(f"/chats/{chat}/messages", {"type": kind, "fileIds": files}).problem == "invalid"

    def may_read(who):
        return sql("SELECT file_in_chat_of(%s, %s)", (mine, who.user["id"]))[0][0]
    assert may_read(seller) and may_read(buyer) and not may_read(stranger)
    assert buyer.delete(f"/chats/{chat}/messages/{shown['id']}").status == 204
    assert not may_read(seller)


# ---- the same message twice ----

def test_a_repetition_is_the_same_message(pair):
    buyer, seller, chat = pair
    cmid = str(uuid.uuid4())
    first = buyer.post(f"/chats/{chat}/messages", {"body": "Once", "cmid": cmid})
    again = buyer.post(f"/chats/{chat}/messages", {"body": "Once", "cmid": cmid})
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json and first.json["ref"] == cmid
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    for other in ({"body": "Other"}, {"body": "Once", "replyTo": 1}):
        assert buyer.post(f"/chats/{chat}/messages", {**other, "cmid": cmid}).problem == "message-conflict"
    assert seller.post(f"/chats/{chat}/messages", {"body": "Mine", "cmid": cmid}).status == 201
    assert [m["seq"] for m in history(buyer, chat)["items"]] == [2, 1]


def test_a_repetition_is_known_by_the_first_text(pair):
    buyer, _, chat = pair
    cmid = str(uuid.uuid4())
    made = send(buyer, chat, "First", cmid=cmid)
    buyer.patch(f"/chats/{chat}/messages/{made['id']}", {"body": "Second"})
    assert buyer.post(f"/chats/{chat}/messages", {"body": "First", "cmid": cmid}).status == 200
    assert buyer.post(f"/chats/{chat}/messages", {"body": "Second", "cmid": cmid}).problem == "message-conflict"
    buyer.delete(f"/chats/{chat}/messages/{made['id']}")
    gone = buyer.post(f"/chats/{chat}/messages", {"body": "First", "cmid": cmid})
    assert (gone.status, gone.json["deleted"]) == (200, True)


@pytest.mark.parametrize("key", [str(uuid.uuid4()), "order-77 first try".replace(" ", "_")])
def test_an_idempotency_key_serves_as_well(pair, key):
    buyer, _, chat = pair
    made = [buyer.post(f"/chats/{chat}/messages", {"body": "K"}, headers={"Idempotency-Key": key}) for _ in range(2)]
    assert [r.status for r in made] == [201, 200] and made[0].json == made[1].json


def test_fifty_at_once_with_one_id_make_one_message(pair):
    buyer, seller, chat = pair
    cmid = str(uuid.uuid4())
    made = at_once([buyer], lambda c, i: c.post(f"/chats/{chat}/messages", {"body": "Race", "cmid": cmid}), 50)
    assert sorted(r.status for r in made) == [200] * 49 + [201]
    assert len({r.text for r in made}) == 1
    assert [m["seq"] for m in history(seller, chat)["items"]] == [1]
    assert send(buyer, chat)["seq"] == 2


def test_numbers_have_no_gaps_whoever_sends_and_reads(pair, sql):
    buyer, seller, chat = pair
    made = at_once([buyer, seller], lambda c, i: [send(c, chat, f"{i}.{k}")["seq"] for k in range(10)], 16)
    assert sorted(s for seqs in made for s in seqs) == list(range(1, 161))
    assert all(seqs == sorted(seqs) for seqs in made)
    for who in (buyer, seller):
        us = [u for (u,) in sql("SELECT us FROM feed WHERE account_id = %s ORDER BY us", (who.user["id"],))]
        assert us == list(range(1, len(us) + 1)) and len(us) >= 160


# ---- history ----

def test_history_is_read_in_both_directions(pair):
    buyer, seller, chat = pair
    for i in range(25):
        send(buyer, chat, f"m{i + 1}")
    down = [m["seq"] for m in seller.pages(f"/chats/{chat}/messages?limit=7")]
    up = [m["seq"] for m in seller.pages(f"/chats/{chat}/messages?limit=7&after=0")]
    assert down == list(range(25, 0, -1)) and up == list(range(1, 26))
    assert [m["seq"] for m in history(seller, chat, "?before=4")["items"]] == [3, 2, 1]
    assert [m["seq"] for m in history(seller, chat, "?after=23")["items"]] == [24, 25]
    assert history(seller, chat, "?after=25") == {"items": [], "nextCursor": None}
    assert history(seller, chat, "?limit=100")["nextCursor"] is None
    assert buyer.get(f"/chats/{chat}/messages?limit=101").problem == "invalid"
    assert buyer.get(f"/chats/{chat}/messages?cursor=AAAA").problem == "bad-cursor"


def test_history_changes_its_validator_with_each_change(pair):
    buyer, seller, chat = pair
    path = f"/chats/{chat}/messages"
    tags = []

    def tag():
        r = seller.get(path)
        assert seller.get(path, headers={"If-None-Match": r.headers["ETag"]}).status == 304
        tags.append(r.headers["ETag"])
    made = send(buyer, chat)
    tag()
    buyer.put(f"{path}/{made['id']}", {"body": "Changed"})
    tag()
    buyer.delete(f"{path}/{made['id']}")
    tag()
    send(seller, chat)
    tag()
    assert len(set(tags)) == 4


# ---- editing and removing ----

@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_unread_message_can_be_changed(pair, sql, method):
    buyer, seller, chat = pair
    made = send(buyer, chat, "Befor")
    r = buyer.request(method, f"/chats/{chat}/messages/{made['id']}", {"body": "Before"})
    assert r.status == 200
    assert (r.json["body"], r.json["editNo"], r.json["seq"], r.json["id"]) == ("Before", 1, 1, made["id"])
    assert history(seller, chat)["items"] == [r.json]
    same = buyer.request(method, f"/chats/{chat}/messages/{made['id']}", {"body": "Before"})
    assert same.json == r.json
    assert sql("SELECT edit_no, body FROM message_edit WHERE chat_id = %s", (chat,)) == [(0, "Befor")]


def test_a_removed_message_leaves_its_place(pair, sql):
    buyer, seller, chat = pair
    secret = f"secret-{uuid.uuid4()}"
    made = send(buyer, chat, secret)
    send(buyer, chat, "Next")
    assert seller.get("/chats/unread").json["total"] == 2
    for _ in range(2):
        assert buyer.delete(f"/chats/{chat}/messages/{made['id']}").status == 204
    shown = history(seller, chat)["items"]
    assert [m["seq"] for m in shown] == [2, 1]
    assert (shown[1]["body"], shown[1]["deleted"]) == ("", True)
    assert seller.get("/chats/unread").json["total"] == 1
    assert buyer.patch(f"/chats/{chat}/messages/{made['id']}", {"body": "Back"}).problem == "not-found"
    assert secret not in seller.get(API + "/sync?since=0").text
    assert sql("SELECT body FROM message_edit WHERE chat_id = %s", (chat,)) == [(secret,)]


def test_a_read_message_stays_as_it_is(pair):
    buyer, seller, chat = pair
    made = send(buyer, chat, "Read")
    later = send(buyer, chat, "Not yet")
    assert seller.post(f"/chats/{chat}/read", {"seq": 1}).status == 204
    path = f"/chats/{chat}/messages/{made['id']}"
    assert buyer.patch(path, {"body": "Changed"}).problem == "already-read"
    assert buyer.delete(path).problem == "already-read"
    assert buyer.patch(f"/chats/{chat}/messages/{later['id']}", {"body": "Changed"}).status == 200


def test_only_its_sender_changes_a_message(pair, stranger):
    buyer, seller, chat = pair
    made = send(buyer, chat)
    other = open_chat(buyer, stranger)
    for who, path in ((seller, f"/chats/{chat}/messages/{made['id']}"), (stranger, f"/chats/{chat}/messages/{made['id']}"),
                      (buyer, f"/chats/{other}/messages/{made['id']}"), (buyer, f"/chats/{chat}/messages/{uuid.uuid4()}"),
                      (buyer, f"/chats/{chat}/messages/1")):
        assert who.patch(path, {"body": "x"}).problem == "not-found"
        assert who.delete(path).problem == "not-found"
    assert history(seller, chat)["items"][0]["body"] == "Hello"


def test_reading_and_changing_never_both_win(users):
    buyer, seller = users.client(), users.seller()
    chat = open_chat(buyer, seller)
    outcomes = set()
    for _ in range(12):
        made = send(buyer, chat, "Old")
        path = f"/chats/{chat}/messages/{made['id']}"

        def act(who, i):
            if i % 2:
                return who.post(f"/chats/{chat}/read", {"seq": made["seq"]}).status
            return who.patch(path, {"body": "New"}).status
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            edited, read = pool.map(lambda i: act((buyer, seller)[i % 2].clone(), i), range(2))
        assert read == 204 and edited in (200, 409)
        events = [e for e in seller.get(API + "/sync?since=0&limit=200").json["events"]
                  if e["d"].get("seq") == made["seq"] and e["t"] in ("message:edit", "message:read")]
        kinds = [e["t"] for e in events]
        # The reader's own feed shows which came first: an edit behind the reading would have changed what was read.
        assert kinds in (["message:read"], ["message:edit", "message:read"])
        assert (edited == 200) == (len(kinds) == 2)
        outcomes.add(edited)
    assert outcomes <= {200, 409}


# ---- receipts ----

def test_receipts_go_forward_only_and_never_beyond_the_end(pair, sql):
    buyer, seller, chat = pair
    for _ in range(5):
        send(buyer, chat)

    def state():
        c = in_list(buyer, chat)
        return c["peerReadSeq"], c["peerReceivedSeq"]

    def count():
        return sql("SELECT last_us FROM feed_head WHERE account_id = %s", (buyer.user["id"],))[0][0]
    for verb, seq, want in (("delivered", 2, (0, 2)), ("read", 3, (3, 3)), ("read", 1, (3, 3)), ("delivered", 3, (3, 3)),
                            ("delivered", 99, (3, 5)), ("read", 99, (5, 5)), ("read", 5, (5, 5))):
        before, was = count(), state()
        assert seller.post(f"/chats/{chat}/{verb}", {"seq": seq}).status == 204
        assert state() == want
        assert count() - before == (1 if want != was else 0), "only a change is told"
    assert in_list(seller, chat)["unread"] == 0
    assert seller.put(f"/chats/{chat}/read", {"seq": 5}).status == 204
    assert seller.post(f"/chats/{chat}/read", {"seq": 0}).problem == "invalid"


def test_unread_counts_what_others_said_and_nobody_removed(pair):
    buyer, seller, chat = pair
    ids = [send(buyer, chat)["id"] for _ in range(4)]
    send(seller, chat)
    buyer.delete(f"/chats/{chat}/messages/{ids[1]}")
    assert seller.get("/chats/unread").json == {"total": 3, "chats": [{"chatId": chat, "unread": 3}]}
    assert in_list(buyer, chat)["unread"] == 1
    seller.post(f"/chats/{chat}/read", {"seq": 3})
    assert in_list(seller, chat)["unread"] == 1
    seller.post(f"/chats/{chat}/read", {"seq": 5})
    assert seller.get("/chats/unread").json == {"total": 0, "chats": []}


def test_unread_is_what_a_count_finds(pair, sql, note):
    """It is computed from totals; whatever two users do, it must be what a look at each message finds."""
    *both, chat = pair
    dice = random.Random(20)
    ids = {me: [send(me, chat)["id"]] for me in both}
    seen = set()
    for _ in range(60):
        me, act = dice.choice(both), dice.randrange(4)
        if act < 2:
            ids[me].append(send(me, chat)["id"])
        elif act == 2:
            assert me.delete(f"/chats/{chat}/messages/{dice.choice(ids[me])}").status in (204, 409)
        else:
            upto = dice.randint(1, sum(len(v) for v in ids.values()))
            assert me.post(f"/chats/{chat}/read", {"seq": upto}).status == 204
        for who in both:
            found = sql("SELECT count(*) FROM message AS m JOIN chat_member AS r USING (chat_id) "
                        "WHERE m.chat_id = %s AND r.account_id = %s AND m.sender_id <> r.account_id "
                        "AND m.seq > r.read_seq AND m.deleted_at IS NULL", (chat, who.user["id"]))[0][0]
            assert in_list(who, chat)["unread"] == found
            seen.add(found)
    note(f"unread: {len(seen)} different counts")
    assert len(seen) > 3


# ---- the list ----

def test_the_list_has_the_newest_conversation_first_and_pages(users):
    me = users.client()
    peers = [users.client() for _ in range(5)]
    chats = [open_chat(me, p) for p in peers]
    for i in (3, 0, 4, 1, 2):
        send(peers[i], chats[i], f"from {i}")
    want = [chats[i] for i in (2, 1, 4, 0, 3)]
    assert [c["id"] for c in me.pages("/chats?limit=2")] == want
    first = me.get("/chats").json["items"][0]
    assert (first["lastMessage"]["body"], first["peer"]["name"], first["unread"]) == ("from 2", peers[2].user["name"], 1)


def test_a_hidden_conversation_comes_back_with_the_next_message(pair):
    buyer, seller, chat = pair
    send(buyer, chat)
    assert seller.delete(f"/chats/{chat}").status == 204
    assert in_list(seller, chat) is None and in_list(buyer, chat)
    assert len(history(seller, chat)["items"]) == 1
    send(buyer, chat)
    assert in_list(seller, chat)["unread"] == 2
    seller.delete(f"/chats/{chat}")
    assert seller.post("/chats", {"peerId": buyer.user["id"]}).json["hidden"] is False
    assert in_list(seller, chat)


def test_muting_and_archiving_are_the_members_own(pair):
    buyer, seller, chat = pair
    assert buyer.put(f"/chats/{chat}/mute", {"on": True}).json["muted"] is True
    r = buyer.put(f"/chats/{chat}/archive", {"on": True})
    assert (r.json["muted"], r.json["archived"]) == (True, True)
    assert buyer.put(f"/chats/{chat}/mute", {"on": False}).json["muted"] is False
    c = seller.get(f"/chats/{chat}").json
    assert (c["muted"], c["archived"]) == (False, False)


# ---- strangers ----

def test_a_stranger_finds_nothing(pair, stranger, anonymous):
    buyer, _, chat = pair
    made = send(buyer, chat)
    calls = [("GET", f"/chats/{chat}", None), ("DELETE", f"/chats/{chat}", None), ("GET", f"/chats/{chat}/messages", None),
             ("POST", f"/chats/{chat}/messages", {"body": "x"}), ("POST", f"/chats/{chat}/read", {"seq": 1}),
             ("POST", f"/chats/{chat}/delivered", {"seq": 1}), ("POST", f"/chats/{chat}/typing", {"on": True}),
             ("PUT", f"/chats/{chat}/mute", {"on": True}), ("PUT", f"/chats/{chat}/archive", {"on": True}),
             ("PATCH", f"/chats/{chat}/messages/{made['id']}", {"body": "x"}),
             ("DELETE", f"/chats/{chat}/messages/{made['id']}", None)]
    for method, path, body in calls:
        foreign = stranger.request(method, path, body)
        missing = stranger.request(method, path.replace(chat, str(uuid.uuid4())), body)
        assert (foreign.status, foreign.problem) == (missing.status, missing.problem) == (404, "not-found"), path
        assert anonymous.request(method, path, body).problem == "unauthenticated"
    assert in_list(stranger, chat) is None
    assert len(history(buyer, chat)["items"]) == 1


# ---- blocks ----

def test_a_block_stops_both_until_it_ends(pair, stranger):
    buyer, seller, chat = pair
    made = send(seller, chat, "Before")
    assert buyer.post(f"/users/{seller.user['id']}/block").status == 204
    assert buyer.post(f"/users/{seller.user['id']}/block").status == 204
    for who in (buyer, seller):
        assert who.post(f"/chats/{chat}/messages", {"body": "x"}).problem == "blocked"
    assert seller.patch(f"/chats/{chat}/messages/{made['id']}", {"body": "x"}).problem == "blocked"
    assert [b["id"] for b in buyer.get("/users/me/blocks").json["items"]] == [seller.user["id"]]
    assert seller.get("/users/me/blocks").json["items"] == []
    assert buyer.post("/chats", {"peerId": seller.user["id"]}).json["id"] == chat, "what was said stays"
    assert seller.delete(f"/users/{buyer.user['id']}/block").status == 204, "not theirs to end"
    assert seller.post(f"/chats/{chat}/messages", {"body": "x"}).problem == "blocked"
    assert send(seller, open_chat(seller, stranger))["seq"] >= 1, "others are not concerned"
    assert buyer.delete(f"/users/{seller.user['id']}/block").status == 204
    assert send(seller, chat, "After")["seq"] == 2


def test_a_block_by_each_needs_both_to_end(pair):
    buyer, seller, chat = pair
    buyer.post(f"/users/{seller.user['id']}/block")
    seller.post(f"/users/{buyer.user['id']}/block")
    buyer.delete(f"/users/{seller.user['id']}/block")
    assert buyer.post(f"/chats/{chat}/messages", {"body": "x"}).problem == "blocked"
    seller.delete(f"/users/{buyer.user['id']}/block")
    assert send(buyer, chat)["seq"] == 1


def test_no_conversation_begins_across_a_block(users):
    a, b = users.client(), users.client()
    a.post(f"/users/{b.user['id']}/block")
    for who, other in ((a, b), (b, a)):
        assert who.post("/chats", {"peerId": other.user["id"]}).problem == "blocked"


def test_a_block_and_a_send_at_once_leave_no_message_behind_the_block(users):
    buyer, seller = users.client(), users.seller()
    chat = open_chat(buyer, seller)
    for _ in range(5):
        def act(who, i):
            if i == 0:
                return who.post(f"/users/{seller.user['id']}/block").status
            return who.post(f"/chats/{chat}/messages", {"body": "x"}).status
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda i: act((buyer if i == 0 else seller).clone(), i), range(4)))
        assert answers[0] == 204 and set(answers[1:]) <= {201, 403}
        assert seller.post(f"/chats/{chat}/messages", {"body": "x"}).problem == "blocked"
        assert buyer.delete(f"/users/{seller.user['id']}/block").status == 204
    assert [m["seq"] for m in buyer.pages(f"/chats/{chat}/messages?after=0")] == \
        list(range(1, 1 + len(list(buyer.pages(f"/chats/{chat}/messages")))))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nobody_to_block(client, method):
    for ident in (str(uuid.uuid4()), client.user["id"], "me-too"):
        assert client.request(method, f"/users/{ident}/block").problem == "not-found"


# ---- reports ----

def test_a_report_keeps_what_was_said(pair, sql):
    buyer, seller, chat = pair
    for i in range(30):
        send(seller, chat, f"bad {i + 1}")
    r = buyer.post(f"/users/{seller.user['id']}/report", {"reason": "abuse", "note": "See 15", "chatId": chat, "seq": 15})
    assert r.status == 201 and (r.json["reason"], r.json["status"]) == ("abuse", "open")
    snapshot, good = sql("SELECT snapshot::json, snapshot_hash = sha256(convert_to(snapshot, 'UTF8')) FROM report "
                         "WHERE id = %s AND reporter_id = %s AND target_id = %s",
                         (r.json["id"], buyer.user["id"], seller.user["id"]))[0]
    assert [m["seq"] for m in snapshot] == list(range(5, 26)) and good
    last = seller.delete(f"/chats/{chat}/messages/{history(seller, chat)['items'][15]['id']}")
    assert last.status == 204
    assert sql("SELECT snapshot::json->10->>'body' FROM report WHERE id = %s", (r.json["id"],)) == [("bad 15",)]
    assert buyer.post(f"/users/{seller.user['id']}/report", {"reason": "spam"}).status == 201


def test_a_report_needs_a_user_a_reason_and_a_conversation_of_both(pair, stranger, users):
    buyer, seller, chat = pair
    path = f"/users/{seller.user['id']}/report"
    assert buyer.post(path, {"reason": "boring"}).json["errors"][0]["pointer"] == "/reason"
    assert buyer.post(path, {}).json["errors"][0]["pointer"] == "/reason"
    assert buyer.post(f"/users/{uuid.uuid4()}/report", {"reason": "spam"}).problem == "not-found"
    assert buyer.post(f"/users/{buyer.user['id']}/report", {"reason": "spam"}).problem == "not-found"
    assert stranger.post(path, {"reason": "spam", "chatId": chat}).problem == "not-found"
    assert buyer.post(f"/users/{stranger.user['id']}/report", {"reason": "spam", "chatId": chat}).problem == "not-found"
    assert buyer.post(path, {"reason": "spam", "chatId": chat, "seq": 1}).problem == "not-found"


# ---- limits ----

def test_typing_is_told_to_nobody_who_may_not_know(pair):
    buyer, seller, chat = pair
    assert buyer.post(f"/chats/{chat}/typing", {"on": True}).status == 204
    assert buyer.post(f"/chats/{chat}/typing", {"on": False, "kind": "voice"}).status == 204
    assert buyer.post(f"/chats/{chat}/typing", {"kind": "smell"}).json["errors"][0]["pointer"] == "/kind"


@pytest.mark.parametrize("path", ["/chats", "/api/chats", "/api/v1/chats"])
def test_all_prefixes_lead_to_the_same(client, path):
    assert client.get(path).json == {"items": [], "nextCursor": None}
