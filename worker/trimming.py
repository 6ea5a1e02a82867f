"""Cut the silence at the ends of an utterance: how long it is quiet there is for its pause to say."""

from dataclasses import replace

from audio.waveform import Waveform, speech_bounds, speech_level
from worker.engine import Speech

EDGE_SECONDS = 0.03  # of it stays
QUIET_DB = 40.0  # so far below its speech an utterance is silent


def trimmed(speech: Speech) -> Speech:
    """Return the speech without the silence at its ends, but for a little; its times move with it."""
    samples, rate = speech.waveform.samples, speech.waveform.sample_rate
    start, end = speech_bounds(samples, rate, speech_level(samples, rate) - QUIET_DB)
    keep = round(EDGE_SECONDS * rate)
    start, end = max(0, start - keep), min(len(samples), end + keep)
    if end - start == len(samples) or end <= start:
        return speech
    before, seconds = start / rate, (end - start) / rate

    def moved(at: float) -> float:
        return min(max(at - before, 0.0), seconds)

    return replace(
        speech,
        waveform=Waveform(samples[start:end], rate),
        words=tuple(
            replace(one, start_seconds=moved(one.start_seconds), end_seconds=moved(one.end_seconds))
            for one in speech.words
        ),
        phonemes=tuple(
            replace(one, start_seconds=moved(one.start_seconds), end_seconds=moved(one.end_seconds))
            for one in speech.phonemes
        ),
    )
