"""README.md names every event, and names no test that is not there."""
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TEXT = (HERE / "README.md").read_text()
DEF = (ROOT / "realtime/events.def").read_text()
NAMED = re.compile(r"`([\w/.]+\.(?:py|c))`((?:,? ?[a-z0-9]+(?:_[a-z0-9]+){2,})*)")


@pytest.mark.parametrize("name", re.findall(r'^(?:EVENT|UPLINK)\(\w+, "([\w:]+)"', DEF, re.MULTILINE))
def test_every_event_has_a_line(name):
    assert f"`{name}`" in TEXT


def proofs():
    for path, names in NAMED.findall(TEXT):
        folder = ROOT if path.startswith("tests/") else ROOT / "tests" if "/" in path else HERE
        file = folder / path
        yield file, [n.strip() for n in names.split(",") if n.strip()]


def test_every_named_test_is_there():
    found = list(proofs())
    assert len(found) > 40
    for file, names in found:
        tests = re.findall(r"def test_(\w+)", file.read_text())
        for name in names:
            assert any(t.startswith(name) for t in tests), f"{file.name} has no test {name}"
