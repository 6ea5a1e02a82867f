"""Batches over HTTP: what is taken, what is refused, what is shown."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gateway.settings import GatewaySettings
from shared.batches import Wanted
from shared.jobs import JobKind, JobState, Lane
from tests.fake_batches import InMemoryBatches, InMemoryBatchJobs
from tests.gateway.conftest import World, world_with
from tests.worker.passes import work_on_pass

LINES = [
    {"custom_id": "anna", "variables": {"name": "Anna"}},
    {"custom_id": "bob", "variables": {"name": "Bob"}, "voice": "buzz"},
]
OPTIONS = {"template": "Dear {name}, happy new year!", "defaults": {"format": "flac", "emotion": "happy"}}


@pytest.fixture
def world() -> Iterator[World]:
    settings = GatewaySettings(
        max_text_characters=1000, max_body_bytes=8192, max_batch_bytes=100_000, max_batch_lines=5
    )
    with world_with(settings) as world:
        yield world


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def send(world: World, body: bytes, **headers: str) -> httpx2.Response:
    return world.client.post("/v1/batches", content=body, headers={"Content-Type": "application/jsonl", **headers})


def sent(world: World, *lines: object) -> str:
    answer = send(world, jsonl({"batch": OPTIONS}, *(lines or LINES)))
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def ingest(world: World, batch_id: str) -> None:
    """Do what an assembly worker does."""
    job = world.records.jobs[world.batches.batches[batch_id].ingest_job]
    jobs = InMemoryBatchJobs(world.records)
    work_on_pass(job, world.records, InMemoryBatches(world.batches.batches), jobs, world.objects)


def look(world: World, batch_id: str) -> dict[str, Any]:
    return world.client.get(f"/v1/batches/{batch_id}").json()


def test_a_batch_is_stored_recorded_and_enqueued(world: World) -> None:
    answer = send(world, jsonl({"batch": OPTIONS}, *LINES))

    batch_id = answer.json()["id"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/batches/{batch_id}")
    batch = world.batches.batches[batch_id]
    job = world.records.jobs[batch.ingest_job]
    assert (job.kind, job.parent, batch.lines, batch.first_line) == (JobKind.INGEST, batch_id, 3, 2)
    assert world.queue.messages == [(job.id, "0", Lane.ASSEMBLY)]
    assert world.objects.objects[batch.source_key] == jsonl({"batch": OPTIONS}, *LINES)
    assert not world.batches.uploads
    assert answer.json()["state"] == "ingesting"


def test_a_form_and_an_upload_are_the_same(world: World) -> None:
    world.objects.objects["uploads/default/1"] = jsonl(*LINES)
    form = world.client.post(
        "/v1/batches", files={"file": ("a.jsonl", jsonl(*LINES))}, data={"options": json.dumps(OPTIONS)}
    )
    named = world.client.post("/v1/batches", json={"source_key": "uploads/default/1", **OPTIONS})

    assert (form.status_code, named.status_code) == (202, 202), form.text + named.text
    for answer in (form, named):
        batch = world.batches.batches[answer.json()["id"]]
        assert (batch.template, batch.lines, batch.first_line) == (OPTIONS["template"], 2, 1)
        assert batch.defaults == OPTIONS["defaults"]


def test_lines_become_jobs_and_bad_ones_errors(world: World) -> None:
    bad = [{"variables": {"nome": "Eve"}}, {"text": "Hi", "voice": "nobody"}]
    batch_id = sent(world, *LINES, *bad)
    ingest(world, batch_id)

    lines = world.client.get(f"/v1/batches/{batch_id}/jobs").json()["lines"]
    assert [(line["line"], line["custom_id"], line["state"]) for line in lines] == [
        (2, "anna", "queued"),
        (3, "bob", "queued"),
        (4, "", "rejected"),
        (5, "", "rejected"),
    ]
    jobs = [world.records.requests[line["job_id"]] for line in lines[:2]]
    assert [(job.text, job.voice, job.format, job.emotion) for job in jobs] == [
        ("Dear Anna, happy new year!", "hum", "flac", "happy"),
        ("Dear Bob, happy new year!", "buzz", "flac", "happy"),
    ]
    errors = world.client.get(f"/v1/batches/{batch_id}/errors").text.splitlines()
    assert [json.loads(one)["code"] for one in errors] == ["missing_variable", "unknown_voice"]
    assert look(world, batch_id)["state"] == "running"
    assert look(world, batch_id)["progress"]["jobs"]["queued"] == 2


def finish(world: World, batch_id: str, *, data: bytes = b"0123456789") -> None:
    batch = world.batches.batches[batch_id]
    for number in range(2, batch.lines + 1):
        if batch.line_job(number) in world.records.jobs:
            world.succeed(batch.line_job(number), data)


def test_the_audio_comes_as_a_zip_with_the_manifest(world: World) -> None:
    batch_id = sent(world, *LINES, {"text": ""})
    ingest(world, batch_id)
    assert world.client.get(f"/v1/batches/{batch_id}/audio.zip").json()["code"] == "batch_not_over"
    finish(world, batch_id)

    assert look(world, batch_id)["state"] == "partly_failed"
    answer = world.client.get(f"/v1/batches/{batch_id}/audio.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["000002-anna.wav", "000003-bob.wav", "manifest.jsonl"]
        assert archive.read("000002-anna.wav") == b"0123456789"
        manifest = [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]
    assert [line["file"] for line in manifest] == ["000002-anna.wav", "000003-bob.wav", None]
    assert manifest[2]["error"]["code"] == "empty_text"
    assert world.client.get(f"/v1/batches/{batch_id}/manifest").text.splitlines() == [
        json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in manifest
    ]


def test_a_line_whose_audio_went_with_a_voice_is_told_in_the_manifest_and_the_others_come(world: World) -> None:
    batch_id = sent(world)
    ingest(world, batch_id)
    finish(world, batch_id)
    job_id = world.batches.batches[batch_id].line_job(2)
    world.records.jobs[job_id] = replace(world.records.jobs[job_id], audio_address="an address that nothing has")

    answer = world.client.get(f"/v1/batches/{batch_id}/audio.zip")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["000003-bob.wav", "manifest.jsonl"]
        first, second = (json.loads(line) for line in archive.read("manifest.jsonl").splitlines())
    assert (first["state"], first["file"], first["error"]["code"]) == ("succeeded", None, "audio_missing")
    assert second["error"] is None


def test_audio_that_is_lost_breaks_the_zip_off_and_is_spoken_again(world: World) -> None:
    batch_id = sent(world)
    ingest(world, batch_id)
    finish(world, batch_id)
    world.objects.objects = {key: data for key, data in world.objects.objects.items() if not key.startswith("audio/")}

    answer = world.client.get(f"/v1/batches/{batch_id}/audio.zip")

    assert not zipfile.is_zipfile(io.BytesIO(answer.content))
    assert look(world, batch_id)["state"] == "running"


def test_a_key_makes_one_batch(world: World) -> None:
    first = send(world, jsonl({"text": "Hello"}), **{"Idempotency-Key": "k"})
    again = send(world, jsonl({"text": "Hello"}), **{"Idempotency-Key": "k"})
    other = send(world, jsonl({"text": "Hello!"}), **{"Idempotency-Key": "k"})

    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len([key for key in world.objects.objects if key.startswith("batches/")]) <= 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\n \n", "empty_batch"),
        (jsonl({"batch": OPTIONS}), "empty_batch"),
        (jsonl(*[{"text": "Hi"}] * 6), "too_many_lines"),
        (jsonl({"batch": {"template": "Dear {name"}}, {"text": "Hi"}), "invalid_template"),
        (jsonl({"batch": {"template": "Dear {name!r}"}}, {"text": "Hi"}), "invalid_template"),
        (jsonl({"batch": {"defaults": {"voice": "nobody"}}}, {"text": "Hi"}), "unknown_voice"),
        (jsonl({"batch": {"lane": "bulk"}}, {"text": "Hi"}), "invalid_batch_options"),
        (b"x" * 2_000_000, "body_too_large"),
    ],
)
def test_what_can_t_be_a_batch_is_refused_whole(world: World, body: bytes, code: str) -> None:
    answer = send(world, body)

    assert answer.json()["code"] == code
    assert not world.batches.batches
    assert not world.records.jobs


def test_a_batch_with_more_lines_than_its_tenant_may_have_open_is_refused(world: World) -> None:
    world.tenants.limits["default"] = {"open_lines": 3}
    key = {"Idempotency-Key": "once"}
    first = send(world, jsonl({"batch": OPTIONS}, *LINES), **key)
    ingest(world, first.json()["id"])

    refused, again = send(world, jsonl(*LINES)), send(world, jsonl({"batch": OPTIONS}, *LINES), **key)

    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "2 of 3 are used, and this needs 2" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert '"open_lines";r=1' in refused.headers["RateLimit"]
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert len(world.batches.batches) == 1
    world.client.post(f"/v1/batches/{first.json()['id']}/cancel")
    ingest(world, first.json()["id"])
    assert send(world, jsonl({"batch": OPTIONS}, *LINES)).status_code == 202


def test_another_type_is_told_which_are_taken(world: World) -> None:
    answer = send(world, jsonl(*LINES), **{"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/jsonl" in answer.json()["allowed"]


def test_another_tenant_s_upload_is_as_good_as_none(world: World) -> None:
    world.objects.objects["uploads/acme/1"] = jsonl(*LINES)
    answer = world.client.post("/v1/batches", json={"source_key": "uploads/acme/1"})

    assert answer.json()["code"] == "unknown_upload"


def test_cancel_then_retry_speaks_what_was_cancelled(world: World) -> None:
    batch_id = sent(world)
    ingest(world, batch_id)
    first = world.batches.batches[batch_id].line_job(2)
    world.succeed(first)

    assert world.client.post(f"/v1/batches/{batch_id}/cancel").json()["state"] == "cancelled"
    ingest(world, batch_id)
    assert world.records.jobs[first].state is JobState.SUCCEEDED
    assert look(world, batch_id)["progress"]["jobs"]["cancelled"] == 1

    assert world.client.post(f"/v1/batches/{batch_id}/retry").json()["state"] == "ingesting"
    ingest(world, batch_id)
    shown = look(world, batch_id)
    assert (shown["state"], shown["progress"]["jobs"]["queued"]) == ("running", 1)
    assert world.records.jobs[first].state is JobState.SUCCEEDED


def test_what_is_over_can_t_be_cancelled_and_what_is_not_can_t_be_retried(world: World) -> None:
    batch_id = sent(world)
    assert world.client.post(f"/v1/batches/{batch_id}/retry").json()["code"] == "batch_not_over"
    ingest(world, batch_id)
    finish(world, batch_id)

    assert look(world, batch_id)["state"] == "succeeded"
    assert world.client.post(f"/v1/batches/{batch_id}/cancel").json()["code"] == "batch_is_over"


def test_a_deleted_batch_is_gone_at_once(world: World) -> None:
    batch_id = sent(world)

    assert world.client.delete(f"/v1/batches/{batch_id}").status_code == 204
    assert world.client.get(f"/v1/batches/{batch_id}").json()["code"] == "batch_not_found"
    assert world.client.get("/v1/batches").json() == {"batches": [], "next_cursor": None}
    assert world.batches.batches[batch_id].wanted is Wanted.DELETE  # the sweeper does the rest


def test_pages_list_the_newest_first(world: World) -> None:
    ids = [sent(world) for _ in range(3)]
    first = world.client.get("/v1/batches?limit=2").json()
    second = world.client.get(f"/v1/batches?limit=2&cursor={first['next_cursor']}").json()

    assert [one["id"] for one in first["batches"] + second["batches"]] == ids[::-1]


def test_events_end_with_the_batch(world: World) -> None:
    batch_id = sent(world)
    ingest(world, batch_id)
    finish(world, batch_id)
    events = world.client.get(f"/v1/batches/{batch_id}/events").text

    assert "event: batch.succeeded" in events
    assert world.client.get(f"/v1/batches/{batch_id}/events", headers={"Last-Event-ID": "1-0"}).status_code == 204
