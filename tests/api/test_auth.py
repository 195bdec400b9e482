"""Accounts, signing in, sessions, profiles: what a client may rely on."""
import uuid

import pytest

from plazatest.http import PASSWORD, claims_of

API = "/api/v1"
GRANT = {"accessToken", "tokenType", "expiresIn", "refreshToken", "sessionId", "user", "deviceToken"}
PUBLIC = {"id", "username", "name", "role", "avatarUrl", "shopId", "createdAt"}
OWN = PUBLIC | {"email", "emailVerified", "phone", "status", "locale", "version", "updatedAt"}


def address(prefix="a"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}@plaza.example"


def body(**extra):
    return {"email": address(), "password": PASSWORD, "name": "Ann Ñandú", **extra}


# ---- register ----

def test_registering_signs_in_and_tells_where_the_user_is(anonymous):
    email = address("Mixed.Case")
    r = anonymous.post(API + "/auth/register", body(email=email, phone="+593 (4) 123-456", device="Phone"))
    assert r.status == 201
    assert set(r.json) == GRANT and r.json["tokenType"] == "Bearer"
    user = r.json["user"]
    assert set(user) == OWN
    assert (user["email"], user["role"], user["name"]) == (email.lower(), "client", "Ann Ñandú")
    assert (user["shopId"], user["emailVerified"], user["status"]) == (None, False, "active")
    assert r.headers["Location"] == f"{API}/users/{user['id']}"
    assert r.headers.get_all("Cache-Control") == ["no-store"]
    claims = claims_of(r.json["accessToken"])
    assert (claims["sub"], claims["sid"], claims["role"]) == (user["id"], r.json["sessionId"], "client")
    assert claims["exp"] - claims["iat"] == r.json["expiresIn"]
    assert anonymous.get(API + "/auth/me", token=r.json["accessToken"]).json == user


def test_a_seller_gets_a_shop_whose_address_comes_from_its_name(anonymous, sql):
    tail = uuid.uuid4().hex[:8]
    made = [anonymous.post(API + "/auth/register", body(role="seller", shopName=f"Café «Sol» & Mar {tail}")).json["user"]
            for _ in range(2)]
    slugs = [sql("SELECT slug FROM shop WHERE id = %s AND owner_id = %s", (u["shopId"], u["id"]))[0][0] for u in made]
    assert slugs[0] == f"cafe-sol-mar-{tail}"
    assert slugs[1].startswith(slugs[0] + "-")


def test_a_shop_is_called_like_its_owner_unless_told(anonymous, sql):
    user = anonymous.post(API + "/auth/register", body(role="seller", name="日本")).json["user"]
    assert sql("SELECT name FROM shop WHERE id = %s", (user["shopId"],)) == [("日本",)]


@pytest.mark.parametrize("path,role", [("/auth/signup", "client"), ("/auth/register/client", "client"),
                                       ("/auth/register/seller", "seller")])
@pytest.mark.parametrize("prefix", ["", "/api", API])
def test_the_older_paths_register_too(anonymous, prefix, path, role):
    r = anonymous.post(prefix + path, body())
    assert (r.status, r.json["user"]["role"]) == (201, role)


def test_a_username_is_enough_for_a_name(anonymous):
    given = {"email": address(), "password": PASSWORD, "username": "u." + uuid.uuid4().hex[:10]}
    user = anonymous.post("/auth/register", given).json["user"]
    assert user["name"] == user["username"] == given["username"]


def test_the_language_of_the_request_becomes_the_users(anonymous):
    r = anonymous.post(API + "/auth/register", body(), headers={"Accept-Language": "es-EC, en;q=0.5"})
    assert r.json["user"]["locale"] == "es"


def test_an_address_or_username_is_given_once(anonymous):
    first = body(username="u." + uuid.uuid4().hex[:10])
    assert anonymous.post(API + "/auth/register", first).status == 201
    r = anonymous.post(API + "/auth/register", body(email=first["email"].upper()))
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (409, "email-taken", "/email")
    r = anonymous.post(API + "/auth/register", body(username=first["username"].upper()))
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (409, "conflict", "/username")


