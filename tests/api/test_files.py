"""Private files: who may read them, links, quota."""
import io
import os
import shutil
import signal
import time
import urllib.parse
import urllib.request
import uuid
from concurrent import futures
from pathlib import Path

import pytest
from PIL import Image

import plazatest.sql
from plazatest import process

API = "/api/v1"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"


def picture(size=(600, 300)):
    out = io.BytesIO()
    Image.new("RGB", size, "green").save(out, "JPEG")
    return out.getvalue()


def keep(who, data=PDF, name="contract.pdf", declared="application/pdf", **kw):
    return who.upload("/files", [("file", name, declared, data)], **kw)


def kept(who, *args):
    r = keep(who, *args)
    assert r.status == 201, r
    return r.json


def test_a_document_comes_back_as_it_was_and_to_be_saved(client):
    r = keep(client, PDF, "Contrato «ñ» 1.pdf")
    assert r.status == 201
    f = r.json
    assert (f["kind"], f["mediaType"], f["size"], f["width"]) == ("document", "application/pdf", len(PDF), None)
    assert f["name"] == "Contrato «ñ» 1.pdf"
    assert r.headers["Location"] == f"{API}/files/{f['id']}"
    got = client.get(f["url"])
    assert (got.status, got.body) == (200, PDF)
    assert got.headers["Content-Type"] == "application/pdf"
    assert got.headers["Content-Disposition"].startswith("attachment; filename=\"Contrato _")
    assert "filename*=UTF-8''Contrato%20%C2%AB%C3%B1" in got.headers["Content-Disposition"]
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    for path in (f"{API}/files/{f['id']}", f"/api/files/{f['id']}"):
        assert client.get(path).body == PDF
    assert client.get(f["url"] + "?thumb=true").problem == "not-found"


def test_an_image_is_written_anew_and_shown(client):
    f = kept(client, picture() + b"<script>", "a.jpg", "image/jpeg")
    assert (f["kind"], f["mediaType"], f["width"], f["height"]) == ("image", "image/jpeg", 600, 300)
    got = client.get(f["url"])
    assert got.headers["Content-Type"] == "image/jpeg" and got.headers.get("Content-Disposition") is None
    assert b"<script>" not in got.body and len(got.body) == f["size"]
    assert Image.open(io.BytesIO(client.get(f["url"] + "?thumb=true").body)).size == (400, 200)


def test_ranges_of_a_file_can_be_read(client, env):
    """The web server's doing, so the document does not tell of it: not for the record."""
    f = kept(client)
    asked = urllib.request.Request(env.base_url + f["url"], headers={"Range": "bytes=1-3", "Authorization": f"Bearer {client.token}"})
    with urllib.request.urlopen(asked, timeout=10) as r:
        assert (r.status, r.read()) == (206, b"PDF")


def test_files_are_their_owners(client, users, admin):
    f = kept(client)
    for who in (users.client(), users.seller(), admin):
        assert who.get(f["url"]).problem == "not-found"
        assert who.get(f["url"] + "/link").problem == "not-found"
        assert who.delete(f["url"]).problem == "not-found"
    assert users.anonymous().get(f["url"]).problem == "unauthenticated"
    assert keep(users.anonymous()).problem == "unauthenticated"
    assert client.get(f["url"]).status == 200


def test_a_file_opens_to_those_who_were_sent_it(users, sql):
    ann, bob, eve = users.client(), users.client(), users.client()
    f = kept(ann)
    chat = ann.post("/chats", {"peerId": bob.user["id"]})
    assert chat.status in (200, 201), chat
    assert bob.get(f["url"]).problem == "not-found"
    r = ann.post(f"/chats/{chat.json['id']}/messages", {"cmid": str(uuid.uuid4()), "type": "file", "body": "", "attachments": [f["id"]]})
    assert r.status == 201, r
    assert bob.get(f["url"]).body == PDF
    assert bob.get(f["url"] + "/link").status == 200
    assert bob.delete(f["url"]).problem == "not-found"
    assert eve.get(f["url"]).problem == "not-found"


def test_a_deleted_file_is_gone_from_the_disk_too(client, env):
    before = set(Path(env.blob_dir).rglob("*.*"))
    f = kept(client, picture(), "a.jpg", "image/jpeg")
    made = set(Path(env.blob_dir).rglob("*.*")) - before
    assert len(made) == 2 and all(p.name.startswith("f") for p in made)
    link = client.get(f["url"] + "/link").json["url"]
    assert client.delete(f["url"]).status == 204
    assert not any(p.exists() for p in made)
    assert client.get(f["url"]).problem == client.get(link).problem == "not-found"
    assert client.delete(f["url"]).problem == "not-found"


# ---- links ----

