"""Groups, the inbox that a shop's staff shares, canned replies, and what users share of themselves."""
import concurrent.futures
import uuid

import pytest

from plazatest.fold import API, open_chat, send
from plazatest.goods import Goods

OWNER, ADMIN, MEMBER = 0, 1, 2


@pytest.fixture
def goods(users, sql):
    return Goods(users, sql)


def done(r, status=204):
    assert r.status == status, r
    return r.json if r.body else None


def refused(r, status, problem):
    assert (r.status, r.problem) == (status, problem), r


def group_of(owner, *members, title="Club"):
    for m in members:
        open_chat(owner, m)
    return done(owner.post("/chats", {"title": title, "memberIds": [m.user["id"] for m in members]}), 201)["id"]


def people(client, chat):
    r = client.get(f"/chats/{chat}/participants")
    assert r.status == 200, r
    return {p["id"]: p for p in r.json["items"]}


def texts(client, chat):
    return [m["body"] for m in client.pages(f"/chats/{chat}/messages?limit=100")]


def unread(client, chat):
    return client.get(f"/chats/{chat}").json["unread"]


@pytest.fixture
def three(users):
    """(owner, admin, member, the group)"""
    all3 = [users.client() for _ in range(3)]
    chat = group_of(*all3)
    done(all3[OWNER].patch(f"/chats/{chat}/participants/{all3[ADMIN].user['id']}", {"role": "admin"}))
    return *all3, chat


# ---- groups ----

def test_a_group_is_one_conversation_of_all(three):
    owner, admin, member, chat = three
    doc = member.get(f"/chats/{chat}").json
    assert (doc["kind"], doc["title"], doc["role"], doc["members"]) == ("group", "Club", "member", 3)
    assert (doc["peer"], doc["buyerId"], doc["sellerId"], doc["peerReadSeq"]) == (None, None, None, None)
    for n, who in enumerate((owner, admin, member), 1):
        assert send(who, chat, f"From {n}")["seq"] == n
    for who in (owner, admin, member):
        assert sorted(texts(who, chat)) == ["From 1", "From 2", "From 3"]
        assert unread(who, chat) == 2
    done(owner.post(f"/chats/{chat}/read", {"seq": 2}))
    assert unread(owner, chat) == 1
    assert people(member, chat)[owner.user["id"]]["readSeq"] == 2


def test_the_same_cmid_is_one_message_in_a_group(three):
    owner, _, _, chat = three
    cmid = str(uuid.uuid4())
    first = owner.post(f"/chats/{chat}/messages", {"cmid": cmid, "body": "x"})
    again = owner.post(f"/chats/{chat}/messages", {"cmid": cmid, "body": "x"})
    assert (first.status, again.status, again.json["seq"]) == (201, 200, first.json["seq"])
    assert unread(three[1], chat) == 1


def test_nobody_is_pulled_into_a_group_by_strangers(users):
    a, b, stranger = users.client(), users.client(), users.client()
    refused(a.post("/chats", {"title": "Club", "memberIds": [stranger.user["id"]]}), 422, "invalid")
    chat = group_of(a, b)
    refused(a.post(f"/chats/{chat}/participants", {"userIds": [stranger.user["id"]]}), 422, "invalid")
    open_chat(stranger, a)
    done(stranger.post(f"/users/{a.user['id']}/block"))
    refused(a.post(f"/chats/{chat}/participants", {"userIds": [stranger.user["id"]]}), 422, "invalid")
    assert stranger.user["id"] not in people(a, chat)


@pytest.mark.parametrize("body", [{"title": "T"}, {"memberIds": [str(uuid.uuid4())]},
                                  {"title": "T", "memberIds": []}, {"title": "  ", "memberIds": [str(uuid.uuid4())]},
                                  {"title": "T" * 101, "memberIds": [str(uuid.uuid4())]},
                                  {"title": "T", "memberIds": [str(uuid.uuid4())], "peerId": str(uuid.uuid4())},
                                  {"title": "T", "memberIds": [str(uuid.uuid4())] * 200}])
def test_a_group_needs_a_title_and_members(users, body):
    refused(users.client().post("/chats", body), 422, "invalid")


