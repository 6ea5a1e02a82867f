"""Whether a recording will do as a reference for a voice, and what its owner can do about it if not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.waveform import Waveform, frame_levels, speech_level
from voices.activity import speech_frames, speech_only, trimmed
from voices.encoder import Floats, SpeakerEncoder, similarity, unit

LEAST_SECONDS, MOST_SECONDS = 3.0, 30.0  # of what is left when silence is trimmed
LEAST_SPEECH_SHARE = 0.4
LEAST_LEVEL_DBFS = -42.0
LEAST_SNR_DB = 12.0
MOST_CLIPPED = 0.002  # of the samples
LEAST_ALIKE = 0.6  # the first and the second half; below 0.9 of two voices here, above it of one (bench/voices.py)
_FULL = 0.985  # a sample beyond it may have been cut off
_LEAST_FOR_TWO = 3.2  # seconds: two looks of the encoder, one for each half


class PoorClip(ValueError):
    """The recording will not do. `problems` says why, a sentence each, with what to do about it."""

    def __init__(self, problems: tuple[str, ...], report: "ClipReport") -> None:
        super().__init__(" ".join(problems))
        self.problems = problems
        self.report = report


@dataclass(frozen=True)
class ClipReport:
    """What was measured of a recording."""

    seconds: float  # without the silence at its ends
    speech_share: float  # of these
    level_dbfs: float  # of the speech
    snr_db: float  # speech over what is heard between it
    clipped_share: float  # of all samples
    alike: float | None  # cosine of its halves' embeddings; None where it is too short to tell, or was told before


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording that will do: trimmed, with its speaker's embedding."""

    waveform: Waveform
    embedding: Floats  # (256,)
    report: ClipReport


def checked(recording: Waveform, encoder: SpeakerEncoder, *, known: Floats | None = None) -> Clip:
    """Return the clip.

    Args:
        known: its embedding, if this very recording was checked before.
    Raises:
        PoorClip: it will not do.
    """
    frames = speech_frames(recording)
    clip = trimmed(recording, frames)
    spoken = speech_only(recording)
    long_enough = spoken.seconds >= 1.0
    to_embed = known is None and long_enough and np.any(spoken.samples)
    pieces = encoder.embed_pieces(spoken) if to_embed else None
    report = ClipReport(
        seconds=clip.seconds,
        speech_share=spoken.seconds / clip.seconds if clip.seconds else 0.0,
        level_dbfs=speech_level(spoken.samples, spoken.sample_rate) if long_enough else -120.0,
        snr_db=_snr(recording, frames),
        clipped_share=float(np.mean(np.abs(recording.samples) >= _FULL)) if len(recording.samples) else 0.0,
        alike=_alike(pieces) if pieces is not None and spoken.seconds >= _LEAST_FOR_TWO else None,
    )
    problems = _problems(report)
    embedding = known if pieces is None else unit(pieces.mean(axis=0))
    if problems or embedding is None:
        raise PoorClip(problems, report)
    return Clip(clip, embedding, report)


def _alike(pieces: Floats) -> float:
    half = len(pieces) // 2
    return similarity(pieces[:half].mean(axis=0), pieces[half:].mean(axis=0)) if half else 1.0


def _snr(recording: Waveform, frames: NDArray[np.bool_]) -> float:
    """Return by how much the speech is louder than the quietest tenth of the recording."""
    levels = frame_levels(recording.samples, recording.sample_rate)  # of 10 ms
    levels = levels[levels > -110]  # digital silence is no recording's noise
    if not len(levels) or not frames.any():
        return 0.0
    speech = levels[levels > np.max(levels) - 30]
    loud = 10 * np.log10(np.mean(10 ** (speech / 10)))
    quiet = np.sort(levels)[: max(1, len(levels) // 10)]
    return float(loud - 10 * np.log10(np.mean(10 ** (quiet / 10))))


def _problems(report: ClipReport) -> tuple[str, ...]:
    if report.seconds * report.speech_share < 1.0:
        return ("No speech was found in the recording. Record one person who speaks, near to the microphone.",)
    found = (
        (
            LEAST_SECONDS <= report.seconds <= MOST_SECONDS,
            f"Without the silence at its ends it has {report.seconds:.1f} s; {LEAST_SECONDS:.0f} to {MOST_SECONDS:.0f} "
            "are needed, and ten are best.",
        ),
        (
            report.speech_share >= LEAST_SPEECH_SHARE,
            f"Only {report.speech_share:.0%} of it is speech; {LEAST_SPEECH_SHARE:.0%} are needed. Cut out the pauses.",
        ),
        (
            report.level_dbfs >= LEAST_LEVEL_DBFS,
            f"Its speech is too quiet: {report.level_dbfs:.0f} dBFS; {LEAST_LEVEL_DBFS:.0f} are needed. Record it "
            "nearer to the microphone.",
        ),
        (
            report.snr_db >= LEAST_SNR_DB,
            f"It is noisy: the speech is {report.snr_db:.0f} dB louder than what is heard between it; "
            f"{LEAST_SNR_DB:.0f} are needed. Record it in a quiet room, without music.",
        ),
        (
            report.clipped_share <= MOST_CLIPPED,
            f"{report.clipped_share:.1%} of it is cut off at full scale; {MOST_CLIPPED:.1%} may be. Record it with "
            "less gain.",
        ),
        (
            report.alike is None or report.alike >= LEAST_ALIKE,
            f"Its halves don't sound like one person: they are {report.alike or 0:.2f} alike; {LEAST_ALIKE} are "
            "needed. Keep to one speaker.",
        ),
    )
    return tuple(problem for fine, problem in found if not fine)
