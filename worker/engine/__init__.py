"""Text in, waveform out: a library that knows no jobs, queues, HTTP or storage."""

from worker.engine.errors import EngineError, EngineUnavailable, UnspeakableText
from worker.engine.registry import load_engine
from worker.engine.speech import NEUTRAL, Engine, Speech, Utterance, Voice, WordTiming
from worker.engine.waveform import Waveform

__all__ = [
    "NEUTRAL",
    "Engine",
    "EngineError",
    "EngineUnavailable",
    "Speech",
    "UnspeakableText",
    "Utterance",
    "Voice",
    "Waveform",
    "WordTiming",
    "load_engine",
]
