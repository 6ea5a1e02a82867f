"""From phonemes to samples, on one device: batches of utterances, windows of mel, one copy to the host at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from math import ceil
from typing import cast

import numpy as np
import torch
from torch import Tensor

from audio.waveform import Samples
from worker.engine.emotivoice.acoustic import Condition, Controls
from worker.engine.emotivoice.config import AUDIO
from worker.engine.emotivoice.device import to_device
from worker.engine.emotivoice.layers import length_mask
from worker.engine.emotivoice.model import Networks
from worker.engine.emotivoice.vocoder import CONTEXT_FRAMES, Vocoder, Window, windows
from worker.engine.errors import EngineError

FIRST_WINDOW = 16  # frames, 0.26 s: what a listener waits for


@dataclass(frozen=True)
class Limits:
    """How much is computed at once."""

    frames: int  # of a batch of utterances, padding among them
    window: int  # frames that the vocoder keeps of one window
    windows: int  # side by side
    multiple: int = 1  # lengths are padded to multiples of this: a GPU's libraries plan for each length they meet


# On a CPU a batch is no faster than its parts. Its windows keep every activation well under 32 MiB, from where on glibc
# maps each anew: the whole of 1,024 frames and more costs half as much again (docs/performance.md).
CPU_LIMITS = Limits(frames=512, window=256, windows=1)
GPU_LIMITS = Limits(frames=48_000, window=256, windows=32, multiple=32)


@dataclass(frozen=True)
class Input:
    """One utterance for the acoustic model."""

    phonemes: tuple[int, ...]
    speaker: Tensor  # (D,)
    style: Tensor  # (style width,)
    content: Tensor  # (style width,)
    speed: float = 1.0
    pitch_factor: float = 1.0
    pitch_scale: float = 1.0
    energy_factor: float = 1.0
    energy_scale: float = 1.0


@dataclass(frozen=True)
class Mel:
    """The mel of one utterance, on the device, and the frames of each of its phonemes."""

    frames: Tensor  # (T, mels)
    durations: list[int]  # their sum is T


def mels(networks: Networks, inputs: Sequence[Input], limits: Limits) -> list[Mel]:
    """Predict the mel of each utterance, all in one batch.

    Raises:
        EngineError: what the networks say is no number.
    """
    device = networks.acoustic.to_mel.weight.device
    counts = [len(each.phonemes) for each in inputs]
    longest = _rounded(max(counts), limits)
    phonemes = to_device([[*each.phonemes, *[0] * (longest - len(each.phonemes))] for each in inputs], device)
    lengths = None if min(counts) == longest else to_device(counts, device)
    condition = Condition(*(torch.stack([getattr(each, name) for each in inputs]) for name in Condition._fields))
    prosody = networks.acoustic.predict(phonemes, lengths, condition, _controls(inputs, device))
    # The one moment when the host waits for the device: it has to know how long the mel is.
    durations = cast(list[list[int]], prosody.durations.tolist())  # pyright: ignore[reportUnknownMemberType]
    if any(frames < 0 for each in durations for frames in each):
        raise not_finite(prosody.hidden.dtype)
    totals = [sum(each) for each in durations]
    most = _rounded(max(totals), limits)
    if lengths is None and min(totals) != most:
        lengths = to_device(counts, device)
    frames = networks.acoustic.frames(prosody.hidden, prosody.durations, lengths, most)
    return [
        Mel(mel[:total], each[:count])
        for mel, total, each, count in zip(frames, totals, durations, counts, strict=True)
    ]


def _rounded(length: int, limits: Limits) -> int:
    return ceil(length / limits.multiple) * limits.multiple


def not_finite(dtype: torch.dtype) -> EngineError:
    return EngineError(
        f"the model computed infinity, or no number, in {dtype}; "
        "if other texts fail too, set the precision to bf16 or fp32"
    )


def _controls(inputs: Sequence[Input], device: torch.device) -> Controls:
    rows = [[getattr(each, name) for each in inputs] for name in Controls._fields]
    return Controls(*to_device(rows, device, torch.float32))


def vocode(vocoder: Vocoder, all_mels: Sequence[Tensor], limits: Limits) -> list[Samples]:
    """Speak each mel (T, mels): float32 samples, T * 256 of them, the same as from the whole mel at once.

    Raises:
        EngineError: a sample is no number.
    """
    cuts = [(mel, window) for mel in all_mels for window in _equal_windows(len(mel), limits)]
    cuts_by_length = sorted(range(len(cuts)), key=lambda i: cuts[i][1].end - cuts[i][1].start)
    spoken: dict[int, Tensor] = {}
    for first in range(0, len(cuts), limits.windows):
        numbers = cuts_by_length[first : first + limits.windows]
        spoken |= zip(numbers, _speak_windows(vocoder, [cuts[i] for i in numbers], limits), strict=True)
    whole = _on_host(torch.cat([spoken[i] for i in range(len(cuts))]))
    ends = np.cumsum([len(mel) * AUDIO.hop for mel in all_mels])
    return np.split(whole, ends[:-1])


def vocode_in_pieces(vocoder: Vocoder, mel: Tensor, limits: Limits) -> Iterator[Samples]:
    """Speak one mel (T, mels) in pieces, the first of them short, each twice as long as the one before."""
    doubling = (FIRST_WINDOW << step for step in range(16) if FIRST_WINDOW << step < limits.window)
    for window in windows(len(mel), chain(doubling, repeat(limits.window))):
        (samples,) = _speak_windows(vocoder, [(mel, window)], limits)
        yield _on_host(samples)


def _equal_windows(frames: int, limits: Limits) -> Iterator[Window]:
    """Windows of one length where the mel is long enough, so that they stand side by side without padding.

    On a CPU, where they stand alone, as few as the limit allows, and none has more context than it needs.
    """
    if limits.windows > 1:
        yield from (window.widened(limits.window, frames) for window in windows(frames, repeat(limits.window)))
    elif frames:
        count = ceil(frames / limits.window)
        yield from windows(frames, repeat(ceil(frames / count)))


def _speak_windows(vocoder: Vocoder, cuts: Sequence[tuple[Tensor, Window]], limits: Limits) -> list[Tensor]:
    parts = [mel[window.start : window.end] for mel, window in cuts]
    lengths = [len(part) for part in parts]
    longest = min(_rounded(max(lengths), limits), max(*lengths, limits.window + 2 * CONTEXT_FRAMES))
    batch = parts[0].new_zeros(len(parts), longest, parts[0].shape[1])
    for row, part in zip(batch, parts, strict=True):
        row[: len(part)] = part
    mask = None
    if min(lengths) != longest:
        mask = length_mask(to_device(lengths, batch.device), longest)
    samples = vocoder(batch, mask)
    return [
        row[(window.keep_start - window.start) * AUDIO.hop : (window.keep_end - window.start) * AUDIO.hop]
        for row, (_, window) in zip(samples, cuts, strict=True)
    ]


def _on_host(samples: Tensor) -> Samples:
    found = samples.float().cpu().numpy()
    if not np.isfinite(found).all():
        raise not_finite(samples.dtype)
    return found