@pytest.mark.parametrize("extra,pointer", [
    ({"email": "no-address"}, "/email"), ({"email": None}, "/email"), ({"name": "   "}, "/name"),
    ({"name": None}, "/name"), ({"username": "a b"}, "/username"), ({"username": "ñandú"}, "/username"),
    ({"username": "ab"}, "/username"), ({"phone": "call me"}, "/phone"), ({"shopName": "Mine"}, "/shopName"),
    ({"role": "seller", "shopName": "  "}, "/shopName"), ({"name": "x" * 101}, "/name"), ({"password": "x" * 257}, "/password"),
])
def test_a_bad_member_is_named(anonymous, extra, pointer):
    r = anonymous.post(API + "/auth/register", body(**extra))
    assert (r.status, r.problem) == (422, "invalid")
    assert [e["pointer"] for e in r.json["errors"]] == [pointer]


@pytest.mark.parametrize("password", ["short", "plaza-plaza", "somebody-1", "somebody@plaza.example"])
def test_r23_a_weak_password_is_refused(anonymous, password):
    r = anonymous.post(API + "/auth/register", body(email="somebody@plaza.example", password=password))
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "weak-password", "/password")


def test_r23_a_long_password_with_any_characters_is_taken_whole(anonymous):
    given = body(password="ñ 漢字 " * 12 + "end")
    assert anonymous.post(API + "/auth/register", given).status == 201
    cut = {"email": given["email"], "password": given["password"][:-1]}
    assert anonymous.post(API + "/auth/login", cut).status == 401
    assert anonymous.post(API + "/auth/login", {**cut, "password": given["password"]}).status == 200


# ---- login ----

def test_signing_in_gives_tokens_and_the_user(anonymous, client):
    r = anonymous.post(API + "/auth/login", {"email": client.email.upper(), "password": PASSWORD})
    assert r.status == 200
    assert set(r.json) == GRANT and r.json["user"] == client.user
    assert r.headers.get_all("Cache-Control") == ["no-store"]


@pytest.mark.parametrize("prefix", ["", "/api", API])
def test_signing_in_by_role_opens_only_that_door(anonymous, client, seller, admin, prefix):
    people = {"client": client, "seller": seller, "admin": admin}
    for door in people:
        for role, who in people.items():
            r = anonymous.post(f"{prefix}/auth/login/{door}", {"email": who.email, "password": who.password})
            assert (r.status, r.problem) == ((200, None) if door == role else (401, "invalid-credentials")), (door, role)
            # The wrong doors counted as failures; the right one forgets them.
            assert anonymous.post(API + "/auth/login", {"email": who.email, "password": who.password}).status == 200


def test_an_old_token_does_not_keep_anybody_from_signing_in(client):
    assert client.post(API + "/auth/logout").status == 204
    assert client.get(API + "/auth/me").status == 401
    assert client.post(API + "/auth/login", {"email": client.email, "password": PASSWORD}).status == 200


# ---- refresh ----

@pytest.mark.parametrize("member", ["refreshToken", "refresh_token"])
def test_refreshing_gives_a_new_pair_in_the_same_session(anonymous, client, member):
    r = anonymous.post(API + "/auth/refresh", {member: client.refresh_token})
    assert r.status == 200
    assert set(r.json) == GRANT - {"deviceToken"}
    assert r.json["refreshToken"] != client.refresh_token and r.json["user"] == client.user
    assert r.json["sessionId"] == claims_of(client.token)["sid"]
    assert claims_of(r.json["accessToken"])["jti"] != claims_of(client.token)["jti"]
    for token in (client.token, r.json["accessToken"]):
        assert anonymous.get(API + "/auth/me", token=token).status == 200


def test_an_expired_access_token_does_not_spoil_refreshing(client):
    assert client.post(API + "/auth/refresh", {"refreshToken": client.refresh_token}, token="e.x.pired").status == 200


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 200])
def test_an_unknown_refresh_token_is_refused(anonymous, token):
    r = anonymous.post(API + "/auth/refresh", {"refreshToken": token})
    assert (r.status, r.problem) == (401, "invalid-refresh-token")


def test_refreshing_sees_a_changed_role_and_shop(anonymous, client, sql):
    sql("UPDATE account SET role = 'moderator' WHERE id = %s", (client.user["id"],))
    r = anonymous.post(API + "/auth/refresh", {"refreshToken": client.refresh_token})
    assert claims_of(r.json["accessToken"])["role"] == r.json["user"]["role"] == "moderator"


# ---- sessions ----

