"""Clips of library voices: checked before anything is spoken with them, each content's speaker embedded once."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

import numpy as np
import pytest

from audio.encoding import decode, encode
from audio.waveform import silence
from shared.jobs import PLAN
from shared.voice_library import LibraryVoice, VoiceState, clip_key, embedding_key, source_key
from tests.receiving import serving
from tests.worker.conftest import World
from tests.worker.voiced import OTHER, VOICE, add_voice, clip_file
from voices.encoder import SpeakerEncoder, load_encoder
from worker import voice_clips
from worker.attempt import Verdict
from worker.metrics import EMBEDDINGS

SPOKEN = f"{VOICE}@1"


def planned(world: World, voice: str = SPOKEN) -> str:
    """Have a job planned that names the voice; return why it failed."""
    job_id = world.submit("A preview.", long=True, voice=voice)
    assert world.deliver(job_id, PLAN).verdict is Verdict.ACKNOWLEDGE
    return world.failure(job_id)


def counted(result: str) -> float:
    return cast(Any, EMBEDDINGS.labels(result))._value.get()


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of what the encoder has heard."""
    heard: list[float] = []
    real = SpeakerEncoder.embed_pieces

    def embed(encoder: SpeakerEncoder, recording: voice_clips.Waveform) -> voice_clips.Floats:
        heard.append(recording.seconds)
        return real(encoder, recording)

    monkeypatch.setattr(SpeakerEncoder, "embed_pieces", embed)
    return heard


def test_a_good_clip_makes_the_voice_ready(world: World) -> None:
    add_voice(world)

    assert planned(world) == ""

    voice = world.voices.voices[VOICE]
    clip = world.objects.objects[clip_key(VOICE, 1)]
    assert voice.state is VoiceState.READY
    assert (voice.clip_bytes, len(voice.clip_sha256)) == (len(clip), 64)
    assert voice.report["seconds"] == pytest.approx(decode(clip).seconds, abs=0.01)
    assert voice.report["alike"] > 0.6


def test_the_embedding_is_kept_in_both_places(world: World) -> None:
    add_voice(world)
    planned(world)

    key = embedding_key(world.voices.voices[VOICE].clip_sha256, load_encoder().revision)
    numbers = world.voices.embeddings[key]
    assert np.linalg.norm(numbers) == pytest.approx(1, abs=1e-4)
    assert world.objects.objects[key] == np.array(numbers, "<f4").tobytes()
    assert len(numbers) == 256


def test_a_clip_is_checked_once(world: World, embedded: list[float]) -> None:
    add_voice(world)

    planned(world)
    del world.objects.objects[source_key(VOICE, 1)]
    assert planned(world) == ""

    assert len(embedded) == 1


def test_the_same_clip_of_another_voice_is_not_embedded_again(world: World, embedded: list[float]) -> None:
    add_voice(world)
    add_voice(world, OTHER)
    before = counted("redis")

    planned(world)
    assert planned(world, f"{OTHER}@1") == ""

    assert len(embedded) == 1
    assert counted("redis") == before + 1
    assert world.voices.users[world.voices.voices[VOICE].clip_sha256] == {VOICE, OTHER}


def test_what_redis_has_lost_comes_from_the_object_store(world: World, embedded: list[float]) -> None:
    add_voice(world)
    add_voice(world, OTHER)
    planned(world)
    world.voices.embeddings.clear()
    before = counted("s3")

    planned(world, f"{OTHER}@1")

    assert (len(embedded), counted("s3")) == (1, before + 1)
    assert len(world.voices.embeddings) == 1


def test_what_both_have_lost_is_computed_of_the_clip(world: World) -> None:
    add_voice(world)
    planned(world)
    voice = world.voices.voices[VOICE]
    clip = decode(world.objects.objects[clip_key(VOICE, 1)])
    before = voice_clips.embedding_of(voice, clip, world.runtime)
    world.voices.embeddings.clear()
    world.objects.objects.clear()

    again = voice_clips.embedding_of(voice, clip, world.runtime)

    assert np.dot(before, again) > 0.99
    assert len(world.voices.embeddings) == 1


def test_a_clip_that_another_worker_checks_is_waited_for(world: World) -> None:
    add_voice(world)
    planned(world)
    add_voice(world, OTHER)
    world.voices.held_elsewhere.add(f"clip:{world.voices.voices[VOICE].clip_sha256}")
    job_id = world.submit("A preview.", long=True, voice=f"{OTHER}@1")

    ending = world.deliver(job_id, PLAN)

    assert (ending.verdict, ending.outcome) == (Verdict.RETRY, "checked_elsewhere")


def test_all_that_is_wrong_is_told(world: World) -> None:
    loud = decode(clip_file())
    clipped = replace(loud, samples=np.clip(loud.samples * 8, -1, 1)[: 2 * loud.sample_rate])
    add_voice(world, file=encode(clipped, format="wav", sample_rate=16_000))

    job_id = world.submit("A preview.", long=True, voice=SPOKEN)
    world.deliver(job_id, PLAN)

    voice, failure = world.voices.voices[VOICE], world.jobs.jobs[job_id].failure
    assert voice.state is VoiceState.FAILED
    assert len(voice.problems) == 2
    assert failure
    assert failure.code == "poor_clip"
    assert all(problem in failure.message for problem in voice.problems)
    assert voice.report["clipped_share"] > 0.01
    assert not world.voices.users[next(iter(world.voices.users))]


