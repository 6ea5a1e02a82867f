"""What goes into an engine and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from worker.engine.waveform import Waveform

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Voice:
    """One voice of an engine."""

    id: str
    name: str
    languages: tuple[str, ...]  # BCP 47, the voice's own language first
    gender: str  # "female" or "male"
    description: str = ""


@dataclass(frozen=True)
class Utterance:
    """What one model call speaks: about a sentence."""

    text: str
    voice: str
    emotion: str = NEUTRAL
    emotion_strength: float = 1.0  # 0 is neutral, 1 as the tag says, up to 2
    speed: float = 1.0  # 2 is twice as fast; pitch stays
    seed: int = 0


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
    words: tuple[WordTiming, ...] = field(default=())


class Engine(Protocol):
    """Text in, waveform out. An engine knows no jobs, queues, HTTP or storage."""

    name: str
    revision: str  # names code and weights exactly: equal revisions speak equal samples
    sample_rate: int  # Hz, of every waveform it returns
    voices: tuple[Voice, ...]
    emotions: tuple[str, ...]
    free_text_emotion: bool  # whether an emotion may be any sentence, not only a tag
    missing: dict[str, str]  # voice id -> why it can't speak here, and what to install

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        """Speak each utterance; the result is in the same order.

        Raises:
            UnspeakableText: an utterance has nothing that can be spoken.
            EngineError: anything else that kept it from speaking.
        """
        ...
