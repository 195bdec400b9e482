"""Push messages: who gets them, when, what they say, and what becomes of them when a service is not well.

The services are ours; presence is real: a device that is connected is online. Time is moved in the database."""
import signal
import threading
import time
import uuid

import pytest

from plazatest import process
from plazatest.http import claims_of
from plazatest.push import SENDER_ID_MISMATCH, UNREGISTERED, Firebase, WebPush, b64, fcm_token, invalid_argument

SOON = 1.5  # several turns of the relay
REDIS_PAUSE_S = 5.5  # a program that met a silent Redis leaves it alone for 5 s, and edges of presence with it


@pytest.fixture(scope="module")
def web():
    made = WebPush()
    yield made
    assert made.faults == []
    made.close()


@pytest.fixture(scope="module")
def firebase(env):
    made = Firebase(env)
    yield made
    assert made.faults == []
    made.close()


class Pair:
    """Two people in a conversation; the second has a device, away from the broker unless it says so."""

    def __init__(self, users, web, sql, state=201):
        self.sql, self.a, self.b = sql, users.client(), users.client()
        self.to = web.new(state)
        self.register(self.b, self.to.json)
        self.chat = self.a.post("/chats", {"peerId": self.b.user["id"]}).json["id"]
        self.n = 0

    @staticmethod
    def register(user, body):
        r = user.post("/api/v1/devices", body)
        assert r.status == 201, r
        return r.json

    def send(self, body="Hello", by=None):
        r = (by or self.a).post(f"/chats/{self.chat}/messages", {"body": body})
        assert r.status == 201, r
        return r.json

    def waiting(self):
        return self.sql("SELECT topic::text, looked, leased, attempts, round(extract(epoch FROM due_at - since))::int "
                        "FROM push_queue WHERE account_id = %s ORDER BY topic", (self.b.user["id"],))

    def looked(self):
        """Waits until the relay knows whether the user is there."""
        process.wait(lambda: all(row[1] for row in self.waiting()), 5, "the relay has looked")
        return self.waiting()

    def due(self):
        self.sql("UPDATE push_queue SET due_at = now() WHERE account_id = %s AND looked", (self.b.user["id"],))

    def done(self):
        process.wait(lambda: not self.waiting(), 10, "nothing waits")

    def quiet(self, web):
        """Nothing waits and nothing came."""
        self.done()
        assert web.texts(self.to) == []


@pytest.fixture
def device(device):
    """device(user, peer): connected, and known to be there; the broker tells of it a moment later."""
    def make(user, peer):
        made = device(user)
        process.wait(lambda: peer.get(f"/api/v1/presence/{user.user['id']}").json["state"] == "online", 10, "online")
        return made
    return make


@pytest.fixture
def pair(users, web, sql):
    return Pair(users, web, sql)


def preferences(user, **body):
    assert user.put("/api/v1/preferences", body).status == 200


# ---- what they say ----

def test_who_is_away_is_told_at_once(pair, web, anonymous):
    begin = time.monotonic()
    pair.send("Is it still there?")
    got = web.wait(lambda r: r["to"] == pair.to.name)
    assert got["at"] - begin < 3
    # Two are unread: the message and the line that somebody new writes.
    assert got["text"] == {"v": 1, "kind": "chat.message", "tag": pair.chat, "title": pair.a.user["name"],
                           "body": "Is it still there?", "link": f"/chats/{pair.chat}", "badge": 2}
    assert got["topic"] == b64(uuid.UUID(pair.chat).bytes)
    assert 86300 < got["ttl"] <= 86400 and got["urgency"] == "high"
    assert got["key"] == anonymous.get("/api/v1/devices/key").json["applicationServerKey"]
    pair.done()
    pair.send("Still?")
    assert web.wait(lambda r: r["to"] == pair.to.name, 2)[1]["text"]["badge"] == 3


