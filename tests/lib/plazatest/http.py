"""A small HTTP client: real sockets, nothing hidden, every exchange on record."""
import base64
import http.client
import itertools
import json
import os
import threading
import urllib.parse
import uuid

from plazatest import routes

_record_lock = threading.Lock()


def record(exchange):
    """Adds one exchange to the log that contract.py checks after the run."""
    folder = os.environ.get("PLAZA_EXCHANGES")
    if not folder:
        return
    with _record_lock, open(os.path.join(folder, f"http-{os.getpid()}.jsonl"), "a", encoding="utf-8") as f:
        f.write(json.dumps(exchange) + "\n")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.expected = False  # whoever asked knew that it might be refused

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The code of a failure, RFC 9457 or in the form of an older system; else None."""
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("application/problem+json"):
            return self.json["code"]
        return self.json.get("code") if self.status >= 400 and kind.startswith("application/json") else None

    @property
    def faults(self):
        """[(pointer, code)] of the members that were refused."""
        told = self.json.get("details") or self.json.get("errors", [])
        return [(f["pointer"], f["code"]) for f in told]

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


class Client:
    """One user agent. Keeps its connection; one thread at a time."""

    def __init__(self, base_url, token=None, headers=None):
        self.url = urllib.parse.urlsplit(base_url)
        self.token, self.headers, self.conn = token, dict(headers or {}), None
        self.user = None
        self.patient = True  # repeats a request whose kept connection was gone, and puts exchanges on record
        self.old = False  # a client of an older system, to whom its own paths without prefix belong

    def clone(self):
        """The same user on a connection of its own, for another thread."""
        c = Client(self.url.geturl(), self.token, self.headers)
        c.user, c.patient, c.old = self.user, self.patient, self.old
        return c

    def _send(self, method, path, body, headers):
        for attempt in (1, 2):
            if self.conn is None:
                self.conn = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=30)
            try:
                self.conn.request(method, path, body, headers)
                answer = self.conn.getresponse()
                return Response(answer.status, answer.headers, answer.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection that the server had closed meanwhile: once more on a new one.
                self.close()
                if attempt == 2 or not self.patient:
                    raise
            except OSError:
                self.close()
                raise

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def request(self, method, path, json_body=None, body=None, headers=None, token=True):
        if not self.old and routes.is_hidden(method, path):
            path = routes.API + path
        h = dict(self.headers)
        if self.token and token is True:
            h["Authorization"] = f"Bearer {self.token}"
        elif isinstance(token, str):
            h["Authorization"] = f"Bearer {token}"
        if json_body is not None:
            body = json.dumps(json_body).encode()
            h["Content-Type"] = "application/json"
        h.update(headers or {})
        if method in ("POST", "PUT", "PATCH") and body is None:
            body = b""
        r = self._send(method, path, body, h)
        if self.patient:
            self._record(method, path, r, h, body)
        return r

    @staticmethod
    def _record(method, path, r, h, body):
        record({
            "method": method, "path": path, "status": r.status,
            "requestType": h.get("Content-Type"),
            "request": body.decode("utf-8", "replace") if isinstance(body, bytes) and len(body) < 65536
            and (h.get("Content-Type") or "").startswith("application/json") else None,
            "responseType": r.headers.get("Content-Type"),
            "response": r.body.decode("utf-8", "replace") if "json" in (r.headers.get("Content-Type") or "") else None,
        })

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, json_body=None, **kw):
        return self.request("POST", path, json_body, **kw)

    def put(self, path, json_body=None, **kw):
        return self.request("PUT", path, json_body, **kw)

    def patch(self, path, json_body=None, **kw):
        return self.request("PATCH", path, json_body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    def upload(self, path, files, fields=None, extra=None, **kw):
        """multipart/form-data; files = [(name, filename, content type, bytes)]"""
        boundary = uuid.uuid4().hex
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
                 for k, v in (fields or {}).items()]
        for name, filename, kind, data in files:
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                         f'Content-Type: {kind}\r\n\r\n'.encode() + data + b"\r\n")
        parts.append(f"--{boundary}--\r\n".encode())
        return self.request("POST", path, body=b"".join(parts),
                            headers={**(extra or {}), "Content-Type": f"multipart/form-data; boundary={boundary}"}, **kw)

    def pages(self, path):
        """All items of a list, following nextCursor."""
        cursor = None
        while True:
            sep = "&" if "?" in path else "?"
            page = self.get(path + (f"{sep}cursor={cursor}" if cursor else "")).json
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return


_serial = itertools.count()
PASSWORD = "correct horse battery staple"


class Users:
    """Makes accounts through the API."""

    def __init__(self, env):
        self.env = env

    def anonymous(self):
        return Client(self.env.base_url)

    def _register(self, role, **extra):
        c = self.anonymous()
        n = f"{os.getpid()}-{next(_serial)}-{uuid.uuid4().hex[:6]}"
        body = {"email": f"{role}-{n}@plaza.example", "password": PASSWORD, "name": f"{role.title()} {n}", "role": role}
        body.update(extra)
        r = c.post("/api/v1/auth/register", body)
        assert r.status == 201, r
        c.token, c.user = r.json["accessToken"], r.json["user"]
        c.email, c.password, c.refresh_token = body["email"], body["password"], r.json["refreshToken"]
        return c

    def client(self, **extra):
        return self._register("client", **extra)

    def seller(self, **extra):
        extra.setdefault("shopName", f"Shop {uuid.uuid4().hex[:8]}")
        return self._register("seller", **extra)

    def login(self, email, password=PASSWORD):
        c = self.anonymous()
        r = c.post("/api/v1/auth/login", {"email": email, "password": password})
        assert r.status == 200, r
        c.token, c.user = r.json["accessToken"], r.json["user"]
        c.email, c.password, c.refresh_token = email, password, r.json["refreshToken"]
        return c

    def admin(self):
        """The administrator whom deploy/run made (ADMIN_EMAIL, ADMIN_PASSWORD)."""
        return self.login(self.env.admin_email, self.env.admin_password)


def claims_of(token):
    """The payload of a JWT, unverified."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
