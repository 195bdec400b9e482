"""Clients that come and go, read nothing, have a wrong clock, lose their right in the middle of a message, or were away
for weeks. What they miss they get by /sync; nobody else notices."""
import time

import pytest

from plazatest import process
from plazatest.fold import App, State, open_chat, send, sync
from plazatest.load import ROUNDS
from plazatest.mqtt import queue_of
from plazatest.tokens import changed

FLAP_S, DAY_S = 2.0, 86400
OVER = 300          # events more than the broker keeps for a device; it sends 20 before it waits
BROKER_MORE = 4096  # bytes that it may take for each of those it keeps
ENDED = 26          # seconds; the broker lets a token live 30 longer than it says, and so do the workers
NEAR_S = 5


def test_clients_that_flap_miss_nothing(scene, note):
    """Their connections break every two seconds."""
    flappers = (scene.talk.a, scene.talk.e)
    with scene.load() as load:
        for _ in range(3 * ROUNDS):
            time.sleep(FLAP_S)
            for who in flappers:
                scene.devices[who.user["id"]].cut()
    assert not load.bad
    said = scene.verdict(missed=[who.user["id"] for who in flappers])
    gaps = sum(scene.apps[who.user["id"]].gaps for who in flappers)
    note(f"two clients flapped {3 * ROUNDS} times, seed {scene.seed}: {load}; {gaps} gaps seen and filled")
    note("  " + said)


def test_f12_who_reads_nothing_harms_nobody_and_catches_up(env, scene, sql, note):
    """More comes than the broker keeps for it. What it drops is a gap, and /sync fills it."""
    slow, scene.talk.door = scene.talk.f.user["id"], "http"  # over MQTT it would wait for answers that it does not read
    stalled, broker = scene.devices[slow], process.service(env, "mosquitto")
    kept = queue_of(env)
    with scene.load() as load:
        time.sleep(1)
        stalled.paho.loop_stop()  # from now on nobody takes what arrives
        before, begin = process.memory(broker), time.monotonic()
        for _ in range(ROUNDS):
            for n in range(0, kept + OVER, OVER):  # in pieces: others wait two seconds for the feed
                sql("SELECT notify(%s, 'order.paid', 'Burst', '', NULL, 'low') FROM generate_series(1, %s)", (slow, OVER))
            time.sleep(2)
    process.wait(lambda: sql("SELECT count(*) FROM outbox") == [(0,)], 30, "all have gone to the broker")
    grown = process.memory(broker) - before
    for who in scene.devices:
        if who in scene.apps and who != slow:
            to = sync(scene.apps[who].client)["to"]
            process.wait(lambda who=who, to=to: scene.all_live(who, to), 5, "the others were told everything")
    stalled.paho.loop_start()
    time.sleep(1)  # until its queue is empty; there is no event to wait for
    here = sync(scene.apps[slow].client)["to"]
    missed = set(range(scene.start[slow] + 1, here + 1)) - {e["us"] for e in scene.heard(slow)}
    worst = load.percentile(1, begin)
    note(f"a client read nothing while {kept}+ events burst, seed {scene.seed}: {load}; slowest of the others "
         f"{worst * 1e3:.0f} ms, broker grew {grown / 1024:.0f} KiB, {len(missed)} events dropped")
    assert missed, "the broker did drop some, or this proves nothing"
    assert not load.bad and grown < BROKER_MORE * kept
    note("  " + scene.verdict(missed=[slow]))


def test_f31_clocks_of_clients_do_not_matter(scene, sql, note):
    """What a device says about the time is a day off: order and times are the server's."""
    for who, skew in ((scene.talk.a, DAY_S), (scene.talk.b, -DAY_S), (scene.talk.e, DAY_S)):
        scene.devices[who.user["id"]].skew = skew
    with scene.load() as load:
        time.sleep(1.5 * ROUNDS)
    assert not load.bad
    off = sql("SELECT count(*) FROM message WHERE chat_id = ANY (%s::uuid[]) AND abs(extract(epoch FROM now() - created_at)) > %s",
              (list(scene.talk.members), NEAR_S * ROUNDS))
    assert off == [(0,)]
    note(f"clocks of three clients a day off, seed {scene.seed}: {load}")
    note("  " + scene.verdict())