def test_who_may_do_what_in_a_group(three, users):
    owner, admin, member, chat = three
    ids = [w.user["id"] for w in three[:3]]
    new = users.client()
    for who in (admin, member):
        open_chat(who, new)
    at = f"/chats/{chat}"
    add = {"userIds": [new.user["id"]]}
    refused(member.post(at + "/participants", add), 403, "forbidden")
    refused(member.patch(at, {"title": "Mine"}), 403, "forbidden")
    refused(member.delete(f"{at}/participants/{ids[ADMIN]}"), 403, "forbidden")
    refused(admin.patch(f"{at}/participants/{ids[MEMBER]}", {"role": "admin"}), 403, "forbidden")
    refused(admin.delete(f"{at}/participants/{ids[OWNER]}"), 403, "forbidden")
    refused(owner.patch(f"{at}/participants/{ids[OWNER]}", {"role": "member"}), 409, "conflict")
    refused(owner.patch(f"{at}/participants/{new.user['id']}", {"role": "admin"}), 404, "not-found")
    assert people(member, chat)[ids[MEMBER]]["role"] == "member" and new.user["id"] not in people(member, chat)
    done(admin.post(at + "/participants", add))
    assert done(admin.patch(at, {"title": " Circle "}), 200)["title"] == "Circle"
    done(admin.delete(f"{at}/participants/{new.user['id']}"))
    done(owner.patch(f"{at}/participants/{ids[MEMBER]}", {"role": "owner"}))
    roles = {i: p["role"] for i, p in people(owner, chat).items()}
    assert roles == {ids[OWNER]: "admin", ids[ADMIN]: "admin", ids[MEMBER]: "owner"}


def test_a_private_conversation_is_no_group(users):
    a, b = users.client(), users.client()
    chat, third = open_chat(a, b), users.client()
    open_chat(a, third)
    refused(a.post(f"/chats/{chat}/participants", {"userIds": [third.user["id"]]}), 404, "not-found")
    refused(a.patch(f"/chats/{chat}", {"title": "T"}), 404, "not-found")
    refused(a.delete(f"/chats/{chat}/participants/{a.user['id']}"), 404, "not-found")
    assert {p["role"] for p in people(b, chat).values()} == {"buyer", "seller"}


def test_history_begins_where_a_member_joins(three, users):
    owner, _, _, chat = three
    new = users.client()
    open_chat(owner, new)
    secret = send(owner, chat, "Before")
    done(owner.post(f"/chats/{chat}/participants", {"userIds": [new.user["id"]]}))
    doc = new.get(f"/chats/{chat}").json
    assert (doc["lastMessage"], doc["fromSeq"], doc["unread"]) == (None, 1, 0)
    assert texts(new, chat) == []
    refused(new.post(f"/chats/{chat}/messages/{secret['id']}/reactions", {"emoji": "👍"}), 404, "not-found")
    send(owner, chat, "After")
    assert (texts(new, chat), unread(new, chat)) == (["After"], 1)


def test_who_left_sees_nothing_more(three):
    owner, admin, member, chat = three
    send(owner, chat, "One")
    done(member.delete(f"/chats/{chat}/participants/{member.user['id']}"))
    send(owner, chat, "Two")
    for r in (member.get(f"/chats/{chat}"), member.get(f"/chats/{chat}/messages"), member.get(f"/chats/{chat}/participants"),
              member.post(f"/chats/{chat}/messages", {"body": "x"}), member.post(f"/chats/{chat}/read", {"seq": 1}),
              member.post(f"/chats/{chat}/typing", {"on": True})):
        refused(r, 404, "not-found")
    feed = member.get(f"{API}/sync?since=0").json["events"]
    assert not [e for e in feed if e["d"].get("body")]


def test_a_group_outlives_its_owner(three):
    owner, admin, member, chat = three
    done(owner.delete(f"/chats/{chat}/participants/{owner.user['id']}"))
    assert people(admin, chat)[admin.user["id"]]["role"] == "owner"
    done(admin.delete(f"/chats/{chat}/participants/{admin.user['id']}"))
    assert people(member, chat)[member.user["id"]]["role"] == "owner"
    done(member.delete(f"/chats/{chat}/participants/{member.user['id']}"))


def test_edit_and_removal_wait_for_nobody_to_have_read(three):
    owner, admin, member, chat = three
    first, second = send(owner, chat, "One"), send(owner, chat, "Two")
    done(admin.post(f"/chats/{chat}/read", {"seq": 1}))
    refused(owner.patch(f"/chats/{chat}/messages/{first['id']}", {"body": "1"}), 409, "already-read")
    done(owner.patch(f"/chats/{chat}/messages/{second['id']}", {"body": "2"}), 200)
    done(owner.delete(f"/chats/{chat}/messages/{second['id']}"))
    assert (unread(admin, chat), unread(member, chat)) == (0, 1)


def test_a_group_has_200_members_at_most(users, sql):
    owner = users.client()
    chat = group_of(owner, users.client())
    sql("WITH new AS (INSERT INTO account (id, email, name, role) SELECT uuid_v7(), uuid_v7() || '@plaza.example', 'M', "
        "'client' FROM generate_series(1, 198) RETURNING id) INSERT INTO chat_member (chat_id, account_id, role) "
        "SELECT %s, id, 'member' FROM new", (chat,))
    late = users.client()
    open_chat(owner, late)
    refused(owner.post(f"/chats/{chat}/participants", {"userIds": [late.user["id"]]}), 409, "conflict")
    assert send(owner, chat, "To all")["seq"] == 1
    assert sql("SELECT count(*) FROM feed WHERE chat_id = %s", (chat,))[0][0] == 200


