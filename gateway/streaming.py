"""The speech of a job while it is spoken, and as audio of any format.

The first segment comes from the worker by way of Redis (shared/live.py), the others from the object store, one after
the other as they are finished. Whatever Redis does not have of the first comes from the object store too.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import count

import numpy as np
from anyio import to_thread

from audio.encoding import NotAudio, decoded
from audio.streaming import StreamEncoder
from audio.waveform import Samples, Waveform, silence
from gateway.delivery import AudioDamaged
from gateway.dependencies import Services
from shared.errors import JobError
from shared.jobs import Audio, Failure, Job, JobState
from shared.live import LivePiece

BLOCK_SECONDS = 0.5  # of speech, encoded at a time: a reader need not wait for the encoding of a long utterance
LOOK_SECONDS = 5.0  # it looks again at the latest: a change may have gone unheard


class SpeechEnded(JobError):
    """No more will come: the job has failed, was cancelled, or is gone."""

    code = "internal_error"

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code


CANCELLED = Failure("job_cancelled", "the job was cancelled")
GONE = Failure("job_not_found", "the job was removed while it was listened to")


class Speech:
    """What a job says, for one listener."""

    def __init__(self, job_id: str, services: Services) -> None:
        self.job_id = job_id
        self.seconds = 0.0  # that were heard so far
        self._services = services
        self._after = ""  # which piece was the latest
        self._heard = 0  # samples of the first segment

    async def waveforms(self) -> AsyncGenerator[Waveform]:
        """Yield the speech in order, without a gap or a repeat, as soon as it is there.

        Raises:
            SpeechEnded: it does not come to its end.
        """
        async with self._services.jobs.watch(self.job_id) as self._changed, aclosing(self._all()) as waveforms:
            async for waveform in waveforms:
                self.seconds += waveform.seconds
                yield waveform

    async def _all(self) -> AsyncGenerator[Waveform]:
        async for waveform in self._first_segment():
            yield waveform
        for number in count(1):
            audio, pause_seconds = await self._next_segment(number)
            if audio is None:
                return
            yield silence(pause_seconds, audio.sample_rate)
            async for waveform in self._stored(audio):
                yield waveform

    async def _first_segment(self) -> AsyncGenerator[Waveform]:
        while True:
            look = await self._services.live.look(self.job_id, after=self._after)
            self._after = look.latest
            for piece in look.pieces:
                if fresh := self._fresh(piece):
                    yield fresh
                if piece.last and self._heard >= piece.at:
                    return
            if look.pieces:
                continue
            job = _present(look.job)
            audio = (await self._services.live.segment(self.job_id, 0))[0] if job.segments_done else None
            if audio:
                async for waveform in self._stored(audio, skip=self._heard):
                    yield waveform
                return
            _still_spoken(job)
            await self._changed(LOOK_SECONDS)

    def _fresh(self, piece: LivePiece) -> Waveform | None:
        """Return what was not heard yet of a piece: some of it may have been, from a worker that died."""
        samples = _float(piece.samples)
        if not piece.at <= self._heard < piece.at + len(samples):  # behind a gap, the stored audio has it
            return None
        samples = samples[self._heard - piece.at :]
        self._heard += len(samples)
        return Waveform(samples, piece.sample_rate)

    async def _next_segment(self, number: int) -> tuple[Audio | None, float]:
        """Return a segment's audio once it is there, and the pause before it; None behind the last."""
        while True:
            job = _present((await self._services.live.look(self.job_id, after=self._after)).job)
            if not job.long or 0 < job.segments_total <= number:
                return None, 0.0
            audio, _ = await self._services.live.segment(self.job_id, number)
            if audio:
                return audio, (await self._services.live.segment(self.job_id, number - 1))[1]
            _still_spoken(job)
            await self._changed(LOOK_SECONDS)

    async def _stored(self, audio: Audio, *, skip: int = 0) -> AsyncGenerator[Waveform]:
        data = await to_thread.run_sync(lambda: b"".join(self._services.objects.read(audio.key)))
        if hashlib.sha256(data).hexdigest() != audio.sha256:
            raise AudioDamaged(audio.key)
        blocks = _blocks_of(data, skip)
        while block := await to_thread.run_sync(next, blocks, None):
            yield block


def _present(job: Job | None) -> Job:
    if job is None:
        raise SpeechEnded(GONE)
    return job


def _still_spoken(job: Job) -> None:
    """Go on only if more is to come."""
    if job.finished and job.state is not JobState.SUCCEEDED:
        raise SpeechEnded(job.failure or CANCELLED)


def _float(samples: bytes) -> Samples:
    return np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(32768)


def _blocks_of(data: bytes, skip: int) -> Iterator[Waveform]:
    """Yield stored audio from one sample on, in blocks: it is never held as samples."""
    held: list[Samples] = []
    rate = 1
    try:
        for piece in decoded(data):
            fresh, skip = piece.samples[skip:], max(skip - len(piece.samples), 0)
            held.append(fresh)
            if sum(map(len, held)) >= BLOCK_SECONDS * piece.sample_rate:
                yield replace(piece, samples=np.concatenate(held))
                held = []
            rate = piece.sample_rate
    except NotAudio as error:
        raise AudioDamaged("a segment can't be decoded") from error
    if any(map(len, held)):
        yield Waveform(np.concatenate(held), rate)


async def encoded(waveforms: AsyncIterator[Waveform], *, format: str, sample_rate: int) -> AsyncGenerator[bytes]:
    """Yield the waveforms as one audio, as they come. It reads on only when what it yielded was taken."""
    encoder: StreamEncoder | None = None
    async for waveform in waveforms:
        if encoder is None:
            encoder = StreamEncoder(format, source_rate=waveform.sample_rate, sample_rate=sample_rate)
        size = round(BLOCK_SECONDS * waveform.sample_rate)
        for start in range(0, len(waveform.samples), size):
            if data := await to_thread.run_sync(encoder.push, waveform.samples[start : start + size]):
                yield data
    if encoder and (data := await to_thread.run_sync(encoder.finish)):
        yield data
