"""How an English word that no dictionary has is likely to be said: a small GRU network, letters in, phonemes out.

Network and weights are those of g2p_en 2.1.0 (data/LICENSES.txt), which the model's own front end used; here in fp16,
which is half the size and reads 4 of 3,000 made-up words differently. It says at most 20 phonemes, so a long word is
read in parts: nothing is lost.
"""

import gzip
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MOST_PHONES = 20
LONGEST = 20  # letters that are read at once
WIDTH = 256
LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_PHONES = """<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0
EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0
UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"""
PHONES = tuple(_PHONES.split())
CODES = {phone: chr(ord("!") + i) for i, phone in enumerate(PHONES)}  # how data/cmudict.txt.xz writes a phoneme
SHAPES = {  # in the order of the file
    "enc_emb": (len(LETTERS), WIDTH),
    "enc_w_ih": (3 * WIDTH, WIDTH),
    "enc_w_hh": (3 * WIDTH, WIDTH),
    "enc_b_ih": (3 * WIDTH,),
    "enc_b_hh": (3 * WIDTH,),
    "dec_emb": (len(PHONES), WIDTH),
    "dec_w_ih": (3 * WIDTH, WIDTH),
    "dec_w_hh": (3 * WIDTH, WIDTH),
    "dec_b_ih": (3 * WIDTH,),
    "dec_b_hh": (3 * WIDTH,),
    "fc_w": (len(PHONES), WIDTH),
    "fc_b": (len(PHONES),),
}
_START, _STOP, _END_OF_WORD = PHONES.index("<s>"), PHONES.index("</s>"), LETTERS.index("</s>")


class LettersToPhones:
    """The network. A word is lower-case letters; an apostrophe is a letter that it does not know."""

    def __init__(self, path: Path) -> None:
        flat = np.frombuffer(gzip.decompress(path.read_bytes()), "<f2").astype(np.float32)
        ends = np.cumsum([prod(shape) for shape in SHAPES.values()])
        parts = np.split(flat, ends[:-1])
        weights = {name: part.reshape(SHAPES[name]) for name, part in zip(SHAPES, parts, strict=True)}
        self._encoder = _Gru(weights, "enc")
        self._decoder = _Gru(weights, "dec")
        self._scores = np.ascontiguousarray(weights["fc_w"].T), weights["fc_b"]
        self.read = lru_cache(maxsize=10_000)(self._read)

    def _read(self, word: str) -> tuple[str, ...]:
        """ARPAbet with stress digits; empty where the network has nothing to say."""
        if len(word) <= LONGEST:
            phones = self._decode(word)
            if len(phones) < MOST_PHONES or len(word) == 1:
                return tuple("UW1" if phone == "UW" else phone for phone in phones if phone[0] != "<")
        parts = max(2, -(-len(word) // LONGEST))
        ends = [len(word) * i // parts for i in range(parts + 1)]
        return tuple(phone for a, b in pairwise(ends) for phone in self._read(word[a:b]))

    def _decode(self, word: str) -> list[str]:
        letters = [LETTERS.index(letter) if letter in LETTERS else 1 for letter in word]
        state = self._encoder.run([*letters, _END_OF_WORD], np.zeros(WIDTH, np.float32))
        weight, bias = self._scores
        phones: list[str] = []
        phone = _START
        for _ in range(MOST_PHONES):
            state = self._decoder.run([phone], state)
            phone = int((state @ weight + bias).argmax())
            if phone == _STOP:
                break
            phones.append(PHONES[phone])
        return phones


class _Gru:
    """One layer, PyTorch's order of gates: reset, update, new."""

    def __init__(self, weights: dict[str, Array], name: str) -> None:
        self._inputs = (
            weights[f"{name}_emb"] @ weights[f"{name}_w_ih"].T + weights[f"{name}_b_ih"]
        )  # (symbols, 3 * 256)
        self._weight = np.ascontiguousarray(weights[f"{name}_w_hh"].T)
        self._bias = weights[f"{name}_b_hh"]

    def run(self, symbols: Sequence[int], state: Array) -> Array:
        for symbol in symbols:
            x, h = self._inputs[symbol], state @ self._weight + self._bias
            gates = 1 / (1 + np.exp(-(x[: 2 * WIDTH] + h[: 2 * WIDTH])))
            reset, update = gates[:WIDTH], gates[WIDTH:]
            state = (1 - update) * np.tanh(x[2 * WIDTH :] + reset * h[2 * WIDTH :]) + update * state
        return state
