"""The named statements of sql/queries, to be run as another program might: with conditions that lie."""
import re
from typing import NamedTuple

from plazatest.env import ROOT

HEAD = re.compile(r"-- query: (\w+) \((.*?)\) (?:exec|one|maybe|many)(?: read)?(?: -> .*)?$", re.DOTALL)


class Query(NamedTuple):
    name: str
    params: dict  # name: type, with '?' where it may be NULL
    text: str


def load():
    found = []
    for path in sorted((ROOT / "sql/queries").glob("*.sql")):
        for block in re.split(r"(?m)^(?=-- query: )", path.read_text())[1:]:
            lines = block.rstrip().splitlines()
            n = next(i for i, line in enumerate(lines[1:], 1) if not re.match(r"--\s{4,}", line))
            head = " ".join(re.sub(r"^--\s+", "", line) if i else line for i, line in enumerate(lines[:n]))
            name, params = HEAD.match(head).groups()
            text = "\n".join(line for line in lines[n:] if not line.startswith("--"))
            found.append(Query(name, dict(p.split() for p in params.split(",") if p.strip()), text))
    return found


def as_text(query, uid, role):
    """The statement for psycopg2, whose own conditions take the caller for `uid` and `role`, whoever it is."""
    text = query.text.replace("%", "%%")
    text = re.sub(r"\bapp_uid\(\)", f"'{uid}'::uuid", text)
    text = re.sub(r"\bapp_role\(\)", f"'{role}'::text", text)
    for name, kind in query.params.items():
        text = re.sub(rf"(?<!:):{name}\b", f"%({name})s::{kind.rstrip('?')}", text)
    return text
