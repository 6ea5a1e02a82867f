"""Voices of a tenant's own before real servers: made of a clip, spoken with, replaced, deleted, and gone everywhere."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import httpx
import pytest
from redis import Redis

from audio.encoding import encode
from audio.waveform import silence
from shared.children import RedisChildJobs
from shared.jobs import JobState
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings
from shared.sweep_store import RedisSweepStore
from shared.voice_records import WORK_SECONDS
from shared.voice_store import RedisVoices
from sweeper.voices import VoiceCare
from tests.api import Json
from tests.integration.conftest import RunningFleet
from tests.integration.test_book_api import at_rest, render
from tests.waiting import wait_for
from tests.worker.voiced import clip_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

AGREED = {"consent": True, "language": "en"}


@pytest.fixture
def stores(fleet: RunningFleet) -> SharedSettings:
    environment = fleet.servers.environment().items()
    return SharedSettings.model_validate({name.removeprefix("EMOTIVOICE_").lower(): each for name, each in environment})


@pytest.fixture
def voice(fleet: RunningFleet) -> Iterator[str]:
    """A voice that is ready; it is deleted after the test."""
    voice_id = made(fleet)["id"]
    yield voice_id
    fleet.api.http.delete(f"/v1/voices/{voice_id}")


def send(fleet: RunningFleet, clip: bytes, **headers: str) -> httpx.Response:
    form: dict[str, Any] = {"file": ("anna.wav", clip), "options": (None, json.dumps(AGREED | {"name": "Anna"}))}
    return fleet.api.http.post("/v1/voices", files=form, headers=headers)


def made(fleet: RunningFleet, clip: bytes = b"") -> Json:
    """Return a new voice once its clip is checked, and its preview spoken if it will do."""
    answer = send(fleet, clip or clip_file())
    assert answer.status_code == 202, answer.text
    return settled(fleet, answer.json()["id"])


def settled(fleet: RunningFleet, voice_id: str) -> Json:
    def look() -> Json | None:
        found = fleet.api.http.get(f"/v1/voices/{voice_id}").json()
        return found if found["links"]["preview"] or (found["state"] == "failed" and found["error"]) else None

    return wait_for(look, seconds=60) or {}


def spoken(fleet: RunningFleet, **fields: object) -> Json:
    """Return a new job once it has succeeded."""
    answer = fleet.api.http.post("/v1/jobs", json={"text": f"Hello {uuid.uuid4().hex[:8]}.", **fields})
    assert answer.status_code == 202, answer.text
    job = fleet.api.http.get(f"/v1/jobs/{answer.json()['id']}", params={"wait": 30}).json()
    assert job["state"] == "succeeded", job
    return job


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def audio(fleet: RunningFleet, job: Json) -> httpx.Response:
    return fleet.api.http.get(f"/v1/jobs/{job['id']}/audio")


def redis_of(stores: SharedSettings) -> Any:
    return cast(Any, Redis).from_url(stores.redis_url.get_secret_value(), protocol=2)


def told_of(redis: Any, word: str) -> list[str]:
    """Return the keys in Redis that have the word, or whose values have."""
    readers: dict[bytes, Callable[[bytes], object]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"zset": partial(redis.zrange, start=0, end=-1),
        b"list": partial(redis.lrange, start=0, end=-1),
        b"stream": redis.xrange,
    }
    keys = {key: redis.type(key) for key in redis.scan_iter(count=1000)}
    there = {key: kind for key, kind in keys.items() if kind in readers}  # the rest ended meanwhile
    return [key.decode() for key, kind in there.items() if word in f"{key} {readers[kind](key)}"]


def swept(stores: SharedSettings, *, later: float) -> None:
    """Do the sweeper's part as if it were so many seconds later."""
    url = stores.redis_url.get_secret_value()
    care = VoiceCare(
        RedisVoices(url),
        RedisChildJobs(url),
        RedisSweepStore(url),
        S3ObjectStore(stores),
        clock=lambda: time.time() + later,
    )
    care.look(lambda: True)


