"""A segment: spoken once, stored as it was asked for, found again, stopped when nobody wants it."""

import hashlib
import time
from typing import Any

import numpy as np
import pytest

from shared.audio_formats import FORMATS
from shared.jobs import JobState, Lane
from shared.phonemes import unpack
from tests.worker.conftest import World
from worker.attempt import Verdict
from worker.speaking import merged

THREE = "This is the first. This is the second! Is this the third?"


def test_what_is_recorded_of_the_audio_is_true(world: World) -> None:
    job_id = world.submit("Hello there.")

    world.deliver(job_id)

    audio, data = world.audio(job_id), world.stored(job_id)
    assert (audio.bytes, audio.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (audio.format, audio.sample_rate) == ("wav", 16_000)
    assert world.heard(job_id).seconds == pytest.approx(audio.seconds, abs=1e-3)
    assert audio.seconds > 0.5
    assert world.jobs.jobs[job_id].audio_seconds == audio.seconds


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_stored_under_its_own_name(world: World, format: str) -> None:
    job_id = world.submit("Hello there.", format=format, sample_rate=24_000)

    world.deliver(job_id)

    assert world.audio(job_id).key.endswith(f".{FORMATS[format].extension}")
    assert world.heard(job_id).seconds == pytest.approx(world.audio(job_id).seconds, abs=0.15)


def test_words_follow_each_other_to_the_end_of_the_audio(world: World) -> None:
    job_id = world.submit(THREE)

    world.deliver(job_id)

    words = world.audio(job_id).words
    times = [moment for _, start, end in words for moment in (start, end)]
    assert len(words) == len(world.engine.spoken) == 3
    assert times == sorted(times)
    assert times[-1] == pytest.approx(world.audio(job_id).seconds, abs=1e-3)  # a hum ends with its word


def test_an_engine_that_likes_batches_gets_the_utterances_together(world: World) -> None:
    world.engine.batch_size = 2
    job_id = world.submit(THREE)

    world.deliver(job_id)

    assert world.engine.calls == [2, 1]
    assert len(world.audio(job_id).words) == 3


def test_a_cancelled_job_stops_at_the_next_batch(world: World) -> None:
    world.engine.batch_size = 2
    job_id = world.submit(THREE)

    def cancel(_: str) -> None:
        world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=time.time())

    world.engine.after_each = cancel
    world.deliver(job_id)

    assert world.engine.calls == [2]


def test_phonemes_move_with_their_utterance(world: World) -> None:
    job_id = world.submit(THREE)

    world.deliver(job_id)

    audio = world.audio(job_id)
    assert [times for _, *times in unpack(audio.phonemes)] == [
        [pytest.approx(start, abs=1e-3), pytest.approx(end, abs=1e-3)] for _, start, end in audio.words
    ]


def test_what_was_not_spoken_as_written_is_recorded_once(world: World) -> None:
    job_id = world.submit("Skip this. Speak this. Skip that.")

    world.deliver(job_id)

    assert world.audio(job_id).warnings == ("a word was left out",)


def test_of_very_many_warnings_the_rest_is_counted() -> None:
    warnings = merged([[f"{number} was not spoken" for number in range(130)]])

    assert (len(warnings), warnings[0], warnings[-1]) == (101, "0 was not spoken", "and 30 more warnings")


def test_a_control_reaches_the_engine(world: World) -> None:
    plain, higher = world.submit("Hello there."), world.submit("Hello there.", pitch_shift=12.0)
    world.deliver(plain)
    world.deliver(higher)

    hums = [np.sum(np.diff(np.signbit(world.heard(job_id).samples))) for job_id in (plain, higher)]
    assert hums[1] == pytest.approx(2 * hums[0], rel=0.05)