def test_without_preview_the_text_stays_here(pair, web):
    preferences(pair.b, preview=False)
    pair.b.put(f"/users/{pair.b.user['id']}", {"locale": "es"})
    pair.send("a secret")
    got = web.wait(lambda r: r["to"] == pair.to.name)["text"]
    assert (got["title"], got["body"]) == (pair.a.user["name"], "Mensaje nuevo")


def test_a_long_text_is_cut_and_any_script_arrives(pair, web):
    pair.send("ñ🙂\n\"" * 900)
    got = web.wait(lambda r: r["to"] == pair.to.name)["text"]
    assert got["body"] == ("ñ🙂\n\"" * 900)[:300]


def test_a_notification_is_told(admin, pair, web):
    r = admin.post("/api/v1/notifications/send", {
        "userId": pair.b.user["id"], "type": "order.shipped", "title": "On its way", "body": "Order 7", "link": "/orders/7"})
    got = web.wait(lambda m: m["to"] == pair.to.name)
    assert got["text"] == {"v": 1, "kind": "order.shipped", "tag": r.json["id"], "title": "On its way", "body": "Order 7",
                           "link": "/orders/7", "badge": 1}
    assert got["urgency"] == "normal"


def test_every_device_of_a_user_is_told(users, pair, web):
    other = web.new()
    pair.register(users.login(pair.b.email), other.json)
    pair.send()
    web.wait(lambda r: r["to"] in (pair.to.name, other.name), 2)
    pair.done()
    assert len(web.texts(pair.to)) == len(web.texts(other)) == 1


# ---- when ----

def test_who_is_there_has_time_to_read(pair, web, device):
    device(pair.b, pair.a)
    pair.send("one")
    assert pair.looked() == [(pair.chat, True, False, 0, 120)]
    pair.send("two")
    assert pair.looked() == [(pair.chat, True, False, 0, 120)], "one for the conversation, in its place"
    pair.due()
    assert web.wait(lambda r: r["to"] == pair.to.name)["text"]["body"] == "two"
    pair.done()
    assert len(web.texts(pair.to)) == 1


def test_reading_in_time_cancels(pair, web, device):
    device(pair.b, pair.a)
    seq = pair.send()["seq"]
    pair.looked()
    assert pair.b.post(f"/chats/{pair.chat}/read", {"seq": seq}).status == 204
    pair.due()
    pair.quiet(web)


def test_a_message_after_the_reading_has_its_own_time(pair, web, device):
    device(pair.b, pair.a)
    seq = pair.send("one")["seq"]
    pair.looked()
    pair.sql("UPDATE push_queue SET since = since - interval '100 seconds', due_at = due_at - interval '100 seconds' "
             "WHERE account_id = %s", (pair.b.user["id"],))
    assert pair.b.post(f"/chats/{pair.chat}/read", {"seq": seq}).status == 204
    pair.send("two")
    pair.looked()
    left, = pair.sql("SELECT extract(epoch FROM due_at - now())::int FROM push_queue WHERE account_id = %s",
                     (pair.b.user["id"],))[0]
    assert left > 100


def test_who_is_idle_waits_for_what_is_left(pair, device, web):
    d = device(pair.b, pair.a)
    did = d.session["did"]
    for _ in range(2):
        d.publish("beat", {"state": "idle"}, did=did, qos=1)
        time.sleep(2)
    pair.send()
    waited = pair.looked()[0][4]
    assert 110 <= waited <= 118, "120 s less the time since the first idle beat"
    d.publish("beat", {"state": "active"}, did=did, qos=1)
    time.sleep(0.5)
    pair.sql("DELETE FROM push_queue WHERE account_id = %s", (pair.b.user["id"],))
    pair.send()
    assert pair.looked()[0][4] == 120


def test_without_redis_it_waits_to_be_read(env, pair):
    """Nobody knows whether the user is there; a late message is better than a needless one."""
    redis = process.service(env, "redis")
    process.kill(redis, signal.SIGSTOP)
    try:
        pair.send()
        assert pair.looked()[0][4] == 120
    finally:
        process.kill(redis, signal.SIGCONT)
        time.sleep(REDIS_PAUSE_S)


