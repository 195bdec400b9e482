"""Row level security and privileges (R42, R43): what is left when every condition of ours is wrong."""
import itertools
import random
import re
import subprocess
import uuid

import psycopg2
import psycopg2.errors
import pytest

from plazatest import people, queries
from plazatest import sql as sql_module
from plazatest.env import ROOT
from plazatest.tables import CLOSED, OWNED, PUBLIC

COMBINATIONS = 60  # of ids that one statement is tried with
PROGRAMS = ("plaza_web", "plaza_auth", "plaza_relay", "plaza_report")


@pytest.fixture(scope="module")
def couple(env, users, sql):
    """Two people of each kind with a life of their own: orders, messages, notifications, files …"""
    return people.couple(env, users, sql)


@pytest.fixture(scope="module")
def web(env):
    c = sql_module.connect(env, "plaza_web")
    c.autocommit = False
    yield c
    c.close()


def enter(cur, who):
    cur.execute("SELECT app_enter(%s, %s, %s)", (who.user["id"], who.session, who.user["role"]) if who
                else (None, None, ""))


def tables(sql):
    """Without the months of a partitioned table, which change by the clock and are reached through it."""
    return {n for (n,) in sql("SELECT relname FROM pg_class WHERE relnamespace = 'plaza'::regnamespace "
                              "AND relkind IN ('r', 'p') AND relname !~ '_\\d{4}_\\d\\d$'")}


def test_every_table_is_known(sql):
    lists = (set(OWNED), CLOSED, PUBLIC)
    assert tables(sql) == set().union(*lists)
    assert sum(map(len, lists)) == len(set().union(*lists))


def test_r42_owned_and_closed_tables_have_row_security(sql):
    without = {n for (n,) in sql("SELECT relname FROM pg_class WHERE relnamespace = 'plaza'::regnamespace "
                                 "AND relkind IN ('r', 'p') AND NOT relrowsecurity")}
    assert not without & (set(OWNED) | CLOSED)


def test_r42_programs_are_no_owners_and_bypass_nothing(sql):
    rows = sql("SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole, "
               "EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) FROM pg_roles AS r WHERE rolname = ANY (%s)",
               (list(PROGRAMS),))
    assert sorted(rows) == sorted((p, False, False) for p in PROGRAMS)


@pytest.mark.parametrize("table", OWNED)
def test_r42_nobody_sees_rows_of_others(couple, web, sql, note, table):
    shown = 0
    for me in couple:
        args = {"me": me.user["id"]}
        mine, foreign = sql(f"SELECT count(*) FILTER (WHERE {OWNED[table]}), "
                            f"count(*) FILTER (WHERE ({OWNED[table]}) IS NOT TRUE) FROM {table}", args)[0]
        assert foreign > 0, "no row of others: this proves nothing"
        with web.cursor() as cur:
            enter(cur, me)
            cur.execute(f"SELECT count(*) FROM {table}")
            seen = cur.fetchone()[0]
            web.rollback()
        assert seen == mine, me.user["role"]
        shown += seen
    assert shown > 0, "no own row either: this proves nothing"


@pytest.mark.parametrize("table", OWNED)
def test_r42_without_identity_there_are_no_rows(couple, web, sql, table):
    assert sql(f"SELECT count(*) FROM {table}")[0][0] > 0
    with web.cursor() as cur:
        cur.execute(f"SELECT count(*) FROM {table}")
        assert cur.fetchone()[0] == 0
        enter(cur, None)
        cur.execute(f"SELECT count(*) FROM {table}")
        assert cur.fetchone()[0] == 0
        web.rollback()


@pytest.mark.parametrize("end", ["commit", "rollback", "error"])
def test_r42_an_identity_ends_with_its_transaction(couple, web, end):
    with web.cursor() as cur:
        enter(cur, couple[0])
        if end == "error":
            with pytest.raises(psycopg2.errors.DivisionByZero):
                cur.execute("SELECT 1 / 0")
        getattr(web, "commit" if end == "commit" else "rollback")()
        cur.execute("SELECT app_uid(), (SELECT count(*) FROM session)")
        assert cur.fetchone() == (None, 0)
        web.rollback()


@pytest.mark.parametrize("role", PROGRAMS)
def test_r43_closed_tables_are_closed_to(env, role):
    allowed = {("plaza_relay", "outbox"), ("plaza_relay", "outbox_parked"), ("plaza_report", "order_item")}
    for table in sorted(CLOSED):
        if (role, table) not in allowed:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                sql_module.query(env, f"SELECT * FROM {table} LIMIT 1", user=role)


@pytest.mark.parametrize("role", ["plaza_web", "plaza_auth", "plaza_report"])
def test_r43_nothing_is_written_directly_by(env, sql, role):
    for table in sorted(tables(sql)):
        column = sql("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                     "AND attidentity = '' AND NOT attisdropped ORDER BY attnum LIMIT 1", (table,))[0][0]
        for text in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}", f"TRUNCATE {table}",
                     f"UPDATE {table} SET {column} = {column}"):
            with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)):
                sql_module.query(env, text, user=role)


