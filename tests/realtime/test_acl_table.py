"""Who may subscribe and publish what: a table made of topics.def and events.def, tried on a real broker with the plugin.

What is expected comes from the columns `sub` and `pub` of TOPIC, and from whose the variables are; the tokens carry the
rows of GRANT, as the server makes them. So the test fails when the two disagree, or the plugin with either of them.
"""
import re
import socket
import struct
import uuid

import pytest

from private_broker import ROOT, SECRET, WAIT, Broker, User, packet, packet_text

USERS = ("client", "seller", "admin", "moderator", "service")
ALLOWED, DENIED = 1, 0x87
ROW = re.compile(r"^(TOPIC|GRANT)\((.*?)\n?\s*\"[^\"]*\"\)$", re.MULTILINE | re.DOTALL)
# What cannot be read on sys/kick ends all tokens; this ends one that nobody has.
HARMLESS = b'{"uid":"01890a5d-ac96-774b-bcce-b302099a8057","did":"none","before":1}'
AT_ONCE = 20  # filters of a SUBSCRIBE


def rows(kind):
    text = (ROOT / "realtime/topics.def").read_text()
    return [[c.strip().strip('"') for c in m[2].rstrip(", \n").split(",")] for m in ROW.finditer(text) if m[1] == kind]


def roles_of(column):
    named = {r.strip()[3:].lower() for r in column.split("|")}
    return (named - {"users"}) | (set(USERS) if "users" in named else set())


TOPICS = [(pattern, roles_of(sub), roles_of(pub)) for _id, pattern, _dir, _qos, sub, pub in rows("TOPIC")]
GRANTS = [(access, pattern, roles_of(who)) for access, pattern, who in rows("GRANT")]
VERBS = re.findall(r'^UPLINK\(\w+, "(\w+)"', (ROOT / "realtime/events.def").read_text(), re.MULTILINE)


class Somebody(User):
    def __init__(self, keys, role):
        super().__init__(keys, role)
        self.shop = str(uuid.uuid4())

    def fill(self, pattern, **more):
        values = {"uid": self.uid, "shop": self.shop, "role": self.role, "s": self.uid[-1], "did": "phone",
                  "verb": "send", **more}
        return re.sub(r"{(\w+)}", lambda m: values[m[1]], pattern)

    def password(self):
        acl = {"SUB": [], "PUB": []}
        for access, pattern, who in GRANTS:
            if self.role in who:
                acl[access].append(self.fill(pattern))
        return self.token(acl={"sub": acl["SUB"], "pub": acl["PUB"]})


def personal(pattern):
    return re.search(r"{(uid|shop|role)}", pattern)


def table(me, other):
    """[(what, topic or filter, expected)] of one role; `other` is a user of another role with another shop."""
    found = []
    for pattern, sub, pub in TOPICS:
        program = me.role == "backend"
        own, foreign = me.fill(pattern), other.fill(pattern)
        found += [("SUB", own, me.role in sub), ("PUB", own, me.role in pub)]
        if personal(pattern):  # the programs have no things of their own: all topics are alike to them
            found += [("SUB", foreign, program and "backend" in sub), ("PUB", foreign, program and "backend" in pub)]
    found += [("PUB", me.fill("up/{s}/{uid}/{verb}", verb=v), me.role in USERS) for v in VERBS]
    found += [("PUB", other.fill("up/{s}/{uid}/{verb}", verb=v), False) for v in VERBS]
    return found


def hostile(me, other):
    """What nobody may, with whatever role."""
    up, uid = f"up/{me.uid[-1]}/{me.uid}", me.uid
    wrong = "0123456789abcdef"[(int(uid[-1], 16) + 1) % 16]
    filters = ["#", "+/#", "+", "u/#", "u/+", "u/+/#", "u/+/in", f"+/{uid}/in", f"+/{uid}/#", f"u/{uid}/+", f"u/{uid}/+/#",
               f"u/{uid.upper()}/in", f"U/{uid}/in", f"/u/{uid}/in", f"u//{uid}/in", f"u/{uid}/in/", f"u/{uid}/a.b",
               f"u/{uid}/in ", f"u/{uid}/é", f"u/{uid[:-1]}/#", f"u/{uid}0/#", f"$share/g/u/{uid}/#", "$share/g/#",
               f"$share/g/u/{other.uid}/#", "$SYS/#", "$SYS/broker/uptime", "$SYS/broker/clients/connected", "$CONTROL/#",
               "b/#", "b/+", "b/role/#", "b/role/+", "b/role/root", "s/#", "s/+/in", "a/+", "a/../u/#", "up/+/+/send",
               f"u/{uid}/" + "x" * 200, f"u/{uid}/1/2/3/4/5"]
    topics = [up, f"{up}/root", f"{up}/send/x", f"{up}/SEND", f"{up}/", f"up/{wrong}/{uid}/send", f"up/{uid}/send",
              f"UP/{uid[-1]}/{uid}/send", f"/{up}/send", f"up/{uid[-1]}/{uid.upper()}/send", "$SYS/x", "$SYS/broker/uptime",
              "$CONTROL/dynamic-security/v1", "x", "b", "b/role", "b/role/root", "u", f"u/{other.uid}", "a", "sys",
              f"$share/g/{up}/send", f"{up}/" + "x" * 200]
    return [("SUB", f, False) for f in filters] + [("PUB", t, False) for t in topics]


