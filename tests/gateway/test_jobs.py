"""The jobs API, as its clients meet it."""

import hashlib
import uuid
from dataclasses import replace

import pytest

from shared.errors import JobError, QueueUnavailable
from shared.jobs import Job, JobState, Lane
from shared.voices import VoiceFinder
from tests.fakes import CATALOGUE, InMemoryAsyncQueue
from tests.gateway.conftest import World


def test_a_job_is_accepted_recorded_and_enqueued(world: World) -> None:
    answer = world.client.post("/v1/jobs", json={"text": "Hello 你好", "metadata": {"order": "7"}})

    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert job["state"] == "queued"
    assert job["queue"] == {"position": 1, "eta_seconds": 2.5}
    assert job["request"]["voice"] == "hum"
    assert job["request"]["sample_rate"] == 16_000
    assert job["metadata"] == {"order": "7"}
    assert world.queue.messages == [(job["id"], "0", Lane.INTERACTIVE)]


def test_job_ids_are_ordered_by_time(world: World) -> None:
    ids = [world.submit() for _ in range(5)]

    assert ids == sorted(ids)
    assert all(uuid.UUID(job_id).version == 7 for job_id in ids)


def test_a_long_text_goes_to_the_planner(world: World) -> None:
    job_id = world.submit("很长的故事。" * 100, lane="bulk")

    assert world.queue.messages == [(job_id, "plan", Lane.ASSEMBLY)]
    assert world.records.jobs[job_id].lane is Lane.BULK


