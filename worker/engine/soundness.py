"""Whether what an engine returned can be speech at all: a network may return nonsense without an error."""

import numpy as np

from worker.engine.errors import InvalidSpeech
from worker.engine.speech import Speech, Utterance
from worker.engine.text.characters import is_mark

SILENT_PEAK = 1e-4  # -80 dBFS, three steps of 16 bits: far below speech at the least energy_shift


def require_sound(utterance: Utterance, speech: Speech) -> None:
    """Check the samples of a spoken utterance.

    Raises:
        InvalidSpeech: there are none, some are no finite numbers, or all are silence where the text is not only marks.
    """
    samples = speech.waveform.samples
    if not len(samples):
        raise InvalidSpeech("the engine returned no samples")
    peak = float(np.max(np.abs(samples)))  # one that is no number makes this one too
    if not np.isfinite(peak):
        raise InvalidSpeech("the engine returned samples that are no finite numbers")
    if peak < SILENT_PEAK and not all(is_mark(character) for character in utterance.text):
        raise InvalidSpeech(f"the engine returned {speech.waveform.seconds:.2f} s of silence for a text that sounds")
