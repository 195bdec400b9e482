"""The list of revoked sessions that the broker reads when it starts: it is what the database says, at a bounded price."""
import threading
import time
import uuid
from pathlib import Path

from plazatest import process

SESSIONS = 300
WITHIN_S = 5  # R35


def list_of(env):
    return Path(env.run_dir) / "data/broker/revocations"


def revoked_sessions(sql, user, n):
    """So many sessions of a user that were revoked just now, unheard."""
    ids = [str(uuid.uuid4()) for _ in range(n)]
    sql("INSERT INTO session (id, account_id, expires_at, revoked_at, revoke_reason) "
        "SELECT i, %s, now() + interval '1 hour', now(), 'logout' FROM unnest(%s::uuid[]) AS i", (user, ids))
    return ids


class Replaced(threading.Thread):
    """Counts how often a file is replaced."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.seen, self.over = path, set(), threading.Event()

    def run(self):
        while not self.over.wait(0.0005):
            st = self.path.stat()
            self.seen.add((st.st_ino, st.st_mtime_ns))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def test_r35_many_kicks_are_one_list(env, client, sql):
    user = client.user["id"]
    process.wait(lambda: list_of(env).exists(), WITHIN_S, "there is a list")
    with Replaced(list_of(env)) as replaced:
        ids = revoked_sessions(sql, user, SESSIONS)
        sql("SELECT count(kick(%s, i, 'logout')) FROM unnest(%s::text[]) AS i", (user, ids))
        process.wait(lambda: sum(line.split()[1] in ids for line in list_of(env).read_text().splitlines()) == SESSIONS,
                     WITHIN_S, "all are in the list")
        time.sleep(1)  # and what the kicks that came later would do
    assert len(replaced.seen) <= 10, f"{len(replaced.seen)} lists were written"


def test_the_list_is_sorted_and_read_by_the_plugin(env, client, sql):
    user = client.user["id"]
    ident, = revoked_sessions(sql, user, 1)
    sql("SELECT kick(%s, %s, 'logout')", (user, ident))
    process.wait(lambda: ident in list_of(env).read_text(), WITHIN_S, "it is in the list")
    lines = list_of(env).read_text().splitlines()
    assert lines == sorted(lines)
    assert [line.split()[0] for line in lines if line.split()[1] == ident] == [user]
