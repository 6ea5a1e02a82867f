"""What goes into an engine and what comes out of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from audio.waveform import Waveform

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Voice:
    """One voice of an engine."""

    id: str
    name: str
    languages: tuple[str, ...]  # BCP 47, the voice's own language first
    gender: str  # "female", "male" or "unknown"
    description: str = ""


@dataclass(frozen=True)
class ReferenceClip:
    """A recording of the person who is to be imitated."""

    waveform: Waveform  # one speaker, trimmed, 3 to 30 s
    embedding: tuple[float, ...]  # (256,) of voices.encoder, unit length
    language: str = ""  # BCP 47, of what will mostly be spoken like it; "" where nobody said


@dataclass(frozen=True)
class Imitation:
    """How an engine speaks like a reference clip: found once, good for one revision of the engine. Kept as JSON."""

    voice: str  # the voice of the engine that it begins with, by id
    numbers: tuple[float, ...] = ()  # what makes it more like the clip; what they mean is the engine's
    similarity: float | None = None  # cosine to the clip's embedding, as far as the engine could measure it
    warnings: tuple[str, ...] = ()  # what the owner of the clip has to know, a sentence each; they go into Speech


@dataclass(frozen=True)
class Utterance:
    """What one model call speaks: about a sentence. An engine lists in `controls` which of the last four it obeys."""

    text: str
    voice: str | tuple[float, ...] | Imitation  # an id, a blend such as "8051*0.7+985*0.3", a speaker embedding (D,)
    emotion: str = NEUTRAL
    emotion_strength: float = 1.0  # 0 is neutral, 1 as the tag says, up to 2
    speed: float = 1.0  # 2 is twice as fast; pitch stays
    seed: int = 0
    pitch_shift: float = 0.0  # semitones
    pitch_scale: float = 1.0  # factor on the distance from the mean pitch: 0 is monotonous, 2 sings
    energy_shift: float = 0.0  # decibels
    energy_scale: float = 1.0  # factor on the distance from the mean energy


@dataclass(frozen=True)
class PhonemeTiming:
    """When a phoneme sounds, in seconds from the start of its waveform."""

    phoneme: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class WordTiming:
    """When a word sounds, in seconds from the start of its waveform."""

    word: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Speech:
    """A spoken utterance."""

    waveform: Waveform
    words: tuple[WordTiming, ...] = ()
    phonemes: tuple[PhonemeTiming, ...] = ()
    warnings: tuple[str, ...] = ()  # what was not spoken as it was written, a sentence each


class Engine(Protocol):
    """Text in, waveform out. An engine knows no jobs, queues, HTTP or storage."""

    name: str
    revision: str  # names code and weights exactly: equal revisions speak equal samples
    sample_rate: int  # Hz, of every waveform it returns
    voices: tuple[Voice, ...]
    emotions: tuple[str, ...]
    free_text_emotion: bool  # whether an emotion may be any sentence, not only a tag
    missing: dict[str, str]  # voice id -> why it can't speak here, and what to install
    controls: tuple[str, ...]  # which of pitch_shift, pitch_scale, energy_shift, energy_scale an utterance may set
    blends: bool  # whether a voice may be a blend: "8051*0.7+985*0.3"
    batch_size: int  # how many utterances it likes to get in one call: 1 where a batch is no faster

    def warm_up(self) -> None:
        """Speak what makes the first real utterance as fast as the next: kernels, caches, dictionaries."""
        ...

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        """Speak each utterance; the result is in the same order.

        Raises:
            UnspeakableText: an utterance has nothing that can be spoken.
            OutOfMemory: an utterance does not fit into memory, even alone.
            DeviceLost: this process can't use its GPU any more.
            EngineError: anything else that kept it from speaking.
        """
        ...


@runtime_checkable
class MeasuresMemory(Protocol):
    """An engine that knows the memory of its GPU."""

    def memory(self) -> dict[str, int]:
        """Return bytes by kind: allocated and reserved by this process; free and total of the GPU."""
        ...


@runtime_checkable
class Imitates(Protocol):
    """An engine that can speak like a reference clip."""

    imitation_revision: str  # stands for `revision` where a clip is imitated: it names too what only that depends on

    def imitate(self, clip: ReferenceClip) -> Imitation:
        """Return how; it may take seconds. The imitation is then an utterance's voice.

        Raises:
            EngineError: it can't be found.
        """
        ...


@runtime_checkable
class StreamsSpeech(Protocol):
    """An engine that can begin to speak an utterance before it has computed all of it."""

    def stream(self, utterance: Utterance) -> Iterator[Speech]:
        """Yield the speech in pieces: one behind the other they are what `synthesize` returns."""
        ...


@runtime_checkable
class Hums(Protocol):
    """An engine for tests and benches, whose sound is no speech: nobody listens whether it is."""

    hums: bool
