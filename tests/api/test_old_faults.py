"""README.md: the faults of older systems, each with tests that are there."""
from pathlib import Path

from plazatest import proofs

README = Path(__file__).parent / "README.md"


def test_every_named_test_is_there():
    assert list(proofs.missing(README, 30)) == []


def test_a_wrong_name_would_be_seen(tmp_path):
    wrong = tmp_path / "README.md"
    wrong.write_text("`api/test_orders.py` nobody_buys_their_own_product, nobody_pays_at_all")
    assert list(proofs.missing(wrong, 1)) == ["test_orders.py has no test nobody_pays_at_all"]
