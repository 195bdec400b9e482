"""Nonsense over the whole route table (R8) and secrets that must not be written down (R78).

The seed is in the summary; PLAZA_FUZZ_SEED and PLAZA_FUZZ_REQUESTS choose another run.
"""
import http.client
import json
import os
import random
import time
import urllib.parse
import uuid

import pytest

from plazatest import access, env as env_module, logs, routes
from plazatest.world import World

SEED = int(os.environ.get("PLAZA_FUZZ_SEED", "20"))
REQUESTS = int(os.environ.get("PLAZA_FUZZ_REQUESTS", "3000"))
PEOPLE_LAST = 300  # requests until new people are made: some of what is sent signs them out
# Nothing of our insides may be told, and nothing of the libraries below.
DENIED = ("sql", "select", "pg_", "libpq", "postgres", "plaza_", "/work", "/tmp", "/usr", "/home", "stack", ".c:", ".c\"",
          "hiredis", "redis", "jansson", "libjwt", "argon", "mosquitto", "0x7f", "syntax error", "violates", "relation ",
          "errno", "assert", "null pointer", "segfault", "nginx", "apache", "socket", "upstream")
TEXTS = ["", " ", "a", "ñandú ☕ 𝔘", "\u202egnp.exe", "\ufeff", "\x00", "\x1b[31mred", "\r\nSet-Cookie: a=b", "a" * 5000,
         "'; DROP TABLE account; --", "%s%n%x", "${jndi:ldap://x}", "../../../../etc/passwd", "<script>alert(1)</script>",
         "{{7*7}}", "-1", "1e309", "0x10", "true", "null", "١٢٣", "\ud83d\ude00", "\ufffe", "a\tb", "=cmd|'/C calc'!A0",
         "2026-02-30T25:61:61Z", "00000000-0000-0000-0000-000000000000", "x@y.z", "http://169.254.169.254/"]
VALUES = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 53, 2 ** 63, -2 ** 63, 1.5, 1e300, [], {}, [[]], [None], {"a": {}},
          [1] * 200, {"amount": -1, "currency": "USD"}, {"amount": 1.5, "currency": "usd"}, *TEXTS]
NAMES = ["limit", "cursor", "page", "sort", "sort_by", "sort_order", "q", "search", "min_price", "max_price", "id_category",
         "id_seller", "as", "since", "before", "after", "status", "include", "fields", "expand", "lat", "lng", "radius", "x"]
HEADERS = {
    "Authorization": ["Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", "bearer " + "A" * 4000, "", "Bearer ..", "\xff"],
    "Content-Type": ["application/json", "application/json; charset=utf-8", "text/plain", "application/xml", "", "a" * 300,
                     "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"],
    "Content-Encoding": ["gzip", "identity", "x"],
    "Idempotency-Key": ["", "k", "a" * 255, "a" * 256, "a b", "\xe9", "k"],
    "If-Match": ["*", '"1"', '"x"', "1", '"99999999999999999999"', '""', 'W/"1"', '"1", "2"'],
    "If-None-Match": ["*", '"', '"1"', "," * 1000],
    "Accept": ["text/html", "*/*;q=0", "\xff"],
    "Accept-Language": ["es", "en;q=0.0001,es;q=x", ";;;,,,", "e" * 2000],
    "X-Request-Id": ["ok-1", "a b", "\x01", "a" * 100],
    "X-HTTP-Method-Override": ["DELETE"],
    "X-Cart-Token": ["x", "A" * 43, "\xff"],
    "X-Forwarded-For": ["1.2.3.4", "x" * 1000],
    "Range": ["bytes=0-", "bytes=-1", "x"],
    "Expect": ["100-continue"],
    "Transfer-Encoding": ["identity"],
    "Cookie": ["a=" + "b" * 3000],
    "Host": ["evil.example", "x" * 200, ""],
}
KNOWN = {line.split("\t")[1] for line in env_module.document("problems").splitlines()} | {"gateway-timeout"}


