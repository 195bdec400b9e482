#!/usr/bin/python3
"""Checks a log of exchanges against the printed documents.

usage: contract.py OPENAPI.json ASYNCAPI.json ROUTES.txt [OLDER_SYSTEM.json...] EXCHANGES_DIR... [--partial]

At a path of an older system its document counts.

Fails when an answer breaks its schema, when a status or problem is not declared for its operation, when an
MQTT message breaks its schema, when a member has the name of a secret, and (unless --partial) when an operation
was never answered with success, a problem was never provoked, or a message was never seen.
"""
import collections
import json
import re
import sys
from pathlib import Path

import jsonschema

# Any operation may answer with these; they come from the stages in front of the handler, or from the web server.
COMMON = {"bad-request", "duplicate-parameter", "invalid", "not-found", "method-not-allowed", "uri-too-long",
          "headers-too-large", "too-large", "unavailable", "internal", "invalid-token", "account-suspended",
          "bad-body-length", "unsupported-media-type", "precondition-failed"}
# Not to be provoked by tests: they tell of defects.
NEVER = {"internal"}
CASES = 60  # kinds of faults that are shown
# Columns that never leave the server, under whatever spelling; the read mask of everybody (R39).
SECRET = re.compile(r"password_?hash|token_?hash|successor|email_?hash|secret|private_?key|title_?search|deleted_?at|"
                    r"key_?hash|^path$|^hash$", re.IGNORECASE)


FORMATS = jsonschema.FormatChecker(["uuid"])
TIME = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d+)?Z")


@FORMATS.checks("date-time")
def is_time(value):
    """RFC 3339 in UTC, as all our times are."""
    return not isinstance(value, str) or bool(TIME.fullmatch(value))


def pattern_of(path):
    return re.compile("^" + re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "/?$")


def operations(doc, routes):
    """[(method, parameters, regex over the path without prefix, operation)], literal paths first. Aliases, which stand
    in the route table only, have no operation; without them /chats/sync would be taken for /chats/{id}."""
    found = [(method.upper(), path.count("{"), pattern_of(path), op)
             for path, item in doc["paths"].items() for method, op in item.items()]
    for method, path, _roles, _name, *marks in (line.split("\t") for line in routes.splitlines()):
        if "alias" in marks:
            path = re.sub(r":(\w+)", r"{\1}", path)
            found.append((method, path.count("{"), pattern_of(path), None))
    return sorted(found, key=lambda f: f[1])


def strip(path):
    path = path.split("?")[0]
    for prefix in ("/api/v1", "/api"):
        if path == prefix or path.startswith(prefix + "/"):
            return path[len(prefix):] or "/"
    return path


def secret_member(value):
    """Name of the first member, at any depth, that looks like a secret column."""
    if isinstance(value, dict):
        return next((k for k in value if SECRET.search(k)), None) or secret_member(list(value.values()))
    if isinstance(value, list):
        return next((found for v in value if (found := secret_member(v))), None)
    return None


