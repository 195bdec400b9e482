"""Rate limits (R26, R61, R62). The stack of the tests has none, so these run workers of their own that have, on its Redis."""
import itertools
import json
import signal
import socket
import time
import uuid
from concurrent import futures
from pathlib import Path

import pytest

from plazatest import process, redis
from plazatest.pool import Pool

LOGINS_PER_MINUTE = 20
_address = itertools.count(1)


def login(pool, n, address):
    return pool.ask(n, "POST", "/api/v1/auth/login", address, b'{"email":"nobody@plaza.example","password":"whatever it may be"}')


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("limits")
    for f in (made, made.parent, made.parent.parent):
        f.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def pool(env, folder):
    p = Pool(env, folder, 2, rate_scale_percent=100)
    yield p
    p.close()


@pytest.fixture(scope="module")
def web(env, folder):
    p = Pool(env, folder, 1, "web", rate_scale_percent=100)
    yield p
    p.close()


@pytest.fixture
def counted(env):
    """counted(class, seconds, whose, hits): so many hits are in that window already."""
    return lambda *window: redis.count(env, *window)


@pytest.fixture
def address():
    """One in a network of its own."""
    return f"198.51.{next(_address)}.7"


def fresh_window():
    """The windows are minutes by the clock of Redis; a test of one must not straddle two."""
    if time.time() % 60 > 40:
        time.sleep(60.5 - time.time() % 60)


def test_r61_the_last_one_too_many_is_told_when_to_come_again(pool, address):
    fresh_window()
    assert [login(pool, n, address)[0] for n in range(LOGINS_PER_MINUTE)] == [401] * LOGINS_PER_MINUTE
    status, headers = login(pool, 0, address)
    assert (status, headers["content-type"].split(";")[0]) == (429, "application/problem+json")
    assert headers["ratelimit-policy"] == f'"login";q={LOGINS_PER_MINUTE};w=60'
    assert headers["ratelimit"].startswith('"login";r=0;t=')
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["retry-after"] == headers["ratelimit"].rsplit("t=", 1)[1]
    assert login(pool, 0, address.replace("198", "199"))[0] == 401, "another address is not meant"


def test_r61_a_race_admits_exactly_the_limit(pool, address):
    fresh_window()
    with futures.ThreadPoolExecutor(16) as threads:
        statuses = [s for s, _ in threads.map(lambda n: login(pool, n, address), range(100))]
    assert sorted(set(statuses)) == [401, 429]
    assert statuses.count(401) == LOGINS_PER_MINUTE


def refused(answer, name, quota, seconds):
    status, headers = answer
    assert (status, headers.get("ratelimit-policy")) == (429, f'"{name}";q={quota};w={seconds}'), headers
    assert 1 <= int(headers["retry-after"]) <= seconds
    return True


def test_r26_the_hour_is_counted_too(pool, address, counted):
    counted("login", 3600, f"{address}/32", 99)
    assert login(pool, 0, address)[0] == 401
    assert refused(login(pool, 1, address), "login", 100, 3600)
    counted("login", 60, f"{address}/32", LOGINS_PER_MINUTE)
    assert refused(login(pool, 0, address), "login", LOGINS_PER_MINUTE, 60), "the window that ends sooner is told"


def test_r26_a_network_is_limited_whatever_its_addresses_are(pool, address):
    fresh_window()
    net = address.rsplit(".", 1)[0]
    loud = [login(pool, n, f"{net}.1")[0] for n in range(60)]
    assert loud.count(401) == LOGINS_PER_MINUTE, "what is refused does not count for the neighbours"
    with futures.ThreadPoolExecutor(4) as threads:
        rest = list(threads.map(lambda n: login(pool, n, f"{net}.{2 + n // 10}"), range(100)))
    assert [s for s, _ in rest].count(401) == 80
    assert all(refused(r, "login", 100, 60) for r in rest if r[0] != 401)
    assert login(pool, 0, f"198.52.{net.split('.')[2]}.2")[0] == 401


def test_r26_an_ipv6_customer_is_one_address(pool, counted):
    fresh_window()
    lot = f"2001:db8:{next(_address):x}"
    got = [login(pool, n, f"{lot}:1::{n + 1:x}")[0] for n in range(LOGINS_PER_MINUTE + 1)]
    assert got == [401] * LOGINS_PER_MINUTE + [429]
    assert login(pool, 0, f"{lot}:2::1")[0] == 401
    counted("login", 60, f"{lot}::/48", 100)
    assert refused(login(pool, 0, f"{lot}:3::1"), "login", 100, 60)
    assert login(pool, 0, f"2001:db8:{next(_address):x}:3::1")[0] == 401


