"""Text to the phonemes that the model was trained with."""

from worker.engine.emotivoice.frontend.phonemes import Frontend, Phonemes, Word

__all__ = ["Frontend", "Phonemes", "Word"]
