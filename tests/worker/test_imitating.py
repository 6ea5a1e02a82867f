"""Segments in a library voice: the engine imitates its clip, and what is spoken goes with it."""

from dataclasses import replace

import numpy as np
import pytest

from audio.waveform import Waveform
from shared.jobs import JOIN, PLAN, JobState, Narration
from shared.voice_library import clip_key, imitation_key
from tests.waiting import wait_for
from tests.worker.conftest import World
from tests.worker.voiced import OTHER, VOICE, add_ready_voice, add_voice
from worker.attempt import Verdict
from worker.engine import EngineError, Imitation, ReferenceClip
from worker.recent import Recent
from worker.runtime import catalogue
from worker.watermark import NamedWatermark, load_watermark

SPOKEN = f"{VOICE}@1"
PARTS = Narration()


def pitch(waveform: Waveform) -> float:
    loud = waveform.samples[np.abs(waveform.samples) > 0.01]
    return float(np.sum(np.diff(np.signbit(loud))) / len(loud) * waveform.sample_rate / 2)


def spoken(world: World, text: str = "Hello there.", **fields: object) -> str:
    job_id = world.submit(text, **{"voice": SPOKEN, **fields})  # pyright: ignore[reportArgumentType]
    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    return job_id


def test_a_library_voice_speaks_as_the_engine_imitates_it(world: World) -> None:
    add_ready_voice(world)

    job_id = spoken(world)

    (clip,) = world.engine.imitated
    assert pitch(world.heard(job_id)) == pytest.approx(100 * clip.waveform.seconds, rel=0.05)
    assert len(clip.embedding) == 256
    assert world.audio(job_id).voices == (SPOKEN,)
    assert "it only hums" in world.audio(job_id).warnings


def test_it_is_imitated_once_for_all_workers(world: World) -> None:
    add_ready_voice(world)
    world.voices.embeddings.clear()

    spoken(world, "One.")
    spoken(world, "Two.")
    world.imitations = Recent(9)  # another worker
    spoken(world, "Three.")

    assert len(world.engine.imitated) == 1
    assert imitation_key(VOICE, 1, world.engine.imitation_revision) in world.objects.objects


def test_another_revision_of_the_engine_imitates_anew(world: World) -> None:
    add_ready_voice(world)
    first = spoken(world)
    world.engine.imitation_revision = "obedient-imitates-2"

    second = spoken(world)

    assert len(world.engine.imitated) == 2
    assert world.audio(first).address != world.audio(second).address


def test_what_another_worker_imitates_is_waited_for(world: World) -> None:
    add_ready_voice(world)
    world.voices.held_elsewhere.add(imitation_key(VOICE, 1, world.engine.imitation_revision))
    job_id = world.submit("Hello there.", voice=SPOKEN)

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.RETRY, "imitated_elsewhere")
    assert (world.engine.imitated, world.jobs.claims) == ([], {})
    world.voices.held_elsewhere.clear()
    world.deliver(job_id)
    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED


def test_an_engine_that_cannot_imitate_the_clip_fails_the_job(world: World) -> None:
    def fail(clip: ReferenceClip) -> Imitation:
        raise EngineError("the clip has no pitch")

    add_ready_voice(world)
    world.engine.imitate = fail

    assert world.failure(spoken(world)) == "engine_failed"


def test_the_object_is_noted_before_it_is_stored(world: World) -> None:
    add_ready_voice(world)
    job_id = world.submit("Hello there.", voice=SPOKEN)
    seen: list[bool] = []
    real = world.voices.made

    def made(references: object, key: str) -> None:
        seen.append(key in world.objects.objects)
        real(references, key)  # pyright: ignore[reportArgumentType]

    world.voices.made = made
    world.deliver(job_id)

    assert seen == [False]
    assert world.voices.spoken[SPOKEN] == [world.audio(job_id).key]


@pytest.mark.parametrize("fields", [{"over": True}, {"revision": 2}, {"tenant": "another"}])
def test_a_job_whose_voice_is_gone_fails(world: World, fields: dict[str, object]) -> None:
    voice = add_ready_voice(world)
    world.voices.voices[VOICE] = replace(voice, **fields)  # pyright: ignore[reportArgumentType]

    assert world.failure(spoken(world)) == "voice_deleted"
    assert world.engine.spoken == []


