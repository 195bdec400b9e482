"""People and things for the access matrix: who owns what is known, so what each may see is known too."""
import uuid

from plazatest import tokens
from plazatest.http import PASSWORD, claims_of

DEAD = ("expired", "revoked", "suspended")
ALIVE = ("client", "seller", "admin", "moderator", "service")


class World:
    def __init__(self, env, users, sql):
        self.env, self.users, self.sql = env, users, sql
        self.actors, self.things = {}, {}

    def _make(self, role):
        if role == "anonymous":
            return self.users.anonymous()
        if role in ("client", "seller"):
            return getattr(self.users, role)()
        made = self.users.client()
        if role == "revoked":
            assert made.post("/api/v1/auth/logout").status == 204
        elif role == "suspended":
            self.sql("UPDATE account SET status = 'suspended' WHERE id = %s", (made.user["id"],))
            self.sql("SELECT sessions_end(%s, NULL, 'suspended')", (made.user["id"],))
        elif role == "expired":
            made.token = tokens.expired(self.env, made.token)
        else:
            self.sql("UPDATE account SET role = %s WHERE id = %s", (role, made.user["id"]))
            made = self.users.login(made.email, PASSWORD)
            assert made.user["role"] == role
        return made

    def actor(self, role, which=0):
        """The same person each time; `which` tells apart several of a role."""
        key = role, which
        if key not in self.actors:
            self.actors[key] = self._named(role)
        return self.actors[key]

    def fresh(self, role):
        """Somebody who may be used up."""
        return self._named(role)

    def _named(self, role):
        made = self._make(role)
        made.role = role
        return made

    def once(self, key, make):
        """A thing shared by many cells."""
        if key not in self.things:
            self.things[key] = make()
        return self.things[key]


class Kind:
    """What a path parameter names. `make` gives the id of a new one that belongs to `owner`, or None where that
    person cannot have one; `ids` are the parameters left of it."""
    table = None      # where its row is, to prove that a refused request changed nothing
    strangers = ("client", "seller")  # roles whose things are foreign to everybody else
    removable = True  # can be marked as deleted while its owner goes on

    def make(self, w, owner, ids):
        raise NotImplementedError

    def remove(self, w, ident):
        """Marks it as deleted; the default fits tables with deleted_at."""
        w.sql(f"UPDATE {self.table} SET deleted_at = now() WHERE id = %s", (ident,))

    def row(self, w, ident):
        rows = self.table and w.sql(f"SELECT t::text FROM {self.table} AS t WHERE id = %s", (ident,))
        return rows[0][0] if rows else None


class User(Kind):
    table = "account"
    removable = False  # a deleted user cannot ask

    def make(self, w, owner, ids):
        return owner.user["id"]


class Session(Kind):
    table = "session"

    def make(self, w, owner, ids):
        """One more sign-in of the owner, so that the one in use stays."""
        other = w.users.login(owner.email, owner.password)
        return claims_of(other.token)["sid"]

    def remove(self, w, ident):
        w.sql("UPDATE session SET revoked_at = now(), revoke_reason = 'logout' WHERE id = %s", (ident,))


def missing():
    return str(uuid.uuid4())
