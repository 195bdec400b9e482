"""What a client of MQTT 3.1.1 and 5 finds at the shipped broker: the standard where we follow it, and where we do not, the
table in README.md, which must say what is seen here. Rights, kicks and presence are in test_plugin.py."""
import struct
import time
from pathlib import Path

import pytest

import wire as w
from private_broker import SECRET, Broker, User, packet, packet_text
from wire import Wire

VERSIONS = pytest.mark.parametrize("version", [4, 5])


@pytest.fixture(scope="module")
def broker():
    b = Broker()
    b.start()
    yield b
    assert b.stop() == 0
    b.remove()


@pytest.fixture(autouse=True)
def broker_survives(broker):
    yield
    assert broker.is_alive(), broker.log.read_text()[-2000:]


@pytest.fixture
def anna(broker):
    return User(broker.keys)


class Program:
    """Plaza's side: publishes, and reads what devices say."""

    def __init__(self, broker):
        self.wire = Wire(broker)
        self.welcome = self.wire.login(User(broker.keys), client_id="", username="plaza-backend", password=SECRET)

    def publish(self, topic, payload, qos=1, **kw):
        self.wire.publish(topic, payload, qos=qos, **kw)
        if qos:
            assert self.wire.next()[0] == w.PUBACK


@pytest.fixture
def program(broker):
    p = Program(broker)
    yield p
    p.wire.socket.close()


def listening(broker, user, version=5, *filters, options=1, **kw):
    c = Wire(broker, version)
    c.login(user, **kw)
    c.subscribe(*(filters or (f"u/{user.uid}/#",)), options=options)
    assert c.answer().startswith("SUBACK 0x01")
    return c


# --- as the standard says ---------------------------------------------------------------------------------


def test_the_welcome_names_the_limits(broker, anna):
    with Wire(broker) as c:
        assert c.login(anna) == {w.ALIAS_MAX: 10, w.RETAIN: 0, w.PACKET_MAX: 65536, w.RECEIVE_MAX: 20, w.QOS_MAX: 1}


def test_programs_without_a_client_id_are_given_one(program):
    assert program.welcome[w.ASSIGNED_ID].startswith("auto-")


@VERSIONS
def test_each_connection_begins_with_nothing(broker, anna, program, version):
    listening(broker, anna, version).socket.close()
    with Wire(broker, version) as c:
        kind, body = c.connect(anna).next()
        assert (kind, body[:2]) == (w.CONNACK, b"\0\0"), "no session is present"
        program.publish(f"u/{anna.uid}/in", "1")
        assert c.silent()


@VERSIONS
@pytest.mark.parametrize("qos,granted,arrives", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 1)])
def test_a_message_comes_with_the_lower_qos(broker, anna, program, version, qos, granted, arrives):
    with Wire(broker, version) as c:
        c.login(anna)
        assert c.subscribe(f"u/{anna.uid}/#", options=granted).answer() == f"SUBACK {granted:#04x}"
        program.publish(f"u/{anna.uid}/in", "1", qos=qos)
        topic, payload, _, mid = c.message()
        assert (topic, payload, bool(mid), c.head & 9) == (f"u/{anna.uid}/in", "1", bool(arrives), 0)


@VERSIONS
def test_who_acknowledges_nothing_gets_no_more_than_a_window(broker, anna, program, version):
    """20 where the client names no number; MQTT 5 lets it name a smaller one. The rest comes later, in order."""
    props, window = ([(w.RECEIVE_MAX, 3)], 3) if version == 5 else ((), 20)
    with listening(broker, anna, version, props=props) as c:
        for n in range(window + 5):
            program.publish(f"u/{anna.uid}/in", str(n))
        first = [c.message() for _ in range(window)]
        assert c.silent() and len({mid for *_, mid in first}) == window
        got = [payload for _, payload, _, _ in first]
        for *_, mid in first:
            c.acknowledge(mid)
        for _ in range(5):
            _, payload, _, mid = c.message()
            got.append(payload)
            c.acknowledge(mid)
        assert got == [str(n) for n in range(window + 5)] and c.silent()


@VERSIONS
def test_overlapping_subscriptions_bring_one_copy_each(broker, anna, program, version):
    with listening(broker, anna, version) as c:
        c.subscribe(f"u/{anna.uid}/in")
        assert c.answer() == "SUBACK 0x01"
        program.publish(f"u/{anna.uid}/in", "1")
        assert [c.message()[1] for _ in range(2)] == ["1", "1"]
        assert c.silent()


