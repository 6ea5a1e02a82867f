"""The matrix, cell by cell: in its short form each victim with each fault and each fault at each moment."""

import re

import pytest

from tests.faults.checks import Checks
from tests.faults.clients import Client
from tests.faults.conftest import Results
from tests.faults.matrix import ALL, Cell, pairwise, play
from tests.faults.rig import Rig

pytestmark = pytest.mark.faults


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        cells = ALL if metafunc.config.getoption("--faults") == "long" else pairwise()
        metafunc.parametrize("cell", cells, ids=lambda cell: re.sub("[ ,]+", "-", str(cell)))


def test_nothing_is_lost_whatever_breaks(
    cell: Cell, rig: Rig, checks: Checks, client: Client, results: Results
) -> None:
    try:
        played = play(cell, rig, checks, client)
    except BaseException as error:
        results.append((cell, f"failed: {str(error)[:200]}", None))
        raise
    results.append((cell, "passed", played))


def test_the_short_form_has_each_victim_with_each_fault_and_each_fault_at_each_moment() -> None:
    short = pairwise()

    assert {(cell.victim, cell.fault) for cell in short} == {(cell.victim, cell.fault) for cell in ALL}
    assert {(cell.fault, cell.moment) for cell in short} == {(cell.fault, cell.moment) for cell in ALL}
