"""A broker that can take no more: clients are told to come back, and what arrives late does no harm."""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from shared.jobs import Lane
from shared.queue import SweeperQueue
from tests.api import Json
from tests.integration.conftest import ANSWERED_WITHIN_SECONDS, RunningFleet, refused
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nobody_restarted")]

ALARMS = {  # how to raise it, and what the local stack has it at (cli/stack/rabbitmq.py)
    "memory": (("set_vm_memory_high_watermark", "0.00001"), ("set_vm_memory_high_watermark", "absolute", "1GB")),
    "disk": (("set_disk_free_limit", "100000GB"), ("set_disk_free_limit", "200MB")),
}


@contextmanager
def alarm(fleet: RunningFleet, kind: str) -> Generator[None]:
    """Within the block the broker takes no message from anybody."""
    assert fleet.servers.broker
    raised, usual = ALARMS[kind]
    fleet.servers.broker.control(*raised)
    try:
        yield
    finally:
        fleet.servers.broker.control(*usual)


@contextmanager
def lane_bound(fleet: RunningFleet, lane: Lane, messages: int) -> Generator[None]:
    """Within the block the lane holds about so many messages, as `emotivoice init` can bound it."""
    assert fleet.servers.broker
    definition = f'{{"max-length": {messages}}}'
    fleet.servers.broker.control("set_policy", "tts-lanes", f"^tts.{lane}$", definition, "--apply-to", "queues")
    try:
        yield
    finally:
        fleet.servers.broker.control("clear_policy", "tts-lanes")


def messages(fleet: RunningFleet, lane: Lane) -> int:
    """Return how many nobody has taken."""
    return SweeperQueue(fleet.servers.environment()["EMOTIVOICE_BROKER_URL"]).ready_messages()[lane]


def listed(fleet: RunningFleet, state: str) -> list[Json]:
    return fleet.api.http.get("/v1/jobs", params={"state": state, "limit": 100}).json()["jobs"]


@pytest.mark.parametrize("kind", ALARMS)
def test_an_alarm_is_told_to_clients_and_a_late_delivery_does_no_harm(fleet: RunningFleet, kind: str) -> None:
    known = fleet.api.spoken(f"Said before the {kind} alarm, {time.time_ns()}.")["id"]
    before = {job["id"] for job in listed(fleet, "failed")}

    with alarm(fleet, kind):
        for _ in range(3):
            assert refused(fleet)["code"] == "queue_unavailable"
        with ThreadPoolExecutor(20) as clients:  # many at once wait no longer than one
            problems = list(clients.map(refused, [fleet] * 20))
        assert {problem["code"] for problem in problems} == {"queue_unavailable"}
        assert fleet.api.http.get("/healthz").status_code == 200
        assert fleet.api.audio(known)

    failed = {job["id"]: job for job in listed(fleet, "failed") if job["id"] not in before}
    assert len(failed) == 23
    assert {job["error"]["code"] for job in failed.values()} == {"queue_unavailable"}
    assert fleet.api.spoken(f"Said after the {kind} alarm, {time.time_ns()}.")["attempts"] == 1
    wait_for(lambda: messages(fleet, Lane.INTERACTIVE) == 0)  # also what came late
    assert [fleet.api.job(job_id)["state"] for job_id in failed] == ["failed"] * 23
    assert not listed(fleet, "running")


def test_a_job_that_was_in_hand_ends_during_an_alarm(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait for the alarm, {time.time_ns()}.")
    fleet.api.running(job_id)

    with alarm(fleet, "memory"):
        fleet.gate.open()
        job = fleet.api.finished(job_id)

    assert (job["state"], job["attempts"]) == ("succeeded", 1)


def test_a_long_job_goes_on_after_an_alarm(fleet: RunningFleet) -> None:
    """Its worker has to publish: the plan's segments, and the join."""
    fleet.gate.close()
    sentence = f"Please wait with every segment, {time.time_ns()}. And then it goes on as if nothing had happened. "
    job_id = fleet.api.submit("\n\n".join([sentence * 4] * 3), lane="bulk")
    wait_for(lambda: fleet.api.job(job_id)["progress"]["segments_total"])

    with alarm(fleet, "memory"):
        fleet.gate.open()
        wait_for(lambda: fleet.api.job(job_id)["progress"]["segments_done"])

    assert fleet.api.finished(job_id, seconds=60)["state"] == "succeeded"


def test_a_full_lane_is_told_to_clients_and_takes_again_when_there_is_room(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with lane_bound(fleet, Lane.INTERACTIVE, 3):
        answers = [_submitted(fleet, number) for number in range(30)]  # the bound is not sharp: some more are taken

        accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        turned_away = [answer for answer in answers if answer.status_code == 503]
        assert len(accepted) + len(turned_away) == 30
        assert {answer.status_code for answer in answers[-5:]} == {503}
        assert {answer.json()["code"] for answer in turned_away} == {"queue_unavailable"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in turned_away)
        fleet.gate.open()
        assert {fleet.api.finished(job_id)["state"] for job_id in accepted} == {"succeeded"}
        assert fleet.api.spoken(f"There is room again, {time.time_ns()}.")["attempts"] == 1


def _submitted(fleet: RunningFleet, number: int) -> httpx.Response:
    started = time.monotonic()
    answer = fleet.api.post(f"Please wait for room, number {number}, {time.time_ns()}.")
    assert time.monotonic() - started < ANSWERED_WITHIN_SECONDS
    return answer


def test_a_plan_waits_for_room_in_its_lane(fleet: RunningFleet) -> None:
    with lane_bound(fleet, Lane.BULK, 1):
        text = "\n\n".join(
            f"Part {number}, {time.time_ns()}. " + "It goes on for quite a while. " * 16 for number in range(12)
        )
        job = fleet.api.finished(fleet.api.submit(text, lane="bulk"), seconds=120)

    assert job["state"] == "succeeded"
    assert job["progress"]["segments_done"] == job["progress"]["segments_total"] > 6
