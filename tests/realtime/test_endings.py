"""Devices whose right to speak ends: with the account, which the database knows, or with the token."""
import time
import uuid

from plazatest.mqtt import Device
from plazatest.tokens import changed


def test_a_suspended_user_is_not_heard(users, device, sql):
    a, b = users.client(), users.client()
    chat = a.post("/chats", {"peerId": b.user["id"]}).json["id"]
    d, ident = device(a), str(uuid.uuid4())
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (a.user["id"],))
    d.publish("send", {"chatId": chat, "body": "still here"}, ident)
    refused = d.wait("message:error", lambda m: m["ref"] == ident)["d"]
    assert refused["code"] == "account-suspended"
    assert b.get(f"/chats/{chat}/messages").json["items"] == []


def test_a_device_is_told_that_its_token_ends(env, users):
    d = Device(env, users.client(), connect=False)
    end = int(time.time()) + 20
    d.paho.username_pw_set(d.session["username"], changed(env, d.session["password"], exp=end))
    d.connect()
    try:
        assert d.wait("auth:expiring")["d"] == {"exp": end}
    finally:
        d.close()
