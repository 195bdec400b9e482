"""Attacks on signing in, sessions and tokens. The numbers are the requirements R22-R37 of the threat model."""
import base64
import hashlib
import hmac
import http.client
import json
import re
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plazatest.http import PASSWORD, claims_of

API = "/api/v1"
REFRESH = API + "/auth/refresh"
LOGIN = API + "/auth/login"
WRONG = "not the right password"
REUSE_AFTER_S = 11


def at_once(jobs):
    """Runs the callables at the same moment and returns their results in order."""
    gate = threading.Barrier(len(jobs))

    def wait(job):
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(wait, jobs))


def credentials(who, password=PASSWORD):
    return {"email": who.email, "password": password}


def from_address(client, last):
    """The client calls from another address of the loopback network."""
    client.conn = http.client.HTTPConnection(client.url.hostname, client.url.port, timeout=30,
                                             source_address=(f"127.7.{last // 250}.{last % 250 + 1}", 0))
    return client


def device_of(users, who):
    return users.anonymous().post(LOGIN, credentials(who)).json["deviceToken"]


def guard(sql, who):
    return sql("SELECT failures, locked_until FROM login_guard WHERE account_id = %s", (who.user["id"],))


def open_guard(sql, who):
    """Time passes: the current delay is over."""
    sql("UPDATE login_guard SET locked_until = now() - interval '1 second' WHERE account_id = %s AND "
        "locked_until <= now() + interval '15 minutes'", (who.user["id"],))


# ---- R25: who has an account is not told ----

def shape(r):
    """What a client can tell two answers apart by."""
    doc = {k: v for k, v in r.json.items() if k not in ("instance", "requestId")}
    headers = {k.lower(): v for k, v in r.headers.items() if k.lower() not in ("date", "x-request-id")}
    return r.status, doc, headers


def test_r25_every_refusal_looks_the_same(users, sql):
    known, suspended, locked = users.client(), users.client(), users.client()
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (suspended.user["id"],))
    for _ in range(5):
        users.anonymous().post(LOGIN, credentials(locked, WRONG))
    assert guard(sql, locked)[0][1] is not None
    sql("UPDATE login_guard SET locked_until = now() + interval '1 minute' WHERE account_id = %s", (locked.user["id"],))
    tries = {
        "wrong password": (LOGIN, credentials(known, WRONG)),
        "unknown": (LOGIN, {"email": f"nobody-{uuid.uuid4().hex}@plaza.example", "password": PASSWORD}),
        "suspended": (LOGIN, credentials(suspended, WRONG)),
        "locked": (LOGIN, credentials(locked)),
        "wrong door": (LOGIN + "/admin", credentials(known)),
    }
    shapes = {name: shape(users.anonymous().post(path, body)) for name, (path, body) in tries.items()}
    assert shapes["unknown"][0] == 401
    for name, got in shapes.items():
        assert got == shapes["unknown"], name
    # Who has the password is told, and gets nothing but that.
    told = users.anonymous().post(LOGIN, credentials(suspended))
    assert told.problem == "account-suspended" and "accessToken" not in told.text


def test_r25_attempts_on_unknown_addresses_leave_the_same_trace(users, sql):
    email = f"nobody-{uuid.uuid4().hex}@plaza.example"
    for _ in range(6):
        users.anonymous().post(LOGIN, {"email": email, "password": PASSWORD})
    rows = sql("SELECT account_id, failures, locked_until > now() FROM login_guard WHERE email_hash = sha256(%s)",
               (email.encode(),))
    assert rows == [(None, 5, True)]


# ---- R26: guessing is slow, and locks nobody out ----

def test_r26_failures_delay_the_next_attempt_and_success_forgets_them(users, client, sql):
    stranger = users.anonymous()
    for n in range(1, 10):
        open_guard(sql, client)
        assert stranger.post(LOGIN, credentials(client, WRONG)).status == 401
        failures, until = guard(sql, client)[0]
        assert failures == n and (until is None) == (n < 5)
    delay = sql("SELECT extract(epoch FROM locked_until - touched_at)::int FROM login_guard WHERE account_id = %s",
                (client.user["id"],))[0][0]
    assert delay == 2 ** (9 - 5)
    # While it lasts even the right password is not looked at, and that is not counted.
    assert stranger.post(LOGIN, credentials(client)).status == 401
    assert guard(sql, client)[0][0] == 9
    open_guard(sql, client)
    assert stranger.post(LOGIN, credentials(client)).status == 200
    assert guard(sql, client) == []


