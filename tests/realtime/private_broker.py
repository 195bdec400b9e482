"""A private mosquitto with the plugin and the shipped configuration, tokens for it, and clients of it."""
import base64
import json
import os
import queue
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAZA_BUILD", ROOT / "build/release")).resolve()
ISSUER = "https://plaza.test"
SECRET = "a-secret-of-the-programs"
WAIT = 10
GRANTED_SUB = ["u/{uid}/#", "b/all", "b/role/client"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def wait_for(condition, what, timeout=WAIT):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)


def packet(kind, body):
    """An MQTT packet by hand."""
    length, n = b"", len(body)
    while True:
        length += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if n == 0:
            return bytes([kind]) + length + body


def packet_text(s):
    data = s.encode()
    return struct.pack(">H", len(data)) + data


class Keys:
    """A folder of RSA keys, and tokens signed with them."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def add(self, kid):
        secret = self.folder / f"{kid}.pem"
        subprocess.run(["openssl", "genrsa", "-out", secret, "2048"], check=True, stderr=subprocess.DEVNULL)
        secret.chmod(0o600)
        public = self.folder / f"{kid}.pub.pem"
        subprocess.run(["openssl", "rsa", "-in", secret, "-pubout", "-out", public], check=True,
                       stderr=subprocess.DEVNULL)
        public.chmod(0o644)
        self.kid = kid

    def remove(self, kid):
        for name in (f"{kid}.pem", f"{kid}.pub.pem"):
            (self.folder / name).unlink()

    def sign(self, claims):
        head = segment(json.dumps({"alg": "RS256", "typ": "JWT", "kid": self.kid}).encode())
        text = f"{head}.{segment(json.dumps(claims).encode())}"
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.folder / f"{self.kid}.pem"],
                              input=text.encode(), check=True, capture_output=True)
        return f"{text}.{segment(made.stdout)}"


class User:
    """Somebody with an id; makes tokens for devices."""

    def __init__(self, keys, role="client"):
        self.keys, self.role, self.uid = keys, role, str(uuid.uuid4())

    @property
    def up(self):
        return f"up/{self.uid[-1]}/{self.uid}"

    def token(self, did="phone", iat=None, exp=None, **changed):
        iat = int(time.time()) if iat is None else iat
        claims = {
            "iss": ISSUER, "aud": "mqtt", "kind": "mqtt", "sub": self.uid, "sid": str(uuid.uuid4()),
            "jti": str(uuid.uuid4()), "role": self.role, "did": did, "iat": iat,
            "exp": iat + 3600 if exp is None else exp,
            "acl": {"sub": [f.format(uid=self.uid) for f in GRANTED_SUB], "pub": [f"{self.up}/#"]},
        }
        claims.update(changed)
        return self.keys.sign(claims)


class Client:
    """paho with its callbacks turned into queues."""

    def __init__(self, broker, client_id, username, password, *, version=5, ws=False, clean=True, expiry=0, will=None):
        v5 = version == 5
        extra = {} if v5 else {"clean_session": clean}
        self.paho = paho.Client(client_id=client_id, protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
                                transport="websockets" if ws else "tcp", reconnect_on_failure=False, **extra)
        self.paho.username_pw_set(username, password)
        self.messages, self.results, self.subacks = (queue.Queue() for _ in range(3))
        self.gone = threading.Event()
        self.gone_at = None
        self.paho.on_connect = self._on_connect
        self.paho.on_message = lambda _c, _u, m: self.messages.put((m.topic, m.payload))
        self.paho.on_subscribe = lambda _c, _u, _m, granted, _p=None: self.subacks.put(
            [int(getattr(g, "value", g)) for g in granted])
        self.paho.on_disconnect = self._on_disconnect
        if will:
            self.paho.will_set(**will)
        self.options = {}
        if v5:
            self.options["clean_start"] = clean
            if expiry:
                self.options["properties"] = Properties(PacketTypes.CONNECT)
                self.options["properties"].SessionExpiryInterval = expiry
        self.port = broker.ws_port if ws else broker.port

    def _on_connect(self, _c, _u, _flags, rc, properties=None):
        self.welcome = properties
        self.results.put(int(getattr(rc, "value", rc)))

    def _on_disconnect(self, *_):
        self.gone_at = time.monotonic()
        self.gone.set()

    def connect(self):
        """The reason code of the CONNACK; 0 is a welcome."""
        self.paho.connect("127.0.0.1", self.port, keepalive=60, **self.options)
        self.paho.loop_start()
        return self.results.get(timeout=WAIT)

    def subscribe(self, *filters):
        """Granted QoS or reason code of each filter."""
        self.paho.subscribe([(f, 1) for f in filters] if self.paho._protocol != paho.MQTTv5 else
                            [(f, paho.SubscribeOptions(qos=1)) for f in filters])
        return self.subacks.get(timeout=WAIT)

    def publish(self, topic, payload="{}", qos=1):
        """Waits for the PUBACK, whatever it says."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        sent = self.paho.publish(topic, text, qos=qos)
        if qos:
            sent.wait_for_publish(WAIT)
            assert sent.is_published()

    def next(self, topic=None, timeout=WAIT):
        """The next message, on this topic if one is named; others are dropped."""
        while True:
            got = self.messages.get(timeout=timeout)
            if topic in (None, got[0]):
                return got[0], json.loads(got[1] or b"null")

    def break_off(self):
        """As when a phone loses the network: no DISCONNECT."""
        self.paho._sock.shutdown(socket.SHUT_RDWR)
        self.gone.wait(WAIT)
        self.paho.loop_stop()

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