def test_critical_ones_wait_for_nobody(admin, pair, device, web):
    device(pair.b, pair.a)
    preferences(pair.b, quietHours={"from": "00:00", "to": "00:00", "timeZone": "UTC"})
    for kind in ("order.shipped", "dispute.opened"):
        assert admin.post("/api/v1/notifications/send", {
            "userId": pair.b.user["id"], "type": kind, "title": kind}).status == 201
    assert web.wait(lambda r: r["to"] == pair.to.name)["text"]["kind"] == "dispute.opened"
    pair.due()
    time.sleep(SOON)
    assert [t["kind"] for t in web.texts(pair.to)] == ["dispute.opened"], "the other one waits for the morning"
    assert len(pair.waiting()) == 1


def test_quiet_hours_put_it_off_until_their_end(pair, web):
    """The zone is chosen so that it is now between midnight and one in the morning there, or noon."""
    now = time.gmtime()
    night = f"Etc/GMT{now.tm_hour:+d}" if now.tm_hour <= 12 else f"Etc/GMT-{24 - now.tm_hour}"
    preferences(pair.b, quietHours={"from": "23:30", "to": "06:15", "timeZone": night})
    pair.send("late")
    process.wait(lambda: pair.waiting() and pair.waiting()[0][4] > 3600, 5, "it is put off")
    due, = pair.sql("SELECT to_char(due_at AT TIME ZONE %s, 'HH24:MI') FROM push_queue WHERE account_id = %s",
                    (night, pair.b.user["id"]))[0]
    assert due == "06:15" and web.texts(pair.to) == []
    preferences(pair.b, quietHours=None)
    pair.due()
    assert web.wait(lambda r: r["to"] == pair.to.name)["text"]["body"] == "late"


# ---- who is not told ----

@pytest.mark.parametrize("how", ["mute", "archive"])
@pytest.mark.parametrize("late", [False, True])
def test_muted_and_archived_conversations_are_silent(pair, web, device, how, late):
    if late:
        device(pair.b, pair.a)
        pair.send()
        pair.looked()
    assert pair.b.put(f"/chats/{pair.chat}/{how}", {"on": True}).status == 200
    if not late:
        pair.send()
    pair.due()
    pair.quiet(web)


def test_who_is_blocked_meanwhile_is_not_pushed(pair, web, device):
    device(pair.b, pair.a)
    pair.send()
    pair.looked()
    assert pair.b.post(f"/users/{pair.a.user['id']}/block").status == 204
    pair.due()
    pair.quiet(web)


def test_a_removed_message_is_taken_back(pair, web, device):
    device(pair.b, pair.a)
    pair.send("one")
    pair.looked()
    pair.due()
    web.wait(lambda r: r["to"] == pair.to.name)
    pair.done()
    gone = pair.send("two")
    pair.looked()
    assert pair.a.delete(f"/chats/{pair.chat}/messages/{gone['id']}").status == 204
    pair.due()
    pair.done()
    assert [t["body"] for t in web.texts(pair.to)] == ["one"], "nor is the one before told twice"


def test_an_edited_message_says_what_it_says_now(pair, web, device):
    device(pair.b, pair.a)
    sent = pair.send("wrnog")
    pair.looked()
    assert pair.a.patch(f"/chats/{pair.chat}/messages/{sent['id']}", {"body": "right"}).status == 200
    pair.due()
    assert web.wait(lambda r: r["to"] == pair.to.name)["text"]["body"] == "right"


def test_a_read_notification_is_not_pushed(admin, pair, web, device):
    device(pair.b, pair.a)
    made = [admin.post("/api/v1/notifications/send", {
        "userId": pair.b.user["id"], "type": "order.shipped", "title": f"N{i}"}).json for i in range(2)]
    pair.looked()
    assert pair.b.post(f"/api/v1/notifications/{made[0]['id']}/read").status == 204
    assert pair.b.delete(f"/api/v1/notifications/{made[1]['id']}").status == 204
    pair.due()
    pair.quiet(web)