def test_a_link_works_without_a_token_for_ten_minutes(client, anonymous):
    f = kept(client, picture(), "a.jpg", "image/jpeg")
    link = client.get(f["url"] + "/link").json
    assert anonymous.get(link["url"]).status == 200
    assert anonymous.get(link["url"]).headers["Cache-Control"] == "no-store"
    assert Image.open(io.BytesIO(anonymous.get(link["thumbUrl"]).body)).size == (400, 200)
    exp = int(link["url"].split("exp=")[1].split("&")[0])
    assert 590 <= exp - time.time() <= 600
    assert kept(client)["id"] and client.get(kept(client)["url"] + "/link").json["thumbUrl"] is None


def test_a_forged_link_opens_nothing(client, users, anonymous):
    f, other = kept(client), kept(client)
    url = client.get(f["url"] + "/link").json["url"]
    path, query = url.split("?")
    exp, by, sig = (part.split("=")[1] for part in query.split("&"))
    exp = int(exp)
    forged = [f"{path}?exp={exp + 1}&by={by}&sig={sig}", f"{path}?exp={exp - 1}&by={by}&sig={sig}",
              f"{path}?exp={exp}&sig={sig}", f"{path}?exp={exp}&by={uuid.uuid4()}&sig={sig}", f"{path}?by={by}&sig={sig}",
              *(f"{at}?exp={exp}&by={by}&sig={bad}" for at, bad in (
                  (other["url"], sig), (path, sig[:-1]), (path, sig + "A"), (path, ""), (path, "A" * 43), (path, sig.swapcase())))]
    for bad in forged:
        assert anonymous.get(bad).problem == "forbidden", bad
        assert users.client().get(bad).problem == "forbidden"
    assert anonymous.get(f"{path}?exp={exp}&by={by}").problem == "unauthenticated"
    assert anonymous.get(f"{path}?exp=0&by={by}&sig={sig}").problem == "invalid"
    assert anonymous.get(url).status == 200


def test_a_link_ends_with_the_right_of_the_user_it_was_made_for(users, sql, anonymous):
    ann, bob, eve = users.client(), users.client(), users.client()
    f = kept(ann)
    chat = ann.post("/chats", {"peerId": bob.user["id"]}).json["id"]
    sent = ann.post(f"/chats/{chat}/messages", {"cmid": str(uuid.uuid4()), "type": "file", "body": "", "attachments": [f["id"]]}).json
    hers, his = (who.get(f["url"] + "/link").json["url"] for who in (ann, bob))
    assert anonymous.get(hers).body == anonymous.get(his).body == PDF
    for other in (ann, eve):
        assert anonymous.get(his.replace(bob.user["id"], other.user["id"])).problem == "forbidden"
    assert ann.delete(f"/chats/{chat}/messages/{sent['id']}").status == 204
    assert anonymous.get(his).problem == "not-found"
    assert anonymous.get(hers).body == PDF, "it is still her file"
    sql("UPDATE account SET status = 'suspended' WHERE id = %s", (ann.user["id"],))
    assert anonymous.get(hers).problem == "not-found"


def test_an_old_link_is_dead(client, anonymous, env):
    """Made with the stack's own key, so that only its age is wrong."""
    import base64
    import hashlib
    import hmac
    f = kept(client)
    secret = (Path(env.run_dir) / "conf/blob.secret").read_text().strip().encode()

    def link(exp):
        by = client.user["id"]
        mac = hmac.new(secret, f"file {f['id']} {by} {exp}".encode(), hashlib.sha256).digest()
        return f"{f['url']}?exp={exp}&by={by}&sig={base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    now = int(time.time())
    assert anonymous.get(link(now + 60)).status == 200
    assert anonymous.get(link(now - 1)).problem == "forbidden"
    assert anonymous.get(link(now + 3600)).problem == "forbidden"


# ---- what is taken ----

@pytest.mark.parametrize("letter", "é漢")
def test_a_long_name_loses_its_beginning(client, letter):
    f = kept(client, PDF, 300 * letter + ".pdf")
    assert f["name"] == 251 * letter + ".pdf"
    told = client.get(f["url"]).headers["Content-Disposition"]
    assert told.endswith("filename*=UTF-8''" + 251 * urllib.parse.quote(letter) + ".pdf") and '.pdf";' in told


@pytest.mark.parametrize("data,name,declared", [
    (b"hello", "a.txt", "text/plain"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "image/svg+xml"),
    (b"PK\x03\x04" + b"\0" * 40, "a.zip", "application/zip"), (b"MZ" + b"\0" * 60, "a.exe", "application/octet-stream"),
    (PDF, "a.pdf", "image/jpeg"), (PDF, "a.jpg", "application/pdf"), (picture(), "a.pdf", "application/pdf"),
    (b"\n" + PDF, "a.pdf", "application/pdf"), (b"GIF89a" + PDF, "a.pdf", "application/pdf"), (b"", "a.pdf", "application/pdf"),
    (b"<html>" + PDF, "a.pdf", "application/pdf"), (b"%PDF", "a.pdf", "application/pdf")])
def test_r57_other_files_are_refused(client, data, name, declared):
    r = keep(client, data, name, declared)
    assert (r.status, r.problem) == (415, "unsupported-media-type")


def test_a_damaged_image_is_refused(client):
    assert keep(client, picture()[:300], "a.jpg", "image/jpeg").problem == "invalid-image"


