"""Where somebody speaks in a recording: WebRTC's detector, smoothed as Resemblyzer's encoder was trained with."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import webrtcvad  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from audio.waveform import Waveform, resample

RATE = 16_000
FRAME_SECONDS = 0.03
_FRAME = round(FRAME_SECONDS * RATE)
_STRICTEST = 3  # of WebRTC's modes: the one that takes least for speech
_AVERAGED = 8  # frames
_KEPT = 3  # frames of silence on either side of speech


def speech_frames(recording: Waveform) -> NDArray[np.bool_]:
    """Return whether each 30 ms is speech, or so near to it that it belongs to it."""
    samples = resample(recording.samples, recording.sample_rate, RATE)
    whole = samples[: len(samples) - len(samples) % _FRAME]
    pcm = np.clip(np.rint(whole * 32767), -32768, 32767).astype("<i2").reshape(-1, _FRAME)
    detector = cast(Any, webrtcvad).Vad(_STRICTEST)
    found = np.array([detector.is_speech(frame.tobytes(), RATE) for frame in pcm], np.float64)
    if not len(found):
        return np.zeros(0, np.bool_)
    average = np.convolve(found, np.ones(_AVERAGED) / _AVERAGED, mode="same")[: len(found)]
    near = np.convolve(average > 0.5, np.ones(2 * _KEPT + 1), mode="same")[: len(found)]
    return near > 0.5


def speech_only(recording: Waveform) -> Waveform:
    """Return the recording without its silences."""
    return replace(recording, samples=recording.samples[_mask(recording, speech_frames(recording))])


def trimmed(recording: Waveform, frames: NDArray[np.bool_]) -> Waveform:
    """Return the recording without what is before the first and behind the last speech."""
    where = np.flatnonzero(_mask(recording, frames))
    samples = recording.samples[where[0] : where[-1] + 1] if len(where) else recording.samples[:0]
    return replace(recording, samples=samples)


def _mask(recording: Waveform, frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each sample whether its frame is speech; what is behind the last frame is not."""
    size = FRAME_SECONDS * recording.sample_rate
    number = (np.arange(len(recording.samples)) / size).astype(np.int64)
    return np.append(frames, False)[np.minimum(number, len(frames))]
