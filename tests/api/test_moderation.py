"""Cases, sanctions, appeals and the audit trail: who decides, and what is written down about it."""
import concurrent.futures
import time
import uuid

import psycopg2
import pytest

from plazatest import sql as sql_module
from plazatest.http import PASSWORD

API = "/api/v1"
QUEUE = API + "/admin/moderation"
LOCK_WAIT_S = 1.2  # less than the servers wait, which is 2 s


def moderator(users, sql):
    made = users.client()
    sql("UPDATE account SET role = 'moderator' WHERE id = %s", (made.user["id"],))
    return users.login(made.email)


@pytest.fixture(scope="module")
def judge(users, sql):
    return moderator(users, sql)


@pytest.fixture(scope="module")
def other(users, sql):
    return moderator(users, sql)


@pytest.fixture
def pair(users):
    a, b = users.client(), users.seller()
    r = a.post(API + "/chats", {"peerId": b.user["id"]})
    assert r.status == 201
    return a, b, r.json["id"]


def send(who, chat, text):
    r = who.post(f"{API}/chats/{chat}/messages", {"body": text})
    assert r.status == 201, r
    return r.json


def report(who, target, **more):
    r = who.post(f"{API}/users/{target.user['id']}/report", {"reason": "abuse", "note": "look", **more})
    assert r.status == 201, r
    return r.json["id"]


def claimed(judge, case):
    r = judge.post(f"{QUEUE}/reports/{case}/claim")
    assert r.status == 200, r
    return case


def resolve(judge, case, action, **more):
    return judge.post(f"{QUEUE}/reports/{case}/resolve", {"action": action, "note": "Because of the rules", **more})


def resolved(judge, case, action, **more):
    r = resolve(judge, claimed(judge, case), action, **more)
    assert r.status == 200, r
    return r.json


def trail(admin, object_id, action=""):
    return list(admin.pages(f"{API}/admin/audit?limit=100&objectId={object_id}" + (f"&action={action}" if action else "")))


def notes(who, kind):
    return [n for n in who.pages(API + "/notifications?limit=100") if n["type"] == kind]


# ---- the queue ----

def test_cases_are_listed_by_state_reason_and_moderator(pair, users, judge, other):
    a, b, _ = pair
    case, free = report(a, b, reason="scam"), report(a, users.client())

    def listed(query):
        ids = {c["id"] for c in judge.pages(f"{QUEUE}/reports?limit=100{query}")}
        return case in ids, free in ids
    assert listed("") == listed("&status=open") == (True, True)
    assert listed("&reason=scam") == (True, False)
    claimed(judge, case)
    assert listed("&status=claimed") == listed(f"&assignee={judge.user['id']}") == (True, False)
    assert listed("&status=open") == (False, True)
    assert listed(f"&assignee={other.user['id']}") == (False, False)
    resolve(judge, case, "dismiss")
    assert listed("&status=dismissed") == (True, False) and listed("&status=resolved") == (False, False)
    assert judge.get(QUEUE + "/reports?cursor=x").problem == "bad-cursor"


def test_a_case_keeps_what_was_said_and_shows_that_it_did(pair, judge, admin, sql):
    a, b, chat = pair
    for n in range(25):
        send(b if n % 2 else a, chat, f"m{n + 1}")
    case = report(a, b, chatId=chat, seq=12)
    r = judge.get(f"{QUEUE}/reports/{case}")
    assert [m["seq"] for m in r.json["snapshot"]] == list(range(2, 23))
    assert (r.json["snapshotValid"], r.json["targetId"], r.json["reportsOfTarget"]) == (True, b.user["id"], 1)
    sql("UPDATE report SET snapshot = replace(snapshot, 'm12', 'good words') WHERE id = %s", (case,))
    assert judge.get(f"{QUEUE}/reports/{case}").json["snapshotValid"] is False
    looks = trail(admin, case, "case.open")
    assert [(e["actorId"], e["data"]["snapshotValid"]) for e in looks] == [(judge.user["id"], False), (judge.user["id"], True)]
    assert judge.get(f"{QUEUE}/reports/{uuid.uuid4()}").problem == "not-found"


