"""Let who listens hear each utterance as soon as it is spoken."""

import logging

import numpy as np

from audio.encoding import quantized
from audio.waveform import Samples, Waveform, fade_edges, silence
from shared.errors import StoreUnavailable
from shared.jobs import Job
from shared.live import LivePiece, LiveSpeech

log = logging.getLogger(__name__)


class Live:
    """The first segment of a job, utterance by utterance: one behind the other they are what is stored."""

    def __init__(self, job_id: str, speech: LiveSpeech) -> None:
        self._job_id = job_id
        self._speech: LiveSpeech | None = speech
        self._at = 0
        self._sample_rate = 0
        self._pause_seconds = 0.0

    def say(self, waveform: Waveform, pause_seconds: float) -> None:
        """Send the utterance; the pause after it goes with the next, for it may get longer, or nothing may follow."""
        pause = silence(self._pause_seconds if self._at else 0.0, waveform.sample_rate)
        self._sample_rate = waveform.sample_rate
        self._pause_seconds = pause_seconds
        self._add(np.concatenate([pause.samples, fade_edges(waveform).samples]), last=False)

    def leave_out(self, pause_seconds: float) -> None:
        """Nothing is heard of an utterance; the pause before it is as long as the one after it, if that is longer."""
        self._pause_seconds = max(self._pause_seconds, pause_seconds)

    def end(self) -> None:
        """That was all. If it was nothing, the stored audio has what there is to hear."""
        if self._at:
            self._add(np.zeros(0, np.float32), last=True)

    def _add(self, samples: Samples, *, last: bool) -> None:
        data = quantized(samples, "s16").astype("<i2").tobytes()
        piece = LivePiece(self._at, data, self._sample_rate, last)
        self._at += len(samples)
        if self._speech:
            try:
                self._speech.add(self._job_id, piece)
            except StoreUnavailable:
                log.warning("no more of the speech is sent while it is spoken: the store is away")
                self._speech = None


def live(job: Job, step: str, speech: LiveSpeech | None) -> Live | None:
    """Return where to send what is spoken of this step, if anybody listens to it."""
    return Live(job.id, speech) if speech and job.stream and step == "0" else None
