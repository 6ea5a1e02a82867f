"""The download-free engine: flite for English, espeak-ng for Mandarin, WORLD for emotion, tempo and voice matching."""

from worker.engine.builtin.engine import BuiltinEngine

__all__ = ["BuiltinEngine"]