def test_kinds_that_are_not_wanted_are_not_pushed(admin, pair, web, device):
    device(pair.b, pair.a)
    pair.send()
    pair.looked()
    preferences(pair.b, types=[{"type": "chat.message", "push": False}, {"type": "order.shipped", "inbox": False}])
    pair.due()
    pair.done()
    for kind in ("promotion", "order.shipped"):
        assert admin.post("/api/v1/notifications/send", {
            "userId": pair.b.user["id"], "type": kind, "title": kind}).status == 201
    pair.looked()
    pair.due()
    assert web.wait(lambda r: r["to"] == pair.to.name)["text"]["kind"] == "order.shipped", "pushed though not listed"
    pair.done()
    assert len(web.texts(pair.to)) == 1


def test_a_group_is_told_under_its_name(users, web, sql):
    owner, members = users.client(), [users.client() for _ in range(3)]
    phones = [web.new() for _ in members]
    for member, to in zip(members, phones):
        Pair.register(member, to.json)
        assert owner.post("/chats", {"peerId": member.user["id"]}).status in (200, 201)
    r = owner.post("/chats", {"title": "Potters", "memberIds": [m.user["id"] for m in members]})
    assert r.status == 201, r
    chat = r.json["id"]
    assert members[2].put(f"/chats/{chat}/mute", {"on": True}).status == 200
    assert members[0].post(f"/chats/{chat}/messages", {"body": "New glaze"}).status == 201

    def of(to):
        return [(t["title"], t["body"]) for t in web.texts(to) if t["kind"] == "chat.message"]

    process.wait(lambda: of(phones[1]), 10, "the other member is told")
    time.sleep(SOON)
    assert of(phones[1]) == [(f"Potters: {members[0].user['name']}", "New glaze")]
    assert of(phones[0]) == [] and of(phones[2]) == [], "neither who wrote nor who has muted it"


def test_the_sender_is_not_told(pair, users, web):
    mine = web.new()
    pair.register(pair.a, mine.json)
    pair.send()
    web.wait(lambda r: r["to"] == pair.to.name)
    assert web.texts(mine) == []


@pytest.mark.parametrize("end", ["logout", "expired", "suspended"])
def test_a_session_that_ended_hears_nothing_more(pair, web, device, users, end):
    other = users.login(pair.b.email)
    device(other, pair.a)
    pair.send()
    pair.looked()
    if end == "logout":
        assert pair.b.post("/api/v1/auth/logout").status == 204
    elif end == "expired":
        pair.sql("UPDATE session SET expires_at = now() WHERE id = %s", (claims_of(pair.b.token)["sid"],))
    else:
        pair.sql("UPDATE account SET status = 'suspended' WHERE id = %s", (pair.b.user["id"],))
    pair.due()
    pair.quiet(web)


def test_what_waits_follows_a_new_address(pair, web, device):
    device(pair.b, pair.a)
    pair.send()
    pair.looked()
    fresh = web.new()
    pair.register(pair.b, fresh.json)
    pair.due()
    web.wait(lambda r: r["to"] == fresh.name)
    assert web.texts(pair.to) == []


# ---- services that are not well ----

@pytest.mark.parametrize("status", [404, 410])
def test_a_dead_subscription_is_removed(users, web, sql, status):
    pair = Pair(users, web, sql, status)
    pair.send()
    process.wait(lambda: pair.b.get("/api/v1/devices").json["items"] == [], 10, "the device is gone")
    pair.done()
    pair.send()
    time.sleep(SOON)
    assert len(web.texts(pair.to)) == 1


def test_an_answer_about_the_old_address_spares_the_new_one(users, web, sql):
    gate = threading.Event()

    def late():
        gate.wait(5)
        return 410
    pair = Pair(users, web, sql, late)
    pair.send()
    process.wait(lambda: any(row[2] for row in pair.waiting()), 5, "it is on its way")
    fresh = web.new()
    pair.register(pair.b, fresh.json)
    gate.set()
    web.wait(lambda r: r["to"] == pair.to.name)
    time.sleep(SOON)
    assert len(pair.b.get("/api/v1/devices").json["items"]) == 1
    pair.due()
    web.wait(lambda r: r["to"] == fresh.name)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(users, web, sql, status):
    pair = Pair(users, web, sql, [status, status, 201])
    pair.send()
    got = web.wait(lambda r: r["to"] == pair.to.name, 3, 30)
    assert [r["status"] for r in got] == [status, status, 201]
    assert got[1]["at"] - got[0]["at"] >= 1.9 and got[2]["at"] - got[1]["at"] >= 3.9, "later each time"
    pair.done()


