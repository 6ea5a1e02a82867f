"""What a step of a job is, by the job's kind."""

from shared.jobs import JOIN, PLAN, Job, JobKind, SpeechRequest
from worker.editions import join_edition, plan_edition
from worker.encoding import encode_ahead, encode_for_edition
from worker.ingesting import ingest
from worker.joining import join_job
from worker.lease import Lease
from worker.planning import plan
from worker.reading import read_book
from worker.rendering import render, try_to_advance
from worker.runtime import Runtime
from worker.synthesis import speak


def do_step(step: str, job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Do a step that was started.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    match job.kind:
        case JobKind.READING:
            read_book(job, lease, runtime)
        case JobKind.RENDER:
            render(job, lease, runtime)
        case JobKind.ENCODING:
            encode_ahead(request, lease, runtime)
        case JobKind.EDITION:
            _make_edition(step, job, request, lease, runtime)
        case JobKind.SPEECH | JobKind.CHAPTER | JobKind.VOICE:
            _speak(step, job, request, lease, runtime)
        case JobKind.INGEST:
            ingest(job, lease, runtime)


def _make_edition(step: str, job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    if step == PLAN:
        plan_edition(job, request, lease, runtime)
    elif step == JOIN:
        join_edition(job, request, lease, runtime)
        try_to_advance(job, runtime)
        if runtime.superseded:
            runtime.superseded.let_go(job.parent)
    else:
        encode_for_edition(request, lease, runtime)


def _speak(step: str, job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    if step == PLAN:
        plan(job, request, lease, runtime)
    elif step == JOIN:
        join_job(job, request, lease, runtime)
        if job.kind is JobKind.CHAPTER:
            try_to_advance(job, runtime, spoken=[job.id])
    else:
        speak(job, step, request, lease, runtime)
