"""Text in, waveform out: a library that knows no jobs, queues, HTTP or storage."""

from audio.waveform import Waveform
from worker.engine.errors import (
    DeviceLost,
    EngineError,
    EngineUnavailable,
    InvalidSpeech,
    OutOfMemory,
    UnspeakableText,
)
from worker.engine.options import EngineOptions
from worker.engine.registry import load_engine
from worker.engine.speech import (
    NEUTRAL,
    Engine,
    Hums,
    Imitates,
    Imitation,
    MeasuresMemory,
    PhonemeTiming,
    ReferenceClip,
    Speech,
    Utterance,
    Voice,
    WordTiming,
)

__all__ = [
    "NEUTRAL",
    "DeviceLost",
    "Engine",
    "EngineError",
    "EngineOptions",
    "EngineUnavailable",
    "Hums",
    "Imitates",
    "Imitation",
    "InvalidSpeech",
    "MeasuresMemory",
    "OutOfMemory",
    "PhonemeTiming",
    "ReferenceClip",
    "Speech",
    "UnspeakableText",
    "Utterance",
    "Voice",
    "Waveform",
    "WordTiming",
    "load_engine",
]