def test_a_voice_is_made_spoken_with_deleted_and_gone_everywhere(fleet: RunningFleet, stores: SharedSettings) -> None:
    http, redis, objects = fleet.api.http, redis_of(stores), S3ObjectStore(stores)
    before = {*objects.keys("")}
    voice = made(fleet)
    voice_id = voice["id"]
    assert (voice["state"], voice["revision"], voice["consent"]["given_by"]) == ("ready", 1, "default")
    assert http.get(f"/v1/voices/{voice_id}/preview").headers["Content-Type"] == "audio/mpeg"
    job = spoken(fleet, voice=voice_id, format="mp3")
    assert job["request"]["voice"] == voice_id
    assert audio(fleet, job).status_code == 200
    kept = {*objects.keys("")} - before
    assert {key.partition("/")[0] for key in kept} == {"voices", "embeddings", "audio"}

    assert http.delete(f"/v1/voices/{voice_id}").status_code == 204

    assert not {*objects.keys("")} & kept
    assert problem(http.get(f"/v1/voices/{voice_id}")) == (404, "voice_not_found")
    assert problem(audio(fleet, job)) == (410, "voice_deleted")
    assert problem(http.post("/v1/jobs", json={"text": "Hello", "voice": voice_id})) == (422, "unknown_voice")
    assert voice_id not in http.get("/v1/voices").text
    left = told_of(redis, voice_id.removeprefix("voice-"))
    assert {key.partition(":")[0] for key in left} <= {"job", "parent", "voice", "voices"}

    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    swept(stores, later=WORK_SECONDS + 1)

    assert told_of(redis, voice_id.removeprefix("voice-")) == []
    assert not {*objects.keys("")} & kept


def test_a_clip_that_will_not_do_is_told_why(fleet: RunningFleet) -> None:
    voice = made(fleet, encode(silence(5.0, 16_000), format="wav", sample_rate=16_000))

    assert (voice["state"], voice["error"]["code"]) == ("failed", "poor_clip")
    assert voice["problems"]
    answer = fleet.api.http.post("/v1/jobs", json={"text": "Hello", "voice": voice["id"]})
    assert problem(answer) == (422, "voice_failed")
    assert problem(fleet.api.http.get(f"/v1/voices/{voice['id']}/preview")) == (422, "voice_failed")
    fleet.api.http.delete(f"/v1/voices/{voice['id']}")


def test_another_clip_is_another_voice_by_the_same_name(
    fleet: RunningFleet, stores: SharedSettings, voice: str
) -> None:
    job = spoken(fleet, voice=voice)
    folder = {*S3ObjectStore(stores).keys(f"voices/{voice}/1/")}
    form: dict[str, Any] = {"file": ("anna.wav", clip_file("en-rms")), "options": (None, '{"consent": true}')}

    answer = fleet.api.http.put(f"/v1/voices/{voice}/clip", files=form)

    assert (answer.status_code, answer.json()["state"]) == (202, "checking")
    assert problem(audio(fleet, job)) == (410, "voice_deleted")
    assert folder
    assert not [*S3ObjectStore(stores).keys(f"voices/{voice}/1/")]
    assert settled(fleet, voice)["revision"] == 2
    assert audio(fleet, spoken(fleet, voice=voice)).status_code == 200
    assert problem(audio(fleet, job)) == (410, "voice_deleted")


def test_it_may_be_named_wherever_a_voice_is(fleet: RunningFleet, voice: str) -> None:
    http = fleet.api.http
    speech = http.post("/v1/audio/speech", json={"input": f"Hello {uuid.uuid4().hex}.", "voice": {"id": voice}})
    assert (speech.status_code, speech.headers["Content-Type"]) == (200, "audio/mpeg")
    assert voice in {one["id"] for one in http.get("/v1/audio/voices").json()["voices"]}

    assert http.put("/v1/voices/default", json={"voice": voice}).json() == {"voice": voice}
    assert http.get("/v1/voices").json()["default"] == voice
    assert spoken(fleet)["request"]["voice"] == voice
    assert http.put("/v1/voices/default", json={"voice": None}).json() == {"voice": None}
    assert spoken(fleet)["request"]["voice"] != voice

    lines = "\n".join(json.dumps({"text": "Hello", "voice": name}) for name in (voice, voice[:-4] + "ffff"))
    batch = http.post("/v1/batches", content=lines, headers={"Content-Type": "application/jsonl"}).json()
    wait_for(lambda: http.get(f"/v1/batches/{batch['id']}").json()["state"] == "partly_failed", seconds=30)
    line = http.get(f"/v1/batches/{batch['id']}/jobs").json()["lines"][0]
    assert (line["state"], fleet.api.job(line["job_id"])["request"]["voice"]) == ("succeeded", voice)
    assert "unknown_voice" in http.get(f"/v1/batches/{batch['id']}/errors").text