def test_subscription_identifiers_come_back(broker, anna, program):
    with Wire(broker) as c:
        c.login(anna)
        for n, topic in ((1, f"u/{anna.uid}/#"), (300, f"u/{anna.uid}/in")):
            assert c.subscribe(topic, props=[(w.SUB_ID, n)]).answer() == "SUBACK 0x01"
        program.publish(f"u/{anna.uid}/in", "1")
        assert {c.message()[2].get(w.SUB_ID) for _ in range(2)} == {1, 300}
        program.publish(f"u/{anna.uid}/eph", "2")
        assert c.message()[2] == {w.SUB_ID: 1}


@VERSIONS
def test_a_second_subscription_to_the_same_filter_replaces_the_first(broker, anna, program, version):
    with listening(broker, anna, version) as c:
        assert c.subscribe(f"u/{anna.uid}/#", options=0).answer() == "SUBACK 0x00"
        program.publish(f"u/{anna.uid}/in", "1")
        assert c.message()[3] is None
        assert c.silent()


@VERSIONS
def test_unsubscribing_ends_it(broker, anna, program, version):
    with listening(broker, anna, version) as c:
        body = struct.pack(">H", 8) + c.props() + packet_text(f"u/{anna.uid}/#") + packet_text("u/x/in")
        c.send(w.UNSUBSCRIBE | 2, body)
        assert c.answer() == ("UNSUBACK 0x00 0x11" if c.v5 else "UNSUBACK")
        program.publish(f"u/{anna.uid}/in", "1")
        assert c.silent()


def test_no_local_spares_the_publisher(broker, program):
    c = program.wire
    assert c.subscribe("sys/#", options=1 | 4).answer() == "SUBACK 0x01"
    program.publish("sys/pres", "{}")
    assert c.silent()


def test_properties_pass_through(broker, anna, program):
    sent = {w.CONTENT: "application/json", w.RESPONSE: "x/y", w.CORRELATION: "17", w.USER: ("us", "4")}
    with listening(broker, anna) as c:
        program.publish(f"u/{anna.uid}/in", "1", props=[*sent.items(), (w.EXPIRY, 60)])
        got = c.message()[2]
        assert 58 <= got.pop(w.EXPIRY) <= 60
        assert got == sent


def test_an_expired_message_is_not_delivered(broker, anna, program):
    """It waits behind a full window until it is too late."""
    with listening(broker, anna, props=[(w.RECEIVE_MAX, 1)]) as c:
        program.publish(f"u/{anna.uid}/in", "first")
        mid = c.message()[3]
        program.publish(f"u/{anna.uid}/in", "late", props=[(w.EXPIRY, 1)])
        time.sleep(2.1)
        c.acknowledge(mid)
        program.publish(f"u/{anna.uid}/in", "last")
        assert c.message()[1] == "last"


def test_a_client_may_bound_the_packets_it_takes(broker, anna, program):
    """What is larger is not sent to it, and the next is: the gap shows in `us`."""
    with listening(broker, anna, props=[(w.PACKET_MAX, 200)]) as c:
        program.publish(f"u/{anna.uid}/in", "x" * 300)
        program.publish(f"u/{anna.uid}/in", "small")
        assert c.message()[1] == "small"


def test_topic_aliases_of_a_client(broker, anna, program):
    program.wire.subscribe("up/#")
    assert program.wire.answer() == "SUBACK 0x01"
    with Wire(broker) as c:
        c.login(anna)
        c.publish(f"{anna.up}/hello", "1", props=[(w.ALIAS, 10)])
        c.publish("", "2", props=[(w.ALIAS, 10)])
        c.publish(f"{anna.up}/beat", "3", props=[(w.ALIAS, 10)])
        c.publish("", "4", props=[(w.ALIAS, 10)])
        got = []
        for _ in range(4):
            topic, payload, props, mid = program.wire.message()
            program.wire.acknowledge(mid)
            got.append((topic.rsplit("/")[-1], payload, props))
    assert got == [("hello", "1", {}), ("hello", "2", {}), ("beat", "3", {}), ("beat", "4", {})]