class Broker:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="plaza-broker.", dir="/tmp"))
        self.keys = Keys(self.dir / "keys")
        self.keys.add("2026-01-01T00-00-00")
        self.port, self.ws_port = free_port(), free_port()
        self.log = self.dir / "log"
        self.revocations = self.dir / "revocations"
        self.made = []
        self.process = None
        self.write_secret(SECRET)
        self.conf = self.dir / "plaza.conf"
        self.conf.write_text(f"keys_dir = {self.keys.folder}\nissuer = {ISSUER}\n"
                             f"mqtt_secret_file = {self.dir}/secret\nrevocations_file = {self.revocations}\n")
        self.write_configuration()

    def write_secret(self, secret):
        path = self.dir / "secret"
        path.write_text(secret + "\n")
        path.chmod(0o600)

    def write_configuration(self):
        values = {"LIB": BUILD, "CONF": self.conf, "MQTT_SOCKET": self.dir / "mqtt.sock", "MQTT_PORT": self.port,
                  "MQTT_WS_PORT": self.ws_port, "MQTT_MEMORY": 268435456, "MQTT_BROKER": 0}
        text = (ROOT / "etc/mosquitto/plaza.conf.in").read_text()
        text = re.sub(r"@([A-Z_]+)@", lambda m: str(values[m[1]]), text)
        text = text.replace("connection_messages false", "connection_messages true")
        # A broker that root starts would become a user who may not enter the folder.
        (self.dir / "mosquitto.conf").write_text("user root\n" + text)

    def start(self):
        env = dict(os.environ)
        symbols = subprocess.run(["nm", "-D", BUILD / "plaza.so"], check=True, capture_output=True, text=True).stdout
        if "__asan_init" in symbols:
            runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
            # The broker leaks a little at its end, which is not ours; freed memory must not count as growth.
            env.update(LD_PRELOAD=runtime.stdout.strip(), ASAN_OPTIONS="detect_leaks=0:quarantine_size_mb=8")
        self.process = subprocess.Popen(["mosquitto", "-c", self.dir / "mosquitto.conf"], env=env,
                                        stderr=open(self.log, "ab"), stdout=subprocess.DEVNULL)
        wait_for(lambda: self.process.poll() is not None or self.listens(), "the broker")

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        """Its exit status; 0 after SIGTERM."""
        for c in self.made:
            c.close()
        self.made.clear()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT)

    def restart(self):
        assert self.stop() == 0
        self.start()

    def reload(self):
        mark = len(self.log.read_text())
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "plaza: " in self.log.read_text()[mark:], "the reload")

    def remove(self):
        shutil.rmtree(self.dir)

    def is_alive(self):
        return self.process.poll() is None

    def rss(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def client(self, *args, **kw):
        c = Client(self, *args, **kw)
        self.made.append(c)
        return c

    def device(self, user, did="phone", token=None, **kw):
        return self.client(f"{user.uid}_{did}", user.uid, token or user.token(did), **kw)

    def raw_login(self, user, version=4, token=None):
        """A socket that is logged in, for what paho would not do."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        s.sendall(packet(0x10, packet_text("MQTT") + bytes([version, 0xc2]) + struct.pack(">H", 60) +
                         (b"\0" if version == 5 else b"") + packet_text(f"{user.uid}_phone") +
                         packet_text(user.uid) + packet_text(token or user.token())))
        answer = s.recv(100)
        assert answer[0] == 0x20 and answer[3] == 0, answer
        return s

    def backend(self, *filters):
        c = self.client(f"backend-{uuid.uuid4()}", "plaza-backend", SECRET)
        assert c.connect() == 0
        if filters:
            assert c.subscribe(*filters) == [1] * len(filters)
        return c
