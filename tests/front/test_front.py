"""The web server in front of the workers: limits, slow clients, refusals, paths of its own. Runs with nginx and Apache."""
import base64
import concurrent.futures
import json
import os
import pathlib
import socket
import time
import urllib.parse

import pytest

UPLOADS = 24
LONG = "a path of 9,000 bytes"
SECURITY = ("Strict-Transport-Security", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy",
            "Content-Security-Policy", "X-Request-Id")


def connect(env, source="127.0.0.1", small=False):
    url = urllib.parse.urlsplit(env.base_url)
    s = socket.socket()
    if small:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind((source, 0))
    s.settimeout(20)
    s.connect((url.hostname, url.port))
    return s


def exchange(env, request, **kw):
    """Sends raw bytes; returns (status, headers in lower case as a list of pairs, body)."""
    with connect(env, **kw) as s:
        s.sendall(request)
        with s.makefile("rb") as f:
            status = int(f.readline().split()[1])
            lines = iter(lambda: f.readline().decode("latin-1").strip(), "")
            pairs = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
            length = dict(pairs).get("content-length")
            body = f.read(int(length)) if length else f.read()
    return status, pairs, body


def get(env, path, headers=(), method="GET", **kw):
    lines = [f"{method} {path} HTTP/1.1", "Host: plaza", "Connection: close", *headers]
    return exchange(env, ("\r\n".join(lines) + "\r\n\r\n").encode(), **kw)


def values(pairs, name):
    return [v for k, v in pairs if k == name.lower()]


def assert_problem(answer, status, code):
    got, pairs, body = answer
    assert got == status
    assert values(pairs, "Content-Type") == ["application/problem+json; charset=utf-8"]
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith("/problems/" + code)
    return problem


@pytest.fixture(scope="module")
def nginx(env):
    return env.web_server == "nginx"


# --- slow clients -----------------------------------------------------------

def quick_requests(env, n=30):
    times = []
    for _ in range(n):
        begin = time.monotonic()
        assert get(env, "/health/live")[0] == 200
        times.append(time.monotonic() - begin)
    return max(times)


def test_f15_slow_uploads_hold_no_worker(env):
    slow = [connect(env) for _ in range(UPLOADS)]
    for s in slow:
        s.sendall(b"POST /api/v1/products HTTP/1.1\r\nHost: plaza\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 60000\r\n\r\n" + b" " * 1000)
    time.sleep(0.5)
    for s in slow:
        s.sendall(b" ")
    worst = quick_requests(env)
    for s in slow:
        s.close()
    assert worst < 1


def test_f15_slow_readers_hold_no_worker(env):
    slow = [connect(env, small=True) for _ in range(UPLOADS)]
    for s in slow:
        s.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: plaza\r\n\r\n")
    time.sleep(0.5)
    for s in slow:
        assert s.recv(16)
    worst = quick_requests(env)
    for s in slow:
        s.close()
    assert worst < 1


