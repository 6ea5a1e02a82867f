"""Failures of jobs, their audio and their lists, and of the servers that keep them."""

from shared.errors.base import JobError


class JobNotFound(JobError):
    """There is no such job, or it has been removed."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}; it may have been removed or have expired")


class AudioNotReady(JobError):
    """The job has no audio, or none yet."""

    code = "audio_not_ready"

    def __init__(self, state: str) -> None:
        super().__init__(f"the job is {state}; only a job that succeeded has audio")
        self.state = state


class AudioExpired(JobError):
    """The job's time is over."""

    code = "audio_expired"

    def __init__(self) -> None:
        super().__init__("the job has expired and its audio is deleted; submit it again")


class AudioLost(JobError):
    """The job succeeded, but its audio is not in the object store any more, or not as it was stored."""

    code = "audio_lost"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the audio was lost and is being made again; ask for the job until it has succeeded")


class AudioMissing(JobError):
    """An object that should be there is gone from the object store."""

    code = "audio_missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"the object {key} is not in the store as it was stored; submit the job again")


class IdempotencyConflict(JobError):
    """The key was used for another request."""

    code = "idempotency_conflict"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"this Idempotency-Key already belongs to job {job_id}, made from another request body")
        self.job_id = job_id


class InvalidCursor(JobError):
    """The cursor is not one that we gave out."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__("the cursor is not one that this API returned; leave it out to start from the newest job")


class QueueUnavailable(JobError):
    """The broker did not confirm the message."""

    code = "queue_unavailable"
    retryable = True

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            "the job queue did not take the job; nothing was accepted" + (f" ({reason})" if reason else "")
        )


class StoreUnavailable(JobError):
    """Redis did not answer."""

    code = "store_unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the job store does not answer")


class StorageUnavailable(JobError):
    """The object store did not answer, or refused."""

    code = "storage_unavailable"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the object store could not be used: {reason}")


class NoCatalogue(JobError):
    """No worker has told yet which voices there are."""

    code = "no_worker_yet"
    retryable = True

    def __init__(self) -> None:
        super().__init__("no worker has started yet, so the voices are not known; try again shortly")


class KeepTooLong(JobError):
    """It is to be kept for longer than anything is kept here."""

    code = "keep_too_long"

    def __init__(self, seconds: float, *, limit: float) -> None:
        super().__init__(f"keep_seconds is {seconds:g}; here it may be {limit:g}")
        self.limit = limit
