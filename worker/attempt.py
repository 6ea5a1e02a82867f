"""One attempt of one step: start it, work, and record how it ended. Plain Python; the Celery edge is tasks.py."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from shared import jobs as lifecycle
from shared import tracing
from shared.errors import EngineFailed, InvalidAudio, JobError, OutOfMemory, TimedOut, Unspeakable
from shared.jobs import MAX_RETRIES, PLAN, Change, Failure, Job, Outcome, SpeechRequest, Step
from shared.logging import tenant
from shared.queue import queue_name, task_id
from worker import engine
from worker.ending import Ending, Verdict
from worker.engine import DeviceLost, EngineError, InvalidSpeech, UnspeakableText
from worker.lease import Lease, MustStop, StepLost
from worker.metrics import QUEUE_WAIT, RETRIES, STEPS, at_work, step_kind
from worker.runtime import Runtime

log = logging.getLogger(__name__)

DONE = "done"
LONGEST_BACKOFF_SECONDS = 30.0
SPOKEN_ELSEWHERE_SECONDS = 1.0
FEWER_RETRIES = {InvalidAudio.code: 2}  # than MAX_RETRIES: a server comes back, an engine seldom changes its mind


class SegmentTimeLimit(Exception):
    """Raised in the work when a segment has taken too long."""


class NotYet(Exception):
    """Raised in the work when something that it needs is being made: it is tried again after so many seconds."""

    outcome = "not_yet"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"to be tried again in {seconds:g} s")
        self.seconds = seconds


class SpokenElsewhere(NotYet):
    """Raised in the work when another worker speaks this very audio just now: it will soon be there to be found."""

    outcome = "spoken_elsewhere"

    def __init__(self) -> None:
        super().__init__(SPOKEN_ELSEWHERE_SECONDS)


Work = Callable[[Job, SpeechRequest, Lease], None]


def attempt(  # noqa: PLR0913 - one call site, every argument by name
    job_id: str, step: str, *, redelivered: bool, runtime: Runtime, work: Work, trace: str = ""
) -> Ending:
    """Start the step if it is to be done, do it, and record success or failure on the job.

    Args:
        trace: the traceparent that came with the message.
    Raises:
        DeviceLost: this process can't work any more; the step is left as a killed worker leaves it.
    """
    if runtime.leases.must_stop():
        return Ending(Verdict.HAND_BACK, "not_begun")
    found = runtime.jobs.load(job_id, step)
    if found is None:
        return Ending(Verdict.ACKNOWLEDGE, Outcome.MISSING)
    job = found[0]
    tenant.set(job.tenant)
    queue, message = queue_name(runtime.settings.lane), task_id(job_id, step)
    with tracing.processing(queue, message, sender=trace, submitter=job.trace) as span:
        span.note({"emotivoice.job_id": job_id, "emotivoice.step": step, "emotivoice.tenant": job.tenant})
        ending = _attempt(found, redelivered, runtime, work)
        span.note({"emotivoice.outcome": ending.outcome})
    return ending


def _attempt(found: tuple[Job, Step, SpeechRequest], redelivered: bool, runtime: Runtime, work: Work) -> Ending:
    job, known_step, request = found
    step = known_step.name
    change = _started(job, known_step, redelivered, runtime)
    if change is None:
        return Ending(Verdict.ACKNOWLEDGE, Outcome.MISSING)
    if change.outcome is not Outcome.APPLIED:
        return _not_started(change, runtime)
    wait_seconds = max(change.step.started_at - change.job.created_at, 0)
    tracing.current().note({"emotivoice.attempt": change.step.attempts, "emotivoice.wait_seconds": wait_seconds})
    if change.step.attempts == 1:
        QUEUE_WAIT.labels(step_kind(step)).observe(wait_seconds)
    seconds = runtime.settings.lease_seconds
    lease = Lease(runtime.jobs, change.job, change.step, seconds=seconds, among=runtime.leases)
    with lease, at_work():
        ending = _work(change, lease, runtime, lambda: work(change.job, request, lease))
    if ending.outcome == DONE:
        ending = replace(ending, then=job.goes_on_with(step))
    STEPS.labels(step_kind(step), ending.outcome).inc()
    runtime.first_step.ended()
    seconds = round(time.time() - change.step.started_at, 3)
    log.info("step ended", extra={"step": step, "outcome": ending.outcome, "seconds": seconds})
    return ending


def _work(change: Change, lease: Lease, runtime: Runtime, work: Callable[[], None]) -> Ending:
    try:
        work()
    except StepLost as lost:
        log.info("stopped: the step is no longer ours", extra={"outcome": lost.outcome})
        return Ending(Verdict.ACKNOWLEDGE, lost.outcome)
    except MustStop:
        log.warning("handed back: the worker must stop")
        return _put_back(Ending(Verdict.HAND_BACK, "handed_back"), lease)
    except NotYet as later:
        return _put_back(Ending(Verdict.RETRY, later.outcome, later.seconds), lease)
    except DeviceLost:
        raise
    except (JobError, EngineError, MemoryError, SegmentTimeLimit) as error:
        return _ended_badly(_as_job_error(error, runtime), change, lease, runtime)
    except (Exception, SystemExit, KeyboardInterrupt):  # a process edge: the job must end, and a person look at it
        log.exception("unexpected failure")
        tracing.current().failed("internal_error")
        _fail(Failure("internal_error", "the worker failed; its log has the reason"), change, lease, runtime)
        return Ending(Verdict.DEAD_LETTER, "internal_error")
    return Ending(Verdict.ACKNOWLEDGE, DONE)


def _put_back(ending: Ending, lease: Lease) -> Ending:
    """The step waits again, and the attempt counts towards nothing; nobody wants it if it is no longer ours."""
    outcome = lease.put_back()
    return ending if outcome is Outcome.APPLIED else Ending(Verdict.ACKNOWLEDGE, outcome)


def _as_job_error(error: JobError | EngineError | MemoryError | SegmentTimeLimit, runtime: Runtime) -> JobError:
    """Return what the client may see of it."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, SegmentTimeLimit):
        return TimedOut(limit_seconds=runtime.settings.step_limit_seconds)
    if isinstance(error, UnspeakableText):
        return Unspeakable(str(error))
    log.error("the engine failed", exc_info=error)
    if isinstance(error, InvalidSpeech):
        return InvalidAudio(str(error))
    if isinstance(error, (MemoryError, engine.OutOfMemory)):
        return OutOfMemory(str(error) or "it does not fit into the worker's memory")
    return EngineFailed(str(error))


