"""The log of connections: a line for each, closed when it ends, and how many are there now."""
import json
import signal
import time
import uuid
from pathlib import Path

import paho.mqtt.client as paho

from plazatest import process
from plazatest.mqtt import Device

API = "/api/v1"


def log(client):
    r = client.get(API + "/realtime/connections")
    assert r.status == 200, r
    return r.json["items"]


def logged(client, n, ended):
    """Waits for n lines of which `ended` are closed; edges are written once a second."""
    process.wait(lambda: (len(lines := log(client)), sum(x["endedAt"] is not None for x in lines)) == (n, ended), 10,
                 f"{n} connections, {ended} ended")
    return log(client)


def test_a_connection_has_a_line_that_closes(client, device):
    d = device(client)
    line = logged(client, 1, 0)[0]
    assert (line["device"], line["transport"], line["seconds"], line["reason"]) == (d.session["did"], "tcp", None, None)
    time.sleep(1.1)
    d.close()
    line = logged(client, 1, 1)[0]
    assert 1 <= line["seconds"] <= 10 and line["endedAt"] > line["connectedAt"] and line["reason"] is None


def test_web_sockets_are_told_apart_and_the_latest_comes_first(users, device):
    a = users.client()
    first = device(a)
    logged(a, 1, 0)
    second = device(users.login(a.email), ws=True)
    lines = logged(a, 2, 0)
    assert [(x["device"], x["transport"]) for x in lines] == [(second.session["did"], "ws"), (first.session["did"], "tcp")]
    page = a.get(API + "/realtime/connections?limit=1").json
    assert page["items"] == lines[:1]
    assert a.get(f"{API}/realtime/connections?limit=1&cursor={page['nextCursor']}").json["items"] == lines[1:]


def test_a_device_says_why_it_goes(client, device):
    d = device(client)
    d.publish("bye", {"reason": "closed by the user"}, did=d.session["did"], qos=0)
    d.close()
    assert logged(client, 1, 1)[0]["reason"] == "closed by the user"


def test_a_connection_that_is_replaced_or_revoked_says_so(env, users, client):
    d = Device(env, client)
    logged(client, 1, 0)
    d.paho.reconnect_delay_set(60, 60)  # the old one stays away
    twin = Device(env, client)
    lines = logged(client, 2, 1)
    assert lines[1]["reason"] == "replaced" and lines[0]["endedAt"] is None
    twin.paho.reconnect_delay_set(60, 60)
    assert client.post(API + "/auth/logout").status == 204
    process.wait(lambda: not twin.connected.is_set(), 5, "the broker ends the connection")
    again = users.login(client.email)
    assert logged(again, 2, 2)[0]["reason"] == "revoked"
    for x in (d, twin):
        x.close()


def test_nobody_reads_anothers_log(users, device):
    a, b = users.client(), users.client()
    device(a)
    logged(a, 1, 0)
    assert log(b) == []


def test_administrators_see_how_many_are_there(users, admin, device, sql):
    a, b = users.client(), users.client()
    for _ in range(2):
        device(users.login(a.email))
    device(b, ws=True)
    logged(a, 2, 0), logged(b, 1, 0)

    def counts():
        return admin.get(API + "/admin/clients").json
    open_now = "SELECT count(*), count(DISTINCT account_id) FROM connection_log WHERE ended_at IS NULL"
    process.wait(lambda: sql(open_now) == [((c := counts())["connections"], c["users"])], 10, "the same count")
    now = counts()
    assert now["connections"] == now["tcp"] + now["ws"] >= 3 and now["users"] < now["connections"] and now["ws"] >= 1
    assert now["connectedLastHour"] >= now["connections"]
    assert a.get(API + "/admin/clients").problem == "forbidden"


def test_what_nobody_heard_the_end_of_is_closed_and_old_lines_go(users, sql):
    a = users.client()
    add = ("INSERT INTO connection_log (account_id, device, transport, connected_at, ended_at) "
           "VALUES (%s, %s, 'tcp', now() - %s::interval, now() - %s::interval)")
    for began, ended in (("31 days", "31 days"), ("29 days", "29 days"), ("63 minutes", None), ("50 minutes", None)):
        sql(add, (a.user["id"], str(uuid.uuid4()), began, ended))
    sql("SELECT job_connections()")
    assert [x["reason"] for x in log(a)] == [None, "lost", None]
    assert [x["endedAt"] is None for x in log(a)] == [True, False, False]


def edges(sql, list_of):
    columns = [list(c) for c in zip(*list_of)]
    sql("SELECT connections_note(%s, %s::uuid[], %s, %s, %s, %s)", columns)


def test_edges_that_were_missed_or_come_twice_do_no_harm(users, sql):
    a = users.client()
    me, nobody = a.user["id"], str(uuid.uuid4())

    def edge(kind, at, who=me, reason=""):
        return kind, who, "phone", f"2026-01-01T00:00:{at:02}Z", "ws", reason
    edges(sql, [edge("down", 1), edge("up", 2, nobody), edge("bye", 2, nobody, "x"), edge("up", 3), edge("up", 5),
                edge("down", 9, reason="expired"), edge("down", 10), edge("up", 11), edge("down", 8)])
    assert [(x["seconds"], x["reason"]) for x in log(a)] == [(0, None), (4, "expired"), (2, "replaced")]


def test_who_came_while_nobody_listened_is_found_by_the_next_snapshot(env, users, device):
    """The snapshot is the plugin's; here it is said in its place, for its own comes once a minute."""
    a = users.client()
    old = process.service(env, "ingest")
    process.kill(old, signal.SIGSTOP)
    d = device(a)
    process.kill(old)
    process.restarted(env, "ingest", old)
    program = paho.Client(client_id=f"test-{uuid.uuid4()}")
    program.username_pw_set("plaza-backend", (Path(env.run_dir) / "conf/mqtt.secret").read_text().strip())
    program.connect("127.0.0.1", int(env.mqtt_port))
    program.loop_start()
    snapshot = {"at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "live": [
        {"uid": a.user["id"], "did": d.session["did"], "ctx": 1, "transport": "tcp"}]}

    def found():
        program.publish("sys/pres", json.dumps(snapshot))
        time.sleep(0.3)
        return log(a)
    process.wait(found, 15, "a line for it")
    program.disconnect()
    program.loop_stop()
    assert [x["device"] for x in logged(a, 1, 0)] == [d.session["did"]], "one, however often it was seen"
    d.close()
    logged(a, 1, 1)


def test_a_storm_is_a_few_statements(env, users, sql):
    """Sixty edges while plaza-ingest is held up are written by a few statements, in their order."""
    a = users.client()
    ingest = process.service(env, "ingest")
    process.kill(ingest, signal.SIGSTOP)
    try:
        d = Device(env, a, connect=False)
        for _ in range(30):
            d.connected.clear()
            d.connect()
            d.close()
    finally:
        process.kill(ingest, signal.SIGCONT)

    def all_lines():
        return list(a.pages(API + "/realtime/connections"))
    process.wait(lambda: len(all_lines()) == 30 and all(x["endedAt"] for x in all_lines()), 15, "30 lines, all closed")
    written = sql("SELECT count(DISTINCT xmin::text) FROM connection_log WHERE account_id = %s", (a.user["id"],))[0][0]
    assert written <= 3, "many lines in a transaction"
