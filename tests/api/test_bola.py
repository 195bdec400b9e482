"""Who may do what to whose objects (R38-R41): every route, every kind of caller, every kind of object.

The routes come from the program's own table; what it does not say stands in plazatest/access.py.
"""
import re
import urllib.parse
import uuid

import pytest

from plazatest import access, routes
from plazatest.world import ALIVE, DEAD, World, missing

NIL = "00000000-0000-0000-0000-000000000000"
EXTRA_AT_ONCE = 30  # faults of a body that are listed
SAMPLE = "0190b6a5-7d42-7c3e-8a11-5b1c2d3e4f50"
MALFORMED = ["abc", NIL, "*", "%2A", "%25", "null", "undefined", "0", "-1", "1e9", "%20", ".", "%2e%2e", SAMPLE[:-1],
             SAMPLE + "0", SAMPLE.replace("-", ""), "%7B" + SAMPLE + "%7D", f"{SAMPLE},{SAMPLE}",
             urllib.parse.quote(f'["{SAMPLE}"]'), SAMPLE + "%20", SAMPLE + "%00", SAMPLE + "%0a", "%27%20OR%201%3D1--",
             "x" * 300]
ALL = routes.table()
WITH_BODY = [r for r in ALL if access.entry_of(r.name) and access.entry_of(r.name).body]


@pytest.fixture(scope="module")
def world(env, users, sql):
    return World(env, users, sql)


@pytest.fixture(scope="module")
def tally(note):
    counts = {}
    yield lambda what: counts.__setitem__(what, counts.get(what, 0) + 1)
    note(f"access matrix: {sum(counts.values())} cells over {len(ALL)} routes: "
         + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))


def same_for_all(ids):
    return [pytest.param(r, id=r.name) for r in ids]


def send(world, route, actor, ids, body=None):
    e = access.entry_of(route.name)
    path = route.url(ids) + (e.query(world, actor) if callable(e.query) else e.query)
    headers = {"Idempotency-Key": str(uuid.uuid4()), "If-Match": "*", **(e.token(world, actor) if e.token else {})}
    actor.old = bool(route.system)
    if e.upload:
        files, fields = e.upload(world, actor, ids)
        return actor.upload(path, files, fields, extra=headers)
    if e.body:
        return actor.request(route.method, path, e.body(world, actor, ids) if body is None else body, headers=headers)
    return actor.request(route.method, path, headers=headers)


def refusal(r, ids):
    """A refusal without what may differ between two of them: request ids and the ids that were asked for."""
    text = r.text
    for value in ids.values():
        text = text.replace(urllib.parse.unquote(value), "ID")
    doc_id = r.json["requestId"]
    return r.status, text.replace(doc_id, "REQUEST")


def success(r):
    return 200 <= r.status < 300


def gate(route, actor):
    """(status, problem) with which the caller is stopped before any object is looked at, or None."""
    e = access.entry_of(route.name)
    if e.signs_in:
        return None
    if actor.role == "expired":
        return 401, "invalid-token"
    if actor.role == "anonymous" and ("public" not in route.roles or e.signature):
        return 401, "unauthenticated"
    role = "client" if actor.role in DEAD else actor.role
    if not route.roles & {"public", role}:
        return 403, "forbidden"
    return None


def own_ids(world, route, owner):
    """Parameters that all name things of `owner`; None when there cannot be such things."""
    ids = {}
    if route.params and owner.role == "anonymous":
        return None
    for name in route.params:
        value = access.entry_of(route.name).path[name].make(world, owner, dict(ids))
        if value is None:
            return None
        ids[name] = value
    return ids


def any_ids(route):
    return {name: missing() for name in route.params}


def test_every_route_has_an_entry():
    unknown = [r.name for r in ALL if not access.entry_of(r.name)]
    assert not unknown, "routes without an entry in plazatest/access.py"
    gone = [n for n in [*access.TABLE, *access.ALIASES] if n not in {r.name for r in ALL}]
    assert not gone, "entries without a route"
    for r in ALL:
        assert set(r.params) == set(access.entry_of(r.name).path), r.name


