"""Announcements: live on b/…, and again from GET /broadcasts for who was away."""
import pytest

from plazatest.world import later

API = "/api/v1"


def announce(admin, text="Back at noon", **more):
    r = admin.post(API + "/broadcasts", {"text": text, "until": later(), **more})
    assert r.status == 201, r
    return r.json


def current(client, query=""):
    """By id."""
    r = client.get(API + "/broadcasts" + query)
    assert r.status == 200, r
    return {b["id"]: b for b in r.json["items"]}


def heard(device, kind="broadcast:new"):
    return {m["d"]["broadcastId"] for m in device.events(kind)}


@pytest.fixture
def withdraw(admin):
    """Whatever a test announces ends with it."""
    made = []
    yield made.append
    for ident in made:
        admin.delete(f"{API}/broadcasts/{ident}")


def test_everybody_hears_it_and_who_comes_later_reads_it(users, admin, device, withdraw):
    buyer, seller = users.client(), users.seller()
    devices = [device(buyer), device(seller), device(admin)]
    b = announce(admin, level="warning", textEs="De vuelta al mediodía")
    withdraw(b["id"])
    for d in devices:
        m = d.wait("broadcast:new", lambda d: d["broadcastId"] == b["id"])
        assert m["d"] == {"broadcastId": b["id"], "audience": "all", "level": "warning", "text": "Back at noon",
                          "textEs": "De vuelta al mediodía", "until": b["until"]}
        assert "us" not in m
    assert {t for t, m in devices[0].messages if m["t"] == "broadcast:new"} == {"b/all"}
    for who in (users.client(), seller, admin):
        assert current(who)[b["id"]] == b


def test_only_the_role_hears_and_reads_it(users, admin, device, withdraw):
    buyer, seller = users.client(), users.seller()
    of_buyer, of_seller = device(buyer), device(seller)
    b = announce(admin, "Fees change", audience="seller")
    withdraw(b["id"])
    assert of_seller.wait("broadcast:new", lambda d: d["broadcastId"] == b["id"])["d"]["audience"] == "seller"
    last = announce(admin)  # both hear this, so whatever came before has arrived
    withdraw(last["id"])
    of_buyer.wait("broadcast:new", lambda d: d["broadcastId"] == last["id"])
    assert b["id"] not in heard(of_buyer)
    assert b["id"] in current(seller) and b["id"] not in current(buyer)
    assert b["id"] not in current(buyer, "?all=true"), "only administrators see what is for others"
    assert b["id"] not in current(admin) and b["id"] in current(admin, "?all=true")


def test_a_withdrawn_one_is_told_and_gone(users, admin, device):
    buyer = users.client()
    d = device(buyer)
    b = announce(admin)
    assert admin.delete(f"{API}/broadcasts/{b['id']}").status == 204
    assert d.wait("broadcast:end", lambda m: m["broadcastId"] == b["id"])["d"] == {"broadcastId": b["id"]}
    assert b["id"] not in current(buyer)
    assert admin.delete(f"{API}/broadcasts/{b['id']}").problem == "not-found"


def test_what_was_read_and_heard_is_what_is_read_later(users, admin, device, withdraw):
    """A client reads once and then only listens: it knows what a new one would read."""
    seller = users.seller()
    first = announce(admin, "Before")
    d = device(seller)
    known = current(seller)
    made = [announce(admin, f"{n}", audience=a) for n, a in enumerate(("all", "seller", "client", "seller"))]
    for b in [first, *made]:
        withdraw(b["id"])
    for b in (first, made[1]):
        assert admin.delete(f"{API}/broadcasts/{b['id']}").status == 204
    # What goes to a role and what goes to all comes in an order of its own.
    d.wait("broadcast:new", lambda m: m["broadcastId"] == made[3]["id"])
    d.wait("broadcast:end", lambda m: m["broadcastId"] == first["id"])
    d.wait("broadcast:end", lambda m: m["broadcastId"] == made[1]["id"])
    for m in d.events("broadcast:new"):
        known[m["d"]["broadcastId"]] = m["d"]
    for ident in heard(d, "broadcast:end"):
        known.pop(ident, None)
    assert set(known) == set(current(seller))


def test_one_whose_time_is_over_stands_no_longer(users, admin, sql):
    b = announce(admin)
    sql("UPDATE broadcast SET created_at = now() - interval '2 hours', until = now() - interval '1 second' WHERE id = %s",
        (b["id"],))
    assert b["id"] not in current(users.client()) and b["id"] not in current(admin, "?all=true")
    assert admin.delete(f"{API}/broadcasts/{b['id']}").problem == "not-found"


def test_only_administrators_announce(users, admin, anonymous):
    body = {"text": "Free money", "until": later()}
    for who in (users.client(), users.seller()):
        assert who.post(API + "/broadcasts", body).problem == "forbidden"
        assert who.delete(f"{API}/broadcasts/{admin.user['id']}").problem == "forbidden"
    assert anonymous.post(API + "/broadcasts", body).problem == "unauthenticated"
    assert anonymous.get(API + "/broadcasts").problem == "unauthenticated"


@pytest.mark.parametrize("wrong,code", [
    ({"text": ""}, "too_short"), ({"text": "x" * 1001}, "too_long"), ({"until": None}, "required"),
    ({"until": "tomorrow"}, "invalid_time"), ({"until": "2026-02-30T00:00:00Z"}, "invalid_time"),
    ({"until": "2020-01-01T00:00:00Z"}, "not_allowed"), ({"until": "9999-01-01T00:00:00Z"}, "not_allowed"),
    ({"level": "loud"}, "not_allowed"), ({"audience": "service"}, "not_allowed"), ({"textEs": 5}, "wrong_type")])
def test_nonsense_is_refused(admin, wrong, code):
    body = {k: v for k, v in {"text": "T", "until": later(), **wrong}.items() if v is not None}
    r = admin.post(API + "/broadcasts", body)
    assert (r.status, r.problem) == (422, "invalid"), r
    assert [(e["pointer"], e["code"]) for e in r.json["errors"]] == [("/" + next(iter(wrong)), code)]
