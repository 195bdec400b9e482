"""Tests that the tables of a README name, as `file.py` some_names, others; a name may be the beginning of a test's."""
import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/.]+\.(?:py|c|mjs))`((?:,? ?[a-z0-9]+(?:_[a-z0-9]+){2,})*)")


def named(readme):
    """(file, names of its tests) as they stand in this README; without a folder a file is beside it."""
    for path, names in NAMED.findall(readme.read_text()):
        folder = TESTS.parent if path.startswith("tests/") else TESTS if "/" in path else readme.parent
        yield folder / path, [n.strip() for n in names.split(",") if n.strip()]


def missing(readme, least):
    """What is named and is not there; there must be as many places as that."""
    found = list(named(readme))
    assert len(found) >= least, f"{readme}: {len(found)} places"
    for file, names in found:
        tests = re.findall(r"def test_(\w+)", file.read_text())
        for name in names:
            if not any(t.startswith(name) for t in tests):
                yield f"{file.name} has no test {name}"
