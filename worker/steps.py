"""What a step of a job is, by the job's kind."""

from shared.jobs import JOIN, PLAN, Job, JobKind, SpeechRequest
from worker.joining import join_job
from worker.lease import Lease
from worker.planning import plan
from worker.runtime import Runtime
from worker.synthesis import speak


def do_step(step: str, job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Do a step that was started.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    if job.kind not in (JobKind.SPEECH, JobKind.CHAPTER):
        raise RuntimeError(f"no worker does a step of a job of the kind {job.kind}")
    if step == PLAN:
        plan(job, request, lease, runtime)
    elif step == JOIN:
        join_job(job, request, lease, runtime)
    else:
        speak(job, step, request, lease, runtime)