def test_retry_after_is_obeyed(users, web, sql):
    pair = Pair(users, web, sql, [(503, {"Retry-After": "300"}), 201])
    pair.send()
    process.wait(lambda: any(row[3] == 1 and not row[2] for row in pair.waiting()), 5, "it has been tried")
    left, = sql("SELECT extract(epoch FROM due_at - now())::int FROM push_queue WHERE account_id = %s", (pair.b.user["id"],))[0]
    assert 290 <= left <= 300
    pair.due()
    web.wait(lambda r: r["to"] == pair.to.name, 2)


def test_reading_between_two_tries_cancels(users, web, sql):
    pair = Pair(users, web, sql, [503, 201])
    seq = pair.send()["seq"]
    web.wait(lambda r: r["to"] == pair.to.name)
    process.wait(lambda: all(not row[2] for row in pair.waiting()), 5, "the answer is noted")
    assert pair.b.post(f"/chats/{pair.chat}/read", {"seq": seq}).status == 204
    pair.due()
    pair.done()
    assert len(web.texts(pair.to)) == 1


@pytest.mark.parametrize("state,word", [(400, "dead"), (403, "dead"), (413, "dead"), (302, "dead")])
def test_what_will_never_pass_is_counted_and_dropped(users, web, sql, anonymous, state, word):
    before = counts(anonymous).get(word, 0)
    pair = Pair(users, web, sql, state)
    pair.send()
    web.wait(lambda r: r["to"] == pair.to.name)
    pair.done()
    assert counts(anonymous)[word] == before + 1
    assert len(pair.b.get("/api/v1/devices").json["items"]) == 1


def counts(anonymous):
    text = anonymous.get("/metrics").text
    return {line.split('"')[1]: int(line.split()[-1]) for line in text.splitlines()
            if line.startswith("plaza_push_total{")}


def test_what_is_a_day_old_is_given_up(users, web, sql, anonymous):
    pair = Pair(users, web, sql, [500, 201])
    before = counts(anonymous).get("dead", 0)
    pair.send()
    web.wait(lambda r: r["to"] == pair.to.name)
    process.wait(lambda: all(not row[2] for row in pair.waiting()), 5, "the answer is noted")
    sql("UPDATE push_queue SET queued_at = now() - interval '25 hours' WHERE account_id = %s", (pair.b.user["id"],))
    pair.due()
    pair.done()
    assert len(web.texts(pair.to)) == 1 and counts(anonymous)["dead"] == before + 1


def test_a_slow_service_does_not_stop_the_others(users, web, sql):
    """Forty messages hang at one service, more than it gets at a time; one for another service passes."""
    slow, gate = WebPush(), threading.Event()

    def hang():
        gate.wait(9)
        return 201
    try:
        pair = Pair(users, slow, sql, hang)
        sql("UPDATE push_device SET host = 'slow' WHERE account_id = %s", (pair.b.user["id"],))
        sql("INSERT INTO push_queue (device_id, topic, account_id, is_chat, critical, looked) "
            "SELECT d.id, n.id, d.account_id, false, true, true FROM push_device AS d, "
            "LATERAL (SELECT uuid_v7() AS id FROM generate_series(1, 40)) AS n WHERE d.account_id = %s", (pair.b.user["id"],))
        sql("INSERT INTO notification (id, account_id, type, title) SELECT topic, account_id, 'order.paid', 'N' "
            "FROM push_queue WHERE account_id = %s", (pair.b.user["id"],))
        process.wait(lambda: sum(row[2] for row in pair.waiting()) == 32, 5, "its share is on its way")
        other = Pair(users, web, sql)
        begin = time.monotonic()
        other.send()
        assert web.wait(lambda r: r["to"] == other.to.name)["at"] - begin < 3
        assert sum(row[2] for row in pair.waiting()) == 32
        gate.set()
        pair.done()
        assert len(slow.texts(pair.to)) == 40
    finally:
        gate.set()
        slow.close()


