"""README.md names every event, and names no test that is not there."""
import re
from pathlib import Path

import pytest

from plazatest import proofs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TEXT = (HERE / "README.md").read_text()
DEF = (ROOT / "realtime/events.def").read_text()


@pytest.mark.parametrize("name", re.findall(r'^(?:EVENT|UPLINK)\(\w+, "([\w:]+)"', DEF, re.MULTILINE))
def test_every_event_has_a_line(name):
    assert f"`{name}`" in TEXT


def test_every_named_test_is_there():
    assert list(proofs.missing(HERE / "README.md", 40)) == []