def test_what_was_spoken_before_is_not_given_to_who_names_a_voice_that_is_gone(world: World) -> None:
    voice = add_ready_voice(world)
    spoken(world)
    world.voices.voices[VOICE] = replace(voice, over=True)

    assert world.failure(spoken(world)) == "voice_deleted"


def test_nothing_is_stored_with_a_voice_that_goes_while_it_is_spoken_with(world: World) -> None:
    voice = add_ready_voice(world)
    world.engine.after_each = lambda _: world.voices.voices.update({VOICE: replace(voice, over=True)})

    job_id = spoken(world)

    assert world.failure(job_id) == "voice_deleted"
    assert not any(key.startswith("audio/") for key in world.objects.objects)
    assert world.jobs.uploads == set()


def test_a_long_job_goes_with_its_voice_whole_and_in_segments(world: World) -> None:
    add_ready_voice(world)
    job_id = world.submit("This is a sentence of some length, like others. " * 12, long=True, voice=SPOKEN)

    world.work_off(job_id, PLAN)
    wait_for(lambda: world.jobs.jobs[job_id].segments_total > 1)
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    world.deliver(job_id, JOIN)

    keys = {world.audio(job_id).key, *(audio.key for audio in world.segments(job_id))}
    assert len(keys) > 2
    assert set(world.voices.spoken[SPOKEN]) == keys
    assert world.audio(job_id).voices == (SPOKEN,)


def chapter(world: World, text: str, *, narration: Narration = PARTS) -> str:
    world.jobs.announce(catalogue(world.engine))
    job_id = world.submit(text, long=True, narration=narration)
    world.deliver(job_id, PLAN)
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    if not world.failure(job_id):
        world.deliver(job_id, JOIN)
    return job_id


def test_a_mark_may_name_a_library_voice_without_its_revision(world: World) -> None:
    add_ready_voice(world, revision=3)

    job_id = chapter(world, f"[voice: {VOICE}]She said so.[/voice] He did not.")

    assert world.failure(job_id) == ""
    assert world.audio(job_id).voices == (f"{VOICE}@3",)
    assert len(world.engine.imitated) == 1


def test_a_mark_may_not_name_a_voice_of_another_tenant(world: World) -> None:
    voice = add_ready_voice(world)
    world.voices.voices[VOICE] = replace(voice, tenant="another")

    assert world.failure(chapter(world, f"[voice: {VOICE}]She said so.[/voice]")) == "unknown_voice"


def test_a_dialogue_voice_is_checked_and_spoken_with(world: World) -> None:
    add_voice(world, OTHER)

    job_id = chapter(world, "“It is late,” she said.", narration=Narration(dialogue_voice=f"{OTHER}@1"))

    assert world.failure(job_id) == ""
    assert world.audio(job_id).voices == (f"{OTHER}@1",)
    assert clip_key(OTHER, 1) in world.objects.objects


class Quieter:
    """A mark that is easily heard."""

    revision = "2"

    def mark(self, speech: Waveform) -> Waveform:
        return replace(speech, samples=speech.samples * np.float32(0.5))


class Shorter(Quieter):
    def mark(self, speech: Waveform) -> Waveform:
        return replace(speech, samples=speech.samples[:-1])


def test_only_speech_of_library_voices_is_marked(world: World) -> None:
    add_ready_voice(world)
    plain, own = spoken(world), spoken(world, voice="hum")
    world.watermark = NamedWatermark("quieter", Quieter())

    marked, own_again = spoken(world), spoken(world, voice="hum")

    assert np.max(world.heard(marked).samples) == pytest.approx(np.max(world.heard(plain).samples) / 2, abs=0.01)
    assert world.audio(marked).address != world.audio(plain).address
    assert world.audio(own_again).address == world.audio(own).address


def test_speech_that_could_not_be_marked_is_not_stored(world: World) -> None:
    add_ready_voice(world)
    world.watermark = NamedWatermark("shorter", Shorter())

    job_id = spoken(world)

    assert world.failure(job_id) == "engine_failed"
    assert not any(key.startswith("audio/") for key in world.objects.objects)


def test_a_watermark_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_watermark("") is None
    assert str(load_watermark("tests.worker.test_imitating:Quieter")) == "tests.worker.test_imitating:Quieter 2"
    with pytest.raises(ValueError, match="no watermark is called 'audible'; installed are: none"):
        load_watermark("audible")