def at_once(env, lock, args, calls):
    """The answers to calls that wait for one row before any of them goes on; on a slow machine not all, for the first one
    waits no longer than the servers wait for a lock."""
    c = sql_module.connect(env, "plaza_owner")
    c.autocommit = False
    with c.cursor() as cur, concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        cur.execute(lock, args)
        running = [pool.submit(call) for call in calls]
        began, waiting = None, 0
        end = time.monotonic() + 10
        while waiting < len(calls) and (began is None or time.monotonic() - began < LOCK_WAIT_S):
            assert time.monotonic() < end, "they do not wait"
            time.sleep(0.02)
            waiting = sql_module.query(env, "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]
            began = began or (time.monotonic() if waiting else None)
        c.rollback()
        answers = [r.result() for r in running]
    c.close()
    return answers


def test_race_of_two_claims_gives_the_case_to_one(env, pair, judge, other):
    a, b, _ = pair
    case = report(a, b)
    got = at_once(env, "SELECT FROM report WHERE id = %s FOR UPDATE", (case,),
                  [lambda who=who: who.clone().post(f"{QUEUE}/reports/{case}/claim") for who in (judge, other)])
    assert sorted((r.status, r.problem) for r in got) == [(200, None), (409, "conflict")]


def test_a_claim_ends_is_given_back_and_is_needed(pair, judge, other, sql):
    a, b, _ = pair
    case = report(a, b)
    assert resolve(judge, case, "dismiss").problem == "conflict", "nobody has it"
    claimed(judge, case)
    assert other.post(f"{QUEUE}/reports/{case}/claim").problem == "conflict"
    assert other.post(f"{QUEUE}/reports/{case}/release").problem == "conflict"
    assert resolve(other, case, "dismiss").problem == "conflict", "another one has it"
    assert judge.post(f"{QUEUE}/reports/{case}/release").json["status"] == "open"
    claimed(other, case)
    sql("UPDATE report SET claimed_until = now() - interval '1 second' WHERE id = %s", (case,))
    assert resolve(other, case, "dismiss").problem == "conflict", "too late"
    claimed(judge, case)
    assert resolve(judge, case, "dismiss").json["status"] == "dismissed"
    assert judge.post(f"{QUEUE}/reports/{case}/claim").problem == "conflict", "closed"
    for verb in ("claim", "release"):
        assert judge.post(f"{QUEUE}/reports/{uuid.uuid4()}/{verb}").problem == "not-found"


def test_nobody_judges_in_their_own_case(client, judge, other):
    for case in (report(client, judge), report(judge, client)):
        assert judge.post(f"{QUEUE}/reports/{case}/claim").problem == "forbidden"
        resolve(other, claimed(other, case), "dismiss")


# ---- several reports of one user ----

def members(sql, case):
    return sql("SELECT count(*) FROM report_more WHERE report_id = %s", (case,))[0][0]


def test_reports_of_one_user_by_several_people_are_one_case(users, pair, judge, sql):
    a, b, chat = pair
    send(b, chat, "rude")
    case = report(a, b, chatId=chat, seq=1)
    second, third = users.client(), users.client()
    own = second.post(API + "/chats", {"peerId": b.user["id"]}).json["id"]
    send(b, own, "ruder")
    other_id = report(second, b, reason="scam", note="me too", chatId=own, seq=1)
    report(third, b, reason="spam")
    assert other_id != case, "who reports learns nothing of others"
    mine = [c for c in judge.pages(QUEUE + "/reports?limit=100") if c["targetId"] == b.user["id"]]
    assert [(c["id"], c["reporters"], c["reasons"]) for c in mine] == [(case, 3, ["abuse", "scam", "spam"])]
    assert case in {c["id"] for c in judge.pages(QUEUE + "/reports?limit=100&reason=scam")}
    opened = judge.get(f"{QUEUE}/reports/{case}").json
    assert [(e["reporterId"], e["reason"], e["note"], e["chatId"], e["seq"]) for e in opened["reports"]] == [
        (a.user["id"], "abuse", "look", chat, 1), (second.user["id"], "scam", "me too", own, 1),
        (third.user["id"], "spam", "look", None, None)]
    assert [[m["body"] for m in e["snapshot"]] for e in opened["reports"]] == [["rude"], ["ruder"], []]
    assert all(e["snapshotValid"] for e in opened["reports"]) and opened["reportsOfTarget"] == 1
    sql("UPDATE report_more SET snapshot = replace(snapshot, 'ruder', 'nicer') WHERE id = %s", (other_id,))
    assert [e["snapshotValid"] for e in judge.get(f"{QUEUE}/reports/{case}").json["reports"]] == [True, False, True]


def test_the_same_report_again_changes_nothing(pair, judge, sql):
    a, b, chat = pair
    send(b, chat, "one")
    send(b, chat, "two")
    case = report(a, b, chatId=chat, seq=1)
    for _ in range(3):
        r = a.post(f"{API}/users/{b.user['id']}/report", {"reason": "spam", "chatId": chat, "seq": 1})
        assert (r.status, r.json["id"], r.json["reason"]) == (201, case, "abuse")
    assert members(sql, case) == 0
    more = report(a, b, chatId=chat, seq=2)
    assert more != case and report(a, b, chatId=chat, seq=2) == more and members(sql, case) == 1
    assert judge.get(f"{QUEUE}/reports/{case}").json["reporters"] == 1, "one person"
    resolved(judge, case, "dismiss")
    assert report(a, b, chatId=chat, seq=1) not in (case, more), "a closed case is closed"


def test_all_who_reported_are_answered_and_none_of_them_judges(users, pair, judge, other):
    a, b, _ = pair
    case = report(a, b)
    second = users.client()
    report(second, b)
    report(other, b)
    assert other.post(f"{QUEUE}/reports/{case}/claim").problem == "forbidden"
    resolved(judge, case, "warn")
    for who in (a, second, other):
        assert [n["body"] for n in notes(who, "report.resolved")] == ["We took measures. Thank you."]
    assert len(notes(b, "moderation.warn")) == 1


def test_who_reports_after_claiming_does_not_decide(pair, judge, other):
    a, b, _ = pair
    case = claimed(judge, report(a, b))
    report(judge, b)
    assert resolve(judge, case, "dismiss").problem == "forbidden"
    assert judge.post(f"{QUEUE}/reports/{case}/release").status == 200
    resolved(other, case, "dismiss")


def test_conversations_of_all_reports_of_a_case_can_be_looked_into(users, pair, judge):
    a, b, chat = pair
    second = users.client()
    own = second.post(API + "/chats", {"peerId": b.user["id"]}).json["id"]
    send(b, chat, "here")
    send(b, own, "there")
    case = report(a, b, chatId=chat, seq=1)
    more = report(second, b, chatId=own, seq=1)
    look = f"{QUEUE}/messages?reportId={case}&chatId="
    assert judge.get(look + own).problem == "forbidden", "not claimed"
    claimed(judge, case)
    assert [[m["message"]["body"] for m in judge.get(look + c).json["items"]] for c in (chat, own)] == [["here"], ["there"]]
    assert resolve(judge, case, "remove_message", reportId=str(uuid.uuid4())).problem == "invalid", "of another case"
    assert resolve(judge, case, "remove_message", reportId=more).json["status"] == "resolved"
    assert second.get(f"{API}/chats/{own}/messages").json["items"][0]["deleted"] is True
    assert a.get(f"{API}/chats/{chat}/messages").json["items"][0].get("deleted") is None


def test_race_of_two_who_report_makes_one_case(env, users, judge, sql):
    target, crowd = users.client(), [users.client() for _ in range(2)]
    # A report waits for the account that it names.
    made = at_once(env, "SELECT FROM account WHERE id = %s FOR UPDATE", (target.user["id"],),
                   [lambda who=who: report(who.clone(), target) for who in crowd])
    assert len(set(made)) == 2
    cases = sql("SELECT id::text FROM report WHERE target_id = %s", (target.user["id"],))
    assert len(cases) == 1 and judge.get(f"{QUEUE}/reports/{cases[0][0]}").json["reporters"] == 2


def test_race_of_a_report_and_the_decision_loses_no_report(env, users, pair, judge, sql):
    a, b, _ = pair
    case, second = claimed(judge, report(a, b)), users.client()
    at_once(env, "SELECT FROM report WHERE id = %s FOR UPDATE", (case,), [
        lambda: resolve(judge.clone(), case, "dismiss"), lambda: report(second.clone(), b)])
    merged = members(sql, case) == 1
    assert len(notes(second, "report.resolved")) == merged
    assert sql("SELECT count(*) FROM report WHERE target_id = %s AND status = 'open'", (b.user["id"],))[0][0] == (not merged)


# ---- who blocks whom ----

def test_moderators_see_the_most_blocked_and_each_look_is_written_down(users, judge, admin):
    bad, worse, friend = users.client(), users.seller(), users.client()
    for who in (friend, bad):
        assert who.post(f"{API}/users/{worse.user['id']}/block").status == 204
    assert friend.post(f"{API}/users/{bad.user['id']}/block").status == 204
    case = report(friend, worse)
    ids = [worse.user["id"], bad.user["id"]]
    listed = [x for x in judge.pages(QUEUE + "/blocked?limit=100") if x["id"] in ids]
    assert [(x["id"], x["blockedBy"], x["caseId"]) for x in listed] == [(ids[0], 2, case), (ids[1], 1, None)]
    assert (listed[0]["role"], listed[0]["status"]) == ("seller", "active")
    assert admin.get(f"{API}/admin/audit?limit=1&action=block.list").json["items"][0]["actorId"] == judge.user["id"]
    first = judge.get(QUEUE + "/blocked?limit=1").json
    second = judge.get(f"{QUEUE}/blocked?limit=1&cursor={first['nextCursor']}").json
    assert first["items"] + second["items"] == judge.get(QUEUE + "/blocked?limit=2").json["items"]
    pages = list(judge.pages(f"{QUEUE}/blocked/{bad.user['id']}?limit=1"))
    assert [(x["userId"], x["direction"]) for x in pages] == [(friend.user["id"], "by"), (ids[0], "of")]
    looks = trail(admin, bad.user["id"], "block.open")
    assert len(looks) == 2 and {e["actorId"] for e in looks} == {judge.user["id"]}
    assert judge.get(f"{QUEUE}/blocked/{uuid.uuid4()}").problem == "not-found"
    for path in ("/blocked", f"/blocked/{bad.user['id']}"):
        assert judge.get(f"{QUEUE}{path}?cursor=x").problem == "bad-cursor"
        assert friend.get(QUEUE + path).problem == "forbidden"


# ---- decisions ----

def test_a_warning_reaches_the_user_and_the_reporter_is_told(pair, judge):
    a, b, _ = pair
    done = resolved(judge, report(a, b), "warn")
    assert (done["status"], done["action"], done["resolvedBy"]) == ("resolved", "warn", judge.user["id"])
    assert [n["body"] for n in notes(b, "moderation.warn")] == ["Because of the rules"]
    assert [n["body"] for n in notes(a, "report.resolved")] == ["We took measures. Thank you."]
    assert b.get(API + "/auth/me").status == 200
    assert [(s["kind"], s["appeal"]) for s in b.get(API + "/users/me/sanctions").json["items"]] == [("warn", None)]
    resolved(judge, report(a, b), "dismiss")
    assert notes(a, "report.resolved")[0]["body"] == "We found no breach of the rules."
    assert len(notes(b, "moderation.warn")) == 1


def test_outcomes_are_told_in_the_language_of_the_user(users, judge):
    a = users.client()
    assert a.put(f"{API}/users/{a.user['id']}", {"locale": "es"}).status == 200
    resolved(judge, report(a, users.client()), "dismiss")
    assert notes(a, "report.resolved")[0]["title"] == "Su denuncia fue revisada"


def test_a_message_is_removed_even_after_it_was_read(pair, judge, sql):
    a, b, chat = pair
    send(b, chat, "one")
    bad = send(b, chat, "dreadful")
    a.post(f"{API}/chats/{chat}/read", {"seq": 1})
    case = report(a, b, chatId=chat, seq=2)
    resolved(judge, case, "remove_message")
    shown = {m["seq"]: m for m in a.get(f"{API}/chats/{chat}/messages").json["items"]}
    assert (shown[2]["deleted"], shown[2]["body"], shown[1]["body"]) == (True, "", "one")
    assert a.get(f"{API}/chats/{chat}").json["unread"] == 0
    assert sql("SELECT body FROM message_edit WHERE chat_id = %s AND seq = 2", (chat,)) == [("dreadful",)]
    assert bad["id"] == shown[2]["id"] and len(notes(b, "moderation.remove_message")) == 1
    own = claimed(judge, report(b, a, chatId=chat, seq=1))
    assert resolve(judge, own, "remove_message").problem == "invalid", "that is no message of the reported one"


def test_a_suspension_ends_sessions_within_a_second_and_says_why(pair, judge, users):
    a, b, chat = pair
    resolved(judge, report(a, b), "suspend", days=7)
    start = time.monotonic()
    assert b.get(API + "/auth/me").problem == "invalid-token"
    assert time.monotonic() - start < 1
    for password, problem in ((PASSWORD, "account-suspended"), ("not the password", "invalid-credentials")):
        r = b.post(API + "/auth/login", {"email": b.email, "password": password}, token=False)
        assert r.problem == problem
    assert b.post(API + "/auth/refresh", {"refreshToken": b.refresh_token}, token=False).problem == "invalid-refresh-token"
    assert users.client().post(API + "/chats", {"peerId": b.user["id"]}).problem == "not-found"


def test_days_belong_to_a_suspension(pair, judge):
    a, b, _ = pair
    case = claimed(judge, report(a, b))
    for action, days in (("warn", 1), ("suspend", 0), ("suspend", 3651)):
        assert resolve(judge, case, action, days=days).problem == "invalid"


def test_signing_in_while_suspended_locks_nobody_out(pair, judge):
    a, b, _ = pair
    resolved(judge, report(a, b), "suspend")
    for _ in range(8):
        assert b.post(API + "/auth/login", {"email": b.email, "password": b.password}, token=False).problem == "account-suspended"


def test_a_suspension_with_an_end_is_lifted_by_the_relay(pair, judge, users, sql):
    a, b, _ = pair
    for days in (1, 2):
        resolved(judge, report(a, b), "suspend", days=days)
    sql("UPDATE sanction SET ends_at = now() WHERE account_id = %s AND ends_at < now() + interval '36 hours'", (b.user["id"],))

    def status():
        return sql("SELECT a.status, count(*) FILTER (WHERE s.lifted_at IS NOT NULL) FROM account AS a JOIN sanction AS s "
                   "ON s.account_id = a.id WHERE a.id = %s GROUP BY a.status", (b.user["id"],))[0]

    def wait(want):
        end = time.monotonic() + 30
        while status() != want:
            assert time.monotonic() < end, status()
            time.sleep(0.2)
    wait(("suspended", 1))
    sql("UPDATE sanction SET ends_at = now() WHERE account_id = %s AND lifted_at IS NULL", (b.user["id"],))
    wait(("active", 2))
    assert users.login(b.email).user["status"] == "active"


def test_those_above_are_not_suspended_from_below(client, judge, other, admin):
    case = claimed(other, report(client, judge))
    assert resolve(other, case, "suspend").problem == "forbidden"
    assert other.get(f"{QUEUE}/reports/{case}").json["status"] == "claimed"
    case = claimed(other, report(client, admin))
    assert resolve(other, case, "suspend").problem == "forbidden"
    assert resolve(other, case, "dismiss").status == 200


# ---- appeals ----

def test_an_appeal_of_a_suspended_user_is_decided_by_another_moderator(pair, judge, other, users):
    a, b, _ = pair
    resolved(judge, report(a, b), "suspend")
    body = {"email": b.email, "password": b.password, "body": "I did nothing"}
    wrong = b.post(API + "/auth/appeals", {**body, "password": "something else"}, token=False)
    assert wrong.problem == "invalid-credentials"
    r = b.post(API + "/auth/appeals", body, token=False)
    assert (r.status, r.json["status"]) == (201, "open")
    assert b.post(API + "/auth/appeals", body, token=False).problem == "conflict", "once"
    appeal = r.json["id"]
    mine = next(p for p in other.pages(QUEUE + "/appeals?status=open") if p["id"] == appeal)
    assert (mine["userId"], mine["moderatorId"], mine["sanction"]["kind"]) == (b.user["id"], judge.user["id"], "suspend")
    path, lift = f"{QUEUE}/appeals/{appeal}/decide", {"outcome": "lift", "note": "A mistake"}
    assert judge.post(path, lift).problem == "forbidden", "who suspended does not judge the appeal"
    assert users.anonymous().post(API + "/auth/login", {"email": b.email, "password": b.password}).status == 403
    assert other.post(path, lift).json["status"] == "lifted"
    assert other.post(path, lift).problem == "conflict"
    again = users.login(b.email)
    assert [n["body"] for n in notes(again, "moderation.appeal")] == ["A mistake"]
    assert again.get(API + "/users/me/sanctions").json["items"][0]["appeal"] == "lifted"
    assert other.post(f"{QUEUE}/appeals/{uuid.uuid4()}/decide", lift).problem == "not-found"


def test_race_of_two_deciders_decides_once(env, pair, judge, other, admin, users):
    a, b, _ = pair
    resolved(judge, report(a, b), "suspend")
    appeal = b.post(API + "/auth/appeals", {"email": b.email, "password": b.password, "body": "x"}, token=False).json["id"]
    ways = ((other, "lift"), (admin, "uphold"))
    got = at_once(env, "SELECT FROM appeal WHERE id = %s FOR UPDATE", (appeal,), [
        lambda w=w: w[0].clone().post(f"{QUEUE}/appeals/{appeal}/decide", {"outcome": w[1], "note": "n"}) for w in ways])
    assert sorted((r.status, r.problem) for r in got) == [(200, None), (409, "conflict")]
    outcome = next(r.json["status"] for r in got if r.status == 200)
    login = users.anonymous().post(API + "/auth/login", {"email": b.email, "password": b.password})
    assert login.status == {"lifted": 200, "upheld": 403}[outcome]


def test_a_warned_user_appeals_signed_in_and_strangers_cannot(pair, judge, other, client):
    a, b, _ = pair
    resolved(judge, report(a, b), "warn")
    sanction = b.get(API + "/users/me/sanctions").json["items"][0]["id"]
    body = {"sanctionId": sanction, "body": "Unfair"}
    assert client.post(API + "/appeals", body).problem == "not-found"
    r = b.post(API + "/appeals", body)
    assert r.status == 201
    assert b.post(API + "/appeals", body).problem == "conflict"
    kept = other.post(f"{QUEUE}/appeals/{r.json['id']}/decide", {"outcome": "uphold", "note": "It was rude"})
    assert (kept.json["status"], kept.json["decidedBy"]) == ("upheld", other.user["id"])
    assert b.post(API + "/auth/appeals", {"email": b.email, "password": b.password, "body": "x"},
                  token=False).problem == "not-found", "nothing suspends them"
    assert other.get(QUEUE + "/appeals?cursor=x").problem == "bad-cursor"


# ---- looking into conversations ----

def test_every_look_into_a_conversation_is_written_down(pair, judge, other, admin):
    a, b, chat = pair
    mine = send(b, chat, "befor")
    b.patch(f"{API}/chats/{chat}/messages/{mine['id']}", {"body": "before"})
    for n in range(4):
        send(a, chat, f"m{n}")
    case = report(a, b, chatId=chat)
    look = f"{QUEUE}/messages?reportId={case}&limit=3"
    assert judge.get(look).problem == "forbidden", "not claimed"
    claimed(judge, case)
    assert other.get(look).problem == "forbidden", "claimed by another one"
    assert judge.get(look + f"&chatId={uuid.uuid4()}").problem == "forbidden", "another conversation"
    assert trail(admin, chat) == [], "what is refused is no look"
    found = list(judge.pages(look))
    assert [m["message"]["seq"] for m in found] == [5, 4, 3, 2, 1]
    assert found[-1]["message"]["body"] == "before" and found[-1]["earlier"] == ["befor"]
    looks = trail(admin, chat, "chat.read")
    assert len(looks) == 2 and {e["actorId"] for e in looks} == {judge.user["id"]}
    assert looks[0]["data"] == {"reportId": case, "below": 3}
    resolve(judge, case, "dismiss")
    assert judge.get(look).problem == "forbidden", "the case is closed"


def test_without_a_case_only_an_administrator_with_a_reason_looks(pair, judge, admin):
    a, _, chat = pair
    send(a, chat, "private")
    look = f"{QUEUE}/messages?chatId={chat}"
    assert admin.get(look).problem == "forbidden"
    assert admin.get(look + "&reason=short").problem == "invalid"
    assert judge.get(look + "&reason=because+the+police+asks").problem == "forbidden"
    assert admin.get(look + "&reason=because+the+police+asks").json["items"][0]["message"]["body"] == "private"
    assert [e["data"]["reason"] for e in trail(admin, chat)] == ["because the police asks"]
    assert admin.get(f"{QUEUE}/messages").problem == "invalid"
    assert admin.get(f"{QUEUE}/messages?chatId={uuid.uuid4()}&reason=because+the+police+asks").problem == "not-found"
    assert admin.get(look + "&reason=because+the+police+asks&cursor=x").problem == "bad-cursor"


# ---- the trail ----

def test_the_trail_is_a_chain(pair, judge, admin, sql):
    a, b, _ = pair
    case = report(a, b)
    resolved(judge, case, "warn")
    assert [e["action"] for e in trail(admin, case)] == ["case.resolve", "case.claim"]
    checked = admin.get(API + "/admin/audit/verify").json
    assert (checked["valid"], checked["brokenAt"]) == (True, None) and checked["entries"] >= 2
    first = trail(admin, case)[0]
    assert admin.get(f"{API}/admin/audit/{first['id']}").json == first
    assert admin.get(f"{API}/admin/audit/{checked['entries'] + 1000}").problem == "not-found"
    assert admin.get(f"{API}/admin/audit/x").problem == "not-found"
    mine = list(admin.pages(f"{API}/admin/audit?limit=1&actorId={judge.user['id']}&objectId={case}"))
    assert [e["id"] for e in mine] == [first["id"], trail(admin, case)[1]["id"]]
    assert admin.get(API + "/admin/audit?cursor=x").problem == "bad-cursor"


@pytest.mark.parametrize("damage", [
    "UPDATE audit SET data = '[]' WHERE n = {n}", "UPDATE audit SET actor_id = NULL WHERE n = {n}",
    "DELETE FROM audit WHERE n = {n}", "UPDATE audit SET n = n + 1000000 WHERE n = {n}",
    "DELETE FROM audit WHERE n = (SELECT max(n) FROM audit)"])
def test_what_is_changed_behind_its_back_is_noticed(env, pair, judge, admin, damage):
    """Only who owns the database can do that, and takes the triggers away first."""
    a, b, _ = pair
    case = report(a, b)
    resolved(judge, case, "warn")
    n = trail(admin, case)[1]["id"]
    c = sql_module.connect(env, "plaza_owner")
    c.autocommit = False
    with c.cursor() as cur:
        cur.execute("ALTER TABLE audit DISABLE TRIGGER USER")
        cur.execute(damage.replace("{n}", str(n)))
        cur.execute("SELECT set_config('plaza.role', 'admin', true), (audit_verify()::json->>'valid')::bool, "
                    "(audit_verify()::json->>'brokenAt')::bigint, (SELECT n FROM audit_head)")
        _, valid, broken, last = cur.fetchone()
    c.rollback()
    c.close()
    assert (valid, broken) == (False, last if "max" in damage else n)


@pytest.mark.parametrize("role", ["plaza_web", "plaza_auth", "plaza_relay", "plaza_report"])
def test_no_program_can_write_or_read_the_trail(env, role):
    for text in ("SELECT n FROM audit", "DELETE FROM audit", "UPDATE audit SET data = ''", "TRUNCATE audit",
                 "INSERT INTO audit SELECT * FROM audit", "UPDATE audit_head SET n = 0",
                 "SELECT audit_append('a.b', 'c', 'd', '{}', '')", "ALTER TABLE audit DISABLE TRIGGER USER"):
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)):
            sql_module.query(env, text, user=role)


def test_not_even_the_owner_changes_the_trail_by_accident(sql, pair, judge):
    a, b, _ = pair
    claimed(judge, report(a, b))
    for text in ("UPDATE audit SET data = '' WHERE n = 1", "DELETE FROM audit WHERE n = 1", "TRUNCATE audit"):
        with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
            sql(text)


def test_race_of_many_writers_leaves_no_gap(users, judge, admin, sql):
    cases = [report(users.client(), users.client()) for _ in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert {r.status for r in pool.map(lambda c: judge.clone().get(f"{QUEUE}/reports/{c}"), cases)} == {200}
    assert admin.get(API + "/admin/audit/verify").json["valid"] is True
    assert sql("SELECT count(*) = max(n) FROM audit") == [(True,)]