def test_nobody_who_listens_is_told_to_a_publisher(broker, anna):
    with Wire(broker) as c:
        c.login(anna)
        assert c.publish(f"{anna.up}/hello").answer() == "PUBACK 0x10"


@VERSIONS
def test_the_own_id_takes_over(broker, anna, version):
    with listening(broker, anna, version) as old, Wire(broker, version) as new:
        new.login(anna)
        assert old.answer() == "closed"
        new.send(w.PINGREQ, b"")
        assert new.answer() == "PINGRESP"


def test_silence_ends_a_connection_and_a_ping_keeps_it(broker):
    """One and a half times the keep alive; this broker looks every five seconds."""
    users = [User(broker.keys) for _ in range(3)]
    with Wire(broker, 4) as old, Wire(broker) as new, Wire(broker) as alive:
        for c, user in zip((old, new, alive), users):
            c.login(user, keepalive=2)
        began = time.monotonic()
        for _ in range(10):
            time.sleep(1)
            alive.send(w.PINGREQ, b"")
            assert alive.answer() == "PINGRESP"
        assert time.monotonic() - began < 15
        assert (old.answer(), new.answer()) == ("closed", "closed")


# What the standard calls malformed, or a fault of the protocol: the connection ends, and nobody else is harmed.
FAULTS = {
    "another protocol": lambda c, u: c.connect(u, name="HTTP"),
    "a reserved flag in CONNECT": lambda c, u: c.connect(u, flags=1),
    "a will of QoS 3": lambda c, u: c.connect(u, will=(f"{u.up}/bye", "x", 3, 0)),
    "something before CONNECT": lambda c, u: c.send(w.PINGREQ, b""),
    "a length of five bytes": lambda c, u: c.socket.sendall(b"\x10\xff\xff\xff\xff\x7f"),
}
FAULTS_LATER = {
    "a second CONNECT": lambda c, u: c.connect(u),
    "QoS 3": lambda c, u: c.publish(f"{u.up}/hello", qos=3),
    "packet id 0 in PUBLISH": lambda c, u: c.publish(f"{u.up}/hello", mid=0),
    "a wildcard in a topic": lambda c, u: c.publish(f"{u.up}/+"),
    "an empty topic": lambda c, u: c.publish(""),
    "a NUL in a topic": lambda c, u: c.publish(f"{u.up}/a\0b"),
    "a topic that is not UTF-8": lambda c, u: c.send(w.PUBLISH, b"\0\3\xff\xfe\xfd" + c.props() + b"{}"),
    "# before the end": lambda c, u: c.subscribe(f"u/{u.uid}/#/in"),
    "# that is not a level": lambda c, u: c.subscribe(f"u/{u.uid}#"),
    "+ that is not a level": lambda c, u: c.subscribe(f"u/{u.uid}/+x"),
    "an empty filter": lambda c, u: c.subscribe(""),
    "no filter": lambda c, u: c.subscribe(),
    "a filter with QoS 3": lambda c, u: c.subscribe(f"u/{u.uid}/#", options=3),
    "packet id 0 in SUBSCRIBE": lambda c, u: c.subscribe(f"u/{u.uid}/#", mid=0),
    "flags of SUBSCRIBE": lambda c, u: c.send(w.SUBSCRIBE, b"\0\7" + c.props() + packet_text(f"u/{u.uid}/#") + b"\1"),
    "CONNACK of a client": lambda c, u: c.send(w.CONNACK, b"\0\0"),
    "AUTH without a method": lambda c, u: c.send(w.AUTH, b""),
    "packet type 0": lambda c, u: c.send(0, b""),
}
FAULTS_5 = {
    "receive maximum 0": lambda c, u: c.connect(u, props=[(w.RECEIVE_MAX, 0)]),
    "a property twice": lambda c, u: c.connect(u, props=[(w.RECEIVE_MAX, 5), (w.RECEIVE_MAX, 5)]),
}
FAULTS_5_LATER = {
    "topic alias 0": lambda c, u: c.publish(f"{u.up}/hello", props=[(w.ALIAS, 0)]),
    "an unknown topic alias": lambda c, u: c.publish("", props=[(w.ALIAS, 3)]),
    "subscription id 0": lambda c, u: c.subscribe(f"u/{u.uid}/#", props=[(w.SUB_ID, 0)]),
    "a reserved option of a filter": lambda c, u: c.subscribe(f"u/{u.uid}/#", options=0x41),
    "an expiry at the end of what had none": lambda c, u: c.send(w.DISCONNECT, b"\0" + c.props([(w.SESSION_EXPIRY, 9)])),
}
ALL_FAULTS = [(v, name, run, later) for table, later, versions in (
    (FAULTS, False, (4, 5)), (FAULTS_LATER, True, (4, 5)), (FAULTS_5, False, (5,)), (FAULTS_5_LATER, True, (5,)))
    for name, run in table.items() for v in versions]