def _started(job: Job, step: Step, redelivered: bool, runtime: Runtime) -> Change | None:
    token = uuid.uuid4().hex

    def start(now_job: Job, now_step: Step) -> Change:
        return lifecycle.start(
            now_job,
            now_step,
            token=token,
            now=time.time(),
            lease_seconds=runtime.settings.lease_seconds,
            redelivered=redelivered,
        )

    return runtime.jobs.change(job.id, step.name, start, known=(job, step))


def _not_started(change: Change, runtime: Runtime) -> Ending:
    if change.outcome is Outcome.HELD:  # a duplicate; should its holder die unseen, this message is the spare
        return Ending(Verdict.RETRY, Outcome.HELD, max(change.step.lease_expires_at - time.time(), 1.0))
    if change.outcome is Outcome.GIVEN_UP:
        log.error("given up: the worker died in every attempt", extra={"attempts": change.step.attempts})
        tracing.current().failed("worker_lost")
        return Ending(Verdict.DEAD_LETTER, Outcome.GIVEN_UP)
    job = change.job
    if change.outcome is not Outcome.STEP_DONE:
        return Ending(Verdict.ACKNOWLEDGE, change.outcome)
    then = job.goes_on_with(change.step.name)
    if change.step.name == PLAN or job.segments_done == job.segments_total:
        enqueue_next(job, runtime, but=then)  # its first worker may have died before it did
    return Ending(Verdict.ACKNOWLEDGE, change.outcome, then=then)


def enqueue_next(job: Job, runtime: Runtime, *, but: str = "") -> None:
    """Enqueue what the job needs next: its planned segments, or its join. Sent twice, it is done once.

    Args:
        but: a segment that the caller sees to.
    """
    if not job.long or job.finished or not job.segments_total:
        return
    if job.segments_done == job.segments_total:
        runtime.queue.enqueue(job.id, lifecycle.JOIN, lane=job.lane_of(lifecycle.JOIN))
        return
    waiting = [step for step in runtime.jobs.waiting_steps(job) if step != but]
    runtime.queue.enqueue_all(job.id, waiting, lane=job.speaking_lane)


def _ended_badly(error: JobError, change: Change, lease: Lease, runtime: Runtime) -> Ending:
    tracing.current().failed(error.code)
    attempts, retries = change.step.attempts, change.step.retries
    if error.retryable and retries < FEWER_RETRIES.get(error.code, MAX_RETRIES):
        log.warning("will be tried again", extra={"code": error.code, "attempts": attempts, "reason": str(error)})
        runtime.jobs.change(
            change.job.id, change.step.name, lambda job, step: lifecycle.release(job, step, token=lease.token)
        )
        RETRIES.labels(error.code).inc()
        return Ending(Verdict.RETRY, "retried", min(2.0 ** (retries + 1), LONGEST_BACKOFF_SECONDS))
    log.error("failed", extra={"code": error.code, "attempts": attempts})
    if _fail(Failure(error.code, str(error)), change, lease, runtime) is Outcome.STEP_DONE:
        return Ending(Verdict.RETRY, "retried", LONGEST_BACKOFF_SECONDS)  # what comes next could not be enqueued
    return Ending(Verdict.ACKNOWLEDGE, error.code)


def _fail(failure: Failure, change: Change, lease: Lease, runtime: Runtime) -> Outcome:
    failed = runtime.jobs.change(
        change.job.id,
        change.step.name,
        lambda job, step: lifecycle.fail(job, step, token=lease.token, now=time.time(), failure=failure),
    )
    return failed.outcome if failed else Outcome.MISSING
