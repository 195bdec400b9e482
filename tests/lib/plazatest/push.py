"""Push services of our own: one for Web Push, which checks what RFC 8030, 8188, 8291 and 8292 ask of a sender and reads
the messages, and one that answers as Firebase Cloud Messaging and its authorization server do."""
import base64
import hmac
import http.server
import json
import os
import re
import struct
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CURVE = ec.SECP256R1()
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point_of(key):
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Subscription:
    """What a browser has after PushManager.subscribe()."""

    def __init__(self, endpoint):
        self.endpoint, self.key, self.auth = endpoint, ec.generate_private_key(CURVE), os.urandom(16)

    @property
    def json(self):
        return {"endpoint": self.endpoint, "expirationTime": None,
                "keys": {"p256dh": b64(point_of(self.key)), "auth": b64(self.auth)}}

    def open(self, body):
        """The text of a message (RFC 8291 section 3.4, RFC 8188 section 2); one record is all there may be."""
        salt, size, idlen = body[:16], struct.unpack(">I", body[16:20])[0], body[20]
        sender, record = body[21:21 + idlen], body[21 + idlen:]
        assert idlen == 65 and len(record) <= size and len(body) <= 4096
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        ikm = hkdf(self.auth, shared, b"WebPush: info\0" + point_of(self.key) + sender, 32)
        cek, nonce = (hkdf(salt, ikm, b"Content-Encoding: " + kind + b"\0", n) for kind, n in ((b"aes128gcm", 16), (b"nonce", 12)))
        text = AESGCM(cek).decrypt(nonce, record, None).rstrip(b"\0")
        assert text[-1:] == b"\2", "the last record"
        return json.loads(text[:-1])


def hkdf(salt, ikm, info, n):
    prk = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(prk, info + b"\1", "sha256")[:n]


def subscription(endpoint=None):
    """A subscription nobody will read, as JSON."""
    return Subscription(endpoint or f"http://127.0.0.1:9/{uuid.uuid4()}").json


def check_vapid(header, origin):
    """RFC 8292: who sends proves it, for this service and not for long; the public key."""
    token, key = re.fullmatch(r"vapid t=([\w.-]+), ?k=([\w-]+)", header).groups()
    head, claims, signature = token.split(".")
    assert json.loads(unb64(head)) == {"typ": "JWT", "alg": "ES256"}
    raw = unb64(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, unb64(key))
    public.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    claims = json.loads(unb64(claims))
    assert claims["aud"] == origin and claims["sub"].startswith(("mailto:", "https:"))
    assert 0 < claims["exp"] - time.time() <= 86400
    return key


class Service:
    """Requests that came, and what is answered: `answer(request)` gives (status, headers, body)."""

    def __init__(self, port=0):
        self.cond, self.requests, self.faults = threading.Condition(), [], []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    status, headers, text = service.answer(self.path, self.headers, body)
                except Exception as fault:  # what a real service would refuse
                    service.faults.append(repr(fault))
                    status, headers, text = 400, {}, repr(fault).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass  # whoever asked has gone

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, request):
        with self.cond:
            self.requests.append(request)
            self.cond.notify_all()

    def wait(self, fits=lambda r: True, count=1, timeout=10):
        """The first `count` requests that fit."""
        end = time.monotonic() + timeout
        with self.cond:
            while len(found := [r for r in self.requests if fits(r)]) < count:
                left = end - time.monotonic()
                assert left > 0 and not self.faults, (self.faults, self.requests)
                self.cond.wait(min(left, 0.5))
        return found[0] if count == 1 else found

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class WebPush(Service):
    """Endpoints are made by new(); `states` says how one behaves: a status, a list of them, one after the other, or a
    function."""

    def __init__(self, like=None):
        """`like`: the one that was there before, on the same port."""
        self.subscriptions, self.states = (like.subscriptions, like.states) if like else ({}, {})
        super().__init__(like.port if like else 0)

    def new(self, state=201):
        name = uuid.uuid4().hex
        self.subscriptions[name] = made = Subscription(f"{self.origin}/push/{name}")
        self.states[name] = state
        made.name = name
        return made

    def answer(self, path, headers, body):
        name = path.rsplit("/", 1)[1]
        state = self.states[name]
        if isinstance(state, list):
            state = state.pop(0) if len(state) > 1 else state[0]
        if callable(state):
            state = state()
        status, more = state if isinstance(state, tuple) else (state, {})
        request = {"to": name, "status": status, "key": check_vapid(headers["Authorization"], self.origin),
                   "ttl": int(headers["TTL"]), "urgency": headers["Urgency"], "topic": headers["Topic"],
                   "at": time.monotonic()}
        assert headers["Content-Encoding"] == "aes128gcm"
        assert headers["Urgency"] in ("very-low", "low", "normal", "high")
        assert re.fullmatch(r"[\w-]{1,32}", headers["Topic"])
        request["text"] = self.subscriptions[name].open(body)
        self.put(request)
        return status, more, b""

    def texts(self, to):
        with self.cond:
            return [r["text"] for r in self.requests if r["to"] == to.name]


