"""What repairs a problem."""

from __future__ import annotations

from pathlib import Path

import pytest

import moorage
from moorage.deploy.status.repairs import _BY_CODE, Repair, repair_of
from moorage.errors import CannotConnect, MoorageError


@pytest.mark.parametrize(
    "code", [each for each in _BY_CODE if not each.startswith(("run_", "uninstall_"))]
)
def test_each_code_is_that_of_a_problem(code: str) -> None:
    folder = Path(moorage.__file__).parent / "deploy"
    sources = (each.read_text() for each in folder.rglob("*.py") if each.name != "repairs.py")
    assert any(f'"{code}"' in each for each in sources)


def test_a_server_that_does_not_answer_is_connected_to_again() -> None:
    assert repair_of(CannotConnect("No answer.", server="alpha")) is Repair.CONNECT
    assert repair_of(MoorageError("Edited.", code="file_modified")) is Repair.APPLY
    assert repair_of(MoorageError("Masked.", code="unit_masked")) is None