class Fuzzer:
    def __init__(self, world, seed):
        self.world, self.rng, self.people = world, random.Random(seed), []

    def actor(self, n):
        if n % PEOPLE_LAST == 0:
            self.people = [self.world.fresh(r) for r in ("client", "seller", "admin", "moderator", "service", "anonymous")]
        return self.rng.choice(self.people)

    def value(self, depth=0):
        pick = self.rng.choice(VALUES)
        if depth < 3 and self.rng.random() < 0.1:
            return {self.rng.choice(TEXTS): self.value(depth + 1)}
        return pick

    def identifier(self):
        return self.rng.choice([str(uuid.uuid4()), str(uuid.UUID(int=0)), *TEXTS])

    def path(self, route):
        ids = {p: urllib.parse.quote(self.identifier().encode("utf-8", "replace"), safe="") for p in route.params}
        path = route.url(ids)
        if self.rng.random() < 0.15:
            path = self.rng.choice([path + "/", path + "//", path.replace("/", "//", 1), path + "/%2e%2e/x", path + "%00",
                                    path.replace("/api/v1", "/api"), path.replace("/api/v1", ""), path.upper(), path + "/x"])
        if self.rng.random() < 0.4:
            pairs = [(self.rng.choice(NAMES), self.rng.choice(TEXTS)) for _ in range(self.rng.randint(1, 4))]
            text = urllib.parse.urlencode(pairs, errors="replace")
            path += "?" + (text if self.rng.random() < 0.8 else self.rng.choice(["%", "%zz", "a=%ff", "&&&", "=", "a", "?" * 9]))
        return path or "/"

    def mutate(self, value):
        """A good body with something wrong in it."""
        if isinstance(value, dict) and value:
            value = dict(value)
            for _ in range(self.rng.randint(0, 2)):
                key = self.rng.choice(list(value) + ["extra"])
                kind = self.rng.random()
                if kind < 0.25:
                    value.pop(key, None)
                elif kind < 0.5 and isinstance(value.get(key), (dict, list)):
                    value[key] = self.mutate(value[key])
                else:
                    value[key] = self.value()
            return value
        return [self.mutate(v) for v in value] if isinstance(value, list) and value else self.value()

    def body(self, route, actor):
        entry = access.entry_of(route.name)
        if self.rng.random() < 0.15:
            return self.rng.choice([b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 9, b'{"a":' * 40, bytes(range(256)),
                                    b'{"a":1,"a":2}', b"--x\r\n\r\n--x--\r\n", b'--x\r\nContent-Disposition: form-data\r\n'])
        try:
            good = entry.body(self.world, actor, {p: self.identifier() for p in route.params}) if entry.body else {}
        except (AttributeError, TypeError):  # needs a person where there is none
            good = {}
        return json.dumps(self.mutate(good)).encode("utf-8", "surrogatepass")

    def request(self, n, route):
        actor = self.actor(n)
        method = route.method if self.rng.random() < 0.85 else self.rng.choice(
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "x"])
        headers = {"Content-Type": "application/json"} if method in ("POST", "PUT", "PATCH") else {}
        headers |= {"Idempotency-Key": str(uuid.uuid4()), "If-Match": "*"}
        for name in self.rng.sample(list(HEADERS), self.rng.choice([0, 0, 0, 1, 1, 2, 4])):
            headers[name] = self.rng.choice(HEADERS[name])
        body = self.body(route, actor) if method in ("POST", "PUT", "PATCH") or self.rng.random() < 0.1 else None
        return actor, method, self.path(route), body, headers


def told(r, sent):
    """Denied words in an answer that the request did not bring itself."""
    text = r.body.decode("utf-8", "replace").lower()
    return [w for w in DENIED if w in text and w not in sent.lower()]


@pytest.fixture(scope="module")
def world(env, users, sql):
    return World(env, users, sql)


