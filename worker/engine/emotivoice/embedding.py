"""Texts to style embeddings: prompts, which repeat, and contents, which hardly do."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor

from worker.engine.emotivoice.device import to_device
from worker.engine.emotivoice.layers import length_mask
from worker.engine.emotivoice.style import StyleEncoder

MAX_TOKENS = 512  # positions, [CLS] and [SEP] among them
BATCH_TOKENS = 8192
CACHED = 512  # embeddings of 3 kB each


class TextEmbedder:
    """Embeds texts in batches, and remembers the last ones."""

    def __init__(self, vocabulary: Path, encoder: StyleEncoder) -> None:
        # The vocabulary of simplified SimBERT: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3.
        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True, strip_accents=True)
        self._encoder = encoder
        self._known: OrderedDict[str, Tensor] = OrderedDict()

    def length(self, text: str) -> int:
        """How many tokens a text is, [CLS] and [SEP] among them."""
        return len(self._tokenizer.encode(text).ids)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings, (len(texts), 768). Of a text longer than 512 tokens the beginning counts."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        found = {text: self._known[text] for text in set(texts).difference(new)}
        for batch in _batches([(text, self._ids(text)) for text in new]):
            embedded = self._encode([ids for _, ids in batch])
            found |= dict(zip((text for text, _ in batch), embedded, strict=True))
        self._remember(found)
        return torch.stack([found[text] for text in texts])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]

    def _encode(self, batch: Sequence[list[int]]) -> Tensor:
        device = self._encoder.pooler.dense.weight.device
        lengths = [len(ids) for ids in batch]
        longest = max(lengths)
        tokens = to_device([ids + [0] * (longest - len(ids)) for ids in batch], device)
        mask = None if min(lengths) == longest else length_mask(to_device(lengths, device), longest)
        return self._encoder(tokens, mask)

    def _remember(self, found: dict[str, Tensor]) -> None:
        for text, embedding in found.items():
            if text in self._known:
                self._known.move_to_end(text)
                continue
            self._known[text] = embedding.clone()  # a row alone would keep its batch
        while len(self._known) > CACHED:
            self._known.popitem(last=False)


def _batches(texts: list[tuple[str, list[int]]]) -> list[list[tuple[str, list[int]]]]:
    """Group texts of about the same length, `BATCH_TOKENS` with their padding at most."""
    batches: list[list[tuple[str, list[int]]]] = []
    for item in sorted(texts, key=lambda item: len(item[1])):
        if batches and len(item[1]) * (len(batches[-1]) + 1) <= BATCH_TOKENS:
            batches[-1].append(item)
        else:
            batches.append([item])
    return batches
