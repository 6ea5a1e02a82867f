"""A chapter in marked text becomes segments: who says what, how, and with which pauses. Pure; docs/narration.md."""

from worker.narration.chapter import check_marks, narrate
from worker.narration.pronunciation import words_in

__all__ = ["check_marks", "narrate", "words_in"]