def test_r8_nonsense_is_refused_politely(world, note):
    fuzzer = Fuzzer(world, SEED)
    table = routes.table()
    seen, refused, begin = {}, 0, time.monotonic()
    for n in range(REQUESTS):
        route = table[n % len(table)]
        actor, method, path, body, headers = fuzzer.request(n, route)
        try:
            r = actor.request(method, path, body=body, headers=headers)
        except (http.client.InvalidURL, http.client.BadStatusLine, ValueError, UnicodeEncodeError):
            actor.close()
            continue
        where = f"seed {SEED}, request {n}: {method} {path[:300]} {str(body)[:500]} {headers} -> {r}"
        seen[r.status] = seen.get(r.status, 0) + 1
        assert r.status < 500 or r.status == 501 and method in ("x", "PROPFIND"), where
        if r.status < 400 or method == "HEAD":
            continue
        refused += 1
        assert r.problem in KNOWN, where
        doc = r.json
        assert doc["status"] == ("error" if "problem" not in r.headers["Content-Type"] else r.status), where
        # Apache gives no id to what it cannot read.
        assert doc.get("requestId") or (world.env.web_server == "apache" and doc["code"] in ("bad-request", "uri-too-long")), where
        assert r.headers["X-Content-Type-Options"] == "nosniff", where
        assert not told(r, path + str(body) + str(headers)), where
    note(f"fuzz: seed {SEED}, {sum(seen.values())} requests over {len(table)} routes in {time.monotonic() - begin:.0f} s, "
         f"{refused} refusals, 0 of 5xx; " + ", ".join(f"{n} x {s}" for s, n in sorted(seen.items())))
    assert sum(seen.values()) >= 2000


# ---- secrets ----

def spread(value, canary):
    """The body with the canary in every text and in an unknown member."""
    if isinstance(value, dict):
        return {**{k: spread(v, canary) for k, v in value.items()}, "secret": canary}
    if isinstance(value, list):
        return [spread(v, canary) for v in value]
    return canary if isinstance(value, str) else value


def test_r78_no_secret_is_written_to_a_log(world, env, note):
    canary = f"Kanarienvogel{uuid.uuid4().hex}"
    sent = 0
    person = world.users.client(password=canary)
    bearer = person.token.rsplit(".", 1)[1]
    for route in routes.table():
        entry = access.entry_of(route.name)
        for actor in (person, world.actor("seller"), world.actor("anonymous")):
            headers = {"Idempotency-Key": canary, "X-Cart-Token": canary, "Cookie": canary, "If-Match": "*",
                       "Authorization": f"Bearer {actor.token if actor.token else canary}"}
            ids = {p: str(uuid.uuid4()) for p in route.params}
            bodies = [None]
            if entry.body:
                good = entry.body(world, world.actor("client"), ids)
                bodies = [spread(good, canary), {**good, **{k: canary for k in good if "assword" in k or "oken" in k}}]
            for body in bodies:
                if route.name.startswith("authLogout"):
                    continue
                actor.request(route.method, route.url(ids) + f"?token={canary}", body, headers=headers)
                actor.request(route.method, route.url(ids), body, headers=headers)
                sent += 2
    # An address that is taken, a wrong password, a body that ends too early: what the servers below might tell of.
    for _ in range(2):
        world.users.anonymous().post("/api/v1/auth/register",
                                     {"email": f"{canary}@plaza.example", "password": canary, "name": canary})
        world.users.anonymous().post("/api/v1/auth/login", {"email": f"{canary}@plaza.example", "password": canary + "x"})
        sent += 2
    time.sleep(1.5)  # nginx writes its log once a second
    found = {f for secret in (canary, canary.lower(), bearer) for f in logs.holding(env, secret.encode())}
    note(f"canary: sent {sent} times, found in {len(found)} files of the run folder")
    assert not found


def test_r77_every_record_of_a_log_is_one_json_object(world, env):
    world.users.anonymous().get("/info", headers={"User-Agent": 'a"\\\x1b[31m', "X-Request-Id": "a"})
    assert logs.broken_records(env) == []
