"""Voices of a tenant's own, by a gateway on in-memory ports."""

import json
import logging
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gateway.settings import GatewaySettings
from shared.errors import StoreUnavailable
from shared.jobs import Failure, JobKind, JobState, Lane
from shared.voice_library import LibraryVoice
from tests.fake_gateway_books import InMemoryAsyncChildren
from tests.fakes import CATALOGUE, InMemoryAsyncJobStore
from tests.gateway.conftest import World, world_with
from tests.tokens import SECRET, by_secret

CLIP = b"a recording"
NOBODY = "voice-00000000-0000-7000-8000-000000000000"


def send(world: World, *, clip: bytes = CLIP, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
    form: dict[str, Any] = {"file": ("anna.wav", clip), "options": (None, json.dumps({"consent": True, **options}))}
    return world.client.post("/v1/voices", files=form, headers=headers)


def made(world: World, **fields: Any) -> LibraryVoice:
    """Return a voice that is ready, unless the fields say otherwise."""
    answer = send(world)
    assert answer.status_code == 202, answer.text
    return settle(world, answer.json()["id"], **fields)


def settle(world: World, voice_id: str, **fields: Any) -> LibraryVoice:
    """Record what came of the check of a voice's clip."""
    voice = world.voices.store.voices[voice_id]
    found: dict[str, Any] = {"checked": voice.revision, "clip_sha256": "c11p", **fields}
    world.voices.store.voices[voice_id] = replace(voice, **found)
    return world.voices.store.voices[voice_id]


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def speak(world: World, voice: str, **fields: object) -> httpx2.Response:
    return world.client.post("/v1/jobs", json={"text": "Hello", "voice": voice, **fields})


def test_a_clip_is_stored_and_a_job_is_to_check_it(world: World) -> None:
    answer = send(world, name="Anna", language="en-US", description="calm")

    voice = world.voices.store.voices[answer.json()["id"]]
    assert answer.headers["Location"] == f"/v1/voices/{voice.id}"
    assert (answer.json()["state"], answer.json()["links"]["preview"]) == ("checking", None)
    assert (voice.name, voice.language, voice.description) == ("Anna", "en-US", "calm")
    assert world.objects.objects[f"voices/{voice.id}/1/source"] == CLIP
    job, request = world.records.jobs[voice.job], world.records.requests[voice.job]
    assert (job.kind, job.parent, job.long, job.lane) == (JobKind.VOICE, voice.uuid, True, Lane.INTERACTIVE)
    assert (request.voice, request.format) == (f"{voice.id}@1", "mp3")
    assert world.queue.messages == [(voice.job, "plan", Lane.ASSEMBLY)]


def test_its_clip_may_have_been_uploaded_or_lie_at_a_url(world: World) -> None:
    world.objects.objects["uploads/default/1"] = CLIP
    uploaded = world.client.post("/v1/voices", json={"consent": True, "source_key": "uploads/default/1"})
    fetched = world.client.post("/v1/voices", json={"consent": True, "source_url": "https://voices.example/anna.wav"})

    assert (uploaded.status_code, fetched.status_code) == (202, 202)
    assert world.objects.objects[f"voices/{uploaded.json()['id']}/1/source"] == CLIP
    assert world.voices.store.voices[fetched.json()["id"]].source_url == "https://voices.example/anna.wav"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"source_url": "http://127.0.0.1/anna.wav"}, (422, "invalid_clip_url")),
        ({"source_url": "file:///etc/passwd"}, (422, "invalid_clip_url")),
        ({"source_key": "uploads/other/1"}, (422, "unknown_upload")),
        ({"source_key": "uploads/default/1", "source_url": "https://voices.example/a.wav"}, (422, "invalid_value")),
        ({}, (422, "invalid_value")),
        ({"source_url": "https://voices.example/a.wav", "language": "fr"}, (422, "unsupported_language")),
    ],
)
def test_what_is_no_clip_is_refused(world: World, body: dict[str, str], refusal: tuple[int, str]) -> None:
    assert problem(world.client.post("/v1/voices", json={"consent": True, **body})) == refusal
    assert not world.voices.store.voices