def test_sequences_of_a_group_have_no_gaps_under_load(three):
    """R: seq and us are given under locks, whoever sends at once."""
    all3, chat = three[:3], three[3]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: send(all3[i % 3].clone(), chat, f"n {i}"), range(60)))
    seqs = [m["seq"] for m in all3[0].pages(f"/chats/{chat}/messages?limit=100")]
    assert sorted(seqs) == list(range(1, 61))
    for who in all3:
        us = [e["us"] for e in who.get(f"{API}/sync?since=0&limit=200").json["events"]]
        assert us == list(range(1, len(us) + 1))
        assert unread(who, chat) == 40


# ---- the staff of a shop ----

@pytest.fixture
def shop(users):
    """(owner, helper, buyer, conversation), the helper being of the staff"""
    owner, helper, buyer = users.seller(), users.client(), users.client()
    members = f"{API}/sellers/{owner.user['shopId']}/members"
    chat = open_chat(buyer, owner)
    send(buyer, chat, "Hello")
    assert done(owner.post(members, {"userId": helper.user["id"]}), 201)["status"] == "invited"
    refused(helper.get(f"/chats/{chat}"), 404, "not-found")
    assert done(helper.post(members + "/accept"), 200)["status"] == "member"
    return owner, helper, buyer, chat


def test_staff_shares_one_inbox(shop):
    owner, helper, buyer, chat = shop
    assert (texts(helper, chat), unread(helper, chat)) == (["Hello"], 1)
    assert helper.get(f"/chats/{chat}").json["peer"]["id"] == buyer.user["id"]
    assert send(helper, chat, "How can I help?")["senderId"] == helper.user["id"]
    assert (unread(buyer, chat), unread(owner, chat), unread(helper, chat)) == (1, 1, 1)
    done(helper.post(f"/chats/{chat}/read", {"seq": 2}))
    assert (unread(owner, chat), unread(helper, chat)) == (0, 0)
    assert buyer.get(f"/chats/{chat}").json["peerReadSeq"] == 2
    done(buyer.post(f"/chats/{chat}/read", {"seq": 2}))
    assert owner.get(f"/chats/{chat}").json["peerReadSeq"] == helper.get(f"/chats/{chat}").json["peerReadSeq"] == 2


def test_a_colleague_who_reads_does_not_close_the_edit(shop):
    owner, helper, buyer, chat = shop
    m = send(helper, chat, "Pirce")
    done(owner.post(f"/chats/{chat}/read", {"seq": m["seq"]}))
    done(helper.patch(f"/chats/{chat}/messages/{m['id']}", {"body": "Price"}), 200)
    done(buyer.post(f"/chats/{chat}/read", {"seq": m["seq"]}))
    refused(helper.patch(f"/chats/{chat}/messages/{m['id']}", {"body": "x"}), 409, "already-read")


def test_new_conversations_come_to_the_staff(shop, users):
    owner, helper, _, _ = shop
    other = users.client()
    chat = open_chat(other, owner)
    send(other, chat, "New here")
    assert texts(helper, chat) == ["New here"]
    assert chat in [c["id"] for c in helper.pages("/chats?limit=100")]


def test_staff_that_leaves_loses_the_inbox(shop):
    owner, helper, buyer, chat = shop
    shop_id = owner.user["shopId"]
    done(owner.delete(f"{API}/sellers/{shop_id}/members/{helper.user['id']}"))
    refused(helper.get(f"/chats/{chat}/messages"), 404, "not-found")
    refused(helper.get(f"{API}/sellers/{shop_id}/members"), 404, "not-found")
    assert send(buyer, chat, "Still there?")["seq"] == 2
    assert unread(owner, chat) == 2


def test_only_the_owner_invites_and_only_the_invited_accepts(shop, users):
    owner, helper, buyer, _ = shop
    members = f"{API}/sellers/{owner.user['shopId']}/members"
    refused(helper.post(members, {"userId": buyer.user["id"]}), 404, "not-found")
    refused(buyer.post(members + "/accept"), 404, "not-found")
    refused(buyer.get(members), 404, "not-found")
    refused(owner.post(members, {"userId": owner.user["id"]}), 404, "not-found")
    refused(helper.delete(f"{members}/{buyer.user['id']}"), 404, "not-found")
    assert [m["id"] for m in helper.get(members).json["items"]] == [helper.user["id"]]


