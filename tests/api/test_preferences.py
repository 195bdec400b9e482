"""What users want to be told: defaults, changes, quiet hours, and what they do to the list."""
import re

import pytest

from plazatest.env import ROOT

PREFERENCES = "/api/v1/preferences"


def get(user):
    r = user.get(PREFERENCES)
    assert r.status == 200, r
    return r.json


def put(user, **body):
    r = user.put(PREFERENCES, body)
    assert r.status == 200, r
    return r.json


def of(doc, kind):
    return next(t for t in doc["types"] if t["type"] == kind)


def tell(admin, user, kind):
    r = admin.post("/api/v1/notifications/send", {"userId": user.user["id"], "type": kind, "title": "T"})
    assert r.status == 201, r


def test_defaults(client):
    doc = get(client)
    assert doc["preview"] is True and doc["quietHours"] is None
    assert of(doc, "chat.message") == {
        "type": "chat.message", "title": "Messages", "critical": False, "inbox": False, "inboxFixed": True,
        "push": True, "email": False, "sms": False}
    assert of(doc, "security.login")["critical"] is True
    assert len({t["type"] for t in doc["types"]}) == len(doc["types"])


def test_kinds_are_named_in_the_users_language(client):
    assert client.put(f"/users/{client.user['id']}", {"locale": "es"}).status == 200
    assert of(get(client), "chat.message")["title"] == "Mensajes"


def test_what_is_named_changes_and_the_rest_stays(client):
    first = get(client)
    assert put(client) == first
    changed = put(client, preview=False, types=[{"type": "promotion", "push": True, "sms": True}])
    assert changed["preview"] is False and changed["quietHours"] is None
    assert of(changed, "promotion") == {**of(first, "promotion"), "push": True, "sms": True}
    again = put(client, types=[{"type": "promotion", "sms": False}, {"type": "order.shipped", "email": False}])
    assert of(again, "promotion")["push"] is True and of(again, "promotion")["sms"] is False
    assert of(again, "order.shipped")["email"] is False and again["preview"] is False
    assert get(client) == again


def test_quiet_hours(client):
    night = {"from": "22:00", "to": "07:30", "timeZone": "America/Guayaquil", "days": [1, 5, 7]}
    assert put(client, quietHours=night)["quietHours"] == night
    assert put(client, preview=True)["quietHours"] == night
    assert put(client, quietHours={**night, "days": None})["quietHours"]["days"] == [1, 2, 3, 4, 5, 6, 7]
    assert put(client, quietHours=None)["quietHours"] is None


@pytest.mark.parametrize("body,pointer", [
    ({"types": [{"type": "promotion"}, {"type": "nonsense", "push": True}]}, "/types/1/type"),
    ({"types": [{"type": "order.paid", "inbox": False}]}, "/types/0/inbox"),
    ({"types": [{"type": "chat.message", "inbox": True}]}, "/types/0/inbox"),
    ({"types": [{"push": True}]}, "/types/0/type"), ({"types": [{"type": "promotion", "push": "yes"}]}, "/types/0/push"),
    ({"quietHours": {"from": "24:00", "to": "07:00", "timeZone": "UTC"}}, "/quietHours/from"),
    ({"quietHours": {"from": "22:00", "to": "7:00", "timeZone": "UTC"}}, "/quietHours/to"),
    ({"quietHours": {"from": "22:00", "to": "07:00", "timeZone": "Mars/Olympus"}}, "/quietHours/timeZone"),
    ({"quietHours": {"from": "22:00", "to": "07:00", "timeZone": "UTC", "days": [8]}}, "/quietHours/days"),
    ({"quietHours": {"from": "22:00", "to": "07:00", "timeZone": "UTC", "days": []}}, "/quietHours/days"),
    ({"quietHours": {"from": "22:00"}}, "/quietHours/to"), ({"loud": True}, "/loud")])
def test_what_is_wrong_changes_nothing(client, body, pointer):
    before = get(client)
    r = client.put(PREFERENCES, {"preview": False, **body})
    assert (r.status, r.problem) == (422, "invalid"), r
    assert pointer in [e["pointer"] for e in r.json["errors"]]
    assert get(client) == before


def test_what_the_user_does_not_want_is_not_listed(admin, client):
    put(client, types=[{"type": "promotion", "inbox": False}])
    tell(admin, client, "promotion")
    tell(admin, client, "order.paid")
    assert [n["type"] for n in client.get("/api/v1/notifications").json["items"]] == ["order.paid"]
    assert client.get("/api/v1/notifications/unread-count").json == {"unread": 1}
    told = [e["d"]["kind"] for e in client.get("/api/v1/sync?since=0").json["events"] if e["t"] == "notification:new"]
    assert told == ["order.paid"]


def test_everybody_has_their_own(client, seller):
    put(client, preview=False)
    assert get(seller)["preview"] is True


def test_every_kind_that_is_sent_is_in_the_list(client):
    """A kind without a line in notification_kind would be nobody's choice, and never pushed."""
    known = {t["type"] for t in get(client)["types"]}
    sent = {kind for path in (ROOT / "sql/functions").glob("*.sql")
            for kind in re.findall(r"\bnotify\(\s*[\w.]+\s*,\s*'([^']+)'", path.read_text())}
    assert sent and sent <= known


@pytest.mark.parametrize("days,at,until", [
    (127, "2026-03-10 21:59", None), (127, "2026-03-10 22:00", "2026-03-11 07:00"),
    (127, "2026-03-11 06:59", "2026-03-11 07:00"), (127, "2026-03-11 07:00", None),
    # 2026-03-10 is a Tuesday; only its night counts, and it ends on Wednesday.
    (2, "2026-03-11 03:00", "2026-03-11 07:00"), (2, "2026-03-10 03:00", None), (4, "2026-03-11 03:00", None)])
def test_quiet_hours_pass_midnight(sql, days, at, until):
    """In a zone without summer time, five hours behind."""
    got = sql("SELECT to_char(quiet_until(ROW(gen_random_uuid(), true, 1320, 420, %s, 'America/Guayaquil')::notification_setting, "
              "(%s || ' America/Guayaquil')::timestamptz) AT TIME ZONE 'America/Guayaquil', 'YYYY-MM-DD HH24:MI')", (days, at))
    assert got == [(until,)]


@pytest.mark.parametrize("start,end,at,until", [
    (60, 120, "2026-03-10 00:59", None), (60, 120, "2026-03-10 01:30", "2026-03-10 02:00"),
    (60, 120, "2026-03-10 02:00", None), (0, 0, "2026-03-10 12:00", "2026-03-11 00:00"),
    # Clocks go forward at 2:00 in Madrid: 2:30 is not there, and the night is an hour shorter.
    (150, 240, "2026-03-29 03:30", "2026-03-29 04:00")])
def test_quiet_hours_of_a_day(sql, start, end, at, until):
    got = sql("SELECT to_char(quiet_until(ROW(gen_random_uuid(), true, %s, %s, 127, 'Europe/Madrid')::notification_setting, "
              "(%s || ' Europe/Madrid')::timestamptz) AT TIME ZONE 'Europe/Madrid', 'YYYY-MM-DD HH24:MI')", (start, end, at))
    assert got == [(until,)]
