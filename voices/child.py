"""Decode a clip that a stranger sent, in a process that may only use so much."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from audio.waveform import Waveform
from sandbox import out_of_time, run
from voices.decoding import ClipLimits, UnreadableClip


def decode_safely(
    path: Path, *, limits: ClipLimits | None = None, check: Callable[[], None] = lambda: None
) -> Waveform:
    """Return the sound in a file, in one channel. Time, memory and length are bounded, whatever the file holds.

    Args:
        check: called every second meanwhile; what it raises ends that.
    Raises:
        UnreadableClip: with a sentence for the one who sent the file.
    """
    limits = limits or ClipLimits()
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise UnreadableClip(f"The file has {size} bytes; a clip may have {limits.file_bytes}.")
    with TemporaryDirectory(prefix="clip-") as folder:
        result = Path(folder) / "samples"
        request = {"path": str(path.resolve()), "result": str(result), "limits": asdict(limits)}
        status = run("voices", request, folder, limits.bounds, check=check)
        try:
            return read_result(result, limits)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, UnreadableClip):
                raise
            raise _ending(status, limits) from error


def write_result(path: Path, sound: Waveform) -> None:
    """Leave a waveform for the other process: a line of JSON, then its samples."""
    with path.open("wb") as file:
        file.write(json.dumps({"sample_rate": sound.sample_rate}).encode() + b"\n")
        file.write(sound.samples.astype("<f4").tobytes())


def write_error(path: Path, error: UnreadableClip) -> None:
    path.write_bytes(json.dumps({"error": str(error)}).encode() + b"\n")


def read_result(path: Path, limits: ClipLimits) -> Waveform:
    """Return the waveform that was written; whoever wrote it may have been taken over by the file.

    Raises:
        UnreadableClip: that was written instead.
        ValueError: what was written is neither.
    """
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.readline(4096))
        samples = np.frombuffer(file.read(4 * limits.samples + 1), "<f4").astype(np.float32)
    if "error" in header:
        raise UnreadableClip(str(header["error"]))
    rate = int(header["sample_rate"])
    if not 0 < rate <= limits.sample_rate:
        raise ValueError("no sample rate")
    if not np.all(np.isfinite(samples)):
        raise UnreadableClip("The file is damaged: some of its samples are no numbers.")
    return Waveform(np.clip(samples, -1, 1), rate)


def _ending(status: int, limits: ClipLimits) -> UnreadableClip:
    """Return why there is no result."""
    if out_of_time(status):
        return UnreadableClip(f"Decoding the file takes longer than the {limits.cpu_seconds} seconds allowed.")
    return UnreadableClip("The file is damaged, or decoding it takes more memory than is allowed.")