@pytest.mark.parametrize("route", same_for_all(ALL))
def test_r38_the_door(world, tally, route):
    """Strangers, dead tokens and wrong roles are stopped, whatever they name."""
    e = access.entry_of(route.name)
    for role in ("anonymous", *DEAD, *ALIVE):
        actor = world.actor(role)
        stop = gate(route, actor)
        ids = any_ids(route)
        if stop:
            r = send(world, route, actor, ids, {} if e.body else None)
            assert (r.status, r.problem) == stop, (role, r)
            tally("stopped at the door")
        elif role in DEAD and not e.signs_in and not e.offline:
            r = send(world, route, actor, ids)
            assert (r.status, r.problem) in ((401, "invalid-token"), (403, "account-suspended")), (role, r)
            tally("dead session")


@pytest.mark.parametrize("route", same_for_all(ALL))
def test_r38_own_objects(world, tally, route):
    """Those who may, can: without this the refusals would prove nothing."""
    e = access.entry_of(route.name)
    reached = 0
    for role in ("anonymous", *ALIVE):
        actor = world.fresh(role) if e.fresh else world.actor(role)
        if gate(route, actor):
            continue
        ids = own_ids(world, route, actor)
        if ids is None:
            continue
        r = send(world, route, actor, ids)
        assert r.status == e.own[role] if role in e.own else success(r), (role, r)
        reached += success(r)
        tally("own")
    assert reached, "nobody can use this route"


def variants(world, route, actor):
    """(what, ids, its Kind and id, ids of nothing in the same place): what the caller must not reach."""
    kinds = access.entry_of(route.name).path
    base = own_ids(world, route, actor)
    for name in route.params:
        kind = kinds[name]
        for role in kind.strangers:
            stranger = world.actor(role, 1)
            theirs = kind.make(world, stranger, {})
            if theirs is None:
                continue
            if base:
                yield f"foreign {name} of a {role}", {**base, name: theirs}, (kind, theirs), {**base, name: missing()}
            full = own_ids(world, route, stranger)
            if full:
                yield f"all of a {role}", full, (kind, full[name]), any_ids(route)


@pytest.mark.parametrize("route", same_for_all([r for r in ALL if r.params]))
def test_r38_foreign_objects(world, tally, route):
    """What belongs to others or never was gives one and the same 404, and stays as it is."""
    e = access.entry_of(route.name)
    for role in ("anonymous", *ALIVE):
        actor = world.actor(role)
        if gate(route, actor):
            continue
        r = send(world, route, actor, any_ids(route))
        assert (r.status, r.problem) == (404, "not-found"), (role, r)
        tally("missing")
        for what, ids, (kind, ident), nothing in variants(world, route, actor):
            before = kind.row(world, ident)
            r = send(world, route, actor, ids)
            tally(what.split()[0])
            if role in e.sees_all:
                continue
            if e.public is not None:
                assert success(r), (role, what, r)
                shown = r.json["data"] if route.system else r.json
                assert e.public is True or set(shown) <= e.public, (role, what, r)
                continue
            assert r.status == 404, (role, what, r)
            assert refusal(r, ids) == refusal(send(world, route, actor, nothing), nothing), (role, what)
            assert before == kind.row(world, ident), (role, what, "changed")


@pytest.mark.parametrize("route", same_for_all([r for r in ALL if r.params]))
def test_r38_deleted_objects(world, tally, route):
    e = access.entry_of(route.name)
    for role in ALIVE:
        actor = world.actor(role)
        for name in () if gate(route, actor) else route.params:
            kind = e.path[name]
            # Whoever is deleted cannot ask; somebody else asks for them.
            owner = actor if kind.removable else world.fresh("client")
            ids = kind.remove and own_ids(world, route, owner)
            if not ids:
                continue
            kind.remove(world, ids[name])
            r = send(world, route, actor, ids)
            assert r.status == e.deleted, (role, name, r)
            tally("deleted")


