"""Presence: who is there, told to those who asked and may know, and to nobody else."""
import time
import uuid

import pytest

from plazatest import process
from plazatest.fold import open_chat

API = "/api/v1"
LEAVES_S = 15  # so long nobody hears that somebody left


def state(client, user):
    return client.get(f"{API}/presence/{user.user['id']}").json["state"]


def online(client):
    return {p["userId"] for p in client.get(API + "/presence/online-users").json["items"]}


def watch(device, *users):
    device.publish("watch", {"userIds": [u.user["id"] for u in users]}, str(uuid.uuid4()), qos=0)


def statuses(device, user):
    return [e["d"]["state"] for e in device.events("user:status") if e["d"]["userId"] == user.user["id"]]


def becomes(device, user, what, timeout=10):
    process.wait(lambda: statuses(device, user)[-1:] == [what], timeout, f"{what}, not {statuses(device, user)}")


@pytest.fixture
def friends(users):
    a, b = users.client(), users.client()
    open_chat(a, b)
    return a, b


def test_coming_is_told_at_once_and_leaving_after_a_while(friends, device):
    a, b = friends
    watcher = device(a)
    watch(watcher, b)
    becomes(watcher, b, "offline")
    there = device(b)
    becomes(watcher, b, "online", timeout=5)
    assert state(a, b) == "online" and online(a) == {b.user["id"]}
    begin = time.monotonic()
    there.close()
    becomes(watcher, b, "offline", timeout=LEAVES_S + 10)
    assert time.monotonic() - begin > LEAVES_S - 2
    last = watcher.events("user:status")[-1]
    assert last["d"]["lastSeen"].endswith(":00.000Z") and "us" not in last
    assert a.get(f"{API}/presence/{b.user['id']}").json == {
        "userId": b.user["id"], "state": "offline", "lastSeen": last["d"]["lastSeen"]}
    assert online(a) == set()


def test_a_short_break_is_silent(friends, device):
    a, b = friends
    watcher, there = device(a), device(b)
    process.wait(lambda: state(a, b) == "online", 5, "b is there")
    watch(watcher, b)
    becomes(watcher, b, "online")
    there.close()
    device(b)
    time.sleep(LEAVES_S + 3)
    assert statuses(watcher, b) == ["online"]


def test_the_best_of_all_devices_counts(friends, users, device):
    a, b = friends
    phone, desk = device(b), device(users.login(b.email))
    watcher = device(a)
    process.wait(lambda: state(a, b) == "online", 5, "b is there")
    watch(watcher, b)
    becomes(watcher, b, "online")

    def beat(d, how):
        d.publish("beat", {"state": how}, did=d.session["did"], qos=0)
    beat(phone, "idle")
    time.sleep(0.5)
    assert statuses(watcher, b) == ["online"]
    beat(desk, "idle")
    becomes(watcher, b, "idle")
    assert state(a, b) == "idle" and online(a) == {b.user["id"]}
    beat(phone, "active")
    becomes(watcher, b, "online")
    phone.close()
    becomes(watcher, b, "idle", timeout=LEAVES_S + 10)


def test_only_those_who_asked_hear_it(friends, users, device):
    a, b = friends
    asked, silent = device(a), device(users.client())
    watch(asked, b)
    becomes(asked, b, "offline")
    device(b)
    becomes(asked, b, "online")
    assert silent.events("user:status") == []


def test_strangers_and_blocked_users_see_nothing(friends, users, device):
    a, b = friends
    stranger = users.client()
    theirs, mine = device(stranger), device(a)
    watch(theirs, b)
    a.post(f"/users/{b.user['id']}/block")
    watch(mine, b)
    device(b)
    time.sleep(1)
    assert theirs.events("user:status") == [] and mine.events("user:status") == []
    for who in (stranger, a):
        assert who.get(f"{API}/presence/{b.user['id']}").problem == "not-found"
        assert online(who) == set()
    assert b.get(f"{API}/presence/{a.user['id']}").problem == "not-found"


def test_a_block_ends_what_was_watched_before(friends, device):
    a, b = friends
    watcher = device(a)
    watch(watcher, b)
    becomes(watcher, b, "offline")
    b.post(f"/users/{a.user['id']}/block")
    device(b)
    time.sleep(1)
    assert statuses(watcher, b) == ["offline"]


def test_saying_goodbye_is_leaving(friends, device):
    a, b = friends
    there = device(b)
    process.wait(lambda: state(a, b) == "online", 5, "b is there")
    there.publish("bye", {"reason": "closed"}, did=there.session["did"], qos=0)
    process.wait(lambda: state(a, b) == "offline", 5, "b has left")


def test_without_redis_nobody_knows_and_nothing_breaks(env, friends, device):
    a, b = friends
    redis = process.service(env, "redis")
    process.kill(redis, 19)  # SIGSTOP
    try:
        assert state(a, b) == "unknown"
        assert online(a) == set()
        watch(device(a), b)
        chat = open_chat(a, b)
        assert a.post(f"/chats/{chat}/messages", {"body": "x"}).status == 201
    finally:
        process.kill(redis, 18)  # SIGCONT
    process.wait(lambda: state(a, b) == "offline", 15, "Redis is asked again")


@pytest.mark.parametrize("ident", ["me", str(uuid.uuid4())])
def test_nobody_to_look_at(client, ident):
    assert client.get(f"{API}/presence/{ident}").problem == "not-found"
