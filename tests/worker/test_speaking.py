"""A narrated chapter: each part in its own way, at its own time, with the pause that was asked for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from audio.waveform import Waveform, silence
from shared.jobs import JobState, Lane, Narration
from shared.ports import Part
from tests.clicks import clicks
from tests.worker.conftest import REQUEST, World
from worker.engine import PhonemeTiming, Speech, WordTiming
from worker.engine.text.segmentation import PAUSE_SECONDS, Pause
from worker.narration.pauses import SECONDS, Reason
from worker.speaking import Heard, lines_of, part_times
from worker.trimming import EDGE_SECONDS, trimmed

CAST = Narration(dialogue_voice="buzz")
CHAPTER = """# The harbour

“Come in,” said the captain. “It is late.” Nobody came.

***

The rain went on. [pause: 2]Then it stopped."""


def narrated(world: World, text: str = CHAPTER, narration: Narration = CAST) -> str:
    job_id = world.submit(text, long=True, lane=Lane.BULK, format="flac", narration=narration)
    world.work_off(job_id, "plan")
    return job_id


def test_a_chapter_is_spoken_and_joined(world: World) -> None:
    job_id = narrated(world)

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert world.jobs.jobs[job_id].segments_total == 3
    assert world.engine.spoken == [part.text for one in world.jobs.segments(job_id) for part in one.parts]


def test_the_parts_follow_each_other_with_the_pauses_that_were_asked_for(world: World) -> None:
    job_id = narrated(world)

    segments = world.jobs.segments(job_id)
    asked = [part.pause_seconds or one.pause_seconds for one in segments for part in one.parts]
    times = world.audio(job_id).parts
    gaps = [after[0] - before[1] for before, after in pairwise(times)]
    assert [*gaps, world.audio(job_id).seconds - times[-1][1]] == pytest.approx(asked, abs=1e-3)
    assert asked[-1] == SECONDS[Reason.CHAPTER]


def test_a_part_sounds_when_it_says_so_and_in_its_own_voice(world: World) -> None:
    job_id = narrated(world)

    heard = world.heard(job_id)
    voices = [part.voice for one in world.jobs.segments(job_id) for part in one.parts]
    for voice, (start, end) in zip(voices, world.audio(job_id).parts, strict=True):
        samples = heard.samples[round(start * heard.sample_rate) : round(end * heard.sample_rate)]
        pitch = np.sum(np.diff(np.signbit(samples))) / 2 / (end - start)
        assert pitch == pytest.approx(110 if voice == "buzz" else 220, rel=0.05)


def test_words_are_within_their_part(world: World) -> None:
    job_id = narrated(world)

    audio = world.audio(job_id)
    assert [(start, end) for _, start, end in audio.words] == [pytest.approx(part, abs=1e-3) for part in audio.parts]


def test_nothing_clicks_where_parts_and_segments_meet(world: World) -> None:
    heard = world.heard(narrated(world))

    assert clicks(heard.samples, heard.sample_rate) == []


def test_another_pause_scale_is_another_audio(world: World) -> None:
    one, other = (narrated(world, "One.\n\nTwo.", replace(CAST, pause_scale=scale)) for scale in (1.0, 2.0))

    assert world.engine.spoken == ["One.", "Two."]  # what is spoken is the same
    assert world.audio(other).seconds == pytest.approx(world.audio(one).seconds + 0.9 + 3.0, abs=1e-3)


def test_a_chapter_that_changed_in_one_paragraph_is_spoken_there_only(world: World) -> None:
    narrated(world)
    world.engine.spoken.clear()

    narrated(world, CHAPTER.replace("Nobody came.", "Nobody laughed."))

    assert world.engine.spoken[-1] == "Nobody laughed."
    assert "The rain went on." not in world.engine.spoken


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("One [voice: nobody]two.", "unknown_voice"),
        ("[emotion: odd]One.", "unknown_emotion"),
        ("One [pause: long]two.", "invalid_mark"),
        ("***", "empty_text"),
    ],
)
def test_what_cannot_be_followed_fails_the_chapter(world: World, text: str, code: str) -> None:
    job_id = world.submit(text, long=True, lane=Lane.BULK, narration=CAST)

    world.deliver(job_id, "plan")
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)

    assert world.failure(job_id) == code


def test_a_part_of_several_utterances_has_the_time_of_all_of_them() -> None:
    speech = Speech(silence(1.0, 16_000))
    heard = [Heard(speech, 0.5, 1), Heard(speech, 0.2, 1), Heard(speech, 0.0, 3)]

    assert part_times(heard, 5) == ((0.0, 0.0), (0.0, 2.5), (2.5, 2.5), (2.7, 3.7), (3.7, 3.7))


def test_a_part_that_is_too_long_for_one_call_is_several_lines() -> None:
    part = Part("A word, " * 60 + "end.", 1.5, voice="buzz", emotion="happy", speed=0.5)

    lines = lines_of(REQUEST, [part])

    assert len(lines) > 1
    assert {line.pause_seconds for line in lines[:-1]} == {PAUSE_SECONDS[Pause.PHRASE]}
    assert lines[-1].pause_seconds == 1.5
    assert {(line.utterance.voice, line.utterance.emotion, line.utterance.speed) for line in lines} == {
        ("buzz", "happy", 0.5)
    }


@pytest.mark.parametrize(("own", "heard"), [(None, 1.5), (0.0, 0.0), (2.0, 2.0)])
def test_a_part_has_the_strength_of_its_mark_or_else_of_its_request(own: float | None, heard: float) -> None:
    request = replace(REQUEST, emotion="happy", emotion_strength=1.5)

    (line,) = lines_of(request, [Part("Come in.", 0.5, emotion="happy", emotion_strength=own)])

    assert line.utterance.emotion_strength == heard


def test_silence_at_the_ends_goes_and_times_move_with_it() -> None:
    rate = 16_000
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(rate) / rate)
    samples = np.concatenate([np.zeros(rate // 2), tone, np.zeros(rate)]).astype(np.float32)
    speech = Speech(Waveform(samples, rate), (WordTiming("a", 0.5, 1.5),), (PhonemeTiming("a", 0.0, 2.5),))

    short = trimmed(speech)

    assert short.waveform.seconds == pytest.approx(1 + 2 * EDGE_SECONDS, abs=0.02)
    assert (short.words[0].start_seconds, short.words[0].end_seconds) == pytest.approx((0.03, 1.03), abs=0.01)
    assert (short.phonemes[0].start_seconds, short.phonemes[0].end_seconds) == (0, short.waveform.seconds)