def renewing(scene, how):
    """Counts the renewals; how(client) gets a new token."""
    renewed = []

    def renew(client):
        how(client)
        scene.replace_device(client)
        renewed.append(client)
    scene.talk.renew = renew
    return renewed


def test_a_token_that_ends_in_the_middle_costs_no_message(env, scene, note):
    """Both of `a` end, that of the requests and that of the broker; `a` gets others and repeats what has no answer."""
    a, good = scene.talk.a, scene.talk.a.token
    d, now = scene.devices[a.user["id"]], int(time.time())

    def refresh(client):
        client.token = good
    renewed = renewing(scene, refresh)
    with scene.load() as load:
        d.paho.username_pw_set(d.session["username"], changed(env, d.session["password"], iat=now - 3000, exp=now - ENDED))
        d.cut()  # it comes back with that one
        a.token = changed(env, good, iat=now - 800, exp=now - ENDED)
        process.wait(lambda: renewed, 15, "the token has ended")
        time.sleep(1)
    note(f"tokens ended in the middle, seed {scene.seed}: {load}; {len(renewed)} renewals")
    assert {status for _, status, _ in load.bad} <= {401}
    note("  " + scene.verdict(missed=[a.user["id"]]))


def test_a_kick_in_the_middle_costs_no_message(scene, users, note):
    """`a` signs out everywhere on another device: everything ends at once; `a` signs in again and repeats."""
    a = scene.talk.a

    def sign_in(client):
        time.sleep(1.1)  # the broker takes a token of the very second of the kick for an older one
        client.token = users.login(a.email).token
    renewed = renewing(scene, sign_in)
    elsewhere = users.login(a.email)
    kicked = scene.devices[a.user["id"]]
    with scene.load() as load:
        for _ in range(ROUNDS):
            time.sleep(1)
            begin, had, kicked = time.monotonic(), len(renewed), scene.devices[a.user["id"]]
            assert elsewhere.post("/api/v1/auth/logout-all").status == 204
            elsewhere = users.login(a.email)
            process.wait(lambda: not kicked.connected.is_set(), 5, "the device is cut off")
            took = time.monotonic() - begin
            process.wait(lambda: len(renewed) > had, 10, "it signs in again")
        time.sleep(1)
    note(f"kicked in the middle, seed {scene.seed}: {load}; cut off within {took * 1e3:.0f} ms, {len(renewed)} sign-ins")
    assert {status for _, status, _ in load.bad} <= {401}
    scene.before[a.user["id"]].client.token = a.token
    note("  " + scene.verdict(missed=[a.user["id"]]))


@pytest.mark.parametrize("days,reset", [(40, None), (70, True)])
def test_two_devices_one_of_them_away_for_weeks(users, device, sql, note, days, reset):
    """Feeds are kept for 30 days at least, and go by whole months."""
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    send(a, chat, "first")  # it is told in a notification, whose time must stay
    here, away, d = App(b), App(b), device(b)
    for n in range(5):
        send(a, chat, f"old {n}")
    d.wait("message:receive", lambda m: m["body"] == "old 4")
    sql("UPDATE feed SET created_at = now() - make_interval(days => %s) WHERE account_id = %s", (days, b.user["id"]))
    sql("SELECT partition_make('feed', date_trunc('month', now() - make_interval(days => %s))::date), job_partitions()",
        (days,))
    for n in range(3):
        send(a, chat, f"new {n}")
    d.wait("message:receive", lambda m: m["body"] == "new 2")
    for e in d.events():
        here.hear(e)
    away.catch_up()
    fresh = State(b)
    here.us = away.us = fresh.us
    assert here.seen() == away.seen() == fresh.seen()
    assert here.reloads == 0 and reset in (None, away.reloads == 1)
    note(f"a device away for {days} days: {'reloaded' if away.reloads else 'caught up by events'}")
