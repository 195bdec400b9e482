"""R2, R3: what a worker does with streams that no web server would send (findings 6 and 7)."""
import os
import struct
import time

import pytest
from plazatest import fcgi, process

BODY = b'{"email":"x@plaza.example","password":"whatever-long","name":"X"}'
REGISTER = dict(method="POST", uri="/api/v1/auth/register", CONTENT_TYPE="application/json")


def cut_streams():
    """(name, bytes): requests that end too early or contradict themselves; none may have an effect."""
    whole = fcgi.request(body=BODY, **REGISTER)
    head = fcgi.begin() + fcgi.record(fcgi.PARAMS, fcgi.params("POST", REGISTER["uri"], len(BODY),
                                                               CONTENT_TYPE="application/json"))
    full = head + fcgi.record(fcgi.PARAMS)
    yield "no end of params", head
    yield "no body at all", full
    yield "half a body, then closed", full + fcgi.record(fcgi.STDIN, BODY[:20])
    yield "half a body and its end", full + fcgi.record(fcgi.STDIN, BODY[:20]) + fcgi.record(fcgi.STDIN)
    yield "body without its end", full + fcgi.record(fcgi.STDIN, BODY)
    yield "body longer than announced", full + fcgi.record(fcgi.STDIN, BODY + b"  ") + fcgi.record(fcgi.STDIN)
    yield "abort after params", full + fcgi.record(fcgi.ABORT)
    yield "abort in the body", full + fcgi.record(fcgi.STDIN, BODY[:20]) + fcgi.record(fcgi.ABORT)
    for n in range(1, len(whole) - 8, 23):
        yield f"cut after {n} bytes", whole[:n]


def broken_streams():
    """(name, bytes): records that break the protocol."""
    yield "empty", b""
    yield "text", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "wrong version", fcgi.record(fcgi.BEGIN, struct.pack(">HB5x", 1, 0), version=9)
    yield "params before begin", fcgi.record(fcgi.PARAMS, fcgi.params())
    yield "unknown role", fcgi.begin(role=77) + fcgi.record(fcgi.PARAMS)
    yield "unknown type", fcgi.begin() + fcgi.record(200, b"abc")
    yield "begin twice", fcgi.begin() + fcgi.begin() + fcgi.record(fcgi.PARAMS)
    yield "other request id", fcgi.begin() + fcgi.record(fcgi.PARAMS, fcgi.params(), ident=7)
    yield "name longer than the record", fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\x7f\x01a") + fcgi.record(fcgi.PARAMS)
    yield "zero lengths", fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\0\0" * 50) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN)
    for n in (0x7fffffff, 0xffffffff, 0x80000000, 0x40000000):
        size = struct.pack(">I", n | 0x80000000)
        yield f"name of {n:#x}", fcgi.begin() + fcgi.record(fcgi.PARAMS, size + b"\x01a") + fcgi.record(fcgi.PARAMS)
        yield f"value of {n:#x}", fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\x01" + size + b"a") + fcgi.record(fcgi.PARAMS)
        yield f"both {n:#x}", fcgi.begin() + fcgi.record(fcgi.PARAMS, size + size + b"a") + fcgi.record(fcgi.PARAMS)


def named(streams):
    streams = list(streams)
    return {"argvalues": [data for _, data in streams], "ids": [name for name, _ in streams]}


def accounts(sql):
    return sql("SELECT count(*) FROM account WHERE email = 'x@plaza.example'")[0][0]


@pytest.mark.parametrize("data", **named(cut_streams()))
def test_r3_a_request_cut_short_has_no_effect(env, sql, data):
    out = fcgi.exchange(env.auth_socket, data, about=("POST", REGISTER["uri"]))
    assert fcgi.status(out) in (None, 400, 404, 413)
    assert accounts(sql) == 0


@pytest.mark.parametrize("data", **named(broken_streams()))
def test_r2_broken_records_never_take_the_pool_down(env, anonymous, data):
    fcgi.exchange(env.web_socket, data, timeout=2)
    # One worker may have gone, with a request that nginx had given to it meanwhile.
    process.wait(lambda: anonymous.get("/health/live").status == 200, 1, "the pool serves")


def test_finding_6_one_record_with_two_huge_lengths_costs_one_worker_at_most(env, anonymous):
    size = struct.pack(">I", 0x7ffffffe | 0x80000000)
    poison = fcgi.begin() + fcgi.record(fcgi.PARAMS, size + size + b"a") + fcgi.record(fcgi.PARAMS)
    for _ in range(3):
        fcgi.exchange(env.web_socket, poison, timeout=2)
        end = time.monotonic() + 1
        while fcgi.status(fcgi.exchange(env.web_socket, fcgi.request())) != 200:
            assert time.monotonic() < end
    process.wait(lambda: anonymous.get("/health/live").status == 200, 1, "the pool serves")


def test_a_kept_connection_serves_many_requests(env):
    data = fcgi.request(keep=True)
    out = fcgi.exchange(env.web_socket, data)
    assert fcgi.status(out) == 200


def test_r1_the_socket_is_for_the_web_server_only(env):
    for path in (env.web_socket, env.auth_socket):
        assert os.stat(path).st_mode & 0o007 == 0