def test_r26_an_address_in_the_clothes_of_ipv6_is_the_same(pool, address, counted):
    counted("login", 60, f"{address}/32", LOGINS_PER_MINUTE)
    assert refused(login(pool, 0, f"::ffff:{address}"), "login", LOGINS_PER_MINUTE, 60)


ANYBODY = {
    "login": (("auth", "POST", "/api/v1/auth/login"), {60: (20, 100), 3600: (100, 500)}),
    "register": (("auth", "POST", "/api/v1/auth/register"), {600: (20, 100), 3600: (60, 300)}),
    "refresh": (("auth", "POST", "/api/v1/auth/refresh"), {60: (60, 300), 3600: (1200, 6000)}),
    "write": (("web", "POST", "/api/v1/carts"), {60: (600, None)}),
    "search": (("web", "GET", "/api/v1/search?q=tea"), {60: (300, None)}),
}
SIGNED_IN = {
    "write": (("web", "POST", "/api/v1/carts"), {60: 120}),
    "message": (("web", "POST", f"/api/v1/chats/{uuid.UUID(int=7)}/read"), {10: 50}),
    "upload": (("web", "POST", "/api/v1/files"), {60: 30, 3600: 300}),
    "checkout": (("web", "POST", "/api/v1/orders"), {60: 30, 3600: 300}),
}


@pytest.mark.parametrize("name", ANYBODY)
def test_r62_every_class_limits_addresses(name, pool, web, counted):
    (where, method, path), windows = ANYBODY[name]
    workers = {"auth": pool, "web": web}[where]
    for seconds, quotas in windows.items():
        for bits, quota in zip((32, 24), quotas):
            if quota is None:
                continue
            address = f"203.0.{next(_address)}.9"
            counted(name, seconds, f"{address}/32" if bits == 32 else f"{address[:-1]}0/24", quota - 1)
            body = b"{}" if method == "POST" else b""
            assert workers.ask(0, method, path, address, body)[0] != 429
            assert refused(workers.ask(0, method, path, address, body), name, quota, seconds)


@pytest.mark.parametrize("name", SIGNED_IN)
def test_r62_every_class_limits_users_wherever_they_are(name, users, web, counted):
    (_, method, path), windows = SIGNED_IN[name]
    for seconds, quota in windows.items():
        who = users.client()
        counted(name, seconds, who.user["id"], quota - 1)
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {who.token}"}
        assert web.ask(0, method, path, "203.0.113.1", b"{}", **bearer)[0] != 429
        assert refused(web.ask(0, method, path, "203.0.114.1", b"{}", **bearer), name, quota, seconds)


# ---- buckets ----

CHAT_API = "/api/v1/chats"


class Talker:
    """A user at the worker that has limits."""

    def __init__(self, users, web):
        self.who, self.web = users.client(), web
        self.bearer = {"HTTP_AUTHORIZATION": f"Bearer {self.who.token}"}

    def post(self, path, body, address="203.0.115.1"):
        return self.web.ask(0, "POST", path, address, json.dumps(body).encode(), **self.bearer)

    def chat_with(self, peer):
        r = self.who.post(CHAT_API, {"peerId": peer.user["id"]})
        assert r.status in (200, 201), r
        return r.json["id"]

    def say(self, chat):
        return self.post(f"{CHAT_API}/{chat}/messages", {"body": "hello"})


def full(answer, name):
    status, headers = answer
    assert (status, headers["ratelimit"].split(";")[0]) == (429, f'"{name}"'), headers
    assert int(headers["retry-after"]) >= 1 and headers["retry-after"] == headers["ratelimit"].rsplit("t=", 1)[1]
    return int(headers["retry-after"])


def test_r61_ten_messages_at_once_and_then_five_a_second(users, web):
    a = Talker(users, web)
    chat = a.chat_with(users.client())
    start = time.monotonic()
    statuses = []
    while not statuses or statuses[-1] != 429:
        last = a.say(chat)
        statuses.append(last[0])
        assert len(statuses) < 60, "messages are not limited"
    took = time.monotonic() - start
    assert full(last, "message-burst") == 1
    assert 10 <= statuses.count(201) <= 11 + took * 5
    time.sleep(1)
    assert a.say(chat)[0] == 201, "what was refused did not count"
    other = Talker(users, web)
    assert other.say(other.chat_with(a.who))[0] == 201, "the bucket is the user's"


