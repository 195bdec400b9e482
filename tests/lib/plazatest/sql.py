"""Direct database access for what the API must not offer: time travel and proofs."""
import contextlib

import psycopg2
import psycopg2.extras


def connect(env, user="plaza_owner"):
    c = psycopg2.connect(host=env.pg_socket, port=int(env.pg_port), dbname=env.pg_database, user=user)
    c.autocommit = True
    return c


def query(env, text, args=(), user="plaza_owner"):
    """Rows as tuples; the owner sees everything. A statement is its own transaction, several are one."""
    with contextlib.closing(connect(env, user)) as c, c.cursor() as cur:
        cur.execute(text, args)
        return cur.fetchall() if cur.description else []
