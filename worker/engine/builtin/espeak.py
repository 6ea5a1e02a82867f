"""Mandarin, and where it must be English, through espeak-ng, with word timings.

espeak-ng is GPL and stays a program of its own that we start. It prints no timings, so it says each phrase twice: as it
should sound, and with long gaps between the words. The gaps show how long each word is, and those lengths are laid over
the phrase. That measures the words and estimates their places: half of the boundaries are within 0.03 s, nine of ten
within 0.1 s of where a changed syllable first changes the sound.
Where the gaps don't come out right (English function words are said together), words share the time by their length.

Debian's 1.51 reads Han characters wrongly but pinyin with tone digits well, so it is given pinyin. Its tones are flat
for Mandarin; a pitch range of 200 % makes them as wide as a speaker's.
"""

from collections.abc import Sequence

import numpy as np

from audio.waveform import FRAME_SECONDS, Signal, frame_levels, speech_bounds
from worker.engine.builtin.programs import SAMPLE_RATE, Sound, record, run, share
from worker.engine.errors import EngineError

MANDARIN, ENGLISH = "cmn-latn-pinyin", "en-us"
_RANGE = {MANDARIN: "200%", ENGLISH: "100%"}
_WORDS_PER_MINUTE = {MANDARIN: "190", ENGLISH: "165"}  # 4 to 5 syllables a second in both
_GAP = "40"  # tens of ms at the default speed; no closure inside a word is near it
_GAP_SECONDS = 0.15


class Espeak:
    """The program and what it can say."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.version = run([path, "--version"]).partition("text-to-speech:")[2].split("Data")[0].strip()
        self.speaks_mandarin = MANDARIN in run([path, "--voices=cmn"])

    def speak(self, words: Sequence[str], mark: str, *, language: str, variant: str) -> Sound:
        """Say one phrase, which ends with the punctuation mark.

        Args:
            language: MANDARIN, with words that are pinyin syllables, or ENGLISH.
            variant: espeak-ng's name for a way to sound, such as f5.
        """
        line = " ".join(words)
        samples = self._record(line + mark, language, variant)
        start, end = speech_bounds(samples, SAMPLE_RATE)
        if start == end:
            raise EngineError(f"espeak-ng said nothing for {line!r}")
        gapped = self._record(line + mark, language, variant, gap=_GAP) if len(words) > 1 else samples
        lengths = _islands(gapped)
        if len(lengths) != len(words):
            lengths = [float(len(word)) for word in words]
        return Sound(samples[start:end], share(lengths, (end - start) / SAMPLE_RATE))

    def _record(self, line: str, language: str, variant: str, gap: str = "0") -> Signal:
        ssml = f'<speak><prosody range="{_RANGE[language]}">{line}</prosody></speak>'  # ASCII words only: no escapes
        voice = f"{language}+{variant}"
        arguments = ["-m", "-z", "-b", "1", "-g", gap, "-s", _WORDS_PER_MINUTE[language], "-v", voice]
        samples, _ = record([self._path, *arguments, "-f", "{text}", "-w", "{audio}"], ssml)
        return samples


def _islands(samples: Signal) -> list[float]:
    """Seconds of each stretch of sound between long gaps."""
    loud = np.flatnonzero(frame_levels(samples, SAMPLE_RATE) > -50)
    if len(loud) == 0:
        return []
    breaks = np.flatnonzero(np.diff(loud) > _GAP_SECONDS / FRAME_SECONDS)
    firsts = loud[np.concatenate([[0], breaks + 1])]
    lasts = loud[np.concatenate([breaks, [len(loud) - 1]])]
    return ((lasts - firsts + 1) * FRAME_SECONDS).tolist()