def test_the_engine_time_is_counted(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.engine.after_each = lambda _: time.sleep(0.02)

    world.deliver(job_id)

    assert 0.02 <= world.jobs.jobs[job_id].engine_seconds < 1


def test_the_same_text_is_not_spoken_twice(world: World) -> None:
    first, second = world.submit("Hello there."), world.submit("  Hello there. ")
    world.deliver(first)

    world.deliver(second)

    assert len(world.engine.spoken) == 1
    assert world.audio(first) == world.audio(second)
    assert world.jobs.jobs[second].engine_seconds == 0


@pytest.mark.parametrize(
    "field",
    [{"voice": "buzz"}, {"speed": 2.0}, {"pitch_shift": 2.0}, {"energy_scale": 0.5}, {"seed": 1}, {"format": "flac"}],
)
def test_what_is_heard_otherwise_is_spoken_anew(world: World, field: dict[str, Any]) -> None:
    first, second = world.submit("Hello there."), world.submit("Hello there.", **field)
    world.deliver(first)

    world.deliver(second)

    assert len(world.engine.spoken) == 2
    assert world.audio(first).key != world.audio(second).key


@pytest.mark.parametrize("left", [b"", b"RIFF"])
def test_known_audio_that_is_not_there_is_spoken_again(world: World, left: bytes) -> None:
    first, second = world.submit("Hello there."), world.submit("Hello there.")
    world.deliver(first)
    key = world.audio(first).key
    world.objects.objects = {key: left} if left else {}

    world.deliver(second)

    assert len(world.engine.spoken) == 2
    assert len(world.objects.objects[key]) == world.audio(second).bytes


def test_a_job_that_is_cancelled_meanwhile_stops_at_the_next_utterance(world: World) -> None:
    job_id = world.submit(THREE)

    def cancel(_: str) -> None:
        world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=time.time())

    world.engine.after_each = cancel
    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "job_finished")
    assert len(world.engine.spoken) == 1
    assert world.objects.objects == {}
    assert world.jobs.jobs[job_id].state is JobState.CANCELLED


def test_a_job_that_is_removed_meanwhile_stops_too(world: World) -> None:
    job_id = world.submit(THREE)
    world.engine.after_each = lambda _: world.jobs.jobs.clear()

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "missing")
    assert world.objects.objects == {}


def test_audio_is_not_stored_while_the_same_is_being_deleted(world: World) -> None:
    first, second = world.submit("Hello there."), world.submit("Hello there.")
    world.deliver(first)
    world.jobs.being_deleted.add(world.audio(first).address)

    assert world.deliver(second).verdict is Verdict.RETRY
    world.jobs.being_deleted.clear()
    assert world.deliver(second).verdict is Verdict.ACKNOWLEDGE


def test_a_segment_of_a_long_job_is_kept_without_loss_at_the_rate_of_the_engine(world: World) -> None:
    job_id = world.submit(THREE, long=True, lane=Lane.BULK, format="mp3", sample_rate=44_100)
    world.deliver(job_id, "plan")

    world.deliver(job_id, "0")

    audio = world.segments(job_id)[0]
    assert (audio.format, audio.sample_rate) == ("flac", world.engine.sample_rate)


def test_the_last_segment_asks_for_the_join_once(world: World) -> None:
    job_id = world.submit(" ".join([THREE] * 40), long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    segments = world.jobs.jobs[job_id].segments()
    world.queue.messages.clear()

    for step in segments:
        assert world.queue.messages == []
        world.deliver(job_id, step)

    assert len(segments) > 1
    assert world.queue.messages == [(job_id, "join", Lane.ASSEMBLY)]
    assert world.jobs.jobs[job_id].state is JobState.RUNNING


def test_a_join_that_was_never_asked_for_is_asked_for_at_the_redelivery(world: World) -> None:
    job_id = world.submit(THREE, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    world.queue.refuses = True
    first = world.deliver(job_id, "0")

    world.queue.refuses = False
    world.queue.messages.clear()
    second = world.deliver(job_id, "0", redelivered=True)

    assert (first.verdict, second.outcome) == (Verdict.RETRY, "step_done")
    assert world.queue.messages == [(job_id, "join", Lane.ASSEMBLY)]
