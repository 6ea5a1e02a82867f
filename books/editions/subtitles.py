"""Subtitles: SRT and WebVTT, from what was spoken and when."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """A stretch of text, usually a sentence, and when it is heard."""

    start_seconds: float
    end_seconds: float
    text: str
