"""What can go wrong between text and waveform."""


class EngineError(Exception):
    """The engine could not speak an utterance, or could not start."""


class EngineUnavailable(EngineError):
    """The engine cannot start here: a program, library or model file is missing. The sentence names it."""


class UnspeakableText(EngineError):
    """Nothing in the text can be spoken: it holds only marks, or no script that this voice reads."""


class InvalidUtterance(EngineError):
    """A voice, or a number, that this engine does not have. The sentence says what was found and what is allowed."""


class InvalidSpeech(EngineError):
    """What came out is no speech: nothing at all, samples that are no numbers, or silence where a text should sound."""


class OutOfMemory(EngineError):
    """An utterance does not fit into memory, even alone. The engine is fit for the next one."""


class DeviceLost(EngineError):
    """The GPU failed in a way that only a new process mends: every further call would fail too."""