@pytest.mark.parametrize("version,run,later", [(v, run, later) for v, _, run, later in ALL_FAULTS],
                         ids=[f"{name}, {v}" for v, name, _, _ in ALL_FAULTS])
def test_a_fault_ends_its_connection(broker, anna, version, run, later):
    other = User(broker.keys)
    with Wire(broker, version) as bystander, Wire(broker, version) as c:
        bystander.login(other)
        if later:
            c.login(anna)
        run(c, anna)
        assert c.answer().endswith("closed")
        bystander.send(w.PINGREQ, b"")
        assert bystander.answer() == "PINGRESP"


# --- otherwise than the standard says, or less ------------------------------------------------------------

CASES = {}


def case(name, versions=(4, 5), login=True):
    """A row of README.md: what is done, for each version, and what comes back."""

    def keep(run):
        CASES[name] = (run, versions, login)
        return run
    return keep


case("a session that stays: clean session or clean start 0", login=False)(lambda c, u, b: c.connect(u, clean=False).answer())
case("an empty client id", login=False)(lambda c, u, b: c.connect(u, client_id="").answer())
case("no user name", login=False)(lambda c, u, b: bare_login(c, u))
case("enhanced authentication", (5,), login=False)(lambda c, u, b: c.connect(u, props=[(w.AUTH_METHOD, "X")]).answer())
case("a will of QoS 2", login=False)(lambda c, u, b: c.connect(u, will=(f"{u.up}/bye", "x", 2, 0)).answer())
case("a retained will", login=False)(lambda c, u, b: c.connect(u, will=(f"{u.up}/bye", "x", 1, 1)).answer())
case("a PUBLISH of QoS 2")(lambda c, u, b: c.publish(f"{u.up}/hello", qos=2).answer())
case("a retained message")(lambda c, u, b: c.publish(f"{u.up}/hello", retain=1).answer())
case("a PUBLISH to any topic but the own uplinks")(lambda c, u, b: c.publish("b/all").answer())
case("a PUBLISH to `$SYS/…` or another `$` topic")(lambda c, u, b: c.publish("$SYS/x").answer())
case("a SUBSCRIBE with QoS 2")(lambda c, u, b: c.subscribe(f"u/{u.uid}/#", options=2).answer())
case("a SUBSCRIBE to what the session answer does not list")(lambda c, u, b: c.subscribe("u/#").answer())
case("a SUBSCRIBE to `$SYS/#`")(lambda c, u, b: c.subscribe("$SYS/#").answer())
case("a SUBSCRIBE to `$share/…`")(lambda c, u, b: c.subscribe(f"$share/g/u/{u.uid}/#").answer())
case("a packet of more than 65,536 bytes")(lambda c, u, b: announce(c, 100_000))
case("a topic alias above 10", (5,))(lambda c, u, b: c.publish(f"{u.up}/hello", props=[(w.ALIAS, 11)]).answer())
case("a PUBREL of nothing")(lambda c, u, b: answer_to(c, w.PUBREL | 2, b"\0\7"))
case("reserved flags of PINGREQ")(lambda c, u, b: answer_to(c, w.PINGREQ | 1, b""))


def bare_login(c, u):
    c.send(w.CONNECT, packet_text("MQTT") + bytes([c.version, 2, 0, 60]) + c.props() + packet_text(f"{u.uid}_phone"))
    return c.answer()


def answer_to(c, kind, body):
    c.send(kind, body)
    return c.answer()


def announce(c, size):
    """The beginning of a PUBLISH decides; what was sent of the rest might take the answer with it."""
    c.socket.sendall(packet(w.PUBLISH, b"x" * size)[:4])
    return c.answer()


