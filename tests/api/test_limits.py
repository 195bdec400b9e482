"""Rate limits (R26, R61, R62). The stack of the tests has none, so these run workers of their own that have, on its Redis."""
import itertools
import signal
import time
import uuid
from concurrent import futures

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
