"""Moderation over MQTT: what devices are told of refusals and sanctions, and moderators of their queue."""
import socket
import time
import uuid
from pathlib import Path

import pytest

API = "/api/v1"
QUEUE = API + "/admin/moderation"


def fresh():
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def judge(users, sql):
    made = users.client()
    sql("UPDATE account SET role = 'moderator' WHERE id = %s", (made.user["id"],))
    return users.login(made.email)


@pytest.fixture
def pair(users):
    a, b = users.client(), users.seller()
    r = a.post(API + "/chats", {"peerId": b.user["id"]})
    assert r.status == 201
    return a, b, r.json["id"]


@pytest.fixture
def full(env):
    """full(bucket, whose, seconds): it leaks that long until there is room again."""
    secret = (Path(env.run_dir) / "conf/redis.secret").read_text().strip()

    def put(name, whose, seconds):
        until = int((time.time() + 60 + seconds) * 1e6)
        commands = (("AUTH", "plaza", secret), ("ZADD", f"plaza:rb:{name}:{whose}", str(until), "t"))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(env.redis_socket)
            for c in commands:
                s.sendall(f"*{len(c)}\r\n".encode() + b"".join(f"${len(a)}\r\n{a}\r\n".encode() for a in c))
                assert s.recv(100)[:1] in b"+:"
    return put


def refused(d, verb, data):
    ref = fresh()
    d.publish(verb, data, ref, did=d.session["did"])
    return d.wait("message:error", lambda e: e["ref"] == ref)["d"]


def test_contact_data_are_refused_with_place_and_reason(pair, device):
    a, _, chat = pair
    d = device(a)
    e = refused(d, "send", {"chatId": chat, "body": "llámame al 099 123 4567"})
    assert (e["code"], e["field"], e["reason"]) == ("filtered", "/body", "contact") and "order" in e["detail"]
    mine = a.post(f"{API}/chats/{chat}/messages", {"body": "hello"}).json
    e = refused(d, "edit", {"chatId": chat, "messageId": mine["id"], "body": "juan arroba gmail punto com"})
    assert (e["code"], e["reason"]) == ("filtered", "contact")


def test_errors_are_told_in_the_language_of_the_user(users, pair, device):
    _, b, _ = pair
    a = users.client()
    assert a.put(f"{API}/users/{a.user['id']}", {"locale": "es"}).status == 200
    chat = a.post(API + "/chats", {"peerId": b.user["id"]}).json["id"]
    e = refused(device(a), "send", {"chatId": chat, "body": "mi insta es juan_99"})
    assert e["title"] == "El texto no está permitido" and "pedido" in e["detail"]


def test_words_that_are_refused_by_rest_are_refused_here(pair, device, admin):
    a, _, chat = pair
    bad = "".join(chr(ord("a") + int(c, 16)) for c in uuid.uuid4().hex[:12])
    made = admin.post(QUEUE + "/filters", {"kind": "word", "pattern": bad, "action": "refuse"}).json["id"]
    d = device(a)
    try:
        time.sleep(2.2)
        e = refused(d, "send", {"chatId": chat, "body": " ".join(bad)})
        assert (e["code"], e["reason"]) == ("filtered", "word")
        assert a.post(f"{API}/chats/{chat}/messages", {"body": bad}).problem == "filtered"
    finally:
        admin.delete(f"{QUEUE}/filters/{made}")


@pytest.mark.parametrize("bucket", ["message", "message-burst", "chat"])
def test_r61_the_buckets_are_those_of_rest(pair, device, full, bucket):
    a, _, chat = pair
    d = device(a)
    full(bucket, chat if bucket == "chat" else a.user["id"], 20)
    e = refused(d, "send", {"chatId": chat, "body": "too fast"})
    assert e["code"] == "rate-limited" and 1 <= e["retryAfter"] <= 81
    r = a.post(f"{API}/chats/{chat}/messages", {"body": "too fast"})
    assert (r.status, r.problem) == (429, "rate-limited")
    assert abs(int(r.headers["Retry-After"]) - e["retryAfter"]) <= 3


def test_moderators_hear_of_their_queue_and_others_do_not(users, pair, judge, device):
    a, b, _ = pair
    staff, party = device(judge), device(a)
    case = a.post(f"{API}/users/{b.user['id']}/report", {"reason": "scam"}).json["id"]
    judge.post(f"{QUEUE}/reports/{case}/claim")

    def heard(status):
        return staff.wait("report:updated", lambda d: d["reportId"] == case and d["status"] == status)["d"]
    assert heard("claimed")["assigneeId"] == judge.user["id"]
    judge.post(f"{QUEUE}/reports/{case}/release")
    assert "assigneeId" not in heard("open")
    judge.post(f"{QUEUE}/reports/{case}/claim")
    judge.post(f"{QUEUE}/reports/{case}/resolve", {"action": "suspend", "note": "No"})
    assert heard("resolved")["action"] == "suspend"
    appeal = b.post(API + "/auth/appeals", {"email": b.email, "password": b.password, "body": "?"}, token=False).json["id"]
    assert staff.wait("appeal:new", lambda d: d["appealId"] == appeal)["d"]["userId"] == b.user["id"]
    assert party.wait("notification:new", lambda d: d["kind"] == "report.resolved")
    assert party.events("report:updated") == party.events("appeal:new") == []


def test_a_suspension_ends_the_connection_and_the_next_uplink_is_refused(pair, judge, device):
    a, b, chat = pair
    d = device(b)
    case = a.post(f"{API}/users/{b.user['id']}/report", {"reason": "abuse"}).json["id"]
    judge.post(f"{QUEUE}/reports/{case}/claim")
    start = time.monotonic()
    assert judge.post(f"{QUEUE}/reports/{case}/resolve", {"action": "suspend", "note": "No"}).status == 200
    assert d.wait("session:revoked")["d"]["reason"] == "suspended"
    while d.connected.is_set():
        assert time.monotonic() - start < 5, "still connected"
        time.sleep(0.05)
    assert b.get(f"{API}/chats/{chat}").problem == "invalid-token"


def test_a_removed_message_goes_from_all_devices(pair, judge, device):
    a, b, chat = pair
    mine, theirs = device(a), device(b)
    bad = b.post(f"{API}/chats/{chat}/messages", {"body": "dreadful"}).json
    a.post(f"{API}/chats/{chat}/read", {"seq": 1})
    case = a.post(f"{API}/users/{b.user['id']}/report", {"reason": "abuse", "chatId": chat, "seq": 1}).json["id"]
    judge.post(f"{QUEUE}/reports/{case}/claim")
    judge.post(f"{QUEUE}/reports/{case}/resolve", {"action": "remove_message", "note": "No"})
    for d in (mine, theirs):
        e = d.wait("message:delete")["d"]
        assert (e["id"], e["body"], e["deleted"]) == (bad["id"], "", True)