def test_r26_the_delay_never_passes_fifteen_minutes(users, client, sql):
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    sql("UPDATE login_guard SET failures = 60 WHERE account_id = %s", (client.user["id"],))
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    assert sql("SELECT extract(epoch FROM locked_until - touched_at)::int FROM login_guard WHERE account_id = %s",
               (client.user["id"],)) == [(900,)]


def test_r26_an_attacker_with_many_addresses_cannot_lock_out_a_known_device(users, client, sql):
    token = device_of(users, client)
    for n in range(20):
        assert from_address(users.anonymous(), n).post(LOGIN, credentials(client, WRONG)).status == 401
    assert 5 <= guard(sql, client)[0][0] < 10
    sql("UPDATE login_guard SET locked_until = now() + interval '1 minute' WHERE account_id = %s", (client.user["id"],))
    before = guard(sql, client)
    owner = users.anonymous()
    assert owner.post(LOGIN, credentials(client)).status == 401, "from an unknown device it must be locked"
    r = owner.post(LOGIN, credentials(client), headers={"X-Device-Token": token})
    assert r.status == 200
    assert r.json["deviceToken"] == token
    # The owner's success gives the attacker nothing.
    assert guard(sql, client) == before


def test_r26_strangers_cannot_lock_the_owner_out_for_good(users, client, sql):
    for n in range(120):
        open_guard(sql, client)
        assert from_address(users.anonymous(), n).post(LOGIN, credentials(client, WRONG)).status == 401
    assert sql("SELECT failures, extract(epoch FROM locked_until - touched_at)::int FROM login_guard "
               "WHERE account_id = %s", (client.user["id"],)) == [(120, 900)]
    assert users.anonymous().post(LOGIN, credentials(client)).status == 401
    open_guard(sql, client)
    assert users.anonymous().post(LOGIN, credentials(client)).status == 200
    assert guard(sql, client) == []


def test_r26_a_count_beyond_all_reason_still_ends(users, client, sql):
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    sql("UPDATE login_guard SET failures = 5000 WHERE account_id = %s", (client.user["id"],))
    assert users.anonymous().post(LOGIN, credentials(client, WRONG)).status == 401
    open_guard(sql, client)
    assert users.anonymous().post(LOGIN, credentials(client)).status == 200


def test_r26_the_count_starts_again_after_a_day(users, client, sql):
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    for age, failures, locked in (("23 hours", 61, True), ("25 hours", 1, False)):
        sql("UPDATE login_guard SET failures = 60, touched_at = now() - %s::interval, locked_until = now() - "
            "interval '1 hour' WHERE account_id = %s", (age, client.user["id"]))
        users.anonymous().post(LOGIN, credentials(client, WRONG))
        assert sql("SELECT failures, locked_until IS NOT NULL FROM login_guard WHERE account_id = %s",
                   (client.user["id"],)) == [(failures, locked)]


def test_r26_strangers_do_not_block_a_known_device_or_a_change_of_the_password(users, client, sql):
    token = device_of(users, client)
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    sql("UPDATE login_guard SET failures = 120, locked_until = now() + interval '15 minutes' WHERE account_id = %s",
        (client.user["id"],))
    assert users.anonymous().post(LOGIN, credentials(client)).status == 401
    assert users.anonymous().post(LOGIN, credentials(client), headers={"X-Device-Token": token}).status == 200
    body = {"currentPassword": PASSWORD, "newPassword": "a wholly new battery staple"}
    assert client.post(API + "/auth/change-password", body).status == 204
    assert guard(sql, client) == []


def test_r26_unlocking_opens_an_account_at_once(users, client, sql):
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    sql("UPDATE login_guard SET locked_until = now() + interval '15 minutes' WHERE account_id = %s",
        (client.user["id"],))
    assert users.anonymous().post(LOGIN, credentials(client)).status == 401
    sql("SELECT login_unlock(%s)", (client.user["id"],))
    assert users.anonymous().post(LOGIN, credentials(client)).status == 200


def test_r26_a_known_device_has_ten_attempts(users, client, sql):
    token, stranger = device_of(users, client), users.anonymous()
    for n in range(10):
        assert stranger.post(LOGIN, credentials(client, WRONG), headers={"X-Device-Token": token}).status == 401
        assert guard(sql, client) == []
    # The eleventh counts like a stranger's.
    assert stranger.post(LOGIN, credentials(client, WRONG), headers={"X-Device-Token": token}).status == 401
    assert guard(sql, client)[0][0] == 1


