"""The speaker embedding of a recording: Resemblyzer's pretrained encoder, computed with numpy alone.

A network of three LSTM layers (Wan et al., "Generalized end-to-end loss for speaker verification", arXiv:1710.10467)
reads 1.6 s of a mel spectrogram at a time; the embedding is the mean over the recording. The weights and the procedure
are Resemblyzer's (Apache-2.0), whose package would bring torch and librosa; scripts/speaker_encoder.py takes them from
its wheel. One thing differs: loud recordings are brought to the level of quiet ones, since the network hears levels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

import numpy as np
from numpy.typing import NDArray

from audio.waveform import Samples, Waveform, resample

Floats = NDArray[np.float32]

WEIGHTS = "speaker_encoder.npz"
SAMPLE_RATE = 16_000
SIZE = 256  # of an embedding
_MELS, _HIDDEN, _LAYERS = 40, 256, 3
_WINDOW, _HOP = 400, 160  # 25 ms and 10 ms
_FRAMES = 160  # that the network sees at once: 1.6 s
_STEP = 77  # frames from one of these to the next: 1.3 in a second
_LEAST_COVERED = 0.75  # of the last of these; with less it is left out
_LEVEL_DBFS = -30.0


class NoSpeech(ValueError):
    """There is nothing in the recording to tell a speaker by."""


@dataclass(frozen=True, eq=False)
class _Layer:
    """An LSTM layer. The rows are those of the input, forget, cell and output gates, in torch's order."""

    inputs: Floats  # (4 * hidden, inputs)
    hidden: Floats  # (4 * hidden, hidden)
    bias: Floats  # (4 * hidden,)


@dataclass(frozen=True, eq=False)
class SpeakerEncoder:
    """The network. `revision` names exactly which: embeddings of different revisions must not be compared."""

    layers: tuple[_Layer, ...]
    projection: Floats  # (SIZE, hidden)
    bias: Floats  # (SIZE,)
    revision: str

    def embed(self, recording: Waveform) -> Floats:
        """Return the speaker embedding: (256,), of unit length, none below 0. The cosine of two is their similarity.

        Args:
            recording: speech of one person at any rate, without long silences (voices.activity.speech_only).
        Raises:
            NoSpeech: it is empty or silent.
        """
        return unit(self.embed_pieces(recording).mean(axis=0))

    def embed_pieces(self, recording: Waveform) -> Floats:
        """Return the embedding of each 1.6 s, (pieces, 256): how alike they are tells whether one person speaks."""
        return self._run(_looks(recording))

    def embed_all(self, recordings: Sequence[Waveform]) -> list[Floats]:
        """Return the speaker embedding of each, as `embed` does; together they take less time than one by one."""
        looks = [_looks(recording) for recording in recordings]
        pieces = self._run(np.concatenate(looks))
        ends = np.cumsum([len(look) for look in looks])
        return [unit(those.mean(axis=0)) for those in np.split(pieces, ends[:-1])]

    def _run(self, mel: Floats) -> Floats:
        """(pieces, frames, mels) to (pieces, SIZE)."""
        raw = np.maximum(self._last_state(mel) @ self.projection.T + self.bias, 0)
        return (raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)).astype(np.float32)

    def _last_state(self, mel: Floats) -> Floats:
        """(pieces, frames, mels) to (pieces, hidden)."""
        sequence = mel
        for layer in self.layers:
            sequence = _lstm(layer, sequence)
        return sequence[:, -1]


def unit(vector: Floats) -> Floats:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def similarity(one: Floats, other: Floats) -> float:
    """Return the cosine of two embeddings: about 0.6 of two people, 0.9 of one."""
    return float(unit(one) @ unit(other))


@cache
def load_encoder() -> SpeakerEncoder:
    """Return the pretrained encoder, of which a process needs one."""
    with (files("voices") / "data" / WEIGHTS).open("rb") as file, np.load(file) as stored:
        weights = {name: stored[name].astype(np.float32) for name in stored.files}
    layers = [_Layer(weights[f"inputs{n}"], weights[f"hidden{n}"], weights[f"bias{n}"]) for n in range(_LAYERS)]
    return SpeakerEncoder(tuple(layers), weights["projection"], weights["projection_bias"], encoder_revision())


@cache
def encoder_revision() -> str:
    """Return the pretrained encoder's revision, without loading it."""
    raw = (files("voices") / "data" / WEIGHTS).read_bytes()
    return f"resemblyzer-{hashlib.sha256(raw).hexdigest()[:12]}"


def _lstm(layer: _Layer, sequence: Floats) -> Floats:
    """(pieces, frames, inputs) to (pieces, frames, hidden)."""
    pieces, frames, _ = sequence.shape
    given = sequence @ layer.inputs.T + layer.bias  # of all frames at once: only the state is sequential
    state: Floats = np.zeros((pieces, _HIDDEN), np.float32)
    cell: Floats = np.zeros_like(state)
    output = np.empty((pieces, frames, _HIDDEN), np.float32)
    for frame in range(frames):
        gates = cast(Floats, given[:, frame] + state @ layer.hidden.T)
        enter, keep, new, leave = (gates[:, n * _HIDDEN : (n + 1) * _HIDDEN] for n in range(4))
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        state = _sigmoid(leave) * np.tanh(cell)
        output[:, frame] = state
    return output


def _sigmoid(values: Floats) -> Floats:
    return (0.5 * (1 + np.tanh(0.5 * values))).astype(np.float32)  # does not overflow


def _at_our_rate(recording: Waveform) -> Samples:
    samples = resample(recording.samples, recording.sample_rate, SAMPLE_RATE).astype(np.float32)
    if not len(samples) or not np.any(samples):
        raise NoSpeech("the recording is silent")
    return samples


def _level(samples: Samples) -> Samples:
    rms = np.sqrt(np.mean(samples.astype(np.float64) ** 2))
    return (samples * (10 ** (_LEVEL_DBFS / 20) / rms)).astype(np.float32)


def _looks(recording: Waveform) -> Floats:
    """Return the mel spectrograms of 1.6 s each that the network sees: (pieces, frames, mels)."""
    samples = _level(_at_our_rate(recording))
    mel = _mel(_padded(samples))
    return np.stack([mel[start : start + _FRAMES] for start in _starts(len(samples))])


def _starts(length: int) -> list[int]:
    """Return the frames at which what the network sees begins."""
    frames = -(-(length + 1) // _HOP)
    starts = [*range(0, max(1, frames - _FRAMES + _STEP + 1), _STEP)]
    covered = (length - starts[-1] * _HOP) / (_FRAMES * _HOP)
    return starts[:-1] if covered < _LEAST_COVERED and len(starts) > 1 else starts


def _padded(samples: Samples) -> Samples:
    whole = (_starts(len(samples))[-1] + _FRAMES) * _HOP
    return np.pad(samples, (0, max(whole - len(samples), 0)))


def _mel(samples: Samples) -> Floats:
    """The mel power spectrogram, (frames, mels), as librosa's with its defaults."""
    centered = np.pad(samples, _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(centered, _WINDOW)[::_HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return (power @ _filters().T).astype(np.float32)


@cache
def _filters() -> NDArray[np.float64]:
    """Slaney's mel filters, each of unit area: (mels, bins)."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    edges = _hertz(np.linspace(0, _mels_of(SAMPLE_RATE / 2), _MELS + 2))
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


_LINEAR = 200 / 3  # Hz per mel below 1 kHz; above it, 27 mels are a factor of 6.4


def _mels_of(hertz: float) -> float:
    return hertz / _LINEAR if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15, mels * _LINEAR, 1000 * 6.4 ** ((mels - 15) / 27))
