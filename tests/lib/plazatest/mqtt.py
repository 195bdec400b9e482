"""A device on the broker: paho-mqtt with a session from POST /realtime/session, and a log of what arrives."""
import json
import os
import re
import socket
import threading
import time
import urllib.parse
from pathlib import Path

import paho.mqtt.client as paho

START_S = 10  # that a broker may take to be there again
_record_lock = threading.Lock()


def _record(topic, payload, direction):
    folder = os.environ.get("PLAZA_EXCHANGES")
    if not folder:
        return
    with _record_lock, open(os.path.join(folder, f"mqtt-{os.getpid()}.jsonl"), "a", encoding="utf-8") as f:
        f.write(json.dumps({"topic": topic, "payload": payload.decode("utf-8", "replace"), "direction": direction}) + "\n")


class Device:
    """Connects as the session tells it, subscribes to all it is granted, keeps every message."""

    def __init__(self, env, client, connect=True, ws=False):
        r = client.post("/api/v1/realtime/session", {})
        assert r.status in (200, 201), r
        self.session, self.env, self.ws = r.json, env, ws
        self.messages, self.cond = [], threading.Condition()
        self.skew = 0      # seconds that its clock is ahead
        self.answers = {}  # to uplinks, by the id that the device gave them
        self.connected, self.rc = threading.Event(), None
        self.subscribed = threading.Event()
        s = self.session
        self.paho = paho.Client(client_id=s["clientId"], clean_session=True, protocol=paho.MQTTv311,
                                transport="websockets" if ws else "tcp")
        if ws:
            self.paho.ws_set_options(path=self.url("ws").path)
        self.paho.username_pw_set(s["username"], s["password"])
        self.paho.on_connect, self.paho.on_message = self._on_connect, self._on_message
        self.paho.on_subscribe = lambda *_: self.subscribed.set()
        self.paho.on_disconnect = self._on_disconnect
        if connect:
            self.connect()

    def connect(self):
        url = self.url("ws" if self.ws else "mqtt")
        end = time.monotonic() + START_S
        while True:
            try:
                self.paho.connect(url.hostname, url.port, keepalive=30)
                break
            except ConnectionRefusedError:  # the broker has been killed a moment ago
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.paho.loop_start()
        assert self.connected.wait(10), f"no CONNACK, rc {self.rc}"
        assert self.subscribed.wait(10), "no SUBACK"

    def url(self, scheme):
        """The address of the user's broker; ws goes through the web server, as a browser does."""
        return next(u for u in map(urllib.parse.urlsplit, self.session["urls"]) if u.scheme == scheme)

    def _on_connect(self, c, _userdata, _flags, rc):
        self.rc = rc
        if rc == 0:
            c.subscribe([(f, 1) for f in self.session["subscribe"]])
            self.connected.set()

    def _on_disconnect(self, *_):
        self.connected.clear()

    def _on_message(self, _c, _userdata, m):
        _record(m.topic, m.payload, "in")
        event = json.loads(m.payload)
        with self.cond:
            self.messages.append((m.topic, event))
            if event["d"].get("ref"):
                self.answers[event["d"]["ref"]] = event
            self.cond.notify_all()

    def cut(self):
        """The connection breaks without a word; the device comes back by itself."""
        try:
            self.paho.socket().shutdown(socket.SHUT_RDWR)
        except (AttributeError, OSError):
            pass  # it is away already

    def publish(self, verb, data, ident=None, qos=1, did=None):
        payload = {"v": 1, "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.skew)), "d": data}
        if ident:
            payload["id"] = ident
        if did:
            payload["did"] = did
        topic = f"{self.session['publishPrefix']}/{verb}"
        text = json.dumps(payload).encode()
        _record(topic, text, "out")
        self.paho.publish(topic, text, qos=qos)

    def wait(self, kind, match=lambda d: True, timeout=10):
        """The first event of this type whose `d` matches; waits for it."""
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                for _topic, m in self.messages:
                    if m["t"] == kind and match(m["d"]):
                        return m
                left = end - time.monotonic()
                if left <= 0 or not self.cond.wait(left):
                    raise AssertionError(f"no {kind}; got {[m['t'] for _, m in self.messages]}")

    def answer(self, ident, timeout):
        """What came back to the uplink with this id, or None; the answer is forgotten."""
        with self.cond:
            self.cond.wait_for(lambda: ident in self.answers, timeout)
            return self.answers.pop(ident, None)

    def events(self, kind=None):
        with self.cond:
            return [m for _, m in self.messages if kind is None or m["t"] == kind]

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def ws_url(env):
    return urllib.parse.urljoin(env.base_url.replace("http", "ws", 1), "/mqtt")


def queue_of(env):
    """How many messages the broker keeps for a device that does not read, besides 20 that it has sent."""
    text = (Path(env.run_dir) / "conf/mosquitto.conf").read_text()
    return int(re.search(r"^max_queued_messages (\d+)$", text, re.MULTILINE)[1])
