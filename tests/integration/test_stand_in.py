"""A stand-in that speaks while no worker of the engine is warm, with real speech; and who is known to be warm."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from audio.encoding import decode
from cli.stack.process import wait_ready
from shared.jobs import Lane
from tests.api import metric
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for
from worker.engine.builtin.voices import VOICES
from worker.presence import BELIEVED_SECONDS

pytestmark = pytest.mark.integration

BUILTIN_VOICES = {voice.id for voice in VOICES}
KNOWN_SECONDS = 1.0  # the gateway asks for the lanes' load once a second


def warm(fleet: RunningFleet, lane: Lane) -> float:
    return metric(fleet.fleet.url, f'emotivoice_lane_warm_workers{{lane="{lane}"}}')


@pytest.fixture
def stand_in(fleet: RunningFleet) -> Iterator[RunningFleet]:
    """The fleet with a worker of the builtin engine, and without its usual interactive one."""
    with fleet.without_worker(Lane.INTERACTIVE):
        builtin = fleet.new_worker(Lane.STANDIN, EMOTIVOICE_ENGINE="builtin").process
        builtin.launch()
        wait_ready([builtin])
        wait_for(lambda: (warm(fleet, Lane.INTERACTIVE), warm(fleet, Lane.STANDIN)) == (0, 1))
        time.sleep(KNOWN_SECONDS + 0.1)
        yield fleet
        builtin.stop()


def test_while_nobody_is_warm_the_builtin_engine_speaks_and_says_so(stand_in: RunningFleet) -> None:
    job = stand_in.api.spoken("Good morning! 早上好。", if_cold="builtin")

    assert job["lane"] == "interactive"
    assert "spoken by the engine builtin with its voice" in job["stand_in"]
    assert job["result"]["warnings"][0] == job["stand_in"]
    assert job["request"]["voice"] in BUILTIN_VOICES
    assert np.std(decode(stand_in.api.audio(job["id"])).samples) > 0.01

    long = stand_in.api.finished(stand_in.api.submit("A long story. " * 90, if_cold="builtin"), seconds=90)
    assert long["state"] == "succeeded"
    assert long["progress"]["segments_total"] > 1


def test_who_waits_is_spoken_by_the_engine_once_it_is_warm(stand_in: RunningFleet) -> None:
    waits = stand_in.api.submit("Waiting for the real voice.")
    stand_in.fleet.workers[Lane.INTERACTIVE].start()
    wait_for(lambda: warm(stand_in, Lane.INTERACTIVE) == 1)
    time.sleep(KNOWN_SECONDS + 0.1)

    again = stand_in.api.spoken("Warm again.", if_cold="builtin")

    assert again["stand_in"] is None
    assert stand_in.api.finished(waits)["stand_in"] is None
    stand_in.fleet.workers[Lane.INTERACTIVE].stop()  # the fixture starts it


def test_a_worker_that_is_killed_is_soon_not_taken_for_warm(fleet: RunningFleet) -> None:
    before = warm(fleet, Lane.BULK)
    other = fleet.new_worker(Lane.BULK).process
    other.launch()
    wait_ready([other])
    wait_for(lambda: warm(fleet, Lane.BULK) == before + 1)

    other.kill()

    wait_for(lambda: warm(fleet, Lane.BULK) == before, seconds=BELIEVED_SECONDS + 5)
