"""How near the builtin engine's imitations come, and whether one still understands them: `python -m bench.voices`.

Each voice of the engine imitates each other one that speaks its language, from a clip of one sentence. Another
sentence, which the search never heard, is then spoken by the voice as it is, by its imitation, and by the voice that is
imitated: the table has the cosine of the speaker embeddings of the first two to the last, and how alike two sentences
of one voice are, which nothing can exceed. For English also the word error rate over ten sentences (pocketsphinx, of
the group `dev`). `OPENBLAS_NUM_THREADS=1` helps where other work has the cores: the network's matrices are small.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import permutations
from statistics import mean

from rich.console import Console
from rich.table import Table

from audio.waveform import Waveform
from bench.figures import Figure, show
from bench.intelligibility import SENTENCES, Recognizer
from voices.encoder import load_encoder, similarity
from worker.engine import Imitation, ReferenceClip, Utterance
from worker.engine.builtin import BuiltinEngine

CLIP = {
    "en": "It is a truth universally acknowledged, that a single man in possession of a good fortune must be in want "
    "of a wife.",
    "zh": "从前有一座山，山上有一座庙，庙里住着一个老和尚，他每天都给孩子们讲故事。",
}
HELD_OUT = {
    "en": "Please remember to bring your umbrella tomorrow, because the weather report says that it will rain.",
    "zh": "请记得明天带上雨伞，因为天气预报说下午会下大雨，路上一定要小心。",
}
OTHER = {"en": "zh", "zh": "en"}
MOST_ERRORS_MORE = 0.1


@dataclass(frozen=True)
class Row:
    """One voice that imitates another."""

    home: str
    reference: str
    before: float
    after: float
    ceiling: float
    other_language: tuple[float, float]  # before and after, where the imitation speaks the language it wasn't found in
    errors: tuple[float, float] | None  # the word error rate before and after
    seconds: float  # to find it

    @property
    def name(self) -> str:
        return f"{self.home} as {self.reference}"


class Bench:
    """The engine, and what has been spoken."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.engine = BuiltinEngine()
        self._sentences = sentences
        self._recognizer = Recognizer()
        self._errors = cache(self._count_errors)

    def row(self, home: str, reference: str) -> Row:
        language = reference[:2]
        clip, held_out = self._say(CLIP[language], reference), self._say(HELD_OUT[language], reference)
        embedding = load_encoder().embed(clip)
        started = time.perf_counter()
        imitation = self.engine.imitate(ReferenceClip(clip, tuple(embedding.tolist())), voice=home)
        seconds = time.perf_counter() - started
        foreign = HELD_OUT[OTHER[language]]
        english = language == "en"
        return Row(
            home=home,
            reference=reference,
            before=_alike(self._say(HELD_OUT[language], home), held_out),
            after=_alike(self._say(HELD_OUT[language], imitation), held_out),
            ceiling=_alike(clip, held_out),
            other_language=(
                _alike(self._say(foreign, home), held_out),
                _alike(self._say(foreign, imitation), held_out),
            ),
            errors=(self._errors(home), self._errors(imitation)) if english else None,
            seconds=seconds,
        )

    def _say(self, text: str, voice: str | Imitation) -> Waveform:
        return self.engine.synthesize([Utterance(text, voice)])[0].waveform

    def _count_errors(self, voice: str | Imitation) -> float:
        return self._recognizer.word_error_rate([(text, self._say(text, voice)) for text in self._sentences])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="four pairs and four sentences")
    asked = options.parse_args()
    bench = Bench(SENTENCES[:4] if asked.short else SENTENCES)
    bench.engine.imitate(_any_clip(bench))  # the calibration sentences of all voices are spoken once in a process
    rows: list[Row] = []
    for home, reference in _pairs([voice.id for voice in bench.engine.voices], short=asked.short):
        rows.append(bench.row(home, reference))
        print(rows[-1], flush=True)
    _print(rows)
    figures = [*summary(rows), *_cache_figures()]
    show(figures, title="Imitations of the builtin engine")
    sys.exit(any(figure.passed is False for figure in figures))


def _any_clip(bench: Bench) -> ReferenceClip:
    speech = bench.engine.synthesize([Utterance(CLIP["en"], bench.engine.voices[0].id)])[0].waveform
    return ReferenceClip(speech, tuple(load_encoder().embed(speech).tolist()))


def _pairs(voices: Sequence[str], *, short: bool) -> list[tuple[str, str]]:
    pairs = [pair for pair in permutations(voices, 2) if pair[0][:2] == pair[1][:2]]
    return pairs[::7] if short else pairs


def summary(rows: Sequence[Row]) -> list[Figure]:
    """Return what all pairs come to, with the bars."""
    unlike = [row.after - row.before for row in rows if row.before < row.ceiling]
    alike = [row.after - row.before for row in rows if row.before >= row.ceiling]  # nothing is left to be found there
    more = [row.errors[1] - row.errors[0] for row in rows if row.errors]
    return [
        Figure("similarity before, mean", mean(row.before for row in rows), ""),
        Figure("similarity after, mean", mean(row.after for row in rows), ""),
        Figure("the same voice, mean", mean(row.ceiling for row in rows), ""),
        Figure("least rise of a pair", min(unlike), "", "> 0", min(unlike) > 0),
        Figure("pairs as alike as one voice before", len(alike), ""),
        *([Figure("least rise of these", min(alike), "", "≥ 0", min(alike) >= 0)] if alike else []),
        Figure("in the other language, before", mean(row.other_language[0] for row in rows), ""),
        Figure("in the other language, after", mean(row.other_language[1] for row in rows), ""),
        Figure("most word errors more", max(more), "", f"≤ {MOST_ERRORS_MORE}", max(more) <= MOST_ERRORS_MORE),
        Figure("longest search", max(row.seconds for row in rows), "s"),
    ]


def _cache_figures() -> list[Figure]:
    if not find_spec("bench.voice_cache"):
        return []
    return import_module("bench.voice_cache").cache_figures()


def _alike(one: Waveform, other: Waveform) -> float:
    return similarity(*load_encoder().embed_all([one, other]))


def _print(rows: Sequence[Row]) -> None:
    table = Table("", "before", "after", "same voice", "word errors before", "after", "search", title="Similarity")
    table.columns[0].no_wrap = True
    for row in rows:
        errors = [f"{rate:.2f}" for rate in row.errors] if row.errors else ["", ""]
        alike = [f"{value:.2f}" for value in (row.before, row.after, row.ceiling)]
        table.add_row(row.name, *alike, *errors, f"{row.seconds:.1f} s")
    Console().print(table)


if __name__ == "__main__":
    main()
