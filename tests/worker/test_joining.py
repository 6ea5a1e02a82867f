"""The segments of a long job become one audio: exact in length, in order, without a click."""

import hashlib
from collections.abc import Iterator
from threading import Barrier

import numpy as np
import pytest

from shared.jobs import JobState, Lane
from shared.phonemes import unpack
from tests.worker.conftest import World
from worker.attempt import Verdict

SENTENCE = "The quick brown fox jumps over the lazy dogs, and then it sleeps until noon."  # its hum ends near a peak
PARAGRAPH = " ".join([SENTENCE] * 6)
STORY = "\n\n".join([PARAGRAPH] * 3)
DIFFERENT = "\n\n".join(PARAGRAPH.replace("fox", animal) for animal in ("fox", "cat", "hen"))
STEEPEST = 0.3 * 2 * np.pi * 220 / 16_000  # from sample to sample, inside a hum of 220 Hz


def spoken(world: World, **fields: object) -> str:
    """Return the id of a long job that was spoken in segments and joined."""
    job_id = world.submit(STORY, long=True, lane=Lane.BULK, **fields)
    world.work_off(job_id, "plan")
    assert world.jobs.jobs[job_id].segments_total == 3
    return job_id


def expected_seconds(world: World, job_id: str) -> float:
    """Return the length of the segments and of the pauses between them."""
    pauses = [segment.pause_seconds for segment in world.jobs.segments(job_id)]
    return sum(audio.seconds for audio in world.segments(job_id)) + sum(pauses[:-1])


def test_a_long_job_succeeds_with_its_join(world: World) -> None:
    job_id = spoken(world)

    job = world.jobs.jobs[job_id]
    assert (job.state, job.segments_done) == (JobState.SUCCEEDED, job.segments_total)
    assert job.engine_seconds > 0


def test_the_length_is_that_of_segments_and_pauses_to_the_sample(world: World) -> None:
    job_id = spoken(world)

    heard = world.heard(job_id)
    assert len(heard.samples) == round(expected_seconds(world, job_id) * heard.sample_rate)
    assert world.audio(job_id).seconds == pytest.approx(heard.seconds, abs=1e-6)


@pytest.mark.parametrize(("format", "rate"), [("flac", 44_100), ("mp3", 24_000), ("opus", 48_000)])
def test_it_is_resampled_and_encoded_as_asked(world: World, format: str, rate: int) -> None:
    job_id = spoken(world, format=format, sample_rate=rate)

    heard = world.heard(job_id)
    assert (world.audio(job_id).format, heard.sample_rate) == (format, rate)
    assert heard.seconds == pytest.approx(expected_seconds(world, job_id), abs=0.05)


def test_what_is_recorded_of_the_audio_is_true(world: World) -> None:
    job_id = spoken(world)

    audio, data = world.audio(job_id), world.stored(job_id)
    assert (audio.bytes, audio.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_words_are_moved_to_where_their_segment_is(world: World) -> None:
    job_id = spoken(world)

    words, offset = list(world.audio(job_id).words), 0.0
    for audio, segment in zip(world.segments(job_id), world.jobs.segments(job_id), strict=True):
        for word, start, end in audio.words:
            assert words.pop(0) == (word, pytest.approx(start + offset), pytest.approx(end + offset))
        offset += audio.seconds + segment.pause_seconds
    assert words == []


def test_phonemes_are_moved_like_words(world: World) -> None:
    job_id = spoken(world)

    audio = world.audio(job_id)
    assert [times for _, *times in unpack(audio.phonemes)] == [
        [pytest.approx(start, abs=2e-3), pytest.approx(end, abs=2e-3)] for _, start, end in audio.words
    ]


def test_warnings_of_the_segments_are_told_once(world: World) -> None:
    job_id = world.submit(STORY.replace("dogs", "skip"), long=True, lane=Lane.BULK)
    world.work_off(job_id, "plan")

    assert world.audio(job_id).warnings == ("a word was left out",)


def test_segments_come_in_order_whatever_the_order_they_were_spoken_in(world: World) -> None:
    in_order = world.heard(spoken(world)).samples
    world.jobs.stored.clear()
    job_id = world.submit(STORY, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")

    for step in ("2", "0", "1", "join"):
        world.deliver(job_id, step)

    assert np.array_equal(world.heard(job_id).samples, in_order)


def test_nothing_clicks_between_utterances_or_segments(world: World) -> None:
    job_id = spoken(world)

    assert np.max(np.abs(np.diff(world.heard(job_id).samples))) < STEEPEST * 1.05


def test_equal_neighbours_keep_their_own_places(world: World) -> None:
    """Three equal paragraphs are one audio, found twice; each has its own pause and its own offset."""
    job_id = spoken(world)

    assert len({audio.address for audio in world.segments(job_id)}) == 1
    starts = [start for _, start, _ in world.audio(job_id).words]
    assert starts == sorted(starts)


def test_a_join_waits_out_an_outage_of_the_object_store(world: World) -> None:
    job_id = world.submit(STORY, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    world.objects.outages = 1

    assert world.deliver(job_id, "join").verdict is Verdict.RETRY
    assert world.deliver(job_id, "join").verdict is Verdict.ACKNOWLEDGE
    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED


def test_segments_are_fetched_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = world.submit(DIFFERENT, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    together, read = Barrier(3, timeout=10), world.objects.read

    def waiting(key: str) -> Iterator[bytes]:
        together.wait()  # for the two others: one by one, none of them would be read
        yield from read(key)

    monkeypatch.setattr(world.objects, "read", waiting)
    world.deliver(job_id, "join")

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED


def lose(world: World, job_id: str, how: str) -> None:
    """Have something happen to the audio of the second segment."""
    audio = world.segments(job_id)[1]
    if how == "record":
        world.jobs.forget_audio(audio)
    elif how == "gone":
        del world.objects.objects[audio.key]
    elif how == "truncated":
        world.objects.objects[audio.key] = world.objects.objects[audio.key][:-10]
    else:
        data = world.objects.objects[audio.key]
        world.objects.objects[audio.key] = data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("how", ["record", "gone", "truncated", "one bit"])
def test_a_segment_that_is_lost_is_spoken_again(world: World, how: str) -> None:
    job_id = world.submit(DIFFERENT, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    whole, spoken = world.segments(job_id), len(world.engine.spoken)
    lose(world, job_id, how)

    world.work_off(job_id, "join")

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert world.segments(job_id) == whole
    assert 0 < len(world.engine.spoken) - spoken < spoken


def test_an_object_store_that_loses_what_it_is_given_fails_the_job(world: World) -> None:
    job_id = world.submit(DIFFERENT, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    world.objects.loses = True

    for step in world.jobs.jobs[job_id].segments():
        world.work_off(job_id, step)

    assert world.failure(job_id) == "audio_missing"


def test_a_job_that_is_cancelled_before_its_join_stores_nothing_more(world: World) -> None:
    job_id = world.submit(STORY, long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    for step in world.jobs.jobs[job_id].segments():
        world.deliver(job_id, step)
    before = dict(world.objects.objects)
    world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=1.0)

    world.deliver(job_id, "join")

    assert world.objects.objects == before
