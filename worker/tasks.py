"""Celery's edge: one task per kind of step. What a message means for the broker is decided here, the work elsewhere."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from billiard import common as billiard
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded

from shared import queue, tracing
from shared.errors import QueueUnavailable, StoreUnavailable
from shared.jobs import Job, SpeechRequest
from shared.lane_reader import Taken
from shared.logging import job_id as logged_job_id
from worker.attempt import SegmentTimeLimit, attempt
from worker.ending import Ending, Verdict
from worker.engine import DeviceLost
from worker.lease import Lease
from worker.runtime import Runtime
from worker.steps import do_step

log = logging.getLogger(__name__)

SERVER_RETRY_SECONDS = 5.0
CHILD_LOST = 1


def register(app: Celery, runtime: Callable[[], Runtime], after_each: Callable[[Runtime], None]) -> None:
    """Add the tasks to the app; `runtime` is asked for at each message, in the child that has it."""

    def perform(task: Any, job_id: str, step: str) -> None:
        here = runtime()
        delivery: dict[str, Any] = task.request.delivery_info or {}
        trace: str = getattr(task.request, tracing.HEADER, "")
        taken = Taken(job_id, step, bool(delivery.get("redelivered")), trace=trace)
        try:
            _settle(task, _with_companions(taken, here, partial(attempted, here=here)))
        except SoftTimeLimitExceeded as error:  # came after the work; whatever is recorded, the message finds it
            raise Reject("the time limit", requeue=True) from error
        finally:
            _look_at(here, after_each)

    @app.task(bind=True, name=queue.SPEAK_TASK, max_retries=None)
    def speak_segment(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step)

    @app.task(bind=True, name=queue.PLAN_TASK, max_retries=None)
    def plan_text(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step)

    @app.task(bind=True, name=queue.JOIN_TASK, max_retries=None)
    def join_segments(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step)

    @app.task(name=queue.WEBHOOK_TASK)
    def deliver_webhook(name: str) -> None:
        courier = runtime().courier
        if courier is None:
            raise Reject("webhooks are for the assembly lane", requeue=False)
        try:
            courier.take(name)
        except StoreUnavailable:
            log.warning("Redis is away: the sweeper has the webhook sent again")


def _with_companions(taken: Taken, here: Runtime, attempted: Callable[[Taken], Ending]) -> Ending:
    """Attempt the message, on a worker that batches together with others that wait."""
    if here.companions is None or taken.redelivered:
        return attempted(taken)
    try:
        with here.companions.beside(partial(_companion, here=here)):
            return attempted(taken)
    except SoftTimeLimitExceeded:
        _leave("the child waited for the other messages in its hand for too long")


def _companion(taken: Taken, here: Runtime) -> Verdict:
    """Attempt a message that the child took itself; one that could not be enqueued for later is handed back."""
    ending = attempted(taken, here=here)
    return _sent_for_later(taken, ending, here).verdict if ending.verdict is Verdict.RETRY else ending.verdict


def _sent_for_later(taken: Taken, ending: Ending, here: Runtime) -> Ending:
    """Enqueue the step itself, in place of the message that it came by."""
    try:
        here.queue.enqueue(taken.job_id, taken.step, lane=here.settings.lane, delay_seconds=ending.retry_seconds)
    except QueueUnavailable:
        return Ending(Verdict.HAND_BACK, ending.outcome)
    return Ending(Verdict.ACKNOWLEDGE, ending.outcome)


def attempted(taken: Taken, *, here: Runtime) -> Ending:
    """Attempt the step, and then the one that the message stands for too, if there is one.

    Of that one the message is the only one, until it does not come to its end here: then it gets one of its own.
    """
    ending = _attempted_step(taken, here)
    if not ending.then:
        return ending
    taken = replace(taken, step=ending.then)
    ending = _attempted_step(taken, here)
    again = ending.verdict in (Verdict.RETRY, Verdict.HAND_BACK)
    return _sent_for_later(taken, ending, here) if again else ending


def _attempted_step(taken: Taken, here: Runtime) -> Ending:
    logged_job_id.set(taken.job_id)
    timed_out = False

    def work(job: Job, request: SpeechRequest, lease: Lease) -> None:
        nonlocal timed_out
        try:
            do_step(taken.step, job, request, lease, here)
        except SoftTimeLimitExceeded as error:
            timed_out = True
            if here.companions and here.companions.in_hand:  # whose fault it is shows when each is spoken alone
                _leave("a batch took longer than a segment may")
            raise SegmentTimeLimit from error
        except SystemExit:
            # A signal's, not the engine's, is no fault of the job.
            if billiard.terminate_handler_fired():  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
                _leave("the child was told to end")
            raise

    try:
        ending = attempt(
            taken.job_id, taken.step, redelivered=taken.redelivered, runtime=here, work=work, trace=taken.trace
        )
        if timed_out and here.shared:  # its failure is recorded; the message comes again and finds that
            _leave("the engine's thread may still be at the segment that timed out")
        return ending
    except (StoreUnavailable, QueueUnavailable) as error:  # away for longer than its client waits
        return Ending(Verdict.RETRY, error.code, SERVER_RETRY_SECONDS)
    except DeviceLost as error:
        _leave(f"the GPU is lost: {error}")
    except MemoryError:  # Celery's main process would not survive it
        _leave("the child has no memory left")


def _leave(reason: str) -> NoReturn:
    """End the child. The broker hands out again what it had in hand, and a new child loads the engine."""
    log.critical("the child ends itself: %s", reason)
    os._exit(CHILD_LOST)


def _look_at(here: Runtime, after_each: Callable[[Runtime], None]) -> None:
    """Look after the child. What fails here must not change what becomes of the message."""
    try:
        after_each(here)
    except Exception:  # the verdict stands: a look that fails is a matter for the log
        log.exception("the child could not be looked at")


def _settle(task: Any, ending: Ending) -> None:
    """Acknowledge by returning; hand back or dead-letter by raising."""
    if ending.verdict is Verdict.HAND_BACK:
        raise Reject(ending.outcome, requeue=True)
    if ending.verdict is Verdict.RETRY:
        try:
            raise task.retry(countdown=ending.retry_seconds)
        except Reject as refused:  # the broker did not take it; Celery would have the message dead-lettered
            raise Reject(ending.outcome, requeue=True) from refused
    if ending.verdict is Verdict.DEAD_LETTER:
        raise Reject(ending.outcome, requeue=False)