@pytest.mark.parametrize("forge", ["A" * 43, "short", "x" * 5000, "ñ"])
def test_r26_a_forged_device_token_is_a_strangers(users, client, sql, forge):
    r = users.anonymous().post(LOGIN, credentials(client, WRONG), headers={"X-Device-Token": forge.encode()})
    assert r.status == 401
    assert guard(sql, client)[0][0] == 1
    r = users.anonymous().post(LOGIN, credentials(client), headers={"X-Device-Token": forge.encode()})
    assert r.json["deviceToken"] != forge


def test_r26_the_device_of_another_user_is_a_strangers(users, client, sql):
    foreign = device_of(users, users.client())
    users.anonymous().post(LOGIN, credentials(client, WRONG), headers={"X-Device-Token": foreign})
    assert guard(sql, client)[0][0] == 1


def test_r26_requests_at_the_same_time_get_no_extra_attempts(users, client, sql):
    users.anonymous().post(LOGIN, credentials(client, WRONG))
    for _ in range(5):
        sql("UPDATE login_guard SET failures = 10, locked_until = now() - interval '1 second' WHERE account_id = %s",
            (client.user["id"],))
        people = [users.anonymous() for _ in range(8)]
        answers = at_once([lambda p=p: p.post(LOGIN, credentials(client, WRONG)).status for p in people])
        assert answers == [401] * 8
        assert guard(sql, client)[0][0] == 11


def test_r29_the_current_password_cannot_be_guessed_with_a_stolen_token(client, sql):
    body = {"currentPassword": WRONG, "newPassword": "a wholly new battery staple"}
    for _ in range(7):
        assert client.post(API + "/auth/change-password", body).problem == "invalid-credentials"
    assert guard(sql, client)[0][0] == 5
    right = {**body, "currentPassword": PASSWORD}
    assert client.post(API + "/auth/change-password", right).problem == "invalid-credentials"
    open_guard(sql, client)
    assert client.post(API + "/auth/change-password", right).status == 204


# ---- R30: how long sessions live, and how many ----

def session_of(sql, who):
    return sql("SELECT extract(epoch FROM expires_at - now())::int, extract(epoch FROM expires_at - created_at)::int "
               "FROM session WHERE id = %s", (claims_of(who.token)["sid"],))[0]


def test_r30_idle_and_absolute_limits_of_clients(users, client, sql):
    assert abs(session_of(sql, client)[1] - 30 * 86400) < 5
    sid = claims_of(client.token)["sid"]
    sql("UPDATE session SET created_at = now() - interval '89 days' WHERE id = %s", (sid,))
    r = client.post(REFRESH, {"refreshToken": client.refresh_token})
    assert r.status == 200
    assert abs(session_of(sql, client)[0] - 86400) < 5
    sql("UPDATE session SET expires_at = now() + interval '5 seconds' WHERE id = %s", (sid,))
    # The unused half of a life is not added at its end.
    sql("UPDATE session SET created_at = now() - interval '90 days' + interval '5 seconds' WHERE id = %s", (sid,))
    r = client.post(REFRESH, {"refreshToken": r.json["refreshToken"]})
    assert r.json["expiresIn"] <= 5
    sql("UPDATE session SET expires_at = now() - interval '1 second' WHERE id = %s", (sid,))
    assert client.get(API + "/auth/me").problem == "invalid-token"
    assert client.post(REFRESH, {"refreshToken": r.json["refreshToken"]}).problem == "invalid-refresh-token"


def test_r30_administrators_are_given_an_hour_and_half_a_day(users, env, sql):
    who = users.login(env.admin_email, env.admin_password)
    assert abs(session_of(sql, who)[1] - 3600) < 5
    sql("UPDATE session SET created_at = now() - interval '11 hours 55 minutes' WHERE id = %s",
        (claims_of(who.token)["sid"],))
    r = who.post(REFRESH, {"refreshToken": who.refresh_token})
    assert 290 < session_of(sql, who)[0] <= 300
    assert r.json["expiresIn"] <= 300


def test_sessions_and_devices_of_a_user_are_bounded(users, client, sql):
    made = [users.anonymous().post(LOGIN, credentials(client)) for _ in range(50)]
    assert {r.status for r in made} == {200}
    assert client.get(API + "/auth/me").status == 401, "the oldest session had to go"
    last = made[-1].json["accessToken"]
    assert len(client.get(API + "/auth/sessions?limit=100", token=last).json["items"]) == 50
    assert sql("SELECT count(*) FROM login_device WHERE account_id = %s", (client.user["id"],)) == [(20,)]


