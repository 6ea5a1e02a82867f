"""Celery's edge: one task per kind of step. What a message means for the broker is decided here, the work elsewhere."""

import os
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded

from shared import queue
from shared.errors import StoreUnavailable
from shared.jobs import Job, SpeechRequest
from shared.logging import job_id as logged_job_id
from worker.attempt import Ending, SegmentTimeLimit, Verdict, attempt
from worker.joining import join_job
from worker.lease import Lease
from worker.planning import plan
from worker.runtime import Runtime
from worker.synthesis import speak

STORE_RETRY_SECONDS = 5.0

Step = Callable[[Job, SpeechRequest, Lease, Runtime], None]


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add the tasks to the app; `runtime` is asked for at each message, in the child that has it."""

    def perform(task: Any, job_id: str, step: str, do: Step) -> None:
        logged_job_id.set(job_id)
        delivery: dict[str, Any] = task.request.delivery_info or {}
        redelivered = bool(delivery.get("redelivered"))
        here = runtime()

        def work(job: Job, request: SpeechRequest, lease: Lease) -> None:
            _within_limit(lambda: do(job, request, lease, here))

        try:
            ending = attempt(job_id, step, redelivered=redelivered, runtime=here, work=work)
        except StoreUnavailable:  # Redis has been away for longer than its client waits; the message comes again
            ending = Ending(Verdict.RETRY, StoreUnavailable.code, STORE_RETRY_SECONDS)
        except MemoryError:
            os._exit(1)  # Celery's main process would not survive it; a new child takes the message again
        _settle(task, ending)

    @app.task(bind=True, name=queue.SPEAK_TASK, max_retries=None)
    def speak_segment(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step, lambda job, request, lease, here: speak(job, step, request, lease, here))

    @app.task(bind=True, name=queue.PLAN_TASK, max_retries=None)
    def plan_text(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step, plan)

    @app.task(bind=True, name=queue.JOIN_TASK, max_retries=None)
    def join_segments(task: Any, job_id: str, step: str) -> None:
        perform(task, job_id, step, join_job)


def _within_limit(work: Callable[[], None]) -> None:
    try:
        work()
    except SoftTimeLimitExceeded as error:
        raise SegmentTimeLimit from error


def _settle(task: Any, ending: Ending) -> None:
    """Acknowledge by returning; hand back or dead-letter by raising."""
    if ending.verdict is Verdict.RETRY:
        raise task.retry(countdown=ending.retry_seconds)
    if ending.verdict is Verdict.DEAD_LETTER:
        raise Reject(ending.outcome, requeue=False)
