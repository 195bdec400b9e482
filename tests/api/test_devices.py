"""Devices for push messages: whose they are, what addresses are taken, when they go."""
import concurrent.futures
import json
import uuid

import pytest

from plazatest.http import claims_of
from plazatest.pool import Pool
from plazatest.push import b64, fcm_token, subscription, unb64
from plazatest.sql import connect

DEVICES = "/api/v1/devices"


def put(user, **body):
    r = user.post(DEVICES, body)
    assert r.status == 201, r
    return r.json


def rows(sql, user):
    return sql("SELECT provider, address, session_id::text FROM push_device WHERE account_id = %s", (user.user["id"],))


def test_the_key_of_web_push_is_a_point(anonymous):
    r = anonymous.get(DEVICES + "/key")
    assert r.status == 200 and "max-age=60" in r.headers["Cache-Control"]
    assert len(unb64(r.json["applicationServerKey"])) == 65 and unb64(r.json["applicationServerKey"])[0] == 4


def test_a_session_has_one_device(client, sql):
    first, second = subscription(), subscription()
    made = put(client, **first, name="Firefox")
    assert made == {"id": made["id"], "provider": "webpush", "name": "Firefox", "current": True,
                    "createdAt": made["createdAt"]}
    again = put(client, **first, name="Fire fox")
    assert again["id"] == made["id"] and again["name"] == "Fire fox", "the same address is the same device"
    other = put(client, **second)
    assert other["id"] != made["id"]
    assert client.get(DEVICES).json["items"] == [other]
    assert rows(sql, client) == [("webpush", second["endpoint"], claims_of(client.token)["sid"])]
    token = fcm_token()
    assert put(client, token=token)["provider"] == "fcm"
    assert rows(sql, client)[0][:2] == ("fcm", token)


def test_each_session_has_its_own(users, client):
    other = users.login(client.email)
    mine, theirs = put(client, **subscription()), put(other, **subscription())
    seen = {d["id"]: d["current"] for d in client.get(DEVICES).json["items"]}
    assert seen == {mine["id"]: True, theirs["id"]: False}
    assert client.delete(f"{DEVICES}/{theirs['id']}").status == 204
    assert [d["id"] for d in other.get(DEVICES).json["items"]] == [mine["id"]]
    assert client.delete(f"{DEVICES}/{theirs['id']}").problem == "not-found"


def test_an_address_belongs_to_who_showed_it_last(users, client, sql):
    """Two people on one browser: what is for the first must not appear to the second."""
    address, other = subscription(), users.client()
    put(client, **address)
    put(other, **address)
    assert client.get(DEVICES).json["items"] == [] and rows(sql, client) == []
    assert len(rows(sql, other)) == 1


@pytest.mark.parametrize("end", ["logout", "logout-all", "session", "password", "revoked"])
def test_the_device_goes_with_its_session(users, client, sql, end):
    other = users.login(client.email)
    put(client, **subscription())
    if end == "logout":
        assert client.post("/api/v1/auth/logout").status == 204
    elif end == "logout-all":
        assert other.post("/api/v1/auth/logout-all").status == 204
    elif end == "session":
        assert other.delete(f"/api/v1/auth/sessions/{claims_of(client.token)['sid']}").status == 204
    elif end == "password":
        assert other.post("/api/v1/auth/change-password", {
            "currentPassword": other.password, "newPassword": other.password + " x"}).status in (200, 204)
    else:
        sql("SELECT sessions_end(%s, NULL, 'suspended')", (client.user["id"],))
    assert rows(sql, client) == []


@pytest.mark.parametrize("change,pointer", [
    ({"endpoint": None}, "/endpoint"), ({"token": "x" * 30}, "/token"), ({"keys": None}, "/keys"),
    ({"endpoint": "ftp://push.example/x"}, "/endpoint"), ({"endpoint": "https://u@push.example/x"}, "/endpoint"),
    ({"endpoint": "https://push.example/\n"}, "/endpoint"), ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "/keys"),
    ({"keys": {"p256dh": "*", "auth": "*"}}, "/keys"), ({"keys": {"p256dh": "AAAA"}}, "/keys/auth")])
