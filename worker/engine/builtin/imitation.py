"""How a voice of this engine becomes more like a reference clip: found by measuring both, then by trying.

Measured: median and spread of the pitch, and the average spectrum. Tried on one sentence: where the formants go, a
little more or less of what was measured, a tilt, and breath; what the speaker encoder finds most like the clip stays.
Its ear is no listener's, so each is bounded to what leaves speech intelligible (bench/voices.py measures both).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np

from audio.waveform import Signal, Waveform, resample
from voices.encoder import Floats, SpeakerEncoder, load_encoder, similarity
from worker.engine.builtin import world
from worker.engine.builtin.likeness import BAND_HERTZ, Likeness, in_bands, liken, warped
from worker.engine.builtin.programs import SAMPLE_RATE
from worker.engine.builtin.world import Analysis
from worker.engine.speech import Imitation, ReferenceClip
from worker.engine.text.language import Language

SENTENCE: dict[Language, str] = {  # what each voice is known by, about 5 s in its own language
    "en": "The boy was there when the sun rose, and we all heard her say good morning to everyone in the house.",
    "zh": "今天早上妈妈和弟弟去公园看花，还买了五本书，晚上我们一起回家吃饭。",
}
NEAR = 0.7  # two people are about 0.6 alike for the encoder
_LEAST_VOICED = 40  # frames of 5 ms: with less pitch than that a clip tells nothing of it
_MOST_DB = 15.0
_FIRST_WARPS = (0.78, 0.85, 0.92, 1.0, 1.08)


@dataclass(frozen=True, eq=False)
class Traits:
    """What is measured of a voice."""

    median: float  # log2 Hz
    spread: float  # standard deviation of log2 Hz
    spectrum: Signal  # log power per bin: the average of voiced frames of equal power


@dataclass(frozen=True)
class Settings:
    """What is tried."""

    warp: float = 1.0
    octaves: float = 0.0  # beside the clip's median pitch
    strength: float = 1.0  # how much of the difference of the spectra is taken
    tilt: float = 0.0  # dB per octave around 1 kHz
    breath: float = 0.0


# Higher up, a warp makes one of our voices (en-awb) hard to understand: one word in five is heard wrongly at 1.18.
_LOWEST = Settings(warp=0.75, octaves=-0.25, strength=0.4, tilt=-2.5, breath=0.0)
_HIGHEST = Settings(warp=1.12, octaves=0.25, strength=1.3, tilt=2.5, breath=0.4)
_STEP = Settings(warp=0.05, octaves=0.1, strength=0.25, tilt=1.0, breath=0.2)


class NoPitch(ValueError):
    """A recording has no pitch to be measured: nobody speaks in it, or in a whisper."""


def traits(pitch: Signal, spectrum: Signal) -> Traits:
    """Measure a voice from a few seconds of it.

    Raises:
        NoPitch: there is none.
    """
    voiced = pitch > 0
    if np.count_nonzero(voiced) < _LEAST_VOICED:
        raise NoPitch("the clip has no pitch")
    octaves, power = np.log2(pitch[voiced]), spectrum[voiced]
    average = np.mean(np.log(power / power.sum(axis=1, keepdims=True)), axis=0)
    return Traits(float(np.median(octaves)), float(np.std(octaves)), average)


def traits_of(recording: Waveform) -> Traits:
    samples = resample(recording.samples, recording.sample_rate, SAMPLE_RATE)
    return traits(*world.envelope(samples))


def likeness(home: Traits, clip: Traits, settings: Settings) -> Likeness:
    """Return what makes the home voice like the clip, as measured and with these settings."""
    missing: Signal = (
        in_bands(clip.spectrum - warped(home.spectrum, settings.warp)) * 10 / np.log(10) * settings.strength
    )
    gains: Signal = missing - float(np.mean(missing)) + settings.tilt * np.log2(BAND_HERTZ / 1000)
    return Likeness(
        from_octaves=home.median,
        to_octaves=clip.median + settings.octaves,
        stretch=float(np.clip(clip.spread / max(home.spread, 1e-3), 0.5, 2.0)),
        warp=settings.warp,
        breath=settings.breath,
        gains=tuple(np.clip(gains, -_MOST_DB, _MOST_DB).tolist()),
    )


@dataclass(frozen=True, eq=False)
class Search:
    """Tries settings on one sentence. It draws no lots: what it finds for two voices is the same each time."""

    sentence: Analysis  # by the voice that it begins with
    home: Traits
    clip: Traits
    wanted: Floats  # the clip's embedding
    encoder: SpeakerEncoder

    def best(self) -> tuple[Likeness, float]:
        """Return what came nearest, and its similarity to the clip."""
        first = [Settings(warp=warp) for warp in _FIRST_WARPS]
        tried = list(zip(self._scores(first), first, strict=True))
        for size in (1.0, 0.5):
            tried += self._around(*max(tried, key=_score), size)
        score, settings = max(tried, key=_score)
        return likeness(self.home, self.clip, settings), score

    def _around(self, score: float, center: Settings, size: float) -> list[tuple[float, Settings]]:
        """Try a step each way of every setting, then all of those that helped together."""
        middle, step = np.array(astuple(center)), size * np.array(astuple(_STEP))
        steps = np.diag(step)
        around = [_bounded(middle + sign * each) for each in steps for sign in (-1, 1)]
        scores = self._scores(around)
        moves = [_move(low, score, high) for low, high in zip(scores[::2], scores[1::2], strict=True)]
        together = [_bounded(middle + share * step * moves) for share in (0.5, 1.0)]
        return list(zip([*scores, *self._scores(together)], [*around, *together], strict=True))

    def _scores(self, settings: Sequence[Settings]) -> list[float]:
        spoken = [self._spoken(likeness(self.home, self.clip, each)) for each in settings]
        return [similarity(embedding, self.wanted) for embedding in self.encoder.embed_all(spoken)]

    def _spoken(self, found: Likeness) -> Waveform:
        samples = world.synthesize(liken(self.sentence, found), tempo=1.0)
        return Waveform(samples.astype(np.float32), SAMPLE_RATE)


class Imitator:
    """Knows the voices of an engine by a sentence of each, which is spoken when first needed."""

    def __init__(self, sentences: Mapping[str, Callable[[], Waveform]]) -> None:
        self._sentences = sentences

    @cached_property
    def _voices(self) -> dict[str, tuple[Waveform, Floats]]:
        spoken = {voice: say() for voice, say in self._sentences.items()}
        embeddings = load_encoder().embed_all(list(spoken.values()))
        return {voice: (sentence, each) for (voice, sentence), each in zip(spoken.items(), embeddings, strict=True)}

    def imitate(self, clip: ReferenceClip, among: Sequence[str]) -> Imitation:
        """Return how to speak like the clip, beginning with the nearest of these voices.

        Its numbers are those of a `Likeness`, or none where the voice as it is comes nearer than all that was tried.
        """
        wanted = np.array(clip.embedding, np.float32)
        near = {name: similarity(embedding, wanted) for name, (_, embedding) in self._voices.items()}
        voice = max(among, key=lambda name: near[name])
        sentence, _ = self._voices[voice]
        try:
            found, score = _search(sentence, clip.waveform, wanted)
        except NoPitch as why:
            return Imitation(voice, (), near[voice], (f"{why}; {voice} speaks as it is",))
        numbers = found.numbers() if score > near[voice] else ()
        score = max(score, near[voice])
        return Imitation(voice, numbers, score, (_far(score),) if score < NEAR else ())


def _search(sentence: Waveform, clip: Waveform, wanted: Floats) -> tuple[Likeness, float]:
    analysis = world.analyze(sentence.samples.astype(np.float64))
    home = traits(analysis.pitch, analysis.spectrum)
    return Search(analysis, home, traits_of(clip), wanted, load_encoder()).best()


def _far(score: float) -> str:
    return (
        f"the builtin engine did not come near to this voice: the similarity to the clip is {score:.2f}, where two "
        "people have about 0.6 and one has 0.9"
    )


def _score(tried: tuple[float, Settings]) -> float:
    return tried[0]


def _bounded(values: Signal) -> Settings:
    return Settings(*np.clip(values, astuple(_LOWEST), astuple(_HIGHEST)).tolist())


def _move(low: float, middle: float, high: float) -> float:
    """Return where a parabola through -1, 0 and 1 is highest, within these; at an end, if it has no top."""
    bend = low - 2 * middle + high
    if bend >= 0:
        return float(np.sign(high - low))
    return float(np.clip((low - high) / (2 * bend), -1, 1))
