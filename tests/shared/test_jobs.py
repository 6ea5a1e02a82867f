"""The state machine: whatever happens in whatever order, a job's story stays true."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared import jobs as lifecycle
from shared.audio_address import audio_address
from shared.jobs import (
    FINISHED,
    MAX_ATTEMPTS,
    Audio,
    Change,
    Failure,
    Job,
    JobState,
    Lane,
    Outcome,
    SpeechRequest,
    Step,
)

AUDIO = Audio("a", "audio/a.wav", 10, 1.0, 16_000, "wav", "0" * 64)
REQUEST = SpeechRequest("你好 world", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)
JOB = Job(id="j", lane=Lane.INTERACTIVE, characters=5, created_at=0.0)


def started(job: Job, step: Step, *, token: str = "t", now: float = 1.0, redelivered: bool = False) -> Change:
    return lifecycle.start(job, step, token=token, now=now, lease_seconds=30, redelivered=redelivered)


def test_a_step_that_keeps_killing_its_worker_is_given_up() -> None:
    change = started(JOB, Step("0", attempts=MAX_ATTEMPTS))

    assert change.outcome is Outcome.GIVEN_UP
    assert change.job.failure == Failure("worker_lost", "the worker died in each of 3 attempts")


def test_a_lease_that_ran_out_may_be_taken() -> None:
    first = started(JOB, Step("0"), token="t1", now=1.0)

    assert started(first.job, first.step, token="t2", now=30.9).outcome is Outcome.HELD
    assert started(first.job, first.step, token="t2", now=31.1).outcome is Outcome.APPLIED


def test_a_released_step_starts_again() -> None:
    first = started(JOB, Step("0"))
    released = lifecycle.release(first.job, first.step, token="t")

    again = started(released.job, released.step, token="t2")

    assert (again.outcome, again.step.attempts) == (Outcome.APPLIED, 2)


def test_a_change_whose_reply_was_lost_is_made_again_without_harm() -> None:
    job = replace(JOB, long=True, segments_total=2)
    first = started(job, Step("0"))
    again = started(first.job, first.step)
    done = lifecycle.finish_segment(again.job, again.step, token="t", now=2.0, audio=AUDIO, engine_seconds=1)

    twice = lifecycle.finish_segment(done.job, done.step, token="t", now=3.0, audio=AUDIO, engine_seconds=1)

    assert (again.outcome, again.step.attempts) == (Outcome.APPLIED, 1)
    assert (twice.outcome, twice.job, twice.step) == (Outcome.APPLIED, done.job, done.step)


def test_a_long_job_has_its_plan_its_segments_and_its_join() -> None:
    job = replace(JOB, long=True, segments_total=2)

    assert job.steps() == ["plan", "0", "1", "join"]
    assert [job.lane_of(step) for step in job.steps()] == ["assembly", "interactive", "interactive", "assembly"]


@given(st.sampled_from(["text", "voice", "emotion", "speed", "seed", "format", "sample_rate", "emotion_strength"]))
def test_all_that_is_heard_is_in_the_address(field: str) -> None:
    other = replace(REQUEST, **{field: {"speed": 2.0, "emotion_strength": 0.5, "seed": 1}.get(field, "other")})

    assert audio_address(REQUEST, engine_revision="r") != audio_address(other, engine_revision="r")
    assert audio_address(REQUEST, engine_revision="r") != audio_address(REQUEST, engine_revision="s")


def test_equal_text_has_one_address_however_it_is_encoded() -> None:
    composed, decomposed = replace(REQUEST, text="café"), replace(REQUEST, text=" cafe\u0301\n")

    assert audio_address(composed, engine_revision="r") == audio_address(decomposed, engine_revision="r")


class OneJob(RuleBasedStateMachine):
    """Two workers, redeliveries, a cancel and the clock, in any order, on one step of one job."""

    @initialize()
    def create(self) -> None:
        self.job, self.step, self.now = JOB, Step("0"), 1.0
        self.successes = self.reopened = 0
        self.seen: list[JobState] = [self.job.state]

    def apply(self, change: Change, *, token: str = "") -> None:
        """Take the change over; with a token, only the holder of the step may have made it."""
        assert not token or change.outcome is not Outcome.APPLIED or token == self.step.token
        was = self.job
        self.job, self.step = change.job, change.step
        if was.state is not self.job.state:
            self.seen.append(self.job.state)
            self.successes += self.job.state is JobState.SUCCEEDED

    @rule(token=st.sampled_from("ab"), redelivered=st.booleans())
    def start(self, token: str, redelivered: bool) -> None:
        self.apply(started(self.job, self.step, token=token, now=self.now, redelivered=redelivered))

    @rule(token=st.sampled_from("ab"))
    def finish(self, token: str) -> None:
        finish = lifecycle.finish_segment
        self.apply(finish(self.job, self.step, token=token, now=self.now, audio=AUDIO, engine_seconds=0.5), token=token)

    @rule(token=st.sampled_from("ab"))
    def release(self, token: str) -> None:
        self.apply(lifecycle.release(self.job, self.step, token=token), token=token)

    @rule(token=st.sampled_from("ab"))
    def put_back(self, token: str) -> None:
        deaths = self.step.deaths
        self.apply(lifecycle.put_back(self.job, self.step, token=token), token=token)
        assert self.step.deaths <= deaths

    @rule(token=st.sampled_from("ab"))
    def fail(self, token: str) -> None:
        failure = Failure("engine_failed", "no")
        self.apply(lifecycle.fail(self.job, self.step, token=token, now=self.now, failure=failure), token=token)

    @rule(token=st.sampled_from("ab"))
    def renew(self, token: str) -> None:
        self.apply(lifecycle.renew(self.job, self.step, token=token, now=self.now, lease_seconds=30), token=token)

    @rule()
    def reopen(self) -> None:
        """A person wants another try, or the audio was lost."""
        if self.job.state in (JobState.FAILED, JobState.SUCCEEDED):
            job, steps = lifecycle.reopened(self.job, [self.step])
            assert steps == ["0"]
            self.reopened += 1
            self.apply(Change(Outcome.APPLIED, job, Step("0")))

    @rule()
    def expire(self) -> None:
        if self.job.state is not JobState.EXPIRED:
            self.apply(Change(Outcome.APPLIED, self.job.expired(now=self.now), self.step))

    @rule()
    def cancel(self) -> None:
        if not self.job.finished:
            self.apply(Change(Outcome.APPLIED, self.job.cancelled(now=self.now), self.step))

    @rule(seconds=st.floats(0.1, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def a_final_state_is_followed_by_nothing_but_another_try_or_its_expiry(self) -> None:
        ends = [after for state, after in pairwise(self.seen) if state in FINISHED]
        assert set(ends) <= {JobState.QUEUED, JobState.EXPIRED}
        assert ends.count(JobState.QUEUED) == self.reopened

    @invariant()
    def it_succeeds_once_for_each_try_and_with_audio(self) -> None:
        assert self.successes <= 1 + self.reopened
        assert (self.job.state is JobState.SUCCEEDED) == (self.job.audio_address is not None)

    @invariant()
    def attempts_are_bounded(self) -> None:
        assert 0 <= self.step.deaths <= MAX_ATTEMPTS

    @invariant()
    def a_finished_job_says_when_and_a_failed_one_why(self) -> None:
        assert self.job.finished == (self.job.finished_at is not None)
        assert self.job.failure is not None or self.job.state is not JobState.FAILED
        assert self.job.failure is None or self.job.state in (JobState.FAILED, JobState.EXPIRED)


TestOneJob = OneJob.TestCase
