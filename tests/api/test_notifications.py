"""The user's notifications: made by the house, read and removed by the user, counted right."""
import concurrent.futures
import uuid

import pytest

API = "/api/v1"
SEND = API + "/notifications/send"
LIST = API + "/notifications"


def tell(admin, user, title="Paid", **more):
    r = admin.post(SEND, {"userId": user.user["id"], "type": "order.paid", "title": title, **more})
    assert r.status == 201, r
    return r.json


def unread(user):
    return user.get(LIST + "/unread-count").json["unread"]


def events(user, kind):
    got = user.get(API + "/sync?since=0").json["events"]
    return [e["d"] for e in got if e["t"] == kind]


def test_the_house_tells_a_user_something(admin, client):
    made = tell(admin, client, "Paid", body="Order 7", link="/orders/7", priority="high")
    assert made["type"] == "order.paid" and made["read"] is False
    assert client.get(LIST).json["items"] == [made]
    assert events(client, "notification:new") == [{
        "id": made["id"], "kind": "order.paid", "title": "Paid", "body": "Order 7", "link": "/orders/7",
        "priority": "high", "unread": 1}]


@pytest.mark.parametrize("body,pointer", [
    ({"type": "Order Paid"}, "/type"), ({"type": "order.unheard-of"}, "/type"), ({"link": "https://evil.example/"}, "/link"), ({"link": "//evil.example/"}, "/link"),
    ({"title": ""}, "/title"), ({"priority": "loud"}, "/priority"), ({"userId": "x"}, "/userId")])
def test_a_notification_is_checked(admin, client, body, pointer):
    good = {"userId": client.user["id"], "type": "order.paid", "title": "Paid"}
    r = admin.post(SEND, {**good, **body})
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", pointer)
    assert unread(client) == 0


def test_only_the_house_sends_and_only_to_users(admin, client, seller):
    body = {"userId": client.user["id"], "type": "promotion", "title": "T"}
    for who in (client, seller):
        assert who.post(SEND, body).problem == "forbidden"
    assert admin.post(SEND, {**body, "userId": str(uuid.uuid4())}).problem == "not-found"
    assert admin.post("/api/notify", body).status == 201


def test_they_are_listed_newest_first_in_pages(admin, client):
    made = [tell(admin, client, f"N{i}") for i in range(7)]
    assert list(client.pages(LIST + "?limit=3")) == made[::-1]
    assert client.get(LIST + "?cursor=xyz").problem == "bad-cursor"


def test_reading_one_up_to_one_and_all(admin, client):
    made = [tell(admin, client, f"N{i}") for i in range(5)]
    assert client.post(f"{LIST}/{made[1]['id']}/read").status == 204
    assert unread(client) == 4
    assert client.post(LIST + "/read-all", {"upTo": made[3]["id"]}).status == 204
    assert [n["read"] for n in client.get(LIST).json["items"]] == [False, True, True, True, True]
    assert client.post(LIST + "/read-all", {}).status == 204
    assert unread(client) == 0
    assert client.post(LIST + "/read-all", {}).status == 204
    assert events(client, "notification:clear") == [
        {"ids": [made[1]["id"]], "removed": False, "unread": 4}, {"upTo": made[3]["id"], "removed": False, "unread": 1},
        {"removed": False, "unread": 0}], "what changes nothing is not told"


def test_removing_one(admin, client):
    made = [tell(admin, client, f"N{i}") for i in range(2)]
    assert client.delete(f"{LIST}/{made[0]['id']}").status == 204
    assert client.delete(f"{LIST}/{made[0]['id']}").problem == "not-found"
    assert (client.get(LIST).json["items"], unread(client)) == ([made[1]], 1)
    assert events(client, "notification:clear") == [{"ids": [made[0]["id"]], "removed": True, "unread": 1}]