def test_slow_bodies_do_not_use_up_the_login_queue(env):
    slow = [connect(env) for _ in range(40)]
    for s in slow:
        s.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: plaza\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 100\r\n\r\n{")
    time.sleep(0.5)
    status = get(env, "/api/v1/auth/login", method="POST",
                 headers=["Content-Type: application/json", "Content-Length: 0"])[0]
    for s in slow:
        s.close()
    assert status in (400, 422)


def test_r24_a_flood_of_logins_is_shed_and_holds_up_nothing_else(env):
    body = json.dumps({"email": "nobody@plaza.example", "password": "not the password of anybody"}).encode()
    request = (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: plaza\r\nConnection: close\r\n"
               b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body

    def login(_):
        return exchange(env, request)

    with concurrent.futures.ThreadPoolExecutor(120) as pool:
        running = pool.map(login, range(120))
        worst = quick_requests(env, 10)
        answers = list(running)
    assert worst < 1
    assert {a[0] for a in answers} <= {401, 429, 503}
    shed = [a for a in answers if a[0] == 503]
    # Apache lets them wait in its threads.
    assert shed or env.web_server == "apache"
    for answer in shed:
        assert_problem(answer, 503, "unavailable")
        assert values(answer[1], "Retry-After") == ["1"]


# --- refusals ---------------------------------------------------------------

def test_r4_a_body_over_the_limit_is_413(env):
    request = b"POST /api/v1/messages HTTP/1.1\r\nHost: plaza\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n"
    assert_problem(exchange(env, request), 413, "too-large")


def test_r4_a_long_uri_is_414(env):
    problem = assert_problem(get(env, "/" + "a" * 9000), 414, "uri-too-long")
    assert problem["title"] == "The URI is too long"


def test_r4_a_long_header_is_refused(env, nginx):
    answer = get(env, "/info", headers=["X-Long: " + "a" * 9000])
    assert_problem(answer, 431 if nginx else 400, "headers-too-large" if nginx else "bad-request")


def test_a_malformed_request_is_400(env):
    assert_problem(exchange(env, b"GET /info HTTP/1.1\r\nno colon\r\n\r\n"), 400, "bad-request")


def test_length_and_chunks_together_never_reach_a_worker(env):
    status = exchange(env, b"POST /api/v1/messages HTTP/1.1\r\nHost: plaza\r\nConnection: close\r\nContent-Length: 3\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")[0]
    assert status in (400, 411)


def test_a_precondition_on_a_cached_list_fails_as_a_problem(env, nginx):
    """Only nginx keeps lists, and judges preconditions on what it keeps; the worker ignores them on reads."""
    answer = get(env, "/api/v1/categories", headers=['If-Match: "another"'])
    if nginx:
        assert_problem(answer, 412, "precondition-failed")
    else:
        assert answer[0] == 200


def test_r16_trace_is_off(env):
    assert_problem(get(env, "/info", method="TRACE"), 405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/_blob/", "/_blob/x", "/_error/404", "/.git/config", "/docs/../conf/plaza.conf",
                                  "/demo/../conf/plaza.conf"])
def test_inner_paths_are_not_found(env, path):
    assert get(env, path)[0] in (400, 404)


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/api/metrics", "/api/v1/metrics", "/api/v1/metrics/",
                                  "/api//v1/metrics", "/api/v1/%6detrics", "/api/v1/../v1/metrics", "/metrics?x=1"])
def test_metrics_are_for_this_machine(env, path):
    assert get(env, path)[0] in (200, 400, 404, 422)
    assert_problem(get(env, path, source="127.0.0.2"), 403, "forbidden")


def test_the_version_of_the_server_is_not_told(env):
    for path in ("/info", "/nowhere", "/docs/"):
        assert values(get(env, path)[1], "Server") in (["nginx"], ["Apache"])


@pytest.mark.parametrize("path", ["/info", "/nowhere", "/docs/", "/docs", "/demo/", "/demo", "/mqtt", LONG])
def test_r10_each_security_header_comes_once(env, path):
    status, pairs, _ = get(env, "/" + "a" * 9000 if path is LONG else path)
    for name in SECURITY:
        if name == "X-Request-Id" and status == 414 and env.web_server == "apache":
            continue
        assert len(values(pairs, name)) == 1, (path, name)


# --- the cache of public lists ------------------------------------------------

def cache_states(env, marks):
    """What nginx did for the requests with these ids, from its access log (written once a second)."""
    for _ in range(30):
        lines = [json.loads(x) for x in pathlib.Path(env.log_dir, "plaza-access.log").read_text().splitlines()]
        found = {x["id"]: x.get("cache") for x in lines if x["id"] in marks}
        if len(found) == len(marks):
            return [found[m] for m in marks]
        time.sleep(0.1)
    raise AssertionError(f"the access log has only {found}")