def test_who_blocks_a_helper_hears_no_more_from_them(shop):
    owner, helper, buyer, chat = shop
    done(buyer.post(f"/users/{helper.user['id']}/block"))
    refused(helper.post(f"/chats/{chat}/messages", {"body": "x"}), 403, "blocked")
    assert send(owner, chat, "Sorry")["seq"] == 2
    done(buyer.post(f"/users/{owner.user['id']}/block"))
    for who in (owner, helper, buyer):
        refused(who.post(f"/chats/{chat}/messages", {"body": "x"}), 403, "blocked")


# ---- canned replies ----

def test_canned_replies_are_filled_in(shop, goods, users):
    owner, helper, _, _ = shop
    owner.shop = owner.user["shopId"]
    product = goods.product(owner, price=1999)
    buyer = users.client()
    chat = done(buyer.post("/chats", {"productId": product}), 201)["id"]
    made = done(owner.post(f"{API}/canned-replies",
                           {"title": "Hi", "body": "{buyer}: {product} costs {price} at {shop}. {me} {order} {x} { {shop"}), 201)
    text = helper.get(f"{API}/canned-replies/{made['id']}/text?chatId={chat}").json["body"]
    title = buyer.get(f"{API}/products/{product}").json["title"]
    name = buyer.get(f"{API}/products/{product}").json
    assert text.startswith(f"{buyer.user['name']}: {title} costs 19.99 USD at "), name
    assert text.endswith(f" {helper.user['name']} {{order}} {{x}} {{ {{shop"), text


def test_canned_replies_belong_to_the_shop(shop, users):
    owner, helper, buyer, chat = shop
    made = done(helper.post(f"{API}/canned-replies", {"title": "A", "body": "Text"}), 201)
    refused(owner.post(f"{API}/canned-replies", {"title": "A", "body": "Again"}), 409, "conflict")
    assert [c["title"] for c in owner.get(f"{API}/canned-replies").json["items"]] == ["A"]
    changed = done(owner.put(f"{API}/canned-replies/{made['id']}", {"title": "B", "body": "Other"}), 200)
    assert (changed["title"], changed["version"]) == ("B", 2)
    other = users.seller()
    refused(other.put(f"{API}/canned-replies/{made['id']}", {"title": "C", "body": "x"}), 404, "not-found")
    refused(other.get(f"{API}/canned-replies/{made['id']}/text?chatId={chat}"), 404, "not-found")
    refused(buyer.get(f"{API}/canned-replies"), 404, "not-found")
    done(helper.delete(f"{API}/canned-replies/{made['id']}"))
    assert owner.get(f"{API}/canned-replies").json["items"] == []


# ---- what is shared ----

def test_read_receipts_are_kept_private_by_both(users):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    assert done(a.patch("/users/me/sharing", {"readReceipts": False}), 200) == \
        {"readReceipts": False, "typing": True, "presence": True}
    m = send(b, chat, "Read me")
    done(a.post(f"/chats/{chat}/read", {"seq": 1}))
    seen = b.get(f"/chats/{chat}").json
    assert (seen["peerReadSeq"], seen["peerReceivedSeq"], unread(a, chat)) == (0, 1, 0)
    assert {p["readSeq"] for p in people(b, chat).values()} == {0}
    kinds = [e["t"] for e in b.get(f"{API}/sync?since=0").json["events"]]
    assert "message:read" not in kinds and "message:delivered" in kinds
    refused(b.patch(f"/chats/{chat}/messages/{m['id']}", {"body": "x"}), 409, "already-read")
    send(a, chat, "And me")
    done(b.post(f"/chats/{chat}/read", {"seq": 2}))
    assert a.get(f"/chats/{chat}").json["peerReadSeq"] == 0
    done(a.patch("/users/me/sharing", {"readReceipts": True}), 200)
    send(a, chat, "Now")
    done(b.post(f"/chats/{chat}/read", {"seq": 3}))
    assert a.get(f"/chats/{chat}").json["peerReadSeq"] == 3


def test_presence_is_kept_private_by_both(users):
    a, b = users.client(), users.client()
    open_chat(a, b)
    for one, other in ((a, b), (b, a)):
        assert one.get(f"{API}/presence/{other.user['id']}").status == 200
    done(a.patch("/users/me/sharing", {"presence": False}), 200)
    for one, other in ((a, b), (b, a)):
        refused(one.get(f"{API}/presence/{other.user['id']}"), 404, "not-found")
    done(a.patch("/users/me/sharing", {"presence": True}), 200)
    assert b.get(f"{API}/presence/{a.user['id']}").status == 200


def test_presence_is_not_told_among_members_of_a_group(three):
    owner, admin, member, _ = three
    assert owner.get(f"{API}/presence/{member.user['id']}").status == 200
    refused(admin.get(f"{API}/presence/{member.user['id']}"), 404, "not-found")