# ---- R34: refresh tokens ----

def live_tokens(sql, sid):
    return sql("SELECT count(*) FROM refresh_token WHERE session_id = %s AND spent_at IS NULL", (sid,))[0][0]


def age(sql, sid):
    """Time passes after the last refreshing of the session."""
    sql("UPDATE refresh_token SET spent_at = spent_at - %s * interval '1 second' WHERE session_id = %s",
        (REUSE_AFTER_S, sid))


def test_r34_a_lost_answer_is_given_again(client, sql):
    first, again = (client.post(REFRESH, {"refreshToken": client.refresh_token}).json for _ in range(2))
    assert first["refreshToken"] == again["refreshToken"]
    assert live_tokens(sql, first["sessionId"]) == 1
    assert client.post(REFRESH, {"refreshToken": again["refreshToken"]}).status == 200


def test_r34_a_spent_token_that_comes_again_ends_the_session(users, client, sql, env):
    sid = claims_of(client.token)["sid"]
    fresh = client.post(REFRESH, {"refreshToken": client.refresh_token}).json
    other = users.login(client.email)
    age(sql, sid)
    thief = users.anonymous().post(REFRESH, {"refreshToken": client.refresh_token})
    assert (thief.status, thief.problem) == (401, "invalid-refresh-token")
    assert sql("SELECT revoke_reason FROM session WHERE id = %s", (sid,)) == [("reuse",)]
    assert client.post(REFRESH, {"refreshToken": fresh["refreshToken"]}).problem == "invalid-refresh-token"
    for token in (client.token, fresh["accessToken"]):
        assert client.get(API + "/auth/me", token=token).problem == "invalid-token"
    assert other.get(API + "/auth/me").status == 200
    assert any('"refresh_reuse"' in line and '"warn"' in line and sid in line for line in log_lines(env))


def test_r34_a_spent_token_is_not_repeated_once_its_successor_was_used(users, client, sql):
    second = client.post(REFRESH, {"refreshToken": client.refresh_token}).json
    third = client.post(REFRESH, {"refreshToken": second["refreshToken"]}).json
    # All within the ten seconds.
    assert users.anonymous().post(REFRESH, {"refreshToken": client.refresh_token}).problem == "invalid-refresh-token"
    assert client.post(REFRESH, {"refreshToken": third["refreshToken"]}).problem == "invalid-refresh-token"


def test_r34_a_thousand_races_leave_one_live_token(users, sql):
    """25 sessions, each refreshed 40 times by three requests at once."""
    who, racers, sessions, rounds = users.client(), 3, 25, 40
    held = [users.anonymous().post(LOGIN, credentials(who)).json for _ in range(sessions)]
    clients = [users.anonymous() for _ in range(racers)]
    gate = threading.Barrier(racers)
    results = [[] for _ in range(racers)]

    def race(n):
        tokens = [h["refreshToken"] for h in held]
        for _ in range(rounds):
            for s in range(sessions):
                gate.wait()
                r = clients[n].post(REFRESH, {"refreshToken": tokens[s]})
                results[n].append((r.status, r.json.get("refreshToken")))
                tokens[s] = r.json.get("refreshToken", tokens[s])
        return tokens

    with ThreadPoolExecutor(racers) as pool:
        last = list(pool.map(race, range(racers)))
    assert len(results[0]) == 1000
    for outcome in zip(*results):
        assert len(set(outcome)) == 1 and outcome[0][0] == 200, outcome
    assert len({r[1] for r in results[0]}) == 1000, "a token was given twice"
    for h, token in zip(held, last[0]):
        assert live_tokens(sql, h["sessionId"]) == 1
        assert clients[0].post(REFRESH, {"refreshToken": token}).status == 200


def test_r34_only_hashes_are_stored(client, sql):
    secrets = [client.refresh_token, client.post(LOGIN, credentials(client)).json["deviceToken"]]
    for table in ("refresh_token", "session", "login_device", "login_guard"):
        text = repr(sql(f"SELECT t::text FROM {table} AS t"))
        for secret in secrets:
            raw = base64.urlsafe_b64decode(secret + "=").hex()
            assert secret not in text and raw not in text
    digest = hashlib.sha256(client.refresh_token.encode()).digest()
    assert sql("SELECT count(*) FROM refresh_token WHERE token_hash = %s", (digest,)) == [(1,)]


# ---- R35: the end of a session is its end ----

