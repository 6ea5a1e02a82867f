"""How the model speaks like a reference clip: by the voice adapter, or with the nearest voice of its table."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np

from voices.encoder import Floats, load_encoder
from worker.engine.emotivoice.adapter import Adapter
from worker.engine.emotivoice.listening import SENTENCES, Speak, heard
from worker.engine.speech import Imitation, ReferenceClip, Voice

VERSION = "1"  # raise it with every change of what is found for a clip
SAMPLED = 24  # voices that are heard where there is no adapter, once in a process: about 3 minutes of speech
SAMPLE_SENTENCES = SENTENCES[:2]  # one of each language
NO_NEARER = 0.005  # cosine: what the adapter has to be better by than a voice of the table, to be taken


class Imitator:
    """Finds imitations. It speaks to do so: nobody else may use the engine meanwhile."""

    def __init__(self, speak: Speak, voices: Sequence[Voice], adapter: Adapter | None) -> None:
        self._speak = speak
        self._voices = voices
        self._adapter = adapter
        self._lock = threading.Lock()
        self._sampled: Floats | None = None

    def revision(self, engine_revision: str) -> str:
        """Name exactly how it imitates."""
        adapter = self._adapter.revision if self._adapter else "none"
        parts = (engine_revision, VERSION, adapter)
        return "emotivoice-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def imitate(self, clip: ReferenceClip) -> Imitation:
        """Return how to speak like the clip; its similarity is of what was spoken so.

        Raises:
            EngineError: the model makes no sound.
        """
        embedding = np.array(clip.embedding, np.float32)
        return self._adapted(self._adapter, embedding) if self._adapter else self._nearest_sampled(embedding)

    def _adapted(self, adapter: Adapter, embedding: Floats) -> Imitation:
        row, nearest = adapter.nearest(embedding)
        voice = self._voices[row]
        numbers = adapter.vector(embedding)
        (spoken,) = heard(self._speak, [numbers], adapter.measured.sentences, load_encoder())
        similarity = float(spoken @ embedding)
        if similarity > nearest + NO_NEARER:
            return Imitation(voice.id, numbers, similarity)
        warning = (
            f"Voice {voice.id} of the model speaks: it is as much like the clip ({nearest:.2f}) as what the voice "
            f"adapter makes of it ({similarity:.2f})."
        )
        return Imitation(voice.id, (), nearest, (warning,))

    def _nearest_sampled(self, embedding: Floats) -> Imitation:
        voices = [self._voices[row] for row in spread(len(self._voices), SAMPLED)]
        similarities = self._sample([voice.id for voice in voices]) @ embedding
        best = int(np.argmax(similarities))
        of = f"the {len(voices)} of its {len(self._voices)} voices that were heard"
        warning = (
            f"Voice {voices[best].id} of the model speaks, the nearest to the clip of {of}: the model has no voice "
            "adapter, so it can't do better (emotivoice voices fit-adapter)."
        )
        return Imitation(voices[best].id, (), float(similarities[best]), (warning,))

    def _sample(self, voices: Sequence[str]) -> Floats:
        """Hear them once in the life of the process."""
        with self._lock:
            if self._sampled is None:
                self._sampled = heard(self._speak, voices, SAMPLE_SENTENCES, load_encoder())
            return self._sampled


def spread(count: int, most: int) -> list[int]:
    """Return `most` numbers below `count`, evenly spread; all of them if there are no more."""
    return [number * count // most for number in range(most)] if count > most else [*range(count)]
