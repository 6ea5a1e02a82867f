"""Failures of what is to be spoken, and of speaking it."""

from collections.abc import Iterable, Sequence

from shared.errors.base import JobError, UnknownName


class EmptyText(JobError):
    """There is nothing to speak."""

    code = "empty_text"

    def __init__(self) -> None:
        super().__init__("the text is empty; send at least one word")


class TextTooLong(JobError):
    """The text is longer than one job may carry."""

    code = "text_too_long"

    def __init__(self, length: int, *, limit: int) -> None:
        super().__init__(f"the text has {length} characters; a job may have {limit}")
        self.length = length
        self.limit = limit


class ControlCharacter(JobError):
    """The text holds a character that is neither text nor white space."""

    code = "control_character"

    def __init__(self, character: str, *, position: int) -> None:
        super().__init__(
            f"the text has the control character U+{ord(character):04X} at position {position}; "
            "only tab, line feed and carriage return are allowed"
        )
        self.position = position


class InvalidMark(JobError):
    """A mark in a chapter's text is none of ours, or says what can't be done."""

    code = "invalid_mark"
    allowed = ("[voice: NAME]", "[emotion: NAME 0.7]", "[pause: 1.5]", "[speed: 1.1]", "[word](/phonemes/)")

    def __init__(self, mark: str, *, paragraph: int, why: str) -> None:
        shown = mark if len(mark) <= 40 else f"{mark[:40]}…"
        super().__init__(
            f"paragraph {paragraph}: the mark {shown!r} can't be followed: {why}; "
            rf"there are {', '.join(self.allowed)}; a bracket that is no mark is written \["
        )
        self.paragraph = paragraph


class InvalidMarks(JobError):
    """Marks in the chapters of a book can't be followed, each told in a sentence; of many the first."""

    code = InvalidMark.code

    def __init__(self, found: Sequence[str], *, more: bool) -> None:
        super().__init__("; ".join([*found, *(["and there are more"] if more else [])]))


class UnknownVoice(UnknownName):
    """No engine here has that voice."""

    code = "unknown_voice"
    kind = "voice"


class InvalidBlend(JobError):
    """The voice is a blend that can't be spoken."""

    code = "invalid_blend"

    def __init__(self, blend: str, why: str) -> None:
        super().__init__(f"the blend {blend!r} can't be spoken: {why}; write it like voice*0.7+other*0.3")


class UnsupportedControl(JobError):
    """The engine does not obey that control."""

    code = "unsupported_control"

    def __init__(self, control: str, *, engine: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        obeyed = f"it obeys {', '.join(self.allowed)}" if self.allowed else "it obeys none of its kind"
        super().__init__(f"the engine {engine} does not obey {control}; {obeyed}")


class UnknownEmotion(UnknownName):
    """The engine has no such emotion, and takes no free text for one."""

    code = "unknown_emotion"
    kind = "emotion"
    param = "emotion"  # the field that asked for it


class ModelNotFound(UnknownName):
    """No engine of that name speaks here."""

    code = "model_not_found"
    kind = "model"


class UnsupportedLanguage(JobError):
    """No voice reads that language, or not the one that was asked for."""

    code = "unsupported_language"

    def __init__(self, language: str, allowed: Iterable[str], *, voice: str = "") -> None:
        self.allowed = tuple(allowed)
        who = f"the voice {voice!r} does not read" if voice else "no voice here reads"
        super().__init__(f"{who} {language!r}; there is {', '.join(self.allowed)}")


class UnknownFormat(UnknownName):
    """We don't write that audio format."""

    code = "unknown_format"
    kind = "format"


class UnsupportedSampleRate(JobError):
    """The format has no such sample rate."""

    code = "unsupported_sample_rate"

    def __init__(self, sample_rate: int, *, format: str, allowed: tuple[int, ...]) -> None:
        super().__init__(f"{format} can't have {sample_rate} Hz; it may have {', '.join(map(str, allowed))}")
        self.allowed = allowed


class EngineFailed(JobError):
    """The engine could not speak the text."""

    code = "engine_failed"


class InvalidAudio(JobError):
    """The engine spoke, and what came out is no speech. It may be a passing fault of its worker."""

    code = "invalid_audio"
    retryable = True


class OutOfMemory(JobError):
    """The text does not fit into a worker's memory. Workers of a lane are alike: another would fail too."""

    code = "out_of_memory"


class Unspeakable(JobError):
    """The engine can't read this text."""

    code = "unspeakable_text"


class TimedOut(JobError):
    """Speaking took longer than a segment may."""

    code = "timed_out"

    def __init__(self, *, limit_seconds: float) -> None:
        super().__init__(f"speaking one segment took longer than {limit_seconds:g} s")