def test_public_lists_are_kept_for_a_moment_and_private_answers_never(env, nginx):
    path = f"/api/v1/categories?limit={os.getpid() % 90 + 1}"
    marks = [f"cache-{time.monotonic_ns()}-{i}" for i in range(5)]
    first, second = (get(env, path, headers=[f"X-Request-Id: {m}"]) for m in marks[:2])
    assert (first[0], first[2]) == (200, second[2])
    assert [values(a[1], "X-Request-Id") for a in (first, second)] == [[m] for m in marks[:2]]
    assert get(env, path, headers=[f"X-Request-Id: {marks[2]}", "Authorization: Bearer x"])[0] == 401
    etag = values(first[1], "ETag")[0]
    assert get(env, path, headers=[f"X-Request-Id: {marks[3]}", f"If-None-Match: {etag}"])[0] == 304
    time.sleep(2.2)
    assert get(env, path, headers=[f"X-Request-Id: {marks[4]}"])[0] == 200
    if nginx:
        assert cache_states(env, marks) == ["MISS", "HIT", "BYPASS", "HIT", "EXPIRED"]


# --- what the workers may believe -------------------------------------------

def test_r6_forwarded_addresses_of_a_client_do_not_count(env):
    mark = f"front-{os.getpid()}-{time.monotonic_ns()}"
    get(env, "/info", headers=[f"X-Request-Id: {mark}", "X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9",
                               "X-Real-IP: 203.0.113.9"])
    log = pathlib.Path(env.log_dir, "web.log")
    for _ in range(50):
        lines = [json.loads(x) for x in log.read_text().splitlines() if mark in x]
        if lines:
            break
        time.sleep(0.1)
    assert [x["address"] for x in lines if x["event"] == "request"] == ["127.0.0.1"]


def test_a_dirty_request_id_is_replaced_in_refusals(env):
    status, pairs, body = get(env, "/metrics", source="127.0.0.2", headers=['X-Request-Id: "},{"x'])
    assert b'"},{"x' not in body
    assert all('"' not in v for v in values(pairs, "X-Request-Id"))
    assert status in (200, 403)


# --- paths of the web server itself -------------------------------------------

def test_docs_are_served_with_a_policy(env):
    status, pairs, body = get(env, "/docs/")
    assert status == 200 and b"openapi.json" in body
    assert "script-src 'self'" in values(pairs, "Content-Security-Policy")[0]
    assert get(env, "/docs/docs.js")[0] == 200
    assert get(env, "/docs")[0] in (301, 308)


def test_the_demonstration_is_served_with_a_strict_policy(env):
    status, pairs, body = get(env, "/demo/")
    assert status == 200 and b"demo.js" in body
    policy = values(pairs, "Content-Security-Policy")[0]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for name, kind in (("demo.js", "javascript"), ("demo.css", "text/css"), ("icon.svg", "image/svg+xml"),
                       ("plaza/plaza.js", "javascript"), ("plaza/lib/store.js", "javascript")):
        status, pairs, _ = get(env, "/demo/" + name)
        assert status == 200 and kind in values(pairs, "Content-Type")[0], name
    assert get(env, "/demo")[0] in (301, 308)
    assert get(env, "/demo/nowhere.js")[0] == 404


@pytest.mark.parametrize("path", ["/mqtt", "/ws", "/ws/chat"])
def test_websocket_paths_reach_the_broker(env, path):
    key = base64.b64encode(os.urandom(16)).decode()
    with connect(env) as s:
        s.sendall((f"GET {path} HTTP/1.1\r\nHost: plaza\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        head = s.recv(4096).decode("latin-1")
    assert " 101 " in head.split("\r\n")[0]
    assert "sec-websocket-protocol: mqtt" in head.lower()


def test_a_broker_that_is_not_there_is_not_found(env):
    status, _, _ = get(env, "/mqtt/16", ["Upgrade: websocket"])
    assert status == 404
