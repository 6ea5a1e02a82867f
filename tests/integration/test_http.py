"""The HTTP API in front of real servers and workers: waiting, caching, repeating, removing, listing."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from audio.encoding import decode
from shared.jobs import Lane
from tests.integration.conftest import RunningFleet

pytestmark = pytest.mark.integration


def test_a_long_poll_ends_with_the_job(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait for the poll, {uuid.uuid4()}.")
    with ThreadPoolExecutor(1) as thread:
        polling = thread.submit(lambda: (fleet.api.http.get(f"/v1/jobs/{job_id}?wait=20").json(), time.time()))
        fleet.api.running(job_id)
        fleet.gate.open()
        job, answered_at = polling.result()

    assert job["state"] == "succeeded"
    assert answered_at - datetime.fromisoformat(job["finished_at"]).timestamp() < 1


def test_a_long_poll_ends_with_its_time(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait longer than the poll, {uuid.uuid4()}.")
    started = time.monotonic()

    job = fleet.api.http.get(f"/v1/jobs/{job_id}?wait=0.5").json()

    assert job["state"] in ("queued", "running")
    assert 0.4 < time.monotonic() - started < 3


def test_a_finished_job_does_not_change(fleet: RunningFleet) -> None:
    job_id = fleet.api.spoken("Hello there, unchanging one.")["id"]
    etag = fleet.api.http.get(f"/v1/jobs/{job_id}").headers["ETag"]

    answer = fleet.api.http.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


def test_waiting_with_an_etag_ends_with_the_next_change(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait for a change, {uuid.uuid4()}.")
    fleet.api.running(job_id)
    etag = fleet.api.http.get(f"/v1/jobs/{job_id}").headers["ETag"]
    with ThreadPoolExecutor(1) as thread:
        headers = {"If-None-Match": etag}
        polling = thread.submit(lambda: fleet.api.http.get(f"/v1/jobs/{job_id}?wait=20", headers=headers))
        fleet.gate.open()

        assert polling.result().json()["state"] == "succeeded"


def test_a_repeated_request_is_one_job_even_at_once(fleet: RunningFleet) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}

    def post(text: str) -> httpx.Response:
        return fleet.api.http.post("/v1/jobs", json={"text": text}, headers=headers)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(post, ["Said once."] * 8))
    other = post("Said otherwise.")

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_removed_job_is_gone_with_its_audio(fleet: RunningFleet) -> None:
    job = fleet.api.spoken(f"To be removed, {uuid.uuid4()}.")
    link = job["result"]["url"]
    assert httpx.get(link, trust_env=False).status_code == 200

    assert fleet.api.http.delete(f"/v1/jobs/{job['id']}").status_code == 204

    assert fleet.api.http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert httpx.get(link, trust_env=False).status_code == 404


def test_audio_that_another_job_needs_stays(fleet: RunningFleet) -> None:
    text = f"Shared by two, {uuid.uuid4()}."
    first, second = fleet.api.spoken(text), fleet.api.spoken(text)

    fleet.api.http.delete(f"/v1/jobs/{first['id']}")

    assert decode(fleet.api.audio(second["id"])).seconds > 1
    fleet.api.http.delete(f"/v1/jobs/{second['id']}")
    assert httpx.get(second["result"]["url"], trust_env=False).status_code == 404
    assert fleet.api.spoken(text)["usage"]["engine_seconds"] > 0


def test_the_segments_of_a_long_job_are_removed_with_it(fleet: RunningFleet) -> None:
    folder = fleet.servers.folder.path / "s3"
    before = set(folder.rglob("*.flac*"))
    text = "\n\n".join(f"Part {n} of {uuid.uuid4()}. " + "This goes on and on and on. " * 20 for n in range(3))
    job_id = fleet.api.spoken(text, lane="bulk")["id"]
    assert set(folder.rglob("*.flac*")) > before

    fleet.api.http.delete(f"/v1/jobs/{job_id}")

    assert set(folder.rglob("*.flac*")) == before


def test_jobs_are_listed_page_by_page_and_by_state(fleet: RunningFleet) -> None:
    ids = [fleet.api.spoken(f"Listed as number {number}.")["id"] for number in range(3)]

    newest = fleet.api.http.get("/v1/jobs?limit=2").json()
    older = fleet.api.http.get("/v1/jobs", params={"limit": 2, "cursor": newest["next_cursor"]}).json()

    assert [job["id"] for job in newest["jobs"] + older["jobs"]][:3] == ids[::-1]
    succeeded = fleet.api.http.get("/v1/jobs?state=succeeded&limit=3").json()["jobs"]
    assert [job["id"] for job in succeeded] == ids[::-1]
    assert all(job["state"] != "succeeded" for job in fleet.api.http.get("/v1/jobs?state=failed").json()["jobs"])


def test_those_who_wait_know_their_place(fleet: RunningFleet) -> None:
    fleet.api.spoken("So that the speed of the lane is known.")
    with fleet.without_worker(Lane.INTERACTIVE):
        ids = [fleet.api.submit(f"Waiting as number {number}.") for number in range(3)]
        queues = [fleet.api.job(job_id)["queue"] for job_id in ids]

    assert [queue["position"] for queue in queues] == [1, 2, 3]
    assert queues[0]["eta_seconds"] < queues[2]["eta_seconds"]
    for job_id in ids:
        fleet.api.finished(job_id)


def test_the_timings_of_a_long_job_follow_each_other(fleet: RunningFleet) -> None:
    text = "\n\n".join(f"Part {n} begins. " + "This goes on and on and on. " * 20 for n in range(3))
    job = fleet.api.spoken(text, lane="bulk")

    words = fleet.api.http.get(f"/v1/jobs/{job['id']}/timings").json()["words"]
    times = [moment for word in words for moment in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= job["result"]["seconds"] + 1e-3


def test_many_jobs_at_once_are_all_spoken_once(fleet: RunningFleet) -> None:
    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(fleet.api.submit, [f"One of many, number {number}." for number in range(100)]))
    jobs = [fleet.api.finished(job_id, seconds=60) for job_id in ids]

    assert {job["state"] for job in jobs} == {"succeeded"}
    assert {job["attempts"] for job in jobs} == {1}
