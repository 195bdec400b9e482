"""Rate limits (R61, R62). The stack of the tests has none, so these run workers of their own that have, on its Redis."""
import getpass
import itertools
import os
import signal
import subprocess
import time
import uuid
from concurrent import futures
from pathlib import Path

import pytest

from plazatest import fcgi, process

LOGINS_PER_MINUTE = 20
_address = itertools.count(1)


class Pool:
    """Some workers of the auth pool behind one socket each."""

    def __init__(self, env, folder, count):
        conf = folder / "plaza.conf"
        conf.write_text(Path(env.conf).read_text().replace("rate_scale_percent = 100000", "rate_scale_percent = 100"))
        self.sockets = [str(Path(env.web_socket).parent / f"limits-{uuid.uuid4().hex[:8]}.sock") for _ in range(count)]
        same = [] if env.run_user == getpass.getuser() else ["setpriv", "--reuid", env.run_user, "--regid", env.run_user,
                                                             "--init-groups"]
        self.started = [subprocess.Popen([*same, f"{env.bin_dir}/plaza-fcgi", "-c", str(conf), "-p", "auth", "-s", s],
                                         stderr=subprocess.DEVNULL) for s in self.sockets]
        for s in self.sockets:
            process.wait(lambda path=s: os.path.exists(path), 10, "a worker listens")

    def login(self, n, address):
        """(status, headers in lower case) of an attempt by way of worker n."""
        body = b'{"email":"nobody@plaza.example","password":"whatever it may be"}'
        out = fcgi.exchange(self.sockets[n % len(self.sockets)], fcgi.request(
            "POST", "/api/v1/auth/login", body=body, CONTENT_TYPE="application/json", REMOTE_ADDR=address), timeout=20,
            about=("POST", "/api/v1/auth/login"))
        return fcgi.status(out), fcgi.headers(out)

    def close(self):
        for p, s in zip(self.started, self.sockets):
            p.send_signal(signal.SIGTERM)
            p.wait(10)
            Path(s).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def pool(env, tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    for f in (folder, folder.parent, folder.parent.parent):
        f.chmod(0o755)
    p = Pool(env, folder, 2)
    yield p
    p.close()


@pytest.fixture
def address():
    return f"198.51.100.{next(_address)}"


def fresh_window():
    """The windows are minutes by the clock of Redis; a test of one must not straddle two."""
    if time.time() % 60 > 40:
        time.sleep(60.5 - time.time() % 60)


def test_r61_the_last_one_too_many_is_told_when_to_come_again(pool, address):
    fresh_window()
    assert [pool.login(n, address)[0] for n in range(LOGINS_PER_MINUTE)] == [401] * LOGINS_PER_MINUTE
    status, headers = pool.login(0, address)
    assert (status, headers["content-type"].split(";")[0]) == (429, "application/problem+json")
    assert headers["ratelimit-policy"] == f'"login";q={LOGINS_PER_MINUTE};w=60'
    assert headers["ratelimit"].startswith('"login";r=0;t=')
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["retry-after"] == headers["ratelimit"].rsplit("t=", 1)[1]
    assert pool.login(0, address.replace("198", "199"))[0] == 401, "another address is not meant"


def test_r61_a_race_admits_exactly_the_limit(pool, address):
    fresh_window()
    with futures.ThreadPoolExecutor(16) as threads:
        statuses = [s for s, _ in threads.map(lambda n: pool.login(n, address), range(100))]
    assert sorted(set(statuses)) == [401, 429]
    assert statuses.count(401) == LOGINS_PER_MINUTE


def test_r61_without_redis_there_is_still_a_limit(env, pool, address):
    """Each worker then counts an eighth for itself."""
    redis = process.service(env, "redis")
    process.kill(redis, signal.SIGSTOP)
    try:
        statuses = [pool.login(0, address)[0] for _ in range(LOGINS_PER_MINUTE)]
    finally:
        process.kill(redis, signal.SIGCONT)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 2 * (LOGINS_PER_MINUTE // 8 + 1), "at most two windows' worth"
