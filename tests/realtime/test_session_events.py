"""What a device is told of its own session, over TCP and over WebSocket through the web server."""
import time
import uuid

import paho.mqtt.client as paho
import pytest

from plazatest import process
from plazatest.fold import open_chat, send, sync
from plazatest.mqtt import Device
from plazatest.tokens import changed

API = "/api/v1"
ways = pytest.mark.parametrize("ws", [False, True], ids=["tcp", "ws"])


@pytest.fixture
def attach(env):
    """attach(client) connects a device that does not come back by itself."""
    made = []

    def make(client, ws, **kw):
        made.append(Device(env, client, ws=ws, **kw))
        made[-1].paho.reconnect_delay_set(60, 60)
        return made[-1]
    yield make
    for d in made:
        d.close()


def topics_of(d, kind):
    return {t for t, m in d.messages if m["t"] == kind}


def own_topic(d):
    return f"u/{d.session['username']}/d/{d.session['did']}"


# ---- session:resumed ----

@ways
def test_a_reconnect_hears_where_the_feed_stands_and_syncs_the_rest(users, attach, ws):
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    send(a, chat)
    d = attach(b, ws)
    last, epoch = d.session["us"], d.session["epoch"]
    d.close()
    for n in range(3):
        send(a, chat, str(n))
    back, ref = attach(b, ws), str(uuid.uuid4())
    back.publish("hello", {"app": "test 1", "lastUs": last, "epoch": epoch}, ref, did=back.session["did"])
    m = back.wait("session:resumed")
    assert m["d"] == {"ref": ref, "epoch": epoch, "to": last + 3} and "us" not in m
    assert topics_of(back, "session:resumed") == {own_topic(back)}
    assert [e["us"] for e in sync(b, last)["events"]] == [last + 1, last + 2, last + 3]


# ---- feed:ahead ----

@ways
def test_a_beat_that_is_behind_is_told_so(users, attach, ws):
    """As when the broker dropped a message and no other one followed."""
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    send(a, chat)
    d = attach(b, ws)
    last = d.session["us"]
    d.publish("beat", {"state": "active", "us": last - 1}, did=d.session["did"], qos=0)
    assert d.wait("feed:ahead")["d"] == {"us": last, "epoch": d.session["epoch"]}
    assert topics_of(d, "feed:ahead") == {own_topic(d)}


@pytest.mark.parametrize("more,told", [({}, False), ({"us": 0}, False), ({"us": 0, "epoch": ""}, False),
                                       ({"us": -1}, True), ({"us": 1}, False), ({"us": 0, "epoch": "before"}, True),
                                       ({"us": "x"}, False), ({"us": None}, False)])
def test_only_a_beat_that_is_behind_is_answered(client, attach, more, told):
    d = attach(client, False)
    stand = {**more, **({"us": d.session["us"] + more["us"]} if isinstance(more.get("us"), int) else {}),
             **({"epoch": d.session["epoch"]} if more.get("epoch") == "" else {})}
    d.publish("beat", {"state": "active", **stand}, did=d.session["did"], qos=0)
    ref = str(uuid.uuid4())
    d.publish("hello", {}, ref, did=d.session["did"])  # uplinks are taken in their order
    d.wait("session:resumed", lambda m: m["ref"] == ref)
    assert bool(d.events("feed:ahead")) == told


# ---- session:revoked ----

@ways
@pytest.mark.parametrize("how", ["logout", "logout_all", "password_change"])
def test_an_ended_session_is_told_and_cut_off(users, attach, ws, how):
    c = users.client()
    d = attach(c, ws)
    began = time.monotonic()
    if how == "logout":
        r = c.post(API + "/auth/logout")
    elif how == "logout_all":
        r = c.post(API + "/auth/logout-all")
    else:
        other = users.login(c.email)
        r = other.post(API + "/auth/change-password", {"currentPassword": c.password, "newPassword": c.password + " x"})
    assert r.status in (200, 204), r
    m = d.wait("session:revoked")
    assert m["d"]["reason"] == how and topics_of(d, "session:revoked") == {own_topic(d)} and "us" not in m
    process.wait(lambda: not d.connected.is_set(), 5, "the connection ends")
    assert time.monotonic() - began < 5
    again = paho.Client(client_id=d.session["clientId"], clean_session=True)
    codes = []
    again.on_connect = lambda _c, _u, _f, rc: codes.append(rc)
    again.username_pw_set(d.session["username"], d.session["password"])
    again.reconnect_delay_set(60, 60)
    again.connect("127.0.0.1", d.url("mqtt").port)
    again.loop_start()
    process.wait(lambda: codes, 5, "an answer")
    again.disconnect()
    again.loop_stop()
    assert codes == [5], "its token is dead"


@ways
def test_the_end_of_one_session_spares_the_other(users, attach, ws):
    c = users.client()
    other = users.login(c.email)
    d, stays = attach(c, ws), attach(other, ws)
    assert c.post(API + "/auth/logout").status == 204
    process.wait(lambda: not d.connected.is_set(), 5, "the connection ends")
    ref = str(uuid.uuid4())
    stays.publish("hello", {}, ref, did=stays.session["did"])
    assert stays.wait("session:resumed", lambda m: m["ref"] == ref) and stays.connected.is_set()


# ---- auth:expiring ----

@ways
def test_the_end_of_a_token_is_told_and_then_it_ends(env, users, attach, ws):
    d = attach(users.client(), ws, connect=False)
    end = int(time.time()) - 26  # 30 s after its end the broker cuts it off
    d.paho.username_pw_set(d.session["username"], changed(env, d.session["password"], iat=end - 60, exp=end))
    d.connect()
    m = d.wait("auth:expiring")
    assert m["d"] == {"exp": end} and topics_of(d, "auth:expiring") == {own_topic(d)}
    process.wait(lambda: not d.connected.is_set(), 12, "the connection ends")
