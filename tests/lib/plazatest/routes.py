"""The route table and the OpenAPI document as the program prints them."""
import functools
import json
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

    @property
    def params(self):
        return [s[1:] for s in self.path.split("/") if s.startswith(":")]

    def url(self, ids):
        return API + "/".join(ids[s[1:]] if s.startswith(":") else s for s in self.path.split("/"))


@functools.cache
def table():
    rows = []
    for line in env.document("routes").splitlines():
        method, path, roles, name, *marks = line.split("\t")
        rows.append(Route(method, path, frozenset(filter(None, roles.split(","))), name, "alias" in marks))
    return rows


@functools.cache
def openapi():
    return json.loads(env.document("openapi"))


@functools.cache
def operations():
    """operationId: operation; aliases are not in the document."""
    return {op["operationId"]: op for item in openapi()["paths"].values() for op in item.values()}


def resolve(schema):
    while "$ref" in schema:
        schema = openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def body_schema(name):
    """JSON Schema of an operation's JSON body, or None."""
    content = operations()[name].get("requestBody", {}).get("content", {})
    return resolve(content["application/json"]["schema"]) if "application/json" in content else None


def uuid_members(schema, pointer=""):
    """JSON pointers of all members of a body that name an object; [] stands for the items of an array."""
    schema = resolve(schema)
    if schema.get("format") == "uuid":
        return [pointer]
    found = [p for k, v in schema.get("properties", {}).items() for p in uuid_members(v, f"{pointer}/{k}")]
    return found + (uuid_members(schema["items"], pointer + "/[]") if "items" in schema else [])