BAD: list[tuple[dict[str, object], str]] = [
    ({"text": ""}, "empty_text"),
    ({"text": " \n\t "}, "empty_text"),
    ({"text": "x" * 1001}, "text_too_long"),
    ({"text": "a\x00b"}, "control_character"),
    ({"text": "a\x1bb"}, "control_character"),
    ({"text": "hi", "voice": "humm"}, "unknown_voice"),
    ({"text": "hi", "emotion": "hapy"}, "unknown_emotion"),
    ({"text": "hi", "format": "mp4"}, "unknown_format"),
    ({"text": "hi", "format": "opus", "sample_rate": 44100}, "unsupported_sample_rate"),
    ({"text": "hi", "speed": 9}, "out_of_range"),
    ({"text": "hi", "speed": -1}, "out_of_range"),
    ({"text": "hi", "emotion_strength": 2.5}, "out_of_range"),
    ({"text": "hi", "seed": -1}, "out_of_range"),
    ({"text": "hi", "sample_rate": 0}, "out_of_range"),
    ({"text": "hi", "lane": "assembly"}, "invalid_value"),
    ({"text": "hi", "speed": "fast"}, "invalid_value"),
    ({"text": "hi", "speed": "2"}, "invalid_value"),
    ({"text": "hi", "seed": True}, "invalid_value"),
    ({"text": "hi", "voice": "v" * 101}, "out_of_range"),
    ({"text": "hi", "voice": "hum*0.5+humm*0.5"}, "unknown_voice"),
    ({"text": "hi", "voice": " "}, "unknown_voice"),
    ({"text": "hi", "voice": "hum*0.5+"}, "invalid_blend"),
    ({"text": "hi", "voice": "*"}, "invalid_blend"),
    ({"text": "hi", "voice": "+"}, "invalid_blend"),
    ({"text": "hi", "voice": "hum*-1+buzz*0.5"}, "invalid_blend"),
    ({"text": "hi", "voice": "hum*0+buzz*0.5"}, "invalid_blend"),
    ({"text": "hi", "voice": "hum*1e3+buzz*0.5"}, "invalid_blend"),
    ({"text": "hi", "voice": "hum*nan"}, "invalid_blend"),
    ({"text": "hi", "voice": "+".join(["hum"] * 9)}, "invalid_blend"),
    ({"text": "hi", "pitch_scale": 1.5}, "unsupported_control"),
    ({"text": "hi", "energy_shift": 3}, "unsupported_control"),
    ({"text": "hi", "energy_scale": 0.5}, "unsupported_control"),
    ({"text": "hi", "pitch_shift": 12.5}, "out_of_range"),
    ({"text": "hi", "pitch_scale": 2.5}, "out_of_range"),
    ({"text": "hi", "energy_shift": -13}, "out_of_range"),
    ({"text": "hi", "energy_scale": -1}, "out_of_range"),
    ({"text": "hi", "colour": "red"}, "unknown_field"),
    ({"text": "hi", "metadata": {"k": "v" * 501}}, "out_of_range"),
    ({}, "missing_field"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_a_bad_request_is_a_problem_and_leaves_nothing_behind(world: World, body: dict[str, object], code: str) -> None:
    answer = world.client.post("/v1/jobs", json=body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["status"]) == (code, 422)
    assert world.records.jobs == {}
    assert world.queue.messages == []


def test_errors_say_what_was_found_and_what_is_allowed(world: World) -> None:
    def ask(**body: object) -> dict[str, object]:
        return world.client.post("/v1/jobs", json=body).json()

    too_long = ask(text="x" * 1001)
    assert (too_long["length"], too_long["limit"]) == (1001, 1000)
    assert ask(text="hi", voice="humm")["nearest"] == ["hum"]
    assert ask(text="hi", emotion="hapy")["nearest"] == ["happy"]
    assert "mp3" in str(ask(text="hi", format="mp4")["nearest"])
    assert ask(text="hi", format="opus", sample_rate=44100)["allowed"] == [8000, 12000, 16000, 24000, 48000]
    assert ask(text="hi", speed=9)["errors"] == [
        {"field": "speed", "message": "Input should be less than or equal to 4"}
    ]


def test_a_control_that_the_engine_lacks_is_refused_with_those_it_has(world: World) -> None:
    answer = world.client.post("/v1/jobs", json={"text": "hi", "energy_shift": 3})

    assert answer.json()["allowed"] == ["pitch_shift"]
    assert "humming does not obey energy_shift" in answer.json()["detail"]


def test_a_neutral_control_is_no_wish(world: World) -> None:
    job_id = world.submit(pitch_scale=1, energy_shift=0, energy_scale=1, pitch_shift=-2.5)

    asked = world.client.get(f"/v1/jobs/{job_id}").json()["request"]
    assert (asked["pitch_shift"], asked["pitch_scale"], asked["energy_shift"]) == (-2.5, 1, 0)
    assert world.records.requests[job_id].pitch_shift == -2.5


@pytest.mark.parametrize("strength", [0, 0.5, 1, 1.5, 2])
def test_the_strength_of_an_emotion_goes_to_the_worker(world: World, strength: float) -> None:
    job_id = world.submit(emotion="happy", emotion_strength=strength)

    assert world.client.get(f"/v1/jobs/{job_id}").json()["request"]["emotion_strength"] == strength
    assert world.records.requests[job_id].emotion_strength == strength


def test_an_emotion_is_as_strong_as_its_tag_says_unless_another_strength_is_asked_for(world: World) -> None:
    assert world.records.requests[world.submit(emotion="happy")].emotion_strength == 1


@pytest.mark.parametrize(
    ("asked", "voice"),
    [
        ("buzz", "buzz"),
        ("Buzz", "buzz"),
        ("bUZZ", "buzz"),
        (" hum\t", "hum"),
        (" Buzz ", "buzz"),
        ("hum*0.7+buzz*0.3", "hum*0.7+buzz*0.3"),
        (" Hum * .5 + Buzz ", "hum*.5+buzz*1"),
    ],
)
def test_a_voice_is_an_id_a_name_or_a_blend_and_recorded_by_id(world: World, asked: str, voice: str) -> None:
    job_id = world.submit(voice=asked)

    assert world.records.requests[job_id].voice == voice


def test_a_name_that_two_voices_have_is_no_ones(world: World) -> None:
    twins = tuple({**voice, "name": "Twin"} for voice in CATALOGUE.voices)
    world.records.announced = replace(CATALOGUE, voices=twins)

    assert world.client.post("/v1/jobs", json={"text": "hi", "voice": "Twin"}).json()["code"] == "unknown_voice"


def test_the_voices_are_made_ready_once_for_many_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ready: list[object] = []

    def finder(voices: tuple[dict[str, object], ...]) -> VoiceFinder:
        ready.append(voices)
        return VoiceFinder(voices)

    monkeypatch.setattr("shared.checking.VoiceFinder", finder)

    for _ in range(3):
        world.submit(voice="Buzz")

    assert ready == [CATALOGUE.voices]


def test_an_engine_with_one_voice_at_a_time_takes_no_blend(world: World) -> None:
    world.records.announced = replace(CATALOGUE, blends=False)

    answer = world.client.post("/v1/jobs", json={"text": "hi", "voice": "hum*0.7+buzz*0.3"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_blend")
    assert "one voice at a time" in answer.json()["detail"]


def test_what_was_not_spoken_as_written_is_told(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    assert world.client.get(f"/v1/jobs/{job_id}").json()["result"]["warnings"] == ["☺ was not spoken"]


def test_phonemes_are_told_beside_the_words(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    timings = world.client.get(f"/v1/jobs/{job_id}/timings").json()
    assert timings["phonemes"] == [
        {"phoneme": "HH", "start": 0.1, "end": 0.2},
        {"phoneme": "AH", "start": 0.2, "end": 0.4},
    ]


def test_json_that_is_none_is_named(world: World) -> None:
    answer = world.client.post("/v1/jobs", content=b"{text", headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json")
    assert answer.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(b'{"text": "\xff"}', "application/json"), (b'{"text": "hi"}', "text/plain"), (b"[]", "application/json")],
)
def test_a_body_that_is_no_json_object_is_named(world: World, content: bytes, content_type: str) -> None:
    answer = world.client.post("/v1/jobs", content=content, headers={"Content-Type": content_type})

    assert answer.json()["code"] == "invalid_json"


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(world: World, declared: bool) -> None:
    body = b'{"text": "' + b"x" * 9000 + b'"}'
    content = body if declared else iter([body[:5000], body[5000:]])

    answer = world.client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_the_same_key_and_body_is_the_same_job(world: World) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers)
    second = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers)
    other = world.client.post("/v1/jobs", json={"text": "ho"}, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert {message[:2] for message in world.queue.messages} == {(first.json()["id"], "0")}
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert other.json()["job_id"] == first.json()["id"]


def test_a_key_is_for_the_same_request_in_whatever_order_its_fields_come(world: World) -> None:
    headers, one, two = {"Idempotency-Key": "k"}, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    first = world.client.post("/v1/jobs", json={"text": "hi", "metadata": one}, headers=headers)
    second = world.client.post("/v1/jobs", json={"metadata": two, "text": "hi"}, headers=headers)

    assert first.json()["id"] == second.json()["id"]


def test_a_waiting_job_that_is_sent_again_is_enqueued_again(world: World) -> None:
    job_id = world.client.post("/v1/jobs", json={"text": "hi"}, headers={"Idempotency-Key": "k"}).json()["id"]
    world.queue.messages.clear()  # as if the gateway had died before it enqueued

    world.client.post("/v1/jobs", json={"text": "hi"}, headers={"Idempotency-Key": "k"})

    assert world.queue.messages == [(job_id, "0", Lane.INTERACTIVE)]


def test_the_key_of_a_removed_job_makes_a_new_one(world: World) -> None:
    headers = {"Idempotency-Key": "k"}
    job_id = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers).json()["id"]
    for _ in range(2):  # cancel, then remove
        world.client.delete(f"/v1/jobs/{job_id}")

    answer = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers)

    assert answer.status_code == 202
    assert answer.json()["id"] != job_id


def test_a_broker_that_refuses_leaves_nothing_half_accepted(world: World) -> None:
    world.queue.refuses = True
    answer = world.client.post("/v1/jobs", json={"text": "hi"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert [job.state for job in world.records.jobs.values()] == [JobState.FAILED]

    world.queue.refuses = False
    assert world.client.post("/v1/jobs", json={"text": "hi"}, headers={"Idempotency-Key": "k"}).status_code == 202


def test_a_request_that_is_repeated_while_it_hangs_is_not_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second sending is answered with 202, so the first may not end the job when it gives up at last."""

    async def hang(_: object, job_id: str, step: str, *, lane: Lane) -> None:
        await world.jobs.repeat(job_id)
        raise QueueUnavailable("no confirm")

    monkeypatch.setattr(InMemoryAsyncQueue, "enqueue", hang)

    answer = world.client.post("/v1/jobs", json={"text": "hi"}, headers={"Idempotency-Key": "k"})

    assert answer.status_code == 202
    assert world.records.jobs[answer.json()["id"]].state is JobState.QUEUED


def test_a_repetition_of_a_request_that_is_being_refused_is_a_new_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers).json()["id"]

    async def refused_just_now(job_id: str) -> Job:
        await world.jobs.refuse(world.records.jobs[job_id], key="k")
        return world.records.jobs[job_id]

    monkeypatch.setattr(world.jobs, "repeat", refused_just_now)
    answer = world.client.post("/v1/jobs", json={"text": "hi"}, headers=headers)

    assert answer.status_code == 202
    assert answer.json()["id"] != first
    assert answer.json()["state"] == "queued"


def test_without_a_worker_ever_started_nothing_is_accepted(world: World) -> None:
    world.records.announced = None

    answer = world.client.post("/v1/jobs", json={"text": "hi"})

    assert (answer.status_code, answer.json()["code"]) == (503, "no_worker_yet")


def test_a_finished_job_shows_result_and_usage(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    job = world.client.get(f"/v1/jobs/{job_id}").json()

    assert job["state"] == "succeeded"
    assert job["result"]["sha256"] == hashlib.sha256(b"0123456789").hexdigest()
    assert job["result"]["url"].startswith("http://objects.test/audio/address.wav")
    assert job["usage"] == {"characters": 5, "audio_seconds": 1.5, "engine_seconds": 0.7}
    assert job["queue"] is None
    words = world.client.get(f"/v1/jobs/{job_id}/timings").json()["words"]
    assert words == [{"word": "Hello", "start": 0.1, "end": 0.4}]


def test_an_unchanged_job_is_304(world: World) -> None:
    job_id = world.submit()
    etag = world.client.get(f"/v1/jobs/{job_id}").headers["ETag"]

    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        assert world.client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": known}).status_code == 304
    world.succeed(job_id)
    assert world.client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag}).status_code == 200


def test_waiting_ends_with_the_job_or_with_the_time(world: World) -> None:
    job_id = world.submit()
    assert world.client.get(f"/v1/jobs/{job_id}?wait=0.05").json()["state"] == "queued"
    world.succeed(job_id)
    assert world.client.get(f"/v1/jobs/{job_id}?wait=30").json()["state"] == "succeeded"
    assert world.client.get(f"/v1/jobs/{job_id}?wait=31").json()["code"] == "out_of_range"


def test_pages_follow_each_other(world: World) -> None:
    ids = [world.submit() for _ in range(5)]

    first = world.client.get("/v1/jobs?limit=3").json()
    second = world.client.get(f"/v1/jobs?limit=3&cursor={first['next_cursor']}").json()

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next_cursor"] is None
    for cursor in ("x", "z" * 36):
        assert world.client.get(f"/v1/jobs?cursor={cursor}").json()["code"] == "invalid_cursor"
    assert world.client.get("/v1/jobs?state=done").status_code == 422


def test_delete_cancels_then_removes(world: World) -> None:
    job_id = world.submit()

    assert world.client.delete(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"
    assert world.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert world.client.get(f"/v1/jobs/{job_id}").json()["code"] == "job_not_found"
    assert world.client.delete(f"/v1/jobs/{job_id}").status_code == 404


def test_removing_a_job_deletes_its_audio(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    assert world.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert world.objects.objects == {}


RANGES = [
    ("", 200, b"0123456789", None),
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
    ("bytes=0-1,4-5", 200, b"0123456789", None),
    ("lines=1-2", 200, b"0123456789", None),
    ("bytes=5-2", 200, b"0123456789", None),
    ("bytes=0-" + "9" * 5000, 200, b"0123456789", None),
]


@pytest.mark.parametrize(("wanted", "status", "body", "content_range"), RANGES)
def test_audio_is_sent_whole_or_in_part(
    world: World, wanted: str, status: int, body: bytes, content_range: str | None
) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    answer = world.client.get(f"/v1/jobs/{job_id}/audio", headers={"Range": wanted} if wanted else {})

    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("Content-Range") == content_range
    assert answer.headers["Content-Type"] == "audio/wav"
    assert f'filename="{job_id}.wav"' in answer.headers["Content-Disposition"]


def test_a_range_after_the_end_is_416(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    for wanted in ("bytes=10-", "bytes=-0"):
        answer = world.client.get(f"/v1/jobs/{job_id}/audio", headers={"Range": wanted})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_head_has_the_headers_of_get(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    answer = world.client.head(f"/v1/jobs/{job_id}/audio")

    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "10", b"")


def test_a_range_of_other_audio_is_sent_whole(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)
    headers = {"Range": "bytes=0-3", "If-Range": '"older"'}

    assert world.client.get(f"/v1/jobs/{job_id}/audio", headers=headers).status_code == 200


def test_audio_may_be_fetched_from_the_object_store_itself(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)
    services = world.client.app.state.services  # pyright: ignore
    redirecting = world.settings.model_copy(update={"audio_delivery": "redirect"})
    world.client.app.state.services = replace(services, settings=redirecting)  # pyright: ignore

    answer = world.client.get(f"/v1/jobs/{job_id}/audio", follow_redirects=False)

    assert answer.status_code == 307
    assert answer.headers["Location"].startswith("http://objects.test/")


def test_a_job_without_audio_says_why(world: World) -> None:
    job_id = world.submit()
    answer = world.client.get(f"/v1/jobs/{job_id}/audio")
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "audio_not_ready", "queued")

    world.succeed(job_id)
    world.objects.objects.clear()
    assert world.client.get(f"/v1/jobs/{job_id}/audio").json()["code"] == "audio_lost"


def test_an_object_store_that_is_away_is_503(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)
    world.objects.outages = 1

    answer = world.client.get(f"/v1/jobs/{job_id}/audio")

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


def test_unknown_paths_and_methods_are_problems_too(world: World) -> None:
    assert world.client.get("/v2/jobs").json()["code"] == "not_found"
    assert world.client.put("/v1/jobs").json()["code"] == "method_not_allowed"


def test_every_failure_has_a_status() -> None:
    from gateway.errors import STATUS_OF

    def codes(kind: type[JobError]) -> set[str]:
        return {kind.code}.union(*(codes(child) for child in kind.__subclasses__()))

    assert codes(JobError) <= STATUS_OF.keys()
