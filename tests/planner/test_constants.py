"""What the planner takes for granted of the service, beside the service."""

from pathlib import Path

import yaml

from planner.lane import HAND_BACK_SECONDS, LANE_MESSAGES
from planner.simulation import SCRAPE_SECONDS
from planner.supply import Supply
from shared import topology
from worker.grace import Grace
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_lane_holds_as_many_messages_as_init_lets_it() -> None:
    assert LANE_MESSAGES == topology.LANE_MESSAGES


def test_a_worker_has_the_grace_period_of_its_settings() -> None:
    assert Supply().grace_seconds == WorkerSettings.model_fields["grace_seconds"].default


def test_work_is_handed_back_as_early_as_a_worker_does() -> None:
    assert Grace(Supply().grace_seconds).handing_back == HAND_BACK_SECONDS


def test_prometheus_asks_as_often_as_it_is_told_to() -> None:
    settings = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())

    assert settings["global"]["scrape_interval"] == f"{SCRAPE_SECONDS:g}s"