def test_r35_no_session_opened_with_the_old_password_outlives_its_change(users):
    """Signing in while the password is changed: whichever comes first, the token is dead."""
    who, password = users.client(), PASSWORD
    for n in range(14):
        fresh = f"battery staple number {n}"
        change = {"currentPassword": password, "newPassword": fresh}
        other, login = users.anonymous(), credentials(who, password)

        def sign_in_later():
            time.sleep(n * 0.008)  # comparing and hashing take about 90 ms: the two halves of signing in fall everywhere
            return other.post(LOGIN, login)

        changed, opened = at_once([lambda: who.post(API + "/auth/change-password", change), sign_in_later])
        assert changed.status == 204
        if opened.status == 200:
            assert other.get(API + "/auth/me", token=opened.json["accessToken"]).status == 401
            assert other.post(REFRESH, {"refreshToken": opened.json["refreshToken"]}).status == 401
        else:
            assert opened.status == 401
        password = fresh


def test_r35_refreshing_and_logging_out_at_the_same_time_leaves_nothing(users):
    for _ in range(20):
        who = users.client()
        helper, token = who.clone(), {"refreshToken": who.refresh_token}
        ended, fresh = at_once([lambda: who.post(API + "/auth/logout-all"), lambda: helper.post(REFRESH, token)])
        assert ended.status == 204
        if fresh.status == 200:
            assert who.get(API + "/auth/me", token=fresh.json["accessToken"]).status == 401
            assert who.post(REFRESH, {"refreshToken": fresh.json["refreshToken"]}).status == 401


def test_r35_an_ended_session_is_over_in_every_pool_at_once(client):
    mine = f"{API}/users/{client.user['id']}"
    assert client.get(mine).status == client.put(mine, {"name": "A"}).status == 200
    assert client.post(API + "/auth/logout").status == 204
    assert [client.get(mine).problem, client.put(mine, {"name": "B"}).problem] == ["invalid-token"] * 2


def test_r35_the_broker_hangs_up(users, client, device):
    other = users.login(client.email)
    gone, stays = device(other), device(client)
    start = time.monotonic()
    assert other.post(API + "/auth/logout").status == 204
    while gone.connected.is_set() and time.monotonic() < start + 5:
        time.sleep(0.05)
    assert not gone.connected.is_set()
    assert stays.connected.is_set()
    client.post(API + "/auth/logout-all")
    while stays.connected.is_set() and time.monotonic() < start + 10:
        time.sleep(0.05)
    assert not stays.connected.is_set()


def test_suspended_users_cannot_refresh(client, sql):
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (client.user["id"],))
    assert client.post(REFRESH, {"refreshToken": client.refresh_token}).problem == "invalid-refresh-token"


def test_the_purge_removes_only_what_is_dead(users, client, sql):
    living, spent, dead = client, users.client(), users.client()
    users.anonymous().post(LOGIN, credentials(living, WRONG))
    sid = claims_of(dead.token)["sid"]
    sql("UPDATE session SET expires_at = now() - interval '31 days' WHERE id = %s", (sid,))
    kept = spent.post(REFRESH, {"refreshToken": spent.refresh_token}).json
    sql("UPDATE refresh_token SET spent_at = spent_at - interval '31 days' WHERE session_id = %s", (kept["sessionId"],))
    for email, account in ((b"nobody", None), (b"somebody", living.user["id"])):
        sql("INSERT INTO login_guard (email_hash, account_id, failures, touched_at) VALUES (sha256(%s), %s, 1, now() - "
            "interval '2 days')", (email + uuid.uuid4().bytes, account))
    sql("INSERT INTO login_device (account_id, token_hash, last_used_at) VALUES (%s, sha256('x'), now() - "
        "interval '367 days')", (living.user["id"],))
    assert sql("SELECT auth_purge()", user="plaza_relay")[0][0] >= 4
    assert sql("SELECT count(*) FROM session WHERE id = %s", (sid,)) == [(0,)]
    assert sql("SELECT count(*) FROM refresh_token WHERE session_id = %s", (kept["sessionId"],)) == [(1,)]
    assert sql("SELECT count(*) FROM login_guard WHERE touched_at < now() - interval '1 day'") == [(0,)]
    assert sql("SELECT count(*) FROM login_guard WHERE account_id = %s", (living.user["id"],)) == [(1,)]
    assert sql("SELECT count(*) FROM login_device WHERE account_id = %s", (living.user["id"],)) == [(1,)]
    assert living.get(API + "/auth/me").status == 200
    assert spent.post(REFRESH, {"refreshToken": kept["refreshToken"]}).status == 200