def keepalive(c, u, asked):
    told = c.login(u, keepalive=asked).get(w.SERVER_KEEPALIVE)
    return f"keep alive {told}" if told else "CONNACK 0x00"


case("a keep alive above 600 s", login=False)(lambda c, u, b: keepalive(c, u, 3600))
case("no keep alive", login=False)(lambda c, u, b: keepalive(c, u, 0))


@case("a session expiry with a clean start", (5,), login=False)
def expiry(c, u, b):
    """It is granted, and of no use: nobody can come back to the session."""
    c.connect(u, props=[(w.SESSION_EXPIRY, 100)])
    first = c.answer()
    c.socket.close()
    with Wire(b) as again:
        return f"{first}, then {again.connect(u, clean=False).answer()}"


@case("a SUBSCRIBE to what is not listed, in MQTT 3.1", (3,))
def refused_31(c, u, b):
    """Version 3.1 has no code for it; what matters is that nothing comes."""
    other = User(b.keys)
    said = c.subscribe(f"u/{other.uid}/#", "#").answer()
    program = Program(b)
    program.publish(f"u/{other.uid}/in", "secret")
    program.wire.socket.close()
    return said + (", nothing comes" if c.silent() else ", something comes")


@case("PINGRESP of a client")
def pingresp(c, u, b):
    c.send(w.PINGRESP, b"")
    return "nothing" if c.silent() else c.answer()


@case("SUBACK of a client")
def suback(c, u, b):
    c.send(w.SUBACK, b"\0\7" + c.props() + b"\1")
    return "nothing" if c.silent() else c.answer()


@case("the largest packet, where 65,536 is announced", (5,))
def largest(c, u, b):
    """What follows the fixed header is counted, and one byte of that."""
    head = 2 + len(f"{u.up}/hello") + 2 + 1
    return f'{c.publish(f"{u.up}/hello", "x" * (65535 - head)).answer()}, then {announce(c, 65536)}'


@case("a receive maximum of 3, while eight messages wait", (5,), login=False)
def window(c, u, b):
    c.login(u, props=[(w.RECEIVE_MAX, 3)])
    c.subscribe(f"u/{u.uid}/#")
    assert c.answer() == "SUBACK 0x01"
    program = Program(b)
    for n in range(8):
        program.publish(f"u/{u.uid}/in", str(n))
    program.wire.socket.close()
    counts, mids = [], []
    for _ in range(2):
        before = len(mids)
        while not c.silent():
            mids.append(c.message()[3])
        counts.append(len(mids) - before)
        c.acknowledge(mids[0])
    return "{} come, then {} for one PUBACK".format(*counts)


@case("the older connection of a client id", login=False)
def taken_over(c, u, b):
    c.login(u)
    with Wire(b, c.version) as new:
        new.login(u)
        return c.answer()


@case("topic aliases of the broker, where the client takes some", (5,), login=False)
def server_alias(c, u, b):
    c.login(u, props=[(w.ALIAS_MAX, 10)])
    c.subscribe(f"u/{u.uid}/#")
    assert c.answer() == "SUBACK 0x01"
    program, found = Program(b), set()
    for n in range(3):
        program.publish(f"u/{u.uid}/in", str(n))
        found.add(c.message()[2].get(w.ALIAS))
    program.wire.socket.close()
    return "none" if found == {None} else str(found)


@case("the 33rd subscription of a connection")
def too_many(c, u, b):
    c.subscribe(*[f"u/{u.uid}/x{n}" for n in range(33)])
    return "SUBACK " + c.answer().split()[-1]


def readme():
    """{what: our answer} of the table."""
    text = (Path(__file__).parent / "README.md").read_text()
    part = text.split("## The standard, and this broker")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| ")]
    assert rows[0] == ["What", "The standard", "We answer", "Why"] and all(len(r) == 4 and all(r) for r in rows)
    return {row[0]: row[2] for row in rows[1:]}


@pytest.mark.parametrize("name", CASES)
def test_readme_says_what_is_answered(broker, name):
    run, versions, login = CASES[name]
    seen = []
    for version in versions:
        user = User(broker.keys)
        with Wire(broker, version) as c:
            if login:
                c.login(user)
            seen.append(run(c, user, broker))
    assert "; ".join(seen) == readme().get(name)


def test_readme_has_no_row_without_a_case():
    assert list(readme()) == list(CASES)