def test_r61_a_race_fills_the_burst_exactly(users, env, folder):
    """At a hundredth of the pace nothing leaks while it runs."""
    slow = Pool(env, folder, 2, "web", rate_scale_percent=1)
    try:
        a = Talker(users, slow)
        chats = [a.chat_with(users.client()) for _ in range(4)]
        with futures.ThreadPoolExecutor(16) as threads:
            got = list(threads.map(lambda n: slow.ask(n, "POST", f"{CHAT_API}/{chats[n % 4]}/messages", "203.0.115.2",
                                                      b'{"body":"x"}', **a.bearer)[0], range(32)))
        assert sorted(set(got)) == [201, 429] and got.count(201) == 1
    finally:
        slow.close()


@pytest.fixture
def poured(env):
    """poured(bucket, whose, seconds): what it holds will take so long to leak."""
    secret = (Path(env.run_dir) / "conf/redis.secret").read_text().strip()

    def put(name, whose, seconds):
        until = int((time.time() + seconds) * 1e6)
        commands = (("AUTH", "plaza", secret), ("ZADD", f"plaza:rb:{name}:{whose}", str(until), "t"))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(env.redis_socket)
            for c in commands:
                s.sendall(f"*{len(c)}\r\n".encode() + b"".join(f"${len(a)}\r\n{a}\r\n".encode() for a in c))
                assert s.recv(100)[:1] in b"+:"
    return put


def test_r61_sixty_messages_and_then_one_a_second(users, web, poured):
    a = Talker(users, web)
    chat = a.chat_with(users.client())
    poured("message", a.who.user["id"], 58.5)
    assert a.say(chat)[0] == 201
    poured("message", a.who.user["id"], 63)
    assert 3 <= full(a.say(chat), "message") <= 5


def test_r61_a_conversation_has_a_bucket_too_that_strangers_do_not_fill(users, web, poured):
    a, b, stranger = (Talker(users, web) for _ in range(3))
    chat = a.chat_with(b.who)
    poured("chat", chat, 59.8)
    for _ in range(3):
        assert stranger.say(chat)[0] in (404, 429)
    poured("chat", chat, 58)
    assert a.say(chat)[0] == 201
    poured("chat", chat, 62)
    assert full(a.say(chat), "chat") >= 2
    assert full(b.say(chat), "chat") >= 2
    elsewhere = a.chat_with(users.client())
    assert a.say(elsewhere)[0] == 201


def test_r61_a_new_account_opens_few_conversations(users, web, sql):
    a = Talker(users, web)
    peers = [users.client() for _ in range(7)]
    got = [a.post(CHAT_API, {"peerId": p.user["id"]}) for p in peers]
    assert [s for s, _ in got] == [201] * 5 + [429] * 2
    assert full(got[-1], "chat-open") > 60
    assert a.post(CHAT_API, {"peerId": peers[0].user["id"]})[0] == 429, "nothing tells before that it is there"
    b = Talker(users, web)
    for _ in range(8):
        assert b.post(CHAT_API, {"peerId": a.who.user["id"]})[0] in (200, 201), "the same one again costs nothing"


def test_r61_without_redis_messages_are_limited_too(env, users, web):
    """Before Redis is stopped, its worker has found it; afterwards each worker has an eighth of the room."""
    a = Talker(users, web)
    chat = a.chat_with(users.client())
    redis = process.service(env, "redis")
    process.kill(redis, signal.SIGSTOP)
    try:
        statuses = [a.say(chat)[0] for _ in range(20)]
    finally:
        process.kill(redis, signal.SIGCONT)
    assert set(statuses) == {201, 429} and statuses.count(201) <= 5


def test_r61_without_redis_there_is_still_a_limit(env, pool, address):
    """Each worker then counts an eighth for itself."""
    redis = process.service(env, "redis")
    process.kill(redis, signal.SIGSTOP)
    try:
        statuses = [login(pool, 0, address)[0] for _ in range(LOGINS_PER_MINUTE)]
    finally:
        process.kill(redis, signal.SIGCONT)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 2 * (LOGINS_PER_MINUTE // 8 + 1), "at most two windows' worth"