def recv_packet(s):
    """(kind, body)"""
    kind, shift, length = s.recv(1)[0], 0, 0
    while True:
        b = s.recv(1)[0]
        length |= (b & 127) << shift
        shift += 7
        if b < 128:
            break
    body = b""
    while len(body) < length:
        body += s.recv(length - len(body))
    return kind, body


def publish_codes(broker, client_id, username, password, topics):
    """Reason codes of the PUBACKs of MQTT 5, which paho does not show."""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=WAIT) as s:
        s.sendall(packet(0x10, packet_text("MQTT") + b"\x05\xc2" + struct.pack(">H", 60) + b"\0" + packet_text(client_id) +
                         packet_text(username) + packet_text(password)))
        kind, body = recv_packet(s)
        assert (kind, body[1]) == (0x20, 0), body
        codes = []
        for mid, topic in enumerate(topics, 1):
            s.sendall(packet(0x32, packet_text(topic) + struct.pack(">H", mid) + b"\0" + HARMLESS))
            kind, body = recv_packet(s)
            assert kind == 0x40 and body[:2] == struct.pack(">H", mid), (topic, kind, body)
            codes.append(body[2] if len(body) > 2 else 0)
        return codes


@pytest.fixture(scope="module")
def broker():
    b = Broker()
    b.start()
    yield b
    assert b.is_alive() and b.stop() == 0
    b.remove()


@pytest.fixture(scope="module")
def tally(note):
    counts = []
    yield counts.append
    note(f"table of rights: {sum(counts)} rows tried on the broker")


def login_of(me):
    if me.role == "backend":
        return f"table-{me.uid}", "plaza-backend", SECRET
    return f"{me.uid}_phone", me.uid, me.password()


def try_all(broker, me, wanted):
    """The rows that the broker sees in another way."""
    filters = [w for w in wanted if w[0] == "SUB"]
    c = broker.client(*login_of(me))
    assert c.connect() == 0
    wrong = []
    for start in range(0, len(filters), AT_ONCE):
        some = filters[start:start + AT_ONCE]
        codes = c.subscribe(*[f for _, f, _ in some])
        assert set(codes) <= {ALLOWED, DENIED}, codes
        wrong += [row for row, code in zip(some, codes) if row[2] != (code == ALLOWED)]
    c.close()
    topics = [w for w in wanted if w[0] == "PUB"]
    codes = publish_codes(broker, *login_of(me), [t for _, t, _ in topics])
    assert set(codes) <= {0, 0x10, DENIED}, codes  # 0x10: nobody has subscribed to it
    return wrong + [row for row, code in zip(topics, codes) if row[2] != (code != DENIED)]


def test_the_files_are_read_as_they_are():
    assert len(TOPICS) >= 11 and len(GRANTS) >= 14 and len(VERBS) >= 12
    assert all(sub and pub for _, sub, pub in TOPICS)
    assert {r for _, _, who in GRANTS for r in who} == {*USERS, "backend"}
    assert sum(len(table(Somebody(None, r), Somebody(None, "seller"))) for r in (*USERS, "backend")) >= 200


@pytest.mark.parametrize("role", [*USERS, "backend"])
def test_r71_the_table_holds_on_the_broker(broker, tally, role):
    me = Somebody(broker.keys, role)
    other = Somebody(broker.keys, "client" if role == "seller" else "seller")
    wanted = table(me, other)
    if role == "service":  # every row at most once: other roles' topics, for one of them is enough
        wanted += [(what, other.fill("b/role/{role}", role=r), False) for what in ("SUB", "PUB") for r in USERS if r != role]
    assert {ok for _, _, ok in wanted} == {True, False}
    tally(len(wanted))
    assert try_all(broker, me, wanted) == []


@pytest.mark.parametrize("role", USERS)
def test_r71_hostile_variants_are_refused(broker, tally, role):
    me = Somebody(broker.keys, role)
    other = Somebody(broker.keys, "client" if role == "seller" else "seller")
    wanted = hostile(me, other)
    tally(len(wanted))
    assert try_all(broker, me, wanted) == []


def test_a_wrong_row_would_be_seen(broker):
    me, other = Somebody(broker.keys, "client"), Somebody(broker.keys, "seller")
    wanted = table(me, other)
    for k in (0, 1):
        what, topic, ok = wanted[k]
        bad = [*wanted[:k], (what, topic, not ok), *wanted[k + 1:]]
        assert try_all(broker, me, bad) == [(what, topic, not ok)]
