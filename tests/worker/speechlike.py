"""Sound with the measures of speech, and what may be wrong with it."""

import zlib
from collections.abc import Callable

import numpy as np

from audio.waveform import Samples, Waveform
from shared.speech_length import estimated_seconds

RATE = 16_000
PHONE_SECONDS = 0.08


def speechlike(text: str, seed: int = 0, *, seconds: float = 0.0) -> Waveform:
    """Return as much sound as the text would take: buzzes of one pitch through ever other filters."""
    random = np.random.default_rng([zlib.crc32(text.encode()), seed])
    phones = max(4, round((seconds or estimated_seconds(text)) / PHONE_SECONDS))
    return Waveform(np.concatenate([_phone(random) for _ in range(phones)]).astype(np.float32), RATE)


def _phone(random: np.random.Generator) -> np.ndarray:
    times = np.arange(round(PHONE_SECONDS * RATE)) / RATE
    harmonics = np.arange(1, 40)
    centres, widths = random.uniform(200, 5000, 3), random.uniform(100, 500, 3)
    envelope = np.exp(-(((harmonics[:, None] * 120 - centres) / widths) ** 2)).sum(axis=1) + 0.01
    sound = (envelope[:, None] * np.sin(2 * np.pi * 120 * harmonics[:, None] * times)).sum(axis=0)
    fade = np.sin(np.pi * np.linspace(0, 1, len(times))) ** 0.5
    return sound / np.max(np.abs(sound)) * fade * random.uniform(0.1, 0.4)


def looped(samples: Samples) -> Samples:
    return np.concatenate([samples[:8000], *[samples[8000:14_000]] * 5, samples[14_000:]])


def holed(samples: Samples) -> Samples:
    return np.concatenate([samples[:12_000], np.zeros(2 * RATE, np.float32), samples[12_000:]])


def clipped(samples: Samples) -> Samples:
    return np.clip(samples * 20, -1, 1)


FAULTY: dict[str, Callable[[Samples], Samples]] = {
    "loop": looped,
    "hole": holed,
    "clip": clipped,
    "quiet": lambda samples: samples * np.float32(0.003),
    "short": lambda samples: samples[: len(samples) // 5],
    "long": lambda samples: np.concatenate([samples, speechlike("more", seconds=4 * len(samples) / RATE).samples]),
}
