"""A tenant's window beside the scalers: it has to let them see a backlog that is worth all workers of a lane."""

import re

import pytest

from shared.jobs import Lane
from shared.settings import SharedSettings
from tests.k8s.test_keda import document


@pytest.mark.parametrize("lane", Lane)
def test_a_tenant_alone_can_have_all_workers_of_a_lane(lane: Lane) -> None:
    spec = document(lane)["spec"]
    formula = spec["advanced"]["scalingModifiers"]["formula"]
    messages = re.search(r"total / (\d+)", formula)
    assert messages

    assert SharedSettings().windows[lane] == int(messages[1]) * spec["maxReplicaCount"]