def test_the_purge_works_in_pieces(client, sql):
    sid = claims_of(client.token)["sid"]
    sql("INSERT INTO refresh_token (token_hash, session_id, spent_at) SELECT sha256(convert_to(%s || n, 'UTF8')), %s, "
        "now() - interval '31 days' FROM generate_series(1, 1500) AS n", (sid, sid))
    old = "SELECT count(*) FROM refresh_token WHERE session_id = %s AND spent_at IS NOT NULL"
    pieces = []
    while sql(old, (sid,))[0][0] > 0 and len(pieces) < 5:
        pieces.append(sql("SELECT auth_purge()", user="plaza_relay")[0][0])
    assert sql(old, (sid,)) == [(0,)]
    assert pieces[0] == 1000 and len(pieces) == 2


# ---- R38, R39: rights ----

@pytest.mark.parametrize("role", ["admin", "moderator", "service", "root", "", "Client", ["client"], 4])
def test_r39_nobody_chooses_a_mighty_role(anonymous, role):
    body = {"email": f"r-{uuid.uuid4().hex}@plaza.example", "password": PASSWORD, "name": "R", "role": role}
    for path in ("/auth/register", "/auth/signup", "/auth/register/client", "/auth/register/seller"):
        r = anonymous.post(API + path, body)
        assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", "/role")


def test_r39_the_path_and_the_body_may_not_contradict(anonymous):
    body = {"email": f"r-{uuid.uuid4().hex}@plaza.example", "password": PASSWORD, "name": "R", "role": "seller"}
    assert anonymous.post(API + "/auth/register/client", body).json["errors"][0]["pointer"] == "/role"


COLUMNS = ["id", "role", "status", "email", "emailVerified", "email_verified", "passwordHash", "password", "version",
           "createdAt", "deletedAt", "shopId", "shop_id", "lastLoginAt", "__proto__"]


@pytest.mark.parametrize("member", COLUMNS)
def test_r39_no_other_member_can_be_written(anonymous, client, member):
    path = f"{API}/users/{client.user['id']}"
    for r in (client.put(path, {member: "admin"}),
              client.patch(path, {member: "admin"}, headers={"If-Match": "*"})):
        assert (r.status, r.json["errors"][0]["code"]) == (422, "unknown_member")
    if member not in ("email", "password", "role"):
        body = {"email": f"r-{uuid.uuid4().hex}@plaza.example", "password": PASSWORD, "name": "R", member: "admin"}
        assert anonymous.post(API + "/auth/register", body).json["errors"][0]["code"] == "unknown_member"
    assert client.get(path).json == client.user


def test_r38_foreign_sessions_and_profiles_are_not_found(users, client, seller):
    foreign = claims_of(seller.token)["sid"]
    for sid in (foreign, str(uuid.uuid4()), "x", "00000000-0000-0000-0000-000000000000"):
        r = client.delete(f"{API}/auth/sessions/{sid}")
        assert (r.status, r.problem) == (404, "not-found")
    assert seller.get(API + "/auth/me").status == 200
    assert foreign not in [s["id"] for s in client.pages(API + "/auth/sessions")]
    path = f"{API}/users/{seller.user['id']}"
    for r in (client.put(path, {"name": "Mine"}), client.patch(path, {"name": "Mine"}, headers={"If-Match": "*"})):
        assert (r.status, r.problem) == (404, "not-found")
    assert seller.get(path).json == seller.user


def test_r38_nothing_works_without_a_token(anonymous, client):
    for method, path in [("POST", "/auth/logout"), ("POST", "/auth/logout-all"), ("GET", "/auth/me"),
                         ("GET", "/auth/verify"), ("GET", "/auth/sessions"), ("DELETE", f"/auth/sessions/{uuid.uuid4()}"),
                         ("POST", "/auth/change-password"), ("POST", "/auth/validate"),
                         ("PUT", f"/users/{client.user['id']}"), ("PATCH", f"/users/{client.user['id']}")]:
        r = anonymous.request(method, API + path)
        assert (r.status, r.problem) == (401, "unauthenticated"), path
        assert r.headers["WWW-Authenticate"].startswith("Bearer")