def test_sessions_are_listed_newest_first_with_the_current_one_marked(users, client):
    for device in ("Tablet", "Laptop"):
        users.anonymous().post(API + "/auth/login", {"email": client.email, "password": PASSWORD, "device": device},
                               headers={"User-Agent": f"{device}/1.0"})
    first = client.get(API + "/auth/sessions?limit=2").json
    assert [(s["device"], s["userAgent"], s["current"]) for s in first["items"]] == [
        ("Laptop", "Laptop/1.0", False), ("Tablet", "Tablet/1.0", False)]
    assert first["items"][0]["address"] == "127.0.0.1"
    everything = list(client.pages(API + "/auth/sessions?limit=2"))
    assert [s["current"] for s in everything] == [False, False, True]
    assert len({s["id"] for s in everything}) == 3
    assert client.get(API + "/auth/sessions?cursor=AAAAAAAAxx").problem == "bad-cursor"


def test_ending_one_session_leaves_the_others(users, client):
    other = users.login(client.email)
    sid = claims_of(other.token)["sid"]
    assert client.delete(f"{API}/auth/sessions/{sid}").status == 204
    assert other.get(API + "/auth/me").status == 401
    assert other.post(API + "/auth/refresh", {"refreshToken": other.refresh_token}).problem == "invalid-refresh-token"
    assert client.delete(f"{API}/auth/sessions/{sid}").status == 404
    assert client.get(API + "/auth/me").status == 200


@pytest.mark.parametrize("prefix", ["", "/api", API])
def test_logging_out_ends_this_session_only(users, client, prefix):
    other = users.login(client.email)
    assert other.post(prefix + "/auth/logout").status == 204
    assert other.get(prefix + "/auth/me").problem == "invalid-token"
    assert client.get(prefix + "/auth/verify").json == client.user


def test_logging_out_everywhere_ends_all(users, client):
    other = users.login(client.email)
    assert client.post(API + "/auth/logout-all").status == 204
    for c in (client, other):
        assert c.get(API + "/auth/me").problem == "invalid-token"
        assert c.post(API + "/auth/refresh", {"refreshToken": c.refresh_token}).problem == "invalid-refresh-token"
    assert users.login(client.email).get(API + "/auth/me").status == 200


def test_changing_the_password_ends_the_other_sessions(users, client):
    other, fresh = users.login(client.email), "a wholly new battery staple"
    change = {"currentPassword": PASSWORD, "newPassword": fresh}
    assert client.post(API + "/auth/change-password", change).status == 204
    assert client.get(API + "/auth/me").status == 200
    assert other.get(API + "/auth/me").status == 401
    login = {"email": client.email, "password": PASSWORD}
    assert client.post(API + "/auth/login", login).problem == "invalid-credentials"
    assert client.post(API + "/auth/login", {**login, "password": fresh}).status == 200


def test_changing_the_password_needs_the_current_one_and_a_good_new_one(client):
    wrong = {"currentPassword": "not the password", "newPassword": "a wholly new battery staple"}
    assert client.post(API + "/auth/change-password", wrong).problem == "invalid-credentials"
    weak = {"currentPassword": PASSWORD, "newPassword": "short"}
    r = client.post(API + "/auth/change-password", weak)
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "weak-password", "/newPassword")
    assert client.post(API + "/auth/change-password", wrong, token=False).problem == "unauthenticated"


# ---- who ----

def test_me_has_an_etag(client):
    r = client.get(API + "/auth/me")
    assert client.get(API + "/auth/me", headers={"If-None-Match": r.headers["ETag"]}).status == 304


def test_anybody_may_ask_about_the_token_they_hold(anonymous, client):
    for prefix in ("", "/api", API):
        r = client.get(prefix + "/auth/validate")
        assert r.status == 200
        claims = claims_of(client.token)
        assert r.json == {"active": True, "tokenType": "Bearer", "username": client.email,
                          **{k: claims[k] for k in ("sub", "sid", "jti", "aud", "iss", "role", "iat", "exp")}}
    for token in (False, "x.y.z"):
        assert anonymous.get(API + "/auth/validate", token=token).json == {"active": False}
    client.post(API + "/auth/logout")
    assert client.get(API + "/auth/validate").json == {"active": False}