def test_a_file_over_five_megabytes_is_too_large(client):
    assert keep(client, PDF + b"\0" * (5 * 1024 * 1024)).problem == "too-large"


def test_a_form_without_a_file_or_with_too_much_is_refused(client):
    assert client.upload("/files", []).problem == "invalid"
    assert client.upload("/files", [("other", "a.pdf", "application/pdf", PDF)]).problem == "bad-multipart"
    assert client.upload("/files", [("file", "a.pdf", "application/pdf", PDF)], {"owner": "x"}).problem == "bad-multipart"


def fill(client, sql, files, size):
    sql("INSERT INTO file (id, owner_id, kind, access, name, media_type, size, path) "
        "SELECT uuid_v7(), %s, 'document', 'private', 'x.pdf', 'application/pdf', %s, uuid_v7()::text FROM generate_series(1, %s)",
        (client.user["id"], size, files))


@pytest.mark.parametrize("files,size", [(200, 1), (10, 52428800)])
def test_r59_a_quota_bounds_what_a_user_keeps(client, sql, files, size, env):
    fill(client, sql, files, size)
    before = set(Path(env.blob_dir).rglob("*.*"))
    assert keep(client).problem == "quota-exceeded"
    assert keep(client, b"no file of any kind").problem == "quota-exceeded", "told before the file is looked at"
    assert set(Path(env.blob_dir).rglob("*.*")) == before
    sql("DELETE FROM file WHERE id = (SELECT id FROM file WHERE owner_id = %s LIMIT 1)", (client.user["id"],))
    assert keep(client).status == 201


def test_r59_a_file_larger_than_what_is_left_is_refused_when_its_size_is_known(client, sql, env):
    fill(client, sql, 10, 52428799)
    before = set(Path(env.blob_dir).rglob("*.*"))
    assert keep(client).problem == "quota-exceeded"
    assert set(Path(env.blob_dir).rglob("*.*")) == before


@pytest.fixture
def nobody_hears(env):
    """Commits happen, but nobody is told: the server waits for a standby that does not exist."""
    c = plazatest.sql.connect(env, "postgres")

    def standby(name):
        with c.cursor() as cur:
            cur.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            cur.execute("SELECT pg_reload_conf()")
    standby("nowhere")
    yield
    standby("")
    c.close()


def hang_up(sql):
    """Ends the connection that waits in its COMMIT."""
    process.wait(lambda: sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", user="postgres"),
                 10, "a commit waits")


def test_an_upload_whose_outcome_nobody_knows_keeps_its_file(client, sql, nobody_hears):
    with futures.ThreadPoolExecutor(1) as threads:
        asked = threads.submit(keep, client)
        hang_up(sql)
        assert asked.result().problem == "unavailable"
    rows = sql("SELECT id FROM file WHERE owner_id = %s", (client.user["id"],))
    assert len(rows) == 1, "the row was committed"
    assert client.get(f"/files/{rows[0][0]}").body == PDF


def test_what_no_row_names_is_removed_after_a_day(client, env, sql):
    """The relay does it; it begins with it when it starts."""
    root, day = Path(env.blob_dir), 86400

    def lies(name, age):
        path = root / name[0] / name[1:3] / name[3:5] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PDF)
        shutil.chown(path, env.run_user)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            shutil.chown(folder, env.run_user)
        os.utime(path, (time.time() - age,) * 2)
        return path
    f = kept(client, picture(), "a.jpg", "image/jpeg")
    named = [root / n[0] / n[1:3] / n[3:5] / n for n in sql("SELECT path, thumb_path FROM file WHERE id = %s", (f["id"],))[0]]
    for path in named:
        os.utime(path, (1, 1))
    gone = kept(client)
    sql("UPDATE file SET deleted_at = now() WHERE id = %s RETURNING 1", (gone["id"],))
    name = sql("SELECT path FROM file WHERE id = %s", (gone["id"],))[0][0]
    orphans = [lies(f"{c}{uuid.uuid4().hex}.jpg", day + 60) for c in "pf" for _ in range(3)] + [lies(name, day + 60)]
    stay = named + [lies(f"f{uuid.uuid4().hex}.pdf", day - 600), lies("p0000000000-no-name-of-ours", 9 * day)]
    old = process.service(env, "relay")
    process.kill(old, signal.SIGTERM)
    process.restarted(env, "relay", old)
    process.wait(lambda: not any(p.exists() for p in orphans), 130, "the orphans are gone")
    assert all(p.exists() for p in stay)
    for p in stay[-2:]:
        p.unlink()


@pytest.mark.parametrize("ident", ["x", "..", "%2e%2e", str(uuid.UUID(int=0)), str(uuid.UUID(int=5)), "..%2f..%2fetc"])
def test_an_id_of_nothing_is_not_found(client, ident):
    for path in (f"/files/{ident}", f"/files/{ident}/link"):
        assert client.get(path).status in (400, 404)
    assert client.delete(f"/files/{ident}").status in (400, 404)