def test_r43_only_the_auth_role_reaches_what_signing_in_needs(sql):
    """Each program's role against each table and function of this domain."""
    tables = ("credential", "refresh_token", "login_guard", "login_device")
    for role in ("plaza_web", "plaza_auth", "plaza_relay", "plaza_report"):
        for table in tables:
            assert sql("SELECT has_any_column_privilege(%s, %s, 'SELECT, INSERT, UPDATE') OR "
                       "has_table_privilege(%s, %s, 'DELETE')", (role, table, role, table)) == [(False,)]
    secret = {"login_begin", "login_accept", "password_begin", "password_change", "session_open", "session_refresh",
              "account_register", "sessions_end", "kick", "guard_attempt", "guard_clear", "device_attempt", "device_keep",
              "login_unlock", "shop_create"}
    found = sql("SELECT p.proname, r.rolname, has_function_privilege(r.rolname, p.oid, 'EXECUTE') FROM pg_proc AS p, "
                "pg_roles AS r WHERE p.pronamespace = 'plaza'::regnamespace AND p.proname = ANY (%s) AND r.rolname IN "
                "('plaza_web', 'plaza_relay', 'plaza_report')", (list(secret),))
    assert {f[0] for f in found} == secret
    assert [f for f in found if f[2]] == []


def test_one_address_opens_one_account(users, sql):
    email = f"race-{uuid.uuid4().hex}@plaza.example"
    body = {"email": email, "password": PASSWORD, "name": "Race", "role": "seller", "shopName": "Race " + email.partition("@")[0]}
    people = [users.anonymous() for _ in range(6)]
    answers = sorted(at_once([lambda p=p: p.post(API + "/auth/register", body).status for p in people]))
    assert answers == [201] + [409] * 5
    assert sql("SELECT count(*) FROM account WHERE email = %s", (email,)) == [(1,)]
    assert sql("SELECT count(*) FROM shop WHERE name = %s", (body["shopName"],)) == [(1,)]


# ---- R32, R33: forged tokens ----

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forge:
    """Makes tokens with the server's own key, so that nothing but the fault under test is wrong with them."""

    def __init__(self, env, good):
        conf = Path(env.conf).read_text(encoding="utf-8")
        folder = Path(re.search(r"^keys_dir = (.*)$", conf, re.M).group(1))
        self.header = json.loads(base64.urlsafe_b64decode(good.split(".")[0] + "=="))
        self.key = folder / f"{self.header['kid']}.pem"
        self.public = (folder / f"{self.header['kid']}.pub.pem").read_bytes()
        self.claims = claims_of(good)

    def sign(self, text):
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.key)], input=text.encode(),
                              stdout=subprocess.PIPE, check=True)
        return b64(done.stdout)

    def raw(self, header, payload):
        text = f"{b64(header.encode())}.{b64(payload.encode())}"
        return f"{text}.{self.sign(text)}"

    def token(self, header=None, **changes):
        claims = {k: v for k, v in {**self.claims, **changes}.items() if v is not None}
        return self.raw(json.dumps({**self.header, **(header or {})}), json.dumps(claims))

    def hs256(self, alg, key):
        text = f"{b64(json.dumps({**self.header, 'alg': alg}).encode())}.{b64(json.dumps(self.claims).encode())}"
        return f"{text}.{b64(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def hostile(f, good):
    now = int(time.time())
    head, payload, signature = good.split(".")
    text = json.dumps(f.claims)
    yield from {
        "wrong iss": f.token(iss="https://evil.example"), "no iss": f.token(iss=None),
        "mqtt": f.token(aud="mqtt"), "aud list": f.token(aud=["api"]), "no aud": f.token(aud=None),
        "other kind": f.token(kind="refresh"), "no kind": f.token(kind=None),
        "expired": f.token(iat=now - 2000, exp=now - 1000), "no exp": f.token(exp=None),
        "text exp": f.token(exp=str(now + 600)), "float exp": f.token(exp=now + 600.5),
        "endless": f.token(exp=now + 10 ** 9), "future iat": f.token(iat=now + 600, exp=now + 1200),
        "future nbf": f.token(nbf=now + 600), "no sub": f.token(sub=None), "sub 0": f.token(sub=0),
        "no sid": f.token(sid=None), "nil sid": f.token(sid="00000000-0000-0000-0000-000000000000"),
        "no jti": f.token(jti=None), "foreign sid": f.token(sid=str(uuid.uuid4())),
        "foreign sub": f.token(sub=str(uuid.uuid4())), "role root": f.token(role="root"), "no role": f.token(role=None),
        "unknown kid": f.token({"kid": "nobody"}), "path kid": f.token({"kid": "../../../dev/null"}),
        "crit": f.token({"crit": ["exp"]}), "jku": f.token({"jku": "https://evil.example/jwks"}),
        "jwk": f.token({"jwk": {"kty": "RSA"}}), "typ": f.token({"typ": "at+jwt"}),
        "two subs": f.raw(json.dumps(f.header), text[:-1] + f', "sub": "{uuid.uuid4()}"}}'),
        "trailing": f.raw(json.dumps(f.header), text + "x"), "array": f.raw(json.dumps(f.header), f"[{text}]"),
        "HS256 with the public key": f.hs256("HS256", f.public), "HS256, no key": f.hs256("HS256", b""),
        "none, signed": f.hs256("none", b""),
        "none": f"{b64(json.dumps({**f.header, 'alg': 'none'}).encode())}.{payload}.",
        "NoNe": f"{b64(json.dumps({**f.header, 'alg': 'NoNe'}).encode())}.{payload}.{signature}",
        "RS512": f.token({"alg": "RS512"}), "no signature": f"{head}.{payload}.", "two parts": f"{head}.{payload}",
        "four parts": good + ".x", "padding": good + "==", "junk": good + "!!", "space": good[:-1] + " ",
        "last character": good[:-1] + ("B" if good[-1] != "B" else "C"),
        "other payload": f"{head}.{b64(text.replace('client', 'admin').encode())}.{signature}",
        "empty": "", "dots": "..", "long": good + "A" * 5000,
    }.items()