@pytest.mark.parametrize("route", same_for_all([r for r in ALL if r.params]))
def test_r41_malformed_ids_name_nothing(world, tally, route):
    for role in ("anonymous", *ALIVE):
        actor = world.actor(role)
        if gate(route, actor):
            continue
        base = own_ids(world, route, actor)
        for name in route.params:
            for bad in MALFORMED:
                r = send(world, route, actor, {**(base or any_ids(route)), name: bad})
                assert r.status in (400, 404), (role, bad, r)
                assert r.problem in ("bad-request", "not-found"), (role, bad, r)
                tally("malformed")


# ---- bodies ----

def columns(sql):
    """Every column of every table, as it stands and in camel case."""
    names = {n for (n,) in sql("SELECT column_name FROM information_schema.columns WHERE table_schema = 'plaza'")}
    return sorted(names | {re.sub(r"_(\w)", lambda m: m[1].upper(), n) for n in names})


def objects(value, pointer=""):
    """All JSON objects of a body with their pointers."""
    if isinstance(value, dict):
        yield pointer, value
    for k, v in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(v, f"{pointer}/{k}")


def schema_at(schema, pointer):
    for step in filter(None, pointer.split("/")):
        schema = schema["items"] if step.isdigit() else schema["properties"][step]
    return schema


@pytest.mark.parametrize("route", same_for_all(WITH_BODY))
def test_r39_no_column_is_taken_from_a_body_by_its_name(world, sql, tally, route):
    e = access.entry_of(route.name)
    schema = routes.body_schema(access.operation_of(route.name))
    role = next(r for r in ("client", "seller", "admin", "service", "anonymous") if not gate(route, world.actor(r)))
    actor = world.actor(role)
    ids = any_ids(route)
    for pointer, _ in objects(e.body(world, actor, ids)):
        known = set(schema_at(schema, pointer).get("properties", ()))
        extras = [n for n in [*columns(sql), "__proto__", "constructor", "isAdmin", "permissions"]
                  if n not in known and n not in e.aliases]
        for start in range(0, len(extras), EXTRA_AT_ONCE):
            some = extras[start:start + EXTRA_AT_ONCE]
            body = e.body(world, actor, ids)
            dict(objects(body))[pointer].update(dict.fromkeys(some, "x"))
            r = send(world, route, actor, ids, body)
            assert (r.status, r.problem) == (route.invalid, "invalid"), r
            told = {pointer for pointer, code in r.faults if code == "unknown_member"}
            # An amount of money is one value: its fault is told once.
            assert told == ({pointer} if known == {"amount", "currency"} else {f"{pointer}/{n}" for n in some})
            tally("column in a body")


@pytest.mark.parametrize("route", same_for_all([r for r in WITH_BODY if not r.alias]))
def test_r40_every_id_in_a_body_is_known_to_the_matrix(route):
    assert set(routes.uuid_members(routes.body_schema(route.name))) == set(access.entry_of(route.name).members)


@pytest.mark.parametrize("route", same_for_all([r for r in WITH_BODY if access.entry_of(r.name).members]))
def test_r40_ids_in_bodies_reach_no_foreign_object(world, tally, route):
    e = access.entry_of(route.name)
    for pointer, kind in e.members.items():
        for role in ALIVE if kind else ():
            actor = world.actor(role)
            ids = None if gate(route, actor) else own_ids(world, route, actor)
            if ids is None or role in e.sees_all:
                continue
            answers = {}
            for value in [missing(), *filter(None, (kind.make(world, world.actor(s, 1), {}) for s in kind.strangers))]:
                body = e.body(world, actor, ids)
                body.update(e.beside.get(pointer, {}))
                body = {k: v for k, v in body.items() if v is not None}
                put(body, pointer, value)
                r = send(world, route, actor, ids, body)
                assert 400 <= r.status < 500, (role, pointer, r)
                answers[refusal(r, {"id": value})] = value
                tally("foreign id in a body")
            assert len(answers) == 1, (role, pointer, answers)


def put(body, pointer, value):
    """Sets a member; `[]` is the first item of an array."""
    *way, last = pointer.split("/")[1:]
    at = body
    for step, following in zip(way, [*way[1:], last]):
        at = at[0] if step == "[]" else at.setdefault(step, [] if following == "[]" else {})
    if last == "[]":
        at[:] = [value]
    else:
        at[last] = value
