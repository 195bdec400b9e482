"""Uplinks of those who may no longer speak: the broker vouches for the device, the database for the account."""
import uuid


def test_a_suspended_user_is_not_heard(users, device, sql):
    a, b = users.client(), users.client()
    chat = a.post("/chats", {"peerId": b.user["id"]}).json["id"]
    d, ident = device(a), str(uuid.uuid4())
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (a.user["id"],))
    d.publish("send", {"chatId": chat, "body": "still here"}, ident)
    refused = d.wait("message:error", lambda m: m["ref"] == ident)["d"]
    assert refused["code"] == "account-suspended"
    assert b.get(f"/chats/{chat}/messages").json["items"] == []