def test_r33_no_forged_token_is_taken(users, client, env):
    f, asked, failed = Forge(env, client.token), users.anonymous(), []
    assert asked.get(API + "/auth/me", token=f.token()).status == 200, "a token made the same way without a fault"
    for name, token in hostile(f, client.token):
        for path in ("/auth/me", f"/users/{client.user['id']}"):
            r = asked.get(API + path, headers={"Authorization": f"Bearer {token}"})
            if (r.status, r.problem) != (401, "invalid-token"):
                failed.append((name, path, r))
        if asked.get(API + "/auth/validate", headers={"Authorization": f"Bearer {token}"}).json != {"active": False}:
            failed.append((name, "validate"))
    assert failed == []


@pytest.mark.parametrize("scheme", ["Basic {}", "Digest {}", "Bearer{}", "{}", "Token {}", "Bearer", "Bearer  ", "bearer x {}"])
def test_r33_only_the_bearer_scheme_carries_a_token(client, scheme):
    r = client.get(API + "/auth/me", headers={"Authorization": scheme.format(client.token)})
    assert (r.status, r.problem) == (401, "invalid-token")


def test_r37_a_token_in_the_address_is_not_read(anonymous, client):
    for name in ("access_token", "token", "authorization"):
        assert anonymous.get(f"{API}/auth/me?{name}={client.token}").status in (401, 422)


# ---- R78: secrets stay out of the logs ----

def log_lines(env):
    time.sleep(0.3)
    for path in Path(env.log_dir).glob("*"):
        if path.is_file():
            yield from path.read_text(encoding="utf-8", errors="replace").splitlines()


def test_r78_no_secret_reaches_a_log(users, client, env):
    canary = "canary " + uuid.uuid4().hex
    who, sent = users.client(password=canary), users.anonymous()
    secrets = [canary, who.token, who.refresh_token, device_token := sent.post(LOGIN, credentials(who, canary)).json["deviceToken"]]
    sent.post(LOGIN, {"email": canary, "password": canary})
    sent.post(LOGIN, credentials(client, canary))
    sent.post(LOGIN, {**credentials(who, canary), "more": canary})
    sent.request("POST", LOGIN, body=f'{{"password":"{canary}"'.encode(), headers={"Content-Type": "application/json"})
    sent.post(LOGIN, credentials(who, canary), headers={"X-Device-Token": device_token})
    sent.post(API + "/auth/register", {"email": who.email, "password": canary, "name": "Twice"})
    who.post(API + "/auth/change-password", {"currentPassword": canary, "newPassword": canary + "2"})
    who.post(API + "/auth/change-password", {"currentPassword": canary, "newPassword": canary})
    sent.post(REFRESH, {"refreshToken": canary})
    secrets.append(sent.post(REFRESH, {"refreshToken": who.refresh_token}).json["refreshToken"])
    sent.get(API + "/auth/me", token=who.token + "x")
    seen = 0
    for line in log_lines(env):
        seen += 1
        for secret in secrets:
            assert secret not in line, line[:200]
    assert seen > 10