def test_addresses_are_checked(client, change, pointer):
    body = {k: v for k, v in {**subscription(), **change}.items() if v is not None}
    r = client.post(DEVICES, body)
    assert (r.status, r.problem, r.json["errors"][0]["pointer"]) == (422, "invalid", pointer)
    assert client.get(DEVICES).json["items"] == []


@pytest.fixture(scope="module")
def strict(env, tmp_path_factory):
    """A worker as on a server: push services of other people only."""
    folder = tmp_path_factory.mktemp("strict")
    for f in (folder, folder.parent, folder.parent.parent):
        f.chmod(0o755)
    pool = Pool(env, folder, 1, "web", push_loopback=0)
    yield pool
    pool.close()


@pytest.mark.parametrize("endpoint,status", [
    ("https://push.example/x", 201), ("https://push.example:443/x", 201), ("http://push.example/x", 422),
    ("https://push.example:8443/x", 422), ("https://localhost/x", 422), ("https://127.0.0.1/x", 422),
    ("https://2130706433/x", 422), ("https://0x7f.1/x", 422), ("https://[::1]/x", 422), ("https://[::ffff:10.0.0.1]/x", 422),
    ("https://169.254.169.254/latest/meta-data/", 422), ("https://push.example./x", 422)])
def test_r54_only_services_of_other_people(client, strict, endpoint, status):
    got, _ = strict.ask(0, "POST", "/api/v1/devices", body=json.dumps(subscription(endpoint)).encode(),
                        HTTP_AUTHORIZATION=f"Bearer {client.token}")
    assert got == status


def test_a_point_beside_the_curve_is_refused(client):
    body = subscription()
    point = bytearray(unb64(body["keys"]["p256dh"]))
    point[40] ^= 1
    body["keys"]["p256dh"] = b64(bytes(point))
    assert client.post(DEVICES, body).json["errors"][0]["pointer"] == "/keys"


@pytest.mark.parametrize("token", ["short", "x" * 2049, "white space " * 3, "é" * 30, "a/b" * 10])
def test_tokens_are_checked(client, token):
    r = client.post(DEVICES, {"token": token})
    assert (r.status, r.json["errors"][0]["pointer"]) == (422, "/token")


def hello(device, did, data):
    ident = str(uuid.uuid4())
    device.publish("hello", data, ident, did=did)
    device.wait("session:resumed", lambda m: m["ref"] == ident)


def test_hello_brings_the_token(client, device, sql):
    """Over MQTT, with the device's own name, which is its session's id."""
    d, token, web = device(client), fcm_token(), subscription()
    did = d.session["did"]
    hello(d, did, {"app": "Plaza 1.0", "pushToken": token})
    assert rows(sql, client) == [("fcm", token, did)]
    assert [(x["name"], x["current"]) for x in client.get(DEVICES).json["items"]] == [("Plaza 1.0", True)]
    hello(d, did, {"pushToken": json.dumps(web)})
    assert rows(sql, client) == [("webpush", web["endpoint"], did)]


def test_hello_brings_no_token_for_others(users, client, device, sql):
    """A name that is not one of the user's sessions registers nothing, and the connection goes on."""
    d, stranger = device(client), users.client()
    for did in (claims_of(stranger.token)["sid"], "phone", "00000000-0000-0000-0000-000000000000"):
        hello(d, did, {"pushToken": fcm_token()})
    hello(d, d.session["did"], {"pushToken": "no token"})
    assert rows(sql, client) == [] and rows(sql, stranger) == []


def test_a_device_that_comes_while_its_session_ends_goes_too(env, client, sql):
    """The end waits for the registration and then takes it along; a look at the session alone would leave it behind."""
    me, sid, web = client.user["id"], claims_of(client.token)["sid"], subscription()
    registering = connect(env)
    registering.autocommit = False
    with registering, registering.cursor() as cur, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cur.execute("SELECT app_enter(%s, %s, 'client')", (me, sid))
        cur.execute("SELECT device_put(%s, 'webpush', %s, 'h', %s, %s, '')",
                    (sid, web["endpoint"], web["keys"]["p256dh"], web["keys"]["auth"]))
        ending = pool.submit(sql, "SELECT sessions_end(%s, NULL, 'logout_all')", (me,))
        with pytest.raises(concurrent.futures.TimeoutError):
            ending.result(0.5)
        registering.commit()
        ending.result(10)
    registering.close()
    assert rows(sql, client) == []
