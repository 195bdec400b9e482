"""What the route table does not say of a route: whose objects its parameters name, and a good request for it.

A route without an entry fails the run.
"""
import uuid
from dataclasses import dataclass, field

from plazatest.http import PASSWORD
from plazatest.world import Session, User

NOTHING = {}


@dataclass
class Entry:
    path: dict = field(default_factory=dict)      # parameter: Kind
    body: object = None                           # (world, actor, ids) -> JSON body; None = no body
    upload: object = None                         # (world, actor, ids) -> (files, fields) of a multipart body
    query: str = ""
    token: object = None                          # (world, actor) -> headers that the route needs
    own: dict = field(default_factory=dict)       # role: status on its own object, where it is not success
    sees_all: frozenset = frozenset({"admin"})    # roles for whom nothing is foreign
    public: object = None                         # members that strangers may see; None = foreign is 404
    signs_in: bool = False                        # Authorization is not read
    offline: bool = False                         # no statement runs, so a dead session is not noticed
    fresh: bool = False                           # uses up its actor
    members: dict = field(default_factory=dict)   # body pointer: Kind, or None where the id is of a public thing
    aliases: tuple = ()                           # older names of members that are taken too
    operation: str = ""                           # whose shapes it has; its own name or that of an alias if empty


def registration(role):
    def body(_w, _actor, _ids):
        made = {"email": f"bola-{uuid.uuid4()}@plaza.example", "password": PASSWORD, "name": "B"}
        return {**made, "shopName": f"Shop {uuid.uuid4()}"} if role == "seller" else made
    return body


def login(role):
    def body(w, _actor, _ids):
        who = w.actor(role, 9)
        return {"email": who.email, "password": who.password}
    return body


PUBLIC_USER = {"id", "username", "name", "role", "avatarUrl", "shopId", "createdAt"}
SYSTEM = Entry(offline=True)

TABLE = {
    "health": SYSTEM, "healthLive": SYSTEM, "healthReady": SYSTEM, "root": SYSTEM, "info": SYSTEM, "openapi": SYSTEM,
    "metrics": SYSTEM, "jwks": SYSTEM,

    "authRegister": Entry(body=registration("client"), signs_in=True),
    "authRegisterSeller": Entry(body=registration("seller"), signs_in=True, operation="authRegister"),
    "authLogin": Entry(body=login("client"), signs_in=True),
    "authLoginSeller": Entry(body=login("seller"), signs_in=True, operation="authLogin"),
    "authLoginAdmin": Entry(body=login("admin"), signs_in=True, operation="authLogin"),
    "authChangePassword": Entry(body=lambda w, a, ids: {"currentPassword": a.password,
                                                        "newPassword": a.password + " x"}, fresh=True),
    "authRefresh": Entry(body=lambda w, a, ids: {"refreshToken": w.fresh("client").refresh_token}, signs_in=True),
    "authLogout": Entry(fresh=True),
    "authLogoutAll": Entry(fresh=True),
    "authMe": Entry(),
    "authSessions": Entry(),
    "authSessionEnd": Entry(path={"id": Session()}, sees_all=frozenset()),
    "authValidateOwn": Entry(signs_in=True),
    "authValidate": Entry(body=lambda w, a, ids: {"token": w.actor("client").token}),

    "userGet": Entry(path={"id": User()}, public=PUBLIC_USER),
    "userPut": Entry(path={"id": User()}, body=lambda w, a, ids: {"name": "Renamed"}),
}
# The same request under another name.
ALIASES = {
    "authSignup": "authRegister", "authRegisterClient": "authRegister", "authLoginClient": "authLogin",
    "authVerify": "authMe", "userPatch": "userPut",
}


def entry_of(name):
    return TABLE.get(ALIASES.get(name, name))


def operation_of(name):
    return entry_of(name).operation or ALIASES.get(name, name)