def test_removing_all_up_to_one_and_all(admin, client, seller):
    made = [tell(admin, client, f"N{i}") for i in range(4)]
    theirs = tell(admin, seller)
    assert client.delete(f"{LIST}?upTo={made[1]['id']}").status == 204
    assert (client.get(LIST).json["items"], unread(client)) == (made[:1:-1], 2)
    assert client.delete(f"{LIST}?upTo={theirs['id']}").problem == "not-found"
    assert client.delete(LIST).status == 204 and client.delete(LIST).status == 204
    assert (client.get(LIST).json["items"], unread(client)) == ([], 0)
    assert events(client, "notification:clear") == [
        {"upTo": made[1]["id"], "removed": True, "unread": 2}, {"removed": True, "unread": 0}]
    assert seller.get(LIST).json["items"] == [theirs]


def test_the_list_can_be_narrowed(admin, client):
    made = [tell(admin, client, f"N{i}", type="promotion" if i % 2 else "order.paid") for i in range(6)]
    assert client.post(f"{LIST}/{made[4]['id']}/read").status == 204
    assert [n["title"] for n in client.pages(LIST + "?unread=true&limit=2")] == ["N5", "N3", "N2", "N1", "N0"]
    assert [n["title"] for n in client.pages(LIST + "?type=order.paid&limit=2")] == ["N4", "N2", "N0"]
    assert [n["title"] for n in client.pages(LIST + "?type=order.paid&unread=true&limit=1")] == ["N2", "N0"]
    assert client.get(LIST + "?type=nothing").json["items"] == []
    cursor = client.get(LIST + "?type=order.paid&limit=1").json["nextCursor"]
    assert client.get(f"{LIST}?type=promotion&cursor={cursor}").problem == "bad-cursor"


def test_old_ones_are_removed(admin, client, sql):
    made = {days: tell(admin, client, f"{days} days") for days in (89, 91, 364, 366)}
    for days, n in made.items():
        sql("UPDATE notification SET created_at = now() - %s * interval '1 day' WHERE id = %s", (days, n["id"]))
    read = tell(admin, client, "91 days, read")
    assert client.post(f"{LIST}/{read['id']}/read").status == 204
    sql("UPDATE notification SET created_at = now() - interval '91 days' WHERE id = %s", (read["id"],))
    while sql("SELECT job_purge_notifications()") != [(0,)]:
        pass
    assert {n["title"] for n in client.get(LIST).json["items"]} == {"89 days", "91 days", "364 days"}


def test_nobody_touches_those_of_another(admin, client, seller):
    made = tell(admin, client)
    for method, path, body in (("POST", f"{LIST}/{made['id']}/read", None), ("DELETE", f"{LIST}/{made['id']}", None),
                               ("POST", LIST + "/read-all", {"upTo": made["id"]})):
        assert seller.request(method, path, body).problem == "not-found"
    assert seller.get(LIST).json["items"] == [] and unread(client) == 1


def test_the_count_is_right_when_many_come_at_once(admin, client):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: tell(admin.clone(), client, f"N{i}"), range(24)))
    assert [e["unread"] for e in events(client, "notification:new")] == list(range(1, 25))
    assert unread(client) == 24


@pytest.mark.parametrize("locale,title", [("en", "New conversation"), ("es", "Nueva conversación")])
def test_the_first_message_of_somebody_is_told_in_the_readers_language(users, client, locale, title):
    peer = users.client()
    assert peer.put(f"/users/{peer.user['id']}", {"locale": locale}).status == 200
    chat = client.post("/chats", {"peerId": peer.user["id"]}).json["id"]
    for _ in range(2):
        assert client.post(f"/chats/{chat}/messages", {"body": "Hi"}).status == 201
    told = peer.get(LIST).json["items"]
    assert [(n["type"], n["title"], n["body"], n["link"]) for n in told] == \
        [("chat.new", title, client.user["name"], f"/chats/{chat}")]
    assert client.get(LIST).json["items"] == []