# What messages:send takes, as far as its documents fix it: member -> its type, or its members.
MESSAGE = {"token": str, "notification": {"title": str, "body": str}, "data": dict,
           "android": {"collapse_key": str, "priority": ("NORMAL", "HIGH"), "ttl": re.compile(r"\d+(\.\d+)?s"),
                       "notification": {"tag": str, "notification_count": int}},
           "apns": {"headers": dict, "payload": dict}}


def check_shape(value, shape, path="message"):
    if isinstance(shape, dict):
        unknown = set(value) - set(shape)
        assert not unknown, f"{path}: {unknown}"
        for k, v in value.items():
            check_shape(v, shape[k], f"{path}.{k}")
    elif isinstance(shape, tuple):
        assert value in shape, (path, value)
    elif isinstance(shape, re.Pattern):
        assert shape.fullmatch(value), (path, value)
    else:
        assert isinstance(value, shape), (path, value)


def fcm_error(status, name, details):
    return status, {"Content-Type": "application/json"}, json.dumps(
        {"error": {"code": status, "message": name, "status": name, "details": details}}).encode()


class Firebase(Service):
    """The authorization server and messages:send. `states` by token: an error's name, or nothing."""

    def __init__(self, env):
        text = Path(env.conf).read_text()
        super().__init__(int(re.search(r"(?m)^fcm_url = .*:(\d+)$", text)[1]))
        self.key = rsa.generate_private_key(65537, 2048)
        self.tokens, self.states, self.issued = {}, {}, 0
        self.account = Path(re.search(r"(?m)^fcm_account_file = (.*)$", text)[1])
        self.write_account(env)

    def write_account(self, env):
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()).decode()
        self.account.write_text(json.dumps({
            "type": "service_account", "project_id": "plaza-test", "private_key_id": "k1", "private_key": pem,
            "client_email": "push@plaza-test.iam.gserviceaccount.com", "token_uri": f"{self.origin}/token"}))
        self.account.chmod(0o640)
        os.chown(self.account, *(getattr(self.account.parent.stat(), n) for n in ("st_uid", "st_gid")))

    def answer(self, path, headers, body):
        return self.give_token(headers, body) if path == "/token" else self.send(path, headers, json.loads(body))

    def give_token(self, headers, body):
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        assert form["grant_type"] == GRANT
        head, claims, signature = form["assertion"].split(".")
        self.key.public_key().verify(unb64(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        assert json.loads(unb64(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        claims = json.loads(unb64(claims))
        assert claims["iss"] == "push@plaza-test.iam.gserviceaccount.com" and claims["scope"] == SCOPE
        assert claims["aud"] == f"{self.origin}/token" and claims["exp"] - claims["iat"] <= 3600
        assert abs(claims["iat"] - time.time()) < 60
        self.issued += 1
        self.tokens = {f"access-{self.issued}": True}
        return 200, {"Content-Type": "application/json"}, json.dumps(
            {"access_token": f"access-{self.issued}", "expires_in": 3599, "token_type": "Bearer"}).encode()

    def send(self, path, headers, body):
        assert path == "/v1/projects/plaza-test/messages:send", path
        if headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return fcm_error(401, "UNAUTHENTICATED", [])
        assert set(body) == {"message"}
        message = body["message"]
        check_shape(message, MESSAGE)
        assert all(isinstance(v, str) for v in message["data"].values()), "FCM takes strings"
        state = self.states.get(message["token"])
        self.put({"message": message, "state": state})
        if state is None:
            return 200, {"Content-Type": "application/json"}, b'{"name":"projects/plaza-test/messages/1"}'
        return state

    def close(self):
        self.account.unlink(missing_ok=True)
        super().close()


FCM_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
UNREGISTERED = fcm_error(404, "NOT_FOUND", [{"@type": FCM_TYPE, "errorCode": "UNREGISTERED"}])
SENDER_ID_MISMATCH = fcm_error(403, "PERMISSION_DENIED", [{"@type": FCM_TYPE, "errorCode": "SENDER_ID_MISMATCH"}])


def invalid_argument(field):
    return fcm_error(400, "INVALID_ARGUMENT", [
        {"@type": FCM_TYPE, "errorCode": "INVALID_ARGUMENT"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field, "description": "no"}]}])


def fcm_token():
    return f"{uuid.uuid4().hex[:22]}:APA91b{uuid.uuid4().hex}"