def test_a_failed_voice_stays_failed_for_the_next_job(world: World) -> None:
    add_voice(world, file=b"no audio at all")

    assert planned(world) == planned(world) == "poor_clip"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"no audio", "no audio file that is read here"),
        (encode(silence(6, 16_000), format="wav", sample_rate=16_000), "No speech was found"),
        (clip_file()[:60_000], "3 to 30 are needed"),
    ],
)
def test_what_is_no_clip_is_told_in_the_voice(world: World, file: bytes, says: str) -> None:
    add_voice(world, file=file)

    assert planned(world) == "poor_clip"
    assert says in " ".join(world.voices.voices[VOICE].problems)


def test_a_file_that_never_came_is_told(world: World) -> None:
    add_voice(world)
    world.objects.objects.clear()

    assert planned(world) == "poor_clip"
    assert "Send it again" in world.voices.voices[VOICE].problems[0]


def test_an_object_store_that_is_away_is_no_fault_of_the_clip(world: World) -> None:
    add_voice(world)
    world.objects.outages = 1
    job_id = world.submit("A preview.", long=True, voice=SPOKEN)

    assert world.deliver(job_id, PLAN).verdict is Verdict.RETRY
    assert world.voices.voices[VOICE].state is VoiceState.CHECKING
    assert world.deliver(job_id, PLAN).verdict is Verdict.ACKNOWLEDGE
    assert world.voices.voices[VOICE].state is VoiceState.READY


def wav(handler: BaseHTTPRequestHandler) -> None:
    data = clip_file()
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/x-wav")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def test_a_clip_is_fetched_from_its_url(world: World) -> None:
    world.settings = world.settings.model_copy(update={"clip_hosts": "127.0.0.1/32"})
    with serving(wav) as server:
        add_voice(world, source_url=f"http://127.0.0.1:{server.server_port}/clip")
        assert planned(world) == ""

    assert world.voices.voices[VOICE].state is VoiceState.READY


def test_a_url_is_asked_once_however_long_its_clip_waits_for_another_worker(world: World) -> None:
    world.settings = world.settings.model_copy(update={"clip_hosts": "127.0.0.1/32"})
    name = f"clip:{hashlib.sha256(clip_file()).hexdigest()}"
    world.voices.held_elsewhere.add(name)
    with serving(wav) as server:
        add_voice(world, source_url=f"http://127.0.0.1:{server.server_port}/clip")
        job_id = world.submit("A preview.", long=True, voice=SPOKEN)
        outcomes = [world.deliver(job_id, PLAN).outcome for _ in range(2)]
        world.voices.held_elsewhere.remove(name)
        world.deliver(job_id, PLAN)

    assert (outcomes, len(server.requests)) == (["checked_elsewhere"] * 2, 1)
    assert world.voices.voices[VOICE].state is VoiceState.READY


def test_our_own_network_is_not_asked(world: World) -> None:
    with serving(wav) as server:
        add_voice(world, source_url=f"http://127.0.0.1:{server.server_port}/clip")
        assert planned(world) == "poor_clip"

    assert server.requests == []
    assert "no public address" in world.voices.voices[VOICE].problems[0]


def over(voice: LibraryVoice) -> LibraryVoice:
    return replace(voice, over=True)


def with_another_clip(voice: LibraryVoice) -> LibraryVoice:
    return replace(voice, revision=2)


@pytest.mark.parametrize("change", [over, with_another_clip])
def test_nothing_is_left_of_a_clip_whose_voice_went_while_it_was_checked(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[LibraryVoice], LibraryVoice]
) -> None:
    add_voice(world)
    real = voice_clips.decode_safely

    def decode_meanwhile(*arguments: object, **named: object) -> object:
        world.voices.voices[VOICE] = change(world.voices.voices[VOICE])
        return real(*arguments, **named)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(voice_clips, "decode_safely", decode_meanwhile)

    assert planned(world) == "voice_deleted"
    assert list(world.objects.objects) == [source_key(VOICE, 1)]
    assert world.voices.voices[VOICE].checked == 0


def test_a_check_that_does_not_end_leaves_a_word_of_the_clip_for_who_deletes_the_voice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_voice(world)

    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("the worker breaks down")

    monkeypatch.setattr(voice_clips.clips, "checked", fail)
    job_id = world.submit("A preview.", long=True, voice=SPOKEN)
    world.deliver(job_id, PLAN)

    voice = world.voices.voices[VOICE]
    assert voice.state is VoiceState.CHECKING
    assert world.voices.users == {voice.clip_sha256: {VOICE}}


@pytest.mark.parametrize("fields", [{"over": True}, {"revision": 2}, {"tenant": "another"}])
def test_a_voice_that_is_not_the_jobs_is_as_good_as_deleted(world: World, fields: dict[str, object]) -> None:
    voice = add_voice(world)
    world.voices.voices[VOICE] = replace(voice, **fields)  # pyright: ignore[reportArgumentType]

    assert planned(world) == "voice_deleted"
