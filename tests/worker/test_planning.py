"""A long text becomes segments: nothing lost, none too long, each on its way."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs import JobState, Lane, StepState
from shared.speech_length import estimated_seconds
from tests.worker.conftest import World
from worker.attempt import Verdict
from worker.engine.text.segmentation import PAUSE_SECONDS, Pause, split
from worker.planning import cut

SENTENCES = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps until noon.",
    "今天天气真好，我们去公园散步吧！",
    "Dr. Smith paid $3.50 for it; didn't he?",
    "我们用 RabbitMQ 排队，用 Redis 记录。",
    "No.",
)
ANY_TEXT = st.text(
    st.sampled_from("ab Z1.9,!?;:'\"…—，。！？、；：“”（）你好世界\n\t\u3000-()[]é😀"), min_size=1, max_size=400
)
LONG_TEXT = st.lists(st.sampled_from(SENTENCES), min_size=30, max_size=120).map(" ".join)
PARAGRAPHS = st.lists(LONG_TEXT, min_size=1, max_size=4).map("\n\n".join)


def without_blanks(text: str) -> str:
    return re.sub(r"\s", "", text)


def spoken_seconds(text: str, speed: float) -> float:
    """Return about how long the text takes, with the pauses inside it."""
    pieces = split(text)
    pauses = sum(piece.pause_seconds for piece in pieces[:-1])
    return sum(estimated_seconds(piece.text) / speed for piece in pieces) + pauses


def speakable(text: str) -> bool:
    return bool(re.search(r"\w", text))


@given(ANY_TEXT.filter(speakable))
def test_no_character_is_lost_between_text_and_utterances(text: str) -> None:
    assert without_blanks("".join(piece.text for piece in split(text))) == without_blanks(text)


@given(st.one_of(ANY_TEXT.filter(speakable), PARAGRAPHS))
def test_no_character_is_lost_between_text_and_segments(text: str) -> None:
    assert without_blanks("".join(segment.text for segment in cut(text))) == without_blanks(text)


@given(PARAGRAPHS, st.sampled_from([1.0, 2.0]))
def test_every_segment_but_the_last_is_worth_a_message_and_fits_in_one(text: str, speed: float) -> None:
    seconds = [spoken_seconds(segment.text, speed) for segment in cut(text, speed=speed)]

    assert all(20 - PAUSE_SECONDS[Pause.PARAGRAPH] <= each <= 60 for each in seconds[:-1])  # less the pause behind it
    assert seconds[-1] <= 60


@given(PARAGRAPHS)
def test_a_segment_splits_into_the_utterances_that_it_was_made_of(text: str) -> None:
    whole = [piece.text for piece in split(text)]

    assert [piece.text for segment in cut(text) for piece in split(segment.text)] == whole


def test_a_text_without_any_mark_is_cut_all_the_same() -> None:
    segments = cut("很长的故事" * 400)

    assert all(estimated_seconds(segment.text) <= 60 for segment in segments)


def test_a_paragraph_that_is_long_enough_ends_its_segment() -> None:
    paragraph = " ".join([SENTENCES[0]] * 5)

    assert [segment.text for segment in cut(f"{paragraph}\n\n{paragraph}")] == [paragraph, paragraph]


def test_faster_speech_has_fewer_segments() -> None:
    text = " ".join(SENTENCES * 30)

    assert len(cut(text, speed=2)) < len(cut(text, speed=1))


def test_the_plan_enqueues_each_segment_on_the_lane_of_the_job(world: World) -> None:
    job_id = world.submit(" ".join(SENTENCES * 20), long=True, lane=Lane.BULK)

    ending = world.deliver(job_id, "plan")

    job = world.jobs.jobs[job_id]
    assert ending.verdict is Verdict.ACKNOWLEDGE
    assert (job.state, job.segments_done) == (JobState.RUNNING, 0)
    assert job.segments_total > 1
    assert world.queue.messages == [(job_id, step, Lane.BULK) for step in job.segments()]


def test_a_plan_that_is_delivered_again_enqueues_only_what_waits(world: World) -> None:
    job_id = world.submit(" ".join(SENTENCES * 20), long=True, lane=Lane.BULK)
    world.deliver(job_id, "plan")
    world.deliver(job_id, "0")
    world.queue.messages.clear()

    ending = world.deliver(job_id, "plan", redelivered=True)

    assert ending.outcome == "step_done"
    assert [step for _, step, _ in world.queue.messages] == world.jobs.jobs[job_id].segments()[1:]


def test_a_broker_that_is_away_leaves_a_plan_that_is_sent_later(world: World) -> None:
    job_id = world.submit(" ".join(SENTENCES * 20), long=True, lane=Lane.BULK)
    world.queue.refuses = True
    assert world.deliver(job_id, "plan").verdict is Verdict.RETRY

    world.queue.refuses = False
    world.deliver(job_id, "plan")

    assert world.step(job_id, "plan").state is StepState.DONE
    assert len(world.queue.messages) == world.jobs.jobs[job_id].segments_total


def test_a_cancelled_job_is_not_planned(world: World) -> None:
    job_id = world.submit(" ".join(SENTENCES * 20), long=True, lane=Lane.BULK)
    world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=1.0)

    world.deliver(job_id, "plan")

    assert world.queue.messages == []


@pytest.mark.parametrize("text", ["Hello there.", "你好。"])
def test_a_text_of_one_sentence_is_one_segment(text: str) -> None:
    assert [segment.text for segment in cut(text)] == [text]
