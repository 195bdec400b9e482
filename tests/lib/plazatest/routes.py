"""The route table and the OpenAPI document as the program prints them."""
import functools
import json
import re
from typing import NamedTuple

from plazatest import env

API = "/api/v1"
ROLES = ("client", "seller", "admin", "moderator", "service")


class Route(NamedTuple):
    method: str
    path: str
    roles: frozenset
    name: str
    alias: bool
    system: str  # the older one whose clients call it; empty = a row of our own
    prefix: str  # where it stands

    @property
    def invalid(self):
        """Status of a body that is not as it should be; the older systems had 400."""
        return 400 if self.system else 422

    @property
    def params(self):
        return [s[1:] for s in self.path.split("/") if s.startswith(":")]

    def url(self, ids):
        return self.prefix + "/".join(ids[s[1:]] if s.startswith(":") else s for s in self.path.split("/"))


@functools.cache
def table():
    rows = []
    for line in env.document("routes").splitlines():
        method, path, roles, name, *marks = line.split("\t")
        system, prefix = next((m.split(":") for m in marks if ":" in m), ("", API))
        rows.append(Route(method, path, frozenset(filter(None, roles.split(","))), name, "alias" in marks, system, prefix))
    return rows


@functools.cache
def _hidden():
    ours = {(r.method, r.path) for r in table() if not r.system}
    return [(r.method, re.compile("/".join("[^/]+" if s.startswith(":") else re.escape(s) for s in r.path.split("/"))))
            for r in table() if r.system and not r.prefix and (r.method, r.path) in ours]


def is_hidden(method, path):
    """Whether this path without prefix is an older system's, so that our own row cannot be called by it."""
    return any(m == method and p.fullmatch(path.split("?")[0]) for m, p in _hidden())


def inlined(schema, doc):
    """The schema without references."""
    if isinstance(schema, list):
        return [inlined(s, doc) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(doc["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], doc)
    return {k: inlined(v, doc) for k, v in schema.items()}


@functools.cache
def operations():
    """operationId: operation, of all documents; aliases are in none."""
    docs = [json.loads(env.document(n)) for n in ("openapi", *sorted({f"openapi-{r.system}" for r in table() if r.system}))]
    return {op["operationId"]: {**op, "requestBody": inlined(op.get("requestBody", {}), doc)}
            for doc in docs for item in doc["paths"].values() for op in item.values()}


def body_schema(name):
    """JSON Schema of an operation's JSON body, or None."""
    content = operations()[name]["requestBody"].get("content", {})
    return content["application/json"]["schema"] if "application/json" in content else None


def uuid_members(schema, pointer=""):
    """JSON pointers of all members of a body that name an object; [] stands for the items of an array."""
    if schema.get("format") == "uuid":
        return [pointer]
    found = [p for k, v in schema.get("properties", {}).items() for p in uuid_members(v, f"{pointer}/{k}")]
    return found + (uuid_members(schema["items"], pointer + "/[]") if "items" in schema else [])
