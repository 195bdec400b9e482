"""FastCGI records by hand, to send a worker what no web server would (FastCGI 1.0 sections 3 and 5)."""
import socket
import struct

from plazatest.http import record as log

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7


def record(kind, data=b"", ident=1, version=1, length=None):
    return struct.pack(">BBHHBB", version, kind, ident, len(data) if length is None else length, 0, 0) + data


def pair(name, value):
    def size(n):
        return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)
    name, value = name.encode(), value.encode()
    return size(len(name)) + size(len(value)) + name + value


def begin(keep=False, role=1):
    return record(BEGIN, struct.pack(">HB5x", role, 1 if keep else 0))


def params(method="GET", uri="/health/live", length=None, **extra):
    p = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "REMOTE_ADDR": "127.0.0.1", **extra}
    if length is not None:
        p["CONTENT_LENGTH"] = str(length)
    return b"".join(pair(k, v) for k, v in p.items())


def request(method="GET", uri="/health/live", body=b"", length=None, keep=False, **extra):
    """A whole, good request; `length` overrides CONTENT_LENGTH."""
    length = (len(body) if body else None) if length is None else length
    data = begin(keep) + record(PARAMS, params(method, uri, length, **extra)) + record(PARAMS)
    return data + (record(STDIN, body) if body else b"") + record(STDIN)


def headers(out):
    """Header fields of an answer, names in lower case."""
    lines = out.split(b"\r\n\r\n")[0].decode().split("\r\n")
    return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}


def exchange(path, data, timeout=5, finish=True, about=None):
    """Sends bytes to the worker's socket and returns its standard output, b'' when it closed without one. With
    about = (method, path) the answer goes on record like those of the HTTP client."""
    out = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        try:
            s.sendall(data)
            if finish:
                s.shutdown(socket.SHUT_WR)
            raw = b""
            while True:
                got = s.recv(65536)
                if not got:
                    break
                raw += got
        except (ConnectionError, socket.timeout):
            pass
    while len(raw) >= 8:
        _, kind, _, n, pad, _ = struct.unpack(">BBHHBB", raw[:8])
        if kind == STDOUT:
            out += raw[8:8 + n]
        raw = raw[8 + n + pad:]
    if about and out:
        record_answer(about, out)
    return out


def record_answer(about, out):
    kind = headers(out).get("content-type")
    body = out.split(b"\r\n\r\n", 1)[1].decode("utf-8", "replace")
    log({"method": about[0], "path": about[1], "status": status(out), "requestType": None, "request": None,
         "responseType": kind, "response": body if "json" in (kind or "") else None})


def status(out):
    head = out.split(b"\r\n\r\n")[0].decode()
    for line in head.split("\r\n"):
        if line.startswith("Status: "):
            return int(line[8:11])
    return 200 if out else None