def test_a_service_that_is_away_loses_nothing(users, web, sql):
    away = WebPush()
    pair = Pair(users, away, sql)
    away.close()
    pair.send()
    process.wait(lambda: any(row[3] >= 1 for row in pair.waiting()), 10, "it has been tried")
    back = WebPush(like=away)
    try:
        process.wait(lambda: all(not row[2] for row in pair.waiting()), 10, "the failure is noted")
        pair.due()
        assert back.wait(lambda r: r["to"] == pair.to.name)["text"]["body"] == "Hello"
    finally:
        back.close()


def test_a_relay_that_dies_between_sending_and_noting_sends_again(env, users, web, sql):
    """At least once: the service has the message, nobody noted it, and the next process sends it once more."""
    gate = threading.Event()

    def late():
        gate.wait(8)
        return 201
    pair = Pair(users, web, sql, late)
    pair.send()
    process.wait(lambda: any(row[2] for row in pair.waiting()), 5, "it is on its way")
    old = process.service(env, "relay")
    process.kill(old)
    gate.set()
    process.restarted(env, "relay", old)
    web.wait(lambda r: r["to"] == pair.to.name, 2)
    pair.done()
    assert [t["body"] for t in web.texts(pair.to)] == ["Hello", "Hello"]


# ---- Firebase ----

@pytest.fixture
def phone(users, web, sql, firebase):
    pair = Pair(users, web, sql)
    pair.token = fcm_token()
    pair.register(pair.b, {"token": pair.token})
    return pair


def test_fcm_takes_our_messages(phone, firebase):
    phone.send("Is it there?")
    got = firebase.wait(lambda r: r["message"]["token"] == phone.token, timeout=15)["message"]
    phone.done()
    assert got["notification"] == {"title": phone.a.user["name"], "body": "Is it there?"}
    assert got["data"] == {"kind": "chat.message", "tag": phone.chat, "badge": "2", "link": f"/chats/{phone.chat}"}
    assert got["android"]["collapse_key"] == phone.chat and got["android"]["priority"] == "HIGH"
    assert got["apns"]["headers"]["apns-collapse-id"] == phone.chat
    assert got["apns"]["payload"]["aps"]["badge"] == 2
    phone.send("Hello?")
    firebase.wait(lambda r: r["message"]["token"] == phone.token, 2)
    assert firebase.issued <= 2, "the access token is kept"


@pytest.mark.parametrize("state", [UNREGISTERED, SENDER_ID_MISMATCH, invalid_argument("message.token")])
def test_fcm_tokens_that_are_dead_are_removed(phone, firebase, state):
    firebase.states[phone.token] = state
    phone.send()
    firebase.wait(lambda r: r["message"]["token"] == phone.token, timeout=15)
    process.wait(lambda: phone.b.get("/api/v1/devices").json["items"] == [], 10, "the device is gone")
    phone.done()


def test_a_message_that_fcm_does_not_like_is_not_the_tokens_fault(phone, firebase):
    firebase.states[phone.token] = invalid_argument("message.android.ttl")
    phone.send()
    firebase.wait(lambda r: r["message"]["token"] == phone.token, timeout=15)
    phone.done()
    assert len(phone.b.get("/api/v1/devices").json["items"]) == 1


def test_a_revoked_access_token_is_replaced(phone, firebase):
    phone.send()
    firebase.wait(lambda r: r["message"]["token"] == phone.token, timeout=15)
    phone.done()
    firebase.tokens = {}
    phone.send("again")
    firebase.wait(lambda r: r["message"]["notification"]["body"] == "again", timeout=20)
    phone.done()