def test_a_book_is_read_by_it_and_its_marks_name_it(fleet: RunningFleet, voice: str) -> None:
    http = fleet.api.http
    text = f"# One\n\n“Hello,” said Anna.\n\n# Two\n\n[voice: {voice}]It is {uuid.uuid4().hex[:8]}.".encode()
    options = json.dumps({"speakers": {"Anna": voice}, "dialogue_voice": voice})
    sent = http.post("/v1/books", files={"file": ("book.md", text), "options": (None, options)})
    assert sent.status_code == 202, sent.text
    book_id = at_rest(fleet, sent.json()["id"])["id"]

    book = render(fleet, book_id, "m4b")

    assert (book["state"], book["voicing"]["speakers"]) == ("succeeded", {"Anna": voice}), book
    http.delete(f"/v1/voices/{voice}")
    for chapter in ("1", "2"):
        where = f"/v1/books/{book_id}/chapters/{chapter}/audio"
        wait_for(lambda where=where: problem(http.get(where)) == (410, "voice_deleted"))
    assert http.get(f"/v1/books/{book_id}/editions/m4b").status_code == 200
    http.delete(f"/v1/books/{book_id}")


def test_a_job_may_bring_its_clip_which_goes_with_it(fleet: RunningFleet, stores: SharedSettings) -> None:
    http, redis, objects = fleet.api.http, redis_of(stores), S3ObjectStore(stores)
    before = {*objects.keys("")}
    upload = http.post("/v1/uploads").json()
    assert httpx.put(upload["url"], content=clip_file(), trust_env=False).is_success
    brought = {"reference_upload": upload["key"]}
    refused = http.post("/v1/jobs", json={"text": "Hello", **brought})
    assert problem(refused) == (422, "consent_required")

    job = spoken(fleet, **brought, reference_consent=True)

    assert job["request"]["voice"].startswith("voice-")
    assert job["request"]["voice"] not in http.get("/v1/voices").text
    assert problem(http.get(f"/v1/voices/{job['request']['voice']}")) == (404, "voice_not_found")
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert {*objects.keys("")} - before == {upload["key"]}
    swept(stores, later=WORK_SECONDS + 1)
    assert told_of(redis, job["request"]["voice"].removeprefix("voice-")) == []


def test_its_preview_stays_as_long_as_the_voice(fleet: RunningFleet, stores: SharedSettings, voice: str) -> None:
    url, years_later = stores.redis_url.get_secret_value(), time.time() + 10 * 365 * 86400
    found = RedisVoices(url).get(voice)
    assert found

    assert RedisSweepStore(url).expire(found.job, now=years_later) is JobState.SUCCEEDED

    assert fleet.api.http.get(f"/v1/voices/{voice}/preview").status_code == 200
    fleet.api.http.delete(f"/v1/jobs/{found.job}")
    assert problem(fleet.api.http.get(f"/v1/voices/{voice}/preview")) == (410, "audio_expired")


def test_a_voice_sent_twice_with_one_key_is_one(fleet: RunningFleet) -> None:
    key = uuid.uuid4().hex
    first, again = (send(fleet, clip_file(), **{"Idempotency-Key": key}) for _ in range(2))

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(send(fleet, clip_file("en-rms"), **{"Idempotency-Key": key})) == (409, "idempotency_conflict")
    fleet.api.http.delete(f"/v1/voices/{first.json()['id']}")


def test_a_voice_that_is_deleted_while_it_speaks_leaves_nothing(fleet: RunningFleet, stores: SharedSettings) -> None:
    objects = S3ObjectStore(stores)
    before = {*objects.keys("")}
    voice = made(fleet)["id"]
    fleet.gate.close()
    job_id = fleet.api.submit(f"wait {uuid.uuid4().hex}", voice=voice)
    fleet.api.running(job_id)

    assert fleet.api.http.delete(f"/v1/voices/{voice}").status_code == 204
    fleet.gate.open()

    job = fleet.api.finished(job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "voice_deleted")
    assert problem(audio(fleet, job)) == (410, "voice_deleted")
    swept(stores, later=WORK_SECONDS + 1)
    assert {*objects.keys("")} <= before