def test_consent_is_asked_for_and_recorded(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert problem(send(world, consent=False)) == (422, "consent_required")

    answer = send(world)

    assert answer.json()["consent"]["given_by"] == "default"
    lines = [vars(one) for one in caplog.records if one.name == "emotivoice.audit"]
    (line,) = [one for one in lines if one["message"] == "voice created"]
    assert (line["voice"], line["consent"]) == (answer.json()["id"], "default")


def test_where_it_is_assumed_nobody_is_asked() -> None:
    with world_with(GatewaySettings(voice_consent="assumed")) as world:
        assert send(world, consent=False).json()["consent"] is None


def test_limits(world: World) -> None:
    assert problem(send(world, clip=b"")) == (422, "empty_file")
    with world_with(GatewaySettings(max_clip_bytes=4, most_voices=1)) as small:
        assert problem(send(small, clip=b"12345")) == (413, "file_too_large")
        assert send(small, clip=b"1234").status_code == 202
        assert problem(send(small, clip=b"1234")) == (409, "too_many_voices")


def test_who_has_used_up_the_day_s_characters_makes_no_voice() -> None:
    with world_with(GatewaySettings(quota_characters_per_day=100)) as world:
        assert send(world).status_code == 202

        refused = send(world)

        assert (refused.status_code, refused.json()["quota"]) == (429, "characters_per_day")
        assert len(world.client.get("/v1/voices").json()["library"]) == 1


def test_an_engine_that_can_t_imitate_gets_no_clips(world: World) -> None:
    world.records.announced = replace(CATALOGUE, imitates=False)

    assert problem(send(world)) == (422, "cloning_unavailable")


def test_nothing_is_left_of_a_voice_whose_file_could_not_be_stored(world: World) -> None:
    world.objects.outages = 1

    assert problem(send(world)) == (503, "storage_unavailable")
    assert not [voice for voice in world.voices.store.voices.values() if not voice.over]
    assert not world.records.jobs


def test_the_same_key_is_the_same_voice(world: World) -> None:
    first, again = (send(world, headers={"Idempotency-Key": "monday"}) for _ in range(2))

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.client.get("/v1/voices").json()["library"]) == 1