class Check:
    def __init__(self, openapi, asyncapi, routes, older):
        self.openapi, self.asyncapi = openapi, asyncapi
        self.ops = operations(openapi, routes)
        self.root = {op["operationId"]: openapi for _, _, _, op in self.ops if op}
        self.old_ops = []
        for doc in older:
            self.old_ops += (ops := operations(doc, ""))
            self.root |= {op["operationId"]: doc for _, _, _, op in ops}
        self.faults, self.seen_ops, self.seen_problems = {}, collections.Counter(), collections.Counter()
        self.seen_messages, self.exchanges, self.validators = collections.Counter(), 0, {}

    def fault(self, where, text=""):
        """Each kind once, with its first example."""
        first, n = self.faults.get(text or where, (where, 0))
        self.faults[text or where] = first, n + 1

    def validator(self, root, schema):
        key = (id(root), json.dumps(schema, sort_keys=True))
        if key not in self.validators:
            resolver = jsonschema.RefResolver("", root)
            self.validators[key] = jsonschema.Draft202012Validator(
                schema, resolver=resolver, format_checker=FORMATS)
        return self.validators[key]

    def breaks(self, root, schema, value):
        error = next(iter(self.validator(root, schema).iter_errors(value)), None)
        return error and f"{error.json_path}: {error.message[:300]}"

    def find(self, method, path):
        method = "GET" if method == "HEAD" else method
        merged = re.sub("/+", "/", path.split("?")[0])  # as the web server does it
        return next((op for ops, whole in ((self.old_ops, merged), (self.ops, strip(path)))
                     for m, _, p, op in ops if m == method and p.match(whole)), None)

    def http(self, x):
        self.exchanges += 1
        kind = (x["responseType"] or "").split(";")[0]
        op = self.find(x["method"], x["path"])
        where = f"{x['method']} {x['path'][:120]} -> {x['status']}"
        if kind == "application/problem+json" or (op in (o for *_, o in self.old_ops) and x["status"] >= 400):
            self.problem(x, op, where)
            return
        if not op or x["status"] >= 400:
            if op and not (x["status"] == 503 and "/health" in x["path"]):
                self.fault(where, "no problem document")
            return
        # The web server cuts ranges out of files by itself.
        answer = op["responses"].get("200" if x["status"] == 206 else str(x["status"]))
        if not answer:
            self.fault(where, f"status is not declared for {op['operationId']}")
            return
        self.seen_ops[op["operationId"]] += x["status"] < 300
        if x["response"] and (name := secret_member(json.loads(x["response"]))):
            self.fault(where, f"member {name} is not to be told")
        schema = answer.get("content", {}).get(kind, {}).get("schema")
        if schema and x["response"] and x["method"] != "HEAD":
            wrong = self.breaks(self.root[op["operationId"]], schema, json.loads(x["response"]))
            if wrong:
                self.fault(where, f"{wrong}")

    def problem(self, x, op, where):
        if x["method"] == "HEAD" or not x["response"]:
            return
        doc = json.loads(x["response"])
        old = op in (o for *_, o in self.old_ops) and "message" in doc
        root = self.root[op["operationId"]] if old else self.openapi
        wrong = self.breaks(root, {"$ref": f"#/components/schemas/{'Failure' if old else 'Problem'}"}, doc)
        if wrong:
            self.fault(where, f"problem {wrong}")
            return
        code = doc["code"]
        self.seen_problems[code] += 1
        if doc["status"] not in (x["status"], "error"):
            self.fault(where, f"document says {doc['status']}")
        declared = op and {c for r in op["responses"].values() for c in r.get("x-problems", [])}
        if op and code not in declared and code not in COMMON:
            self.fault(where, f"problem {code} is not declared for {op['operationId']}")

    def mqtt(self, x):
        self.exchanges += 1
        try:
            message = json.loads(x["payload"])
        except ValueError:
            if x["direction"] == "in":
                self.fault(f"{x['topic']}: payload is no JSON")
            return
        kind = message.get("t") if x["direction"] == "in" else "uplink:" + x["topic"].rsplit("/", 1)[-1]
        schema = self.asyncapi.get("components", {}).get("messages", {}).get(kind)
        if not schema:
            if x["direction"] == "in":
                self.fault(f"{x['topic']}: message {kind} is not in the AsyncAPI document")
            return
        wrong = self.breaks(self.asyncapi, schema["payload"], message)
        # A device under test may send nonsense on purpose; what we send must be right.
        if kind == "message:error":  # the problem of an uplink
            self.seen_problems[message["d"]["code"]] += 1
        if wrong and x["direction"] == "in":
            self.fault(f"{x['topic']} {kind}: {wrong}")
        elif not wrong:
            self.seen_messages[kind] += 1

    def complete(self):
        documented = [op for _, _, _, op in [*self.ops, *self.old_ops] if op]
        for op in documented:
            if not self.seen_ops[op["operationId"]]:
                self.fault(f"operation never answered with success: {op['operationId']}")
        declared = {c for op in documented for r in op["responses"].values() for c in r.get("x-problems", [])}
        for code in sorted((declared | COMMON) - NEVER - set(self.seen_problems)):
            self.fault(f"problem never provoked: {code}")
        for kind in self.asyncapi.get("components", {}).get("messages", {}):
            if not self.seen_messages[kind]:
                self.fault(f"message never seen: {kind}")


def main():
    args = [Path(a) for a in sys.argv[1:] if a != "--partial"]
    if len(args) < 4:
        sys.exit(__doc__)
    openapi, asyncapi, routes = (a.read_text() for a in args[:3])
    older = [json.loads(a.read_text()) for a in args[3:] if a.is_file()]
    check = Check(json.loads(openapi), json.loads(asyncapi), routes, older)
    for log in sorted(f for folder in args[3:] if folder.is_dir() for f in folder.glob("*.jsonl")):
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                x = json.loads(line)
                (check.mqtt if "topic" in x else check.http)(x)
    if "--partial" not in sys.argv:
        check.complete()
    for text, (where, n) in list(check.faults.items())[:CASES]:
        print("FAIL", where if where == text else f"{where}: {text}", f"({n} times)" if n > 1 else "")
    if len(check.faults) > CASES:
        print(f"… and {len(check.faults) - CASES} more")
    print(f"contract: {check.exchanges} exchanges, {len(check.seen_ops)} operations, "
          f"{len(check.seen_problems)} problems, {len(check.seen_messages)} messages, {len(check.faults)} faults")
    sys.exit(1 if check.faults or not check.exchanges else 0)


main()