def test_r43_privileges_are_the_reviewed_ones(env):
    made = subprocess.run(["psql", "-X", "-At", "-h", env.pg_socket, "-p", env.pg_port, "-U", "plaza_owner", "-d",
                           env.pg_database, "-f", str(ROOT / "tests/sql/privileges.sql")],
                          check=True, capture_output=True, text=True).stdout.splitlines()
    reviewed = (ROOT / "tests/sql/privileges.txt").read_text().splitlines()
    assert [f"+ {line}" for line in made if line not in reviewed] + \
        [f"- {line}" for line in reviewed if line not in made] == [], "review them, then tests/sql/privileges.txt"


def test_r42_functions_with_rights_of_their_owner_choose_their_names(sql):
    """SECURITY DEFINER needs a search path of its own, or writes the names of all tables and functions in full."""
    loose = sql("SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'plaza'::regnamespace AND prosecdef "
                "AND NOT coalesce('search_path=plaza, pg_temp' = ANY (proconfig), false)")
    for name, source in loose:
        used = re.findall(r"\b(?:FROM|JOIN|UPDATE|INSERT INTO|DELETE FROM|PERFORM)\s+([\w.]+)", source)
        assert used and all(u.startswith("plaza.") or u in ("set_config", "unnest") for u in used), (name, used)
    assert {name for name, _ in loose} <= {"app_enter", "message_send"}


# ---- the second line alone ----

def argument(name, kind, ident):
    """A value for a parameter that lets as many rows through as possible."""
    if kind.startswith("uuid"):
        return [ident] if "[]" in kind else ident
    if kind.endswith("?") and name != "since":
        return None
    return {"text": "", "int": 100, "bigint": 2 ** 40 if name == "before" else 0, "bool": True}.get(kind.rstrip("?"), [])


def combinations(query, ids):
    names = [n for n, kind in query.params.items() if kind.startswith("uuid")]
    choices = [[*ids, None] if query.params[n].endswith("?") else ids for n in names]
    every = list(itertools.product(*choices))
    for values in random.Random(1).sample(every, min(len(every), COMBINATIONS)):
        yield {n: argument(n, kind, dict(zip(names, values)).get(n)) for n, kind in query.params.items()}


def leaks(web, query, caller, victim, ids):
    """Whether the statement, made to believe that the victim asks, tells the caller something of the victim."""
    text = "SELECT app_enter(%(c_user)s, %(c_session)s, %(c_role)s);" + queries.as_text(query, victim.user["id"], "admin")
    who = {"c_user": caller.user["id"], "c_session": caller.session, "c_role": caller.user["role"]}
    for args in combinations(query, ids):
        with web.cursor() as cur:
            try:
                cur.execute(text, {**args, **who})
                if cur.description and people.CANARY.format(victim.name) in str(cur.fetchall()):
                    return True
            except psycopg2.Error as e:
                # Refused: a problem of ours, no privilege, a value or a constraint that does not fit.
                assert e.pgcode[:2] in ("PZ", "22", "23") or e.pgcode == "42501", (query.name, args, e)
            finally:
                web.rollback()
    return False


# Statements that tell a person something private; if they stopped doing so here, the proof below would be empty.
TELLING = {"user_me", "user_get", "order_get", "order_list_buyer", "order_list_seller", "order_group_get", "product_get_own",
           "chat_get", "chat_list", "message_list_after", "message_list_before", "notification_list", "feed_sync"}


# The program has checked a signature; there is no identity that row security could look at.
SIGNED = {"file_open_signed"}


def test_r42_with_our_conditions_dropped_row_security_leaks_nothing(couple, web, sql, note):
    """Every statement is run with conditions that hold for the victim, who is not the one who asks."""
    statements = queries.load()
    told, tried = set(), 0
    for caller, victim in ((0, 1), (0, 3), (2, 3)):
        ids = people.ids_of(sql, couple[victim])
        for query in statements:
            tried += 1
            assert query.name in SIGNED or not leaks(web, query, couple[caller], couple[victim], ids), \
                (query.name, caller, victim)
            if leaks(web, query, couple[victim], couple[victim], ids):
                told.add(query.name)
    note(f"second line: {tried} times one of {len(statements)} statements with a stranger's ids, 0 leaks; "
         f"{len(told)} of them tell their owner")
    assert TELLING - told == set()


def test_r42_a_dead_session_cannot_enter(couple, web):
    with web.cursor() as cur:
        for who, session in ((couple[0].user["id"], str(uuid.uuid4())), (couple[0].user["id"], couple[1].session)):
            with pytest.raises(psycopg2.Error) as e:
                cur.execute("SELECT app_enter(%s, %s, 'client')", (who, session))
            assert e.value.pgcode == "PZ000"
            web.rollback()
