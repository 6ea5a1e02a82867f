"""What became of a batch's lines: shown, told as a manifest, and as one file with all audio."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from anyio import to_thread
from starlette.concurrency import iterate_in_threadpool

from gateway import delivery
from gateway.batch_schemas import BatchJobs, BatchLinks, BatchProgress, BatchStatus, LineResult
from gateway.dependencies import Services
from gateway.schemas import JobError
from gateway.zip_stream import ZipStream
from shared.audio_formats import FORMATS
from shared.batch_lines import LineError
from shared.batches import OVER, PORTION_LINES, Batch, BatchState, BatchView
from shared.errors import AudioLost, AudioMissing
from shared.jobs import Audio, Failure, Job, JobState
from shared.ports import LaneLoad
from shared.shown import at

LONGEST_NAME = 80


def status(view: BatchView, load: LaneLoad) -> BatchStatus:
    batch = view.batch
    own = f"/v1/batches/{batch.id}"
    names = ("jobs", "errors", "manifest", "events")
    return BatchStatus(
        id=batch.id,
        name=batch.name,
        state=view.state,
        progress=progress(view),
        eta_seconds=_eta_seconds(view, load),
        created_at=at(batch.created_at),
        bytes=batch.source_bytes,
        sha256=batch.source_sha256,
        template=batch.template,
        defaults=batch.defaults,
        error=JobError(code=view.failure.code, message=view.failure.message) if view.failure else None,
        links=BatchLinks(self=own, audio=f"{own}/audio.zip", **{name: f"{own}/{name}" for name in names}),
    )


def progress(view: BatchView) -> BatchProgress:
    batch = view.batch
    return BatchProgress(
        lines=batch.lines,
        lines_read=batch.lines_read,
        errors=batch.lines_wrong,
        jobs=BatchJobs(**{str(state): count for state, count in view.counts.items()}),
    )


def _eta_seconds(view: BatchView, load: LaneLoad) -> float | None:
    if view.state in OVER:
        return 0.0
    if load.seconds_per_step is None:
        return None
    unread = view.batch.lines - view.batch.lines_read if view.state is BatchState.INGESTING else 0
    return round((view.open + unread) * load.seconds_per_step + (load.service_seconds or 0.0), 1)


GONE = Failure(
    AudioMissing.code,
    "its audio is gone: it was lost, or a voice that speaks in it was deleted; ask for the audio of its job",
)


@dataclass(frozen=True)
class Line:
    """A line, and what became of it: a job with or without audio, or an error; or why it was not tried again."""

    number: int
    job: Job | None = None
    audio: Audio | None = None
    error: LineError | None = None

    @property
    def why(self) -> LineError | Failure | None:
        """Why there is no audio, as far as that is not to be expected of the job's state."""
        if self.error or not self.job:
            return self.error
        return self.job.failure or (GONE if self.job.state is JobState.SUCCEEDED and not self.audio else None)

    @property
    def file(self) -> str:
        """Return a name that is safe in every file system, and that no other line has."""
        custom_id, form = (self.job.custom_id, self.audio.format) if self.job and self.audio else ("", "wav")
        safe = re.sub(r"[^\w.-]+", "_", custom_id).strip("._")[:LONGEST_NAME]
        return f"{self.number:06}{'-' + safe if safe else ''}.{FORMATS[form].extension}"


async def all_lines(batch: Batch, services: Services) -> AsyncIterator[Line]:
    """Yield what became of each line that was read, in order, some at a time."""
    for first in range(1, batch.lines_read + 1, PORTION_LINES):
        last = min(first + PORTION_LINES - 1, batch.lines_read)
        for line in await lines_between(batch, services, first=first, last=last):
            yield line


async def lines_between(batch: Batch, services: Services, *, first: int, last: int) -> list[Line]:
    """Return what became of these lines; blank ones became nothing."""
    numbers = range(first, last + 1)
    jobs = await services.children.jobs([batch.line_job(number) for number in numbers])
    audio = await services.children.audio([(job.audio_address if job else None) or "" for job in jobs])
    errors = await to_thread.run_sync(_errors_between, batch, services, first, last)
    found: list[Line] = []
    for number, job, its_audio in zip(numbers, jobs, audio, strict=True):
        if job or number in errors:
            found.append(Line(number, job, its_audio, errors.get(number)))
    return found


def _errors_between(batch: Batch, services: Services, first: int, last: int) -> dict[int, LineError]:
    """Read the objects that may have errors of these lines."""
    parts = [key for key in batch.error_parts if first - PORTION_LINES < batch.portion_of(key) <= last]
    read = b"".join(chain.from_iterable(services.objects.read(key) for key in parts))
    errors = (LineError(**json.loads(line)) for line in read.splitlines())
    return {error.line: error for error in errors if first <= error.line <= last}


def result(line: Line) -> LineResult:
    """Return the line as the API shows it."""
    job, audio, why = line.job, line.audio, line.why
    return LineResult(
        line=line.number,
        custom_id=line.error.custom_id if line.error else job.custom_id if job else "",
        job_id=job.id if job else None,
        state=job.state if job else "rejected",
        file=line.file if audio else None,
        audio=f"/v1/jobs/{job.id}/audio" if job and audio else None,
        key=audio.key if audio else None,
        bytes=audio.bytes if audio else None,
        seconds=round(audio.seconds, 6) if audio else None,
        format=audio.format if audio else None,
        sha256=audio.sha256 if audio else None,
        warnings=list(audio.warnings) if audio else [],
        error=JobError(code=why.code, message=why.message) if why else None,
    )


def errors_of(batch: Batch, services: Services) -> AsyncIterator[bytes]:
    """Yield the lines that are no jobs, as JSON Lines."""
    return iterate_in_threadpool(chain.from_iterable(services.objects.read(key) for key in batch.error_parts))


async def manifest(batch: Batch, services: Services) -> AsyncIterator[bytes]:
    """Yield what became of each line, as JSON Lines."""
    async for line in all_lines(batch, services):
        yield f"{result(line).model_dump_json()}\n".encode()


async def zipped(batch: Batch, services: Services) -> AsyncIterator[bytes]:
    """Yield a ZIP with all audio, and the manifest behind it."""
    archive = ZipStream()
    async for line in all_lines(batch, services):
        if line.audio:
            async for piece in _entry(archive, line, line.audio, services):
                yield piece
    yield archive.begin("manifest.jsonl")
    async for told in manifest(batch, services):
        yield archive.data(told)
    yield archive.end()
    yield archive.close()


async def _entry(archive: ZipStream, line: Line, audio: Audio, services: Services) -> AsyncIterator[bytes]:
    yield archive.begin(line.file)
    try:
        async for chunk in iterate_in_threadpool(delivery.verified(services.objects.read(audio.key), audio)):
            yield archive.data(chunk)
    except AudioMissing:  # the connection breaks off; the batch is not over until it is spoken again
        with suppress(AudioLost):
            await delivery.make_again(line.job.id if line.job else "", services)
        raise
    yield archive.end()
