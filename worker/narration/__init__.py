"""A chapter in marked text becomes segments: who says what, how, and with which pauses. Pure; docs/narration.md."""

from worker.narration.chapter import check_marks, narrate

__all__ = ["check_marks", "narrate"]
