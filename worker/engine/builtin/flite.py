"""English through flite, with word timings.

flite prints when each phone ends but not which word it belongs to. So a second, silent run says the same words with a
comma after each: there the pauses show how many phones each word has. Should the two runs disagree (a word may lose a
phone in running speech), the words share the time of the phones by their length in letters.
"""

from collections.abc import Sequence
from itertools import groupby

from worker.engine.builtin.programs import SAMPLE_RATE, Sound, record, run, share
from worker.engine.errors import EngineError

_EDGE_SECONDS = 0.02  # kept before the first phone and after the last: a release sounds a little longer
_COUNTING_VOICE = "kal16"  # the fastest; all voices share one lexicon


class Flite:
    """The program and what it can say."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.version = run([path, "--version"], accepted=1).partition("version:")[2].split("(")[0].strip()
        self.voices = frozenset(run([path, "-lv"]).partition(":")[2].split())

    def speak(self, words: Sequence[str], marks: Sequence[str], voice: str) -> Sound:
        """Say the words of one sentence; marks[i] is the punctuation after words[i]."""
        line = " ".join(word + mark for word, mark in zip(words, marks, strict=True))
        samples, printed = record([self._path, "-voice", voice, "-psdur", "-f", "{text}", "-o", "{audio}"], line + "\n")
        phones = _phones(printed)
        if not phones:
            raise EngineError(f"flite said nothing for {line!r}")
        origin = max(0.0, phones[0][0] - _EDGE_SECONDS)
        end = phones[-1][1] + _EDGE_SECONDS
        timings = self._word_times(words, phones)
        samples = samples[round(origin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        return Sound(samples, [(start - origin, end - origin) for start, end in timings])

    def _word_times(self, words: Sequence[str], phones: list[tuple[float, float]]) -> list[tuple[float, float]]:
        counts = self._phone_counts(words)
        if len(counts) != len(words) or sum(counts) != len(phones):
            start = phones[0][0]
            times = share([len(word) for word in words], phones[-1][1] - start)
            return [(start + a, start + b) for a, b in times]
        times: list[tuple[float, float]] = []
        first = 0
        for count in counts:
            times.append((phones[first][0], phones[first + count - 1][1]))
            first += count
        return times

    def _phone_counts(self, words: Sequence[str]) -> list[int]:
        line = "".join(f"{word.lower()}; " for word in words)  # capital letters in a row would be one word
        printed = run([self._path, "-voice", _COUNTING_VOICE, "-ps", "-t", line, "-o", "none"])
        runs = groupby(printed.split(), key=lambda phone: phone == "pau")
        return [len(list(run_)) for is_pause, run_ in runs if not is_pause]


def _phones(printed: str) -> list[tuple[float, float]]:
    """(start, end) in seconds of each phone that is not a pause, from "pau:0.164 hh:0.255 …"."""
    phones: list[tuple[float, float]] = []
    previous = 0.0
    for item in printed.split():
        name, _, end = item.rpartition(":")
        if name != "pau":
            phones.append((previous, float(end)))
        previous = float(end)
    return phones