def test_services_may_ask_about_any_token(users, client, sql):
    service = users.client()
    asked = {"token": client.token}
    assert service.post(API + "/auth/validate", asked).problem == "forbidden"
    sql("UPDATE account SET role = 'service' WHERE id = %s", (service.user["id"],))
    service.token = service.post(API + "/auth/refresh", {"refreshToken": service.refresh_token}).json["accessToken"]
    r = service.post(API + "/auth/validate", asked)
    assert (r.json["active"], r.json["sub"]) == (True, client.user["id"])
    client.post(API + "/auth/logout")
    assert service.post(API + "/auth/validate", asked).json == {"active": False}
    assert service.post(API + "/auth/validate", {"token": "x" * 4000}).json == {"active": False}
    assert service.get(API + "/auth/me").json["role"] == "service"


# ---- profiles ----

@pytest.mark.parametrize("prefix", ["", "/api", API])
def test_a_profile_shows_strangers_little_and_its_owner_all(users, client, seller, admin, prefix):
    path = f"{prefix}/users/{seller.user['id']}"
    for stranger in (users.anonymous(), client):
        r = stranger.get(path)
        assert set(r.json) == PUBLIC
        assert r.json["shopId"] == seller.user["shopId"]
    for reader in (seller, admin):
        assert reader.get(path).json == seller.user
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status == 304
    assert seller.get(path).headers["ETag"] != etag


def test_missing_and_malformed_ids_are_not_found(anonymous, client):
    for ident in (str(uuid.uuid4()), "0", "%20", "me", "00000000-0000-0000-0000-000000000000", "*"):
        assert anonymous.get(f"{API}/users/{ident}").status == 404
        assert client.put(f"{API}/users/{ident}", {"name": "X"}).status == 404


@pytest.mark.parametrize("prefix", ["", "/api", API])
def test_put_changes_what_is_sent(client, prefix):
    path = f"{prefix}/users/{client.user['id']}"
    name = "u." + uuid.uuid4().hex[:10]
    sent = {"name": " New Name ", "username": name, "phone": "123", "avatarUrl": "/files/1", "locale": "es"}
    r = client.put(path, sent)
    assert r.status == 200
    changed = {**sent, "name": "New Name"}
    assert {k: r.json[k] for k in changed} == changed
    assert r.json["version"] == client.user["version"] + 1
    r = client.put(path, {"phone": None, "username": None, "avatarUrl": None})
    assert (r.json["phone"], r.json["username"], r.json["avatarUrl"], r.json["name"]) == (None, None, None, "New Name")
    assert client.get(API + "/auth/me").json == r.json


def test_r13_patch_needs_the_version_it_is_based_on(client):
    path = f"{API}/users/{client.user['id']}"
    assert client.patch(path, {"name": "A"}).problem == "precondition-required"
    etag = client.get(path).headers["ETag"]
    r = client.patch(path, {"name": "B"}, headers={"If-Match": etag})
    assert (r.status, r.json["name"]) == (200, "B")
    assert r.headers["ETag"] != etag
    assert client.patch(path, {"name": "C"}, headers={"If-Match": etag}).problem == "precondition-failed"
    assert client.patch(path, {"name": "C"}, headers={"If-Match": "*"}).json["name"] == "C"


@pytest.mark.parametrize("sent,pointer", [
    ({"name": None}, "/name"), ({"locale": None}, "/locale"), ({"locale": "fr"}, "/locale"), ({"name": " "}, "/name"),
    ({"username": "a@b"}, "/username"), ({"phone": "x"}, "/phone"), ({"avatarUrl": "javascript:x"}, "/avatarUrl"),
])
def test_a_bad_change_is_named(client, sent, pointer):
    r = client.put(f"{API}/users/{client.user['id']}", sent)
    assert (r.status, [e["pointer"] for e in r.json["errors"]]) == (422, [pointer])


def test_a_taken_username_is_a_conflict(users, client):
    other = users.client(username="u." + uuid.uuid4().hex[:10])
    path = f"{API}/users/{client.user['id']}"
    taken = {"username": other.user["username"].upper()}
    assert client.put(path, taken).problem == "conflict"
    assert client.patch(path, taken, headers={"If-Match": "*"}).problem == "conflict"


def test_suspended_users_have_no_public_profile(anonymous, client, admin, sql):
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (client.user["id"],))
    path = f"{API}/users/{client.user['id']}"
    assert anonymous.get(path).status == 404
    assert admin.get(path).json["status"] == "suspended"


def test_administrators_may_mend_a_profile(client, admin):
    r = admin.put(f"{API}/users/{client.user['id']}", {"name": "Mended"})
    assert (r.status, r.json["name"]) == (200, "Mended")