def test_the_library_is_listed_page_by_page(world: World) -> None:
    ids = [send(world, name=str(n)).json()["id"] for n in range(3)]

    first = world.client.get("/v1/voices", params={"limit": 2}).json()
    rest = world.client.get("/v1/voices", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["id"] for one in first["library"] + rest["library"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert problem(world.client.get("/v1/voices", params={"cursor": "voice-1"})) == (400, "invalid_cursor")


def test_a_key_that_may_only_submit_does_not_see_the_library() -> None:
    with world_with(GatewaySettings.model_validate({"jwt_secret": SECRET, "public_voices": True})) as world:
        token = {
            scope: by_secret(iss=None, aud=None, tenant="acme", scope=scope) for scope in ("speech:write", "admin")
        }
        headers = {scope: {"Authorization": f"Bearer {one}"} for scope, one in token.items()}
        voice = settle(world, send(world, headers=headers["admin"]).json()["id"])
        seen = {scope: world.client.get("/v1/voices", headers=one).json()["library"] for scope, one in headers.items()}
        listed = {who: world.client.get("/v1/audio/voices", headers=headers.get(who)).text for who in (*headers, "")}

    assert (seen["speech:write"], [one["id"] for one in seen["admin"]]) == (None, [voice.id])
    assert {who: voice.id in text for who, text in listed.items()} == {"admin": True, "speech:write": False, "": False}


def test_a_job_has_the_voice_with_its_revision_and_shows_it_as_it_was_named(world: World) -> None:
    voice = made(world)

    answer = speak(world, voice.id)

    assert world.records.requests[answer.json()["id"]].voice == f"{voice.id}@1"
    assert answer.json()["request"]["voice"] == voice.id


def test_a_voice_that_can_t_speak_says_why(world: World) -> None:
    waiting, failed = send(world).json()["id"], made(world, problems=("It is silent.",)).id

    answer = speak(world, waiting)
    assert (problem(answer), answer.headers["Retry-After"]) == ((409, "voice_not_ready"), "5")
    assert problem(speak(world, failed)) == (422, "voice_failed")
    assert "It is silent." in speak(world, failed).text
    assert problem(speak(world, NOBODY)) == (422, "unknown_voice")
    assert problem(speak(world, f"{made(world).id}*0.5+hum")) == (422, "unknown_voice")


def test_where_the_engine_was_changed_for_one_that_can_t_imitate_the_voice_is_mute(world: World) -> None:
    voice = made(world)
    with world_with(GatewaySettings()) as other:
        other.records.announced = replace(CATALOGUE, imitates=False)
        other.voices.store.voices = {voice.id: voice}

        assert problem(speak(other, voice.id)) == (422, "cloning_unavailable")


def test_another_tenant_s_voice_is_as_good_as_none(world: World) -> None:
    voice = made(world)
    world.voices.store.voices[voice.id] = replace(voice, tenant="acme")

    assert problem(speak(world, voice.id)) == (422, "unknown_voice")
    assert problem(world.client.put("/v1/voices/default", json={"voice": voice.id})) == (422, "unknown_voice")


def test_the_default_voice_speaks_what_names_nobody(world: World) -> None:
    voice = made(world)

    assert world.client.put("/v1/voices/default", json={"voice": voice.id}).json() == {"voice": voice.id}

    assert world.client.get("/v1/voices").json()["default"] == voice.id
    assert world.records.requests[world.submit()].voice == voice.reference
    world.client.delete(f"/v1/voices/{voice.id}")
    assert world.records.requests[world.submit()].voice == "hum"


def test_its_name_may_be_changed_and_its_language_only_to_one_that_is_read(world: World) -> None:
    voice = made(world)

    changed = world.client.patch(f"/v1/voices/{voice.id}", json={"name": "Berta"}).json()

    assert (changed["name"], changed["state"]) == ("Berta", "ready")
    refused = world.client.patch(f"/v1/voices/{voice.id}", json={"language": "fr"})
    assert problem(refused) == (422, "unsupported_language")


def test_the_preview_is_told_about_until_it_is_there(world: World) -> None:
    voice = made(world)
    answer = world.client.get(f"/v1/voices/{voice.id}/preview")
    assert (problem(answer), answer.headers["Retry-After"]) == ((409, "preview_not_ready"), "5")

    world.succeed(voice.job)

    assert world.client.get(f"/v1/voices/{voice.id}/preview").content == b"0123456789"
    assert world.client.get(f"/v1/voices/{voice.id}").json()["links"]["preview"]


def test_a_preview_that_was_removed_is_not_waited_for(world: World) -> None:
    voice = made(world)
    assert world.client.get(f"/v1/voices/{voice.id}").json()["error"] is None

    for _ in ("cancelled", "removed"):
        world.client.delete(f"/v1/jobs/{voice.job}")
        shown = world.client.get(f"/v1/voices/{voice.id}").json()
        assert (shown["state"], shown["error"]["code"]) == ("ready", "audio_expired")

    assert problem(world.client.get(f"/v1/voices/{voice.id}/preview")) == (410, "audio_expired")


def test_a_job_that_failed_before_the_clip_was_checked_is_seen_at_once(world: World) -> None:
    voice = world.voices.store.voices[send(world).json()["id"]]
    job = world.records.jobs[voice.job]
    world.records.jobs[job.id] = job.failed(Failure("worker_lost", "the worker died"), now=job.created_at + 1)

    shown = world.client.get(f"/v1/voices/{voice.id}").json()

    assert (shown["state"], shown["problems"], shown["error"]["code"]) == ("failed", ["the worker died"], "worker_lost")


def test_another_clip_is_another_revision_and_the_former_goes(world: World) -> None:
    voice = made(world)
    job_id = speak(world, voice.id).json()["id"]
    world.voices.store.made([voice.reference], world.succeed(job_id).audio_address or "")
    form: dict[str, Any] = {"file": ("b.wav", b"another"), "options": (None, '{"consent": true}')}

    answer = world.client.put(f"/v1/voices/{voice.id}/clip", files=form)

    assert (answer.status_code, answer.json()["revision"], answer.json()["state"]) == (202, 2, "checking")
    assert [key for key in world.objects.objects if key.startswith("voices/")] == [f"voices/{voice.id}/2/source"]
    assert voice.job not in world.records.jobs
    world.records.stored.clear()
    assert problem(world.client.get(f"/v1/jobs/{job_id}/audio")) == (410, "voice_deleted")


def test_nothing_is_left_of_a_deleted_voice(world: World) -> None:
    voice = made(world, name="Anna")
    job_id = speak(world, voice.id).json()["id"]
    world.succeed(job_id)
    world.voices.store.made([voice.reference], "audio/address.wav")
    world.voices.store.using(voice.clip_sha256, voice.id)
    world.objects.objects[f"embeddings/{voice.clip_sha256}.encoder-1"] = b"numbers"

    assert world.client.delete(f"/v1/voices/{voice.id}").status_code == 204

    assert not world.objects.objects
    assert (world.voices.store.voices[voice.id].over, world.voices.store.voices[voice.id].name) == (True, "")
    world.records.stored.clear()
    assert problem(world.client.get(f"/v1/jobs/{job_id}/audio")) == (410, "voice_deleted")
    assert problem(world.client.get(f"/v1/voices/{voice.id}")) == (404, "voice_not_found")
    assert problem(world.client.delete(f"/v1/voices/{voice.id}")) == (404, "voice_not_found")


def test_an_id_whose_job_is_gone_does_not_keep_a_deletion_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = made(world)

    async def page(*_: object, after: str, limit: int) -> list[str]:
        return [one for one in ["gone"] if one > after][:limit]

    monkeypatch.setattr(InMemoryAsyncChildren, "page", page)

    assert world.client.delete(f"/v1/voices/{voice.id}").status_code == 204
    assert not [key for key in world.objects.objects if key.startswith("voices/")]


def test_an_embedding_stays_for_another_voice_of_the_same_clip(world: World) -> None:
    voice, other = made(world), made(world)
    for one in (voice, other):
        world.voices.store.using(one.clip_sha256, one.id)
    world.objects.objects["embeddings/c11p.encoder-1"] = b"numbers"

    world.client.delete(f"/v1/voices/{voice.id}")
    assert "embeddings/c11p.encoder-1" in world.objects.objects
    world.client.delete(f"/v1/voices/{other.id}")
    assert "embeddings/c11p.encoder-1" not in world.objects.objects


def test_a_job_may_bring_a_clip_which_goes_with_it(world: World) -> None:
    brought = {"text": "Hello", "reference_audio_url": "https://voices.example/anna.wav"}
    assert problem(world.client.post("/v1/jobs", json=brought)) == (422, "consent_required")

    job_id = world.client.post("/v1/jobs", json=brought | {"reference_consent": True}).json()["id"]

    (voice,) = world.voices.store.voices.values()
    assert (voice.brought_by, voice.job, voice.source_url) == (job_id, job_id, brought["reference_audio_url"])
    assert world.records.requests[job_id].voice == voice.reference
    assert (world.records.jobs[job_id].long, world.queue.messages) == (True, [(job_id, "plan", Lane.ASSEMBLY)])
    assert world.client.get("/v1/voices").json()["library"] == []
    assert problem(world.client.get(f"/v1/voices/{voice.id}")) == (404, "voice_not_found")
    world.client.delete(f"/v1/jobs/{job_id}")
    assert world.records.jobs[job_id].state is JobState.CANCELLED
    world.client.delete(f"/v1/jobs/{job_id}")
    assert world.voices.store.voices[voice.id].over


def test_a_job_that_could_not_be_removed_has_lost_its_clip_already(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = {"reference_audio_url": "https://voices.example/anna.wav", "reference_consent": True}
    job_id = world.client.post("/v1/jobs", json={"text": "Hello", **brought}).json()["id"]
    world.succeed(job_id)

    async def remove(*_: object) -> list[str]:
        raise StoreUnavailable

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(InMemoryAsyncJobStore, "remove", remove)
        assert problem(world.client.delete(f"/v1/jobs/{job_id}")) == (503, "store_unavailable")

    assert all(voice.over for voice in world.voices.store.voices.values())
    assert world.client.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_a_job_that_is_not_made_leaves_no_voice(world: World) -> None:
    brought = {"reference_audio_url": "https://voices.example/anna.wav", "reference_consent": True}
    first, again = (
        world.client.post("/v1/jobs", json={"text": "Hello", **brought}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    world.queue.refuses = True
    refused = world.client.post("/v1/jobs", json={"text": "Good bye", **brought})

    assert first.json()["id"] == again.json()["id"]
    assert problem(refused) == (503, "queue_unavailable")
    left = [voice.brought_by for voice in world.voices.store.voices.values() if not voice.over]
    assert left == [first.json()["id"]]


def test_one_voice_is_enough(world: World) -> None:
    both = {"text": "Hello", "voice": "hum", "reference_audio_url": "https://voices.example/anna.wav"}

    assert problem(world.client.post("/v1/jobs", json=both)) == (422, "invalid_value")


def test_a_book_keeps_the_voice_and_shows_it_as_it_was_named(world: World) -> None:
    voice = made(world)
    options = json.dumps({"voice": voice.id, "speakers": {"Anna": voice.id}})
    form: dict[str, Any] = {"file": ("book.txt", b"It begins."), "options": (None, options)}

    shown = world.client.post("/v1/books", files=form).json()

    assert (shown["voicing"]["voice"], shown["voicing"]["speakers"]) == (voice.id, {"Anna": voice.id})
    assert world.books.books[shown["id"]].voicing.voice == voice.reference


def test_the_default_is_no_voice_of_that_id(world: World) -> None:
    assert world.client.options("/v1/voices/default").headers["Allow"] == "PUT"
    assert world.client.options(f"/v1/voices/{NOBODY}").headers["Allow"] == "GET, PATCH, DELETE"
