"""Who speaks: what an utterance's voice is to the acoustic model."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.engine.emotivoice.device import to_device
from worker.engine.emotivoice.voices import VoiceFinder
from worker.engine.errors import InvalidUtterance
from worker.engine.speech import Imitation, Voice

LARGEST_IN_VECTOR = 100.0  # of a speaker embedding; the table's numbers are around 1, and fp16 ends at 65,504

AnyVoice = str | tuple[float, ...] | Imitation


class Speakers:
    """The speaker table, and how voices are found in it."""

    def __init__(self, voices: Sequence[Voice], table: Tensor) -> None:
        self._finder = VoiceFinder(voices)
        self._table = table  # (speakers, D)

    def require(self, voice: AnyVoice) -> None:
        """Raise InvalidUtterance unless there is such a voice."""
        self._found(voice)

    def vector(self, voice: AnyVoice) -> Tensor:
        """Return the speaker embedding, (D,): a row of the table, a blend of rows, or the given numbers themselves."""
        found = self._found(voice)
        if isinstance(found, tuple):
            return to_device(found, self._table.device, self._table.dtype)
        blend = torch.stack([self._table[row].float() * weight for row, weight in found]).sum(dim=0)
        return blend.to(self._table.dtype)

    def _found(self, voice: AnyVoice) -> list[tuple[int, float]] | tuple[float, ...]:
        """Rows with their weights, or the numbers of a vector."""
        if isinstance(voice, Imitation):
            voice = voice.numbers or voice.voice
        if isinstance(voice, str):
            try:
                return self._finder.find(voice)
            except ValueError as error:
                raise InvalidUtterance(str(error)) from error
        width = self._table.shape[1]
        if len(voice) != width or not all(abs(number) <= LARGEST_IN_VECTOR for number in voice):
            bounds = f"{width} numbers from -{LARGEST_IN_VECTOR:g} to {LARGEST_IN_VECTOR:g}"
            raise InvalidUtterance(f"a speaker embedding is {bounds}; this one has {len(voice)}, or one out of bounds")
        return voice
