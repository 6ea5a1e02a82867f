"""What a commit tells Redis besides the records."""

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.changes import TURNAROUND_SECONDS, Snapshot, commit_argument, final_argument
from shared.jobs import Change, Failure, Job, JobKind, JobState, Lane, Outcome, Step, StepState, Usage
from shared.records import CHANGED

JOB = Job("job", Lane.BULK, 8, created_at=1000.0, state=JobState.RUNNING, started_at=1500.0)
STEP = Step("0", StepState.RUNNING, attempts=1, started_at=1500.0, token="t")


def drained(job: Job = JOB, step: Step = STEP, *, now: float) -> list[Any]:
    """Return what the end of the step tells of its lane: key, since when, service time, now."""
    done = Change(Outcome.APPLIED, job, replace(step, state=StepState.DONE))
    argument = commit_argument(Snapshot(job, step, "", ""), done, audio=None, segments=(), now=now)
    return json.loads(argument)["drained"]


def test_the_end_of_a_step_tells_how_fast_its_lane_is() -> None:
    job = replace(JOB, created_at=1499.5)

    assert drained(job, now=1502.0) == ["lane:bulk", 1499.5, 2.0, 1502.0]


def test_a_time_without_a_worker_does_not_make_the_lane_slow() -> None:
    _, since, _, _ = drained(now=1502.0)

    assert since == 1500.0 - TURNAROUND_SECONDS


@pytest.mark.parametrize(("engine_seconds", "counted"), [(0.5, ["1", "500000"]), (0.0, [])], ids=["spoken", "found"])
def test_what_an_engine_has_spoken_of_a_chapter_is_counted_for_its_book(
    engine_seconds: float, counted: list[str]
) -> None:
    job = replace(JOB, kind=JobKind.CHAPTER, parent="book")
    done = Change(Outcome.APPLIED, job, replace(STEP, state=StepState.DONE), Usage("hum", 5, 1.0, engine_seconds, 9))

    argument = json.loads(commit_argument(Snapshot(job, STEP, "", ""), done, audio=None, segments=(), now=1502.0))

    commands = [command for command in argument["commands"] if command[:2] == ["HINCRBY", "parent:book:counts"]]
    assert [amount for *_, amount in commands] == counted


@pytest.mark.parametrize(("kind", "told"), [(JobKind.EDITION, True), (JobKind.ENCODING, False)])
def test_a_book_is_told_of_its_jobs_but_for_those_that_encode_ahead(kind: JobKind, told: bool) -> None:
    job = replace(JOB, kind=kind, parent="book")
    failed = job.failed(Failure("audio_missing", "it is gone"), now=1502.0)

    argument = final_argument("", job, failed, now=1502.0)

    assert (["PUBLISH", CHANGED, "book"] in json.loads(argument)["commands"]) is told
    assert ["PUBLISH", CHANGED, "job"] in json.loads(argument)["commands"]
