"""The burst in small, with real processes: what is done, not how fast."""

import json
import os
from pathlib import Path

import pytest

from bench.scale import QUICK, measured
from tests.api import children

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(300)
def test_real_workers_come_and_go_with_the_load_and_no_job_is_lost(tmp_path: Path) -> None:
    before = children(os.getpid())

    found = measured(tmp_path, QUICK, quick=True, output=tmp_path / "scale.json")

    assert [figure for figure in found if figure.passed is False] == []
    result = json.loads((tmp_path / "scale.json").read_text())
    replicas = [count for _, count in result["changes"]]
    assert replicas[0] == 1
    assert max(replicas) > 1, result["timeline"]
    assert len(result["warm_at"]) == max(replicas)
    assert replicas[-1] < max(replicas), result["timeline"]
    assert children(os.getpid()) == before
