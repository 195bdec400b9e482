"""MQTT packet by packet: what a library would never send, and every answer as it stands on the wire."""
import socket
import struct

from private_broker import WAIT, packet, packet_text

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = (n << 4 for n in range(1, 8))
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = (n << 4 for n in range(8, 16))
NAMES = {CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC", PUBCOMP: "PUBCOMP", SUBACK: "SUBACK",
         UNSUBACK: "UNSUBACK", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT"}

# Properties of MQTT 5 and how their values are written.
EXPIRY, CONTENT, RESPONSE, CORRELATION, SUB_ID, SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEPALIVE = 2, 3, 8, 9, 11, 17, 18, 19
AUTH_METHOD, REASON, RECEIVE_MAX, ALIAS_MAX, ALIAS, QOS_MAX, RETAIN, USER, PACKET_MAX = 21, 31, 33, 34, 35, 36, 37, 38, 39
FORMS = {EXPIRY: "4", CONTENT: "s", RESPONSE: "s", CORRELATION: "s", SUB_ID: "v", SESSION_EXPIRY: "4", ASSIGNED_ID: "s",
         SERVER_KEEPALIVE: "2", AUTH_METHOD: "s", REASON: "s", RECEIVE_MAX: "2", ALIAS_MAX: "2", ALIAS: "2", QOS_MAX: "1",
         RETAIN: "1", USER: "ss", PACKET_MAX: "4", 40: "1", 41: "1", 42: "1"}
SIZES = {"1": ">B", "2": ">H", "4": ">I"}


def value(form, v):
    if form in SIZES:
        return struct.pack(SIZES[form], v)
    if form == "v":
        return bytes([v % 128 | 128, v // 128]) if v > 127 else bytes([v])
    return b"".join(packet_text(s) for s in (v if form == "ss" else [v]))


def properties(given):
    """A length and the properties; `given` is a list of (number, value)."""
    body = b"".join(bytes([n]) + value(FORMS[n], v) for n, v in given)
    return bytes([len(body)]) + body


def read_properties(data):
    """({number: value}, what follows)."""
    n, data = data[0], data[1:]
    body, rest, found = data[:n], data[n:], {}
    while body:
        number, form, body = body[0], FORMS[body[0]], body[1:]
        if form in SIZES:
            size = struct.calcsize(SIZES[form])
            found[number], body = struct.unpack(SIZES[form], body[:size])[0], body[size:]
        elif form == "v":
            found[number], body = (body[0], body[1:]) if body[0] < 128 else (body[0] - 128 + body[1] * 128, body[2:])
        else:
            texts = []
            for _ in form:
                size = struct.unpack(">H", body[:2])[0]
                texts.append(body[2:2 + size].decode())
                body = body[2 + size:]
            found[number] = tuple(texts) if form == "ss" else texts[0]
    return found, rest


class Wire:
    """A connection that says what it is told to, and reads packets."""

    def __init__(self, broker, version=5):
        self.v5, self.version = version == 5, version
        self.socket = socket.create_connection(("127.0.0.1", broker.port), timeout=WAIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, body):
        self.socket.sendall(packet(kind, body))

    def props(self, given=()):
        return properties(given) if self.v5 else b""

    def connect(self, user, *, client_id=None, username=None, password=None, keepalive=60, clean=True, props=(), will=None,
                flags=0, name=None):
        """`will` is (topic, payload, QoS, retain)."""
        flags |= 0xc0 | (2 if clean else 0)
        tail = b""
        if will:
            topic, payload, qos, retain = will
            flags |= 4 | qos << 3 | retain << 5
            tail = self.props() + packet_text(topic) + packet_text(payload)
        name = name or {3: "MQIsdp"}.get(self.version, "MQTT")
        head = packet_text(name) + bytes([self.version, flags]) + struct.pack(">H", keepalive) + self.props(props)
        ident = packet_text(f"{user.uid}_phone" if client_id is None else client_id)
        self.send(CONNECT, head + ident + tail + packet_text(username or user.uid) + packet_text(password or user.token()))
        return self

    def login(self, user, **kw):
        """Properties of the welcome."""
        kind, body = self.connect(user, **kw).next()
        assert kind == CONNACK and body[1] == 0, (kind, body)
        return read_properties(body[2:])[0] if self.v5 else {}

    def subscribe(self, *filters, mid=7, props=(), options=1):
        self.send(SUBSCRIBE | 2, struct.pack(">H", mid) + self.props(props) +
                  b"".join(packet_text(f) + bytes([options]) for f in filters))
        return self

    def publish(self, topic, payload="{}", *, qos=1, retain=0, mid=9, props=()):
        ident = struct.pack(">H", mid) if qos else b""
        self.send(PUBLISH | qos << 1 | retain, packet_text(topic) + ident + self.props(props) + payload.encode())
        return self

    def take(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def next(self):
        """(kind, body) of the next packet; None when the connection ended."""
        try:
            head, size, shift = self.take(1)[0], 0, 0
            while True:
                byte = self.take(1)[0]
                size |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
            self.head = head
            return head & 0xf0, self.take(size)
        except (EOFError, ConnectionError):
            return None

    def message(self):
        """(topic, payload, properties, packet id or None) of the next message."""
        kind, body = self.next()
        assert kind == PUBLISH, NAMES.get(kind, kind)
        size = struct.unpack(">H", body[:2])[0]
        topic, body = body[2:2 + size].decode(), body[2 + size:]
        mid = None
        if self.head & 6:
            mid, body = struct.unpack(">H", body[:2])[0], body[2:]
        props, body = read_properties(body) if self.v5 else ({}, body)
        return topic, body.decode(), props, mid

    def acknowledge(self, mid):
        self.send(PUBACK, struct.pack(">H", mid))

    def silent(self, seconds=0.5):
        """Whether nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(WAIT)

    def answer(self):
        """The next packet in words: its name and code, and whether the connection ends with it."""
        got = self.next()
        if got is None:
            return "closed"
        kind, body = got
        text = NAMES.get(kind, hex(kind))
        codes = {CONNACK: lambda: body[1:2], DISCONNECT: lambda: body[:1] or b"\0", PUBACK: lambda: body[2:3],
                 PUBREC: lambda: body[2:3], PUBCOMP: lambda: body[2:3],
                 SUBACK: lambda: read_properties(body[2:])[1] if self.v5 else body[2:],
                 UNSUBACK: lambda: read_properties(body[2:])[1] if self.v5 else b""}.get(kind, lambda: b"")()
        text += "".join(f" {code:#04x}" for code in codes)
        if kind in (CONNACK, DISCONNECT) and codes != b"\0" and self.next() is None:
            return text + ", closed"
        return text
