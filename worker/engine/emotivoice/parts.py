"""Utterances to the parts that one model call speaks each, and the parts' sound back to speech."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from audio.waveform import Samples, Waveform, join
from worker.engine.emotivoice.config import AUDIO
from worker.engine.emotivoice.embedding import MAX_TOKENS, TextEmbedder
from worker.engine.emotivoice.frontend import Frontend, Phonemes, Word
from worker.engine.emotivoice.frontend.marks import USED as MARKS
from worker.engine.errors import UnspeakableText
from worker.engine.speech import PhonemeTiming, Speech, Utterance, WordTiming
from worker.engine.text.language import main_language
from worker.engine.text.segmentation import split

MAX_PHONEMES = 400  # about 30 s; the model has not learned from longer ones
FRAMES_PER_PHONEME = 8.0  # a little above what the model says, to plan batches with
FRAME_SECONDS = AUDIO.hop / AUDIO.sample_rate


@dataclass(frozen=True)
class Part:
    """What one model call speaks: an utterance, or a piece of a long one."""

    phonemes: Phonemes
    pause_seconds: float = 0.0  # that follows it


@dataclass(frozen=True)
class Script:
    """An utterance as it will be spoken."""

    utterance: Utterance
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]

    def estimated_frames(self, part: Part) -> float:
        return len(part.phonemes.tokens) * FRAMES_PER_PHONEME / self.utterance.speed


def script(utterance: Utterance, frontend: Frontend, embed: TextEmbedder) -> Script:
    """Return the utterance whole, or in pieces where it is longer than one model call may be.

    Raises:
        UnspeakableText: nothing in it sounds, or an inline phoneme is unknown.
    """
    whole = frontend.phonemes(utterance.text)
    if len(whole.tokens) <= MAX_PHONEMES and embed.length(whole.content) <= MAX_TOKENS:
        return Script(utterance, (Part(whole),), whole.warnings)
    parts = tuple(_pieces(utterance, frontend))
    return Script(utterance, (*parts[:-1], replace(parts[-1], pause_seconds=0.0)), whole.warnings)


def _pieces(utterance: Utterance, frontend: Frontend) -> Iterator[Part]:
    language = main_language(utterance.text, "zh")  # reads what has no letters, such as "404."
    for piece in split(utterance.text):
        try:
            phonemes = frontend.phonemes(piece.text, default=language)
        except UnspeakableText:  # others sound, and the warnings of the whole tell what was left out
            continue
        *first, last = cut(phonemes)
        yield from (Part(each) for each in first)
        yield Part(last, piece.pause_seconds / utterance.speed)


def cut(phonemes: Phonemes, most: int = MAX_PHONEMES) -> Iterator[Phonemes]:
    """Cut what is no sentence, such as a number of a thousand digits, at its marks into parts of `most` tokens."""
    edge, inner = phonemes.tokens[:1], phonemes.tokens[1:-1]
    start = 0
    while start < len(inner):
        end = min(start + most - 2, len(inner))
        if end < len(inner):  # the mark itself is left out: the part's edge stands in its place
            end = next((i for i in range(end, start, -1) if inner[i] in MARKS), end)
        words = [  # a word that is cut sounds from its beginning to the end of its first part
            Word(word.written, word.start - start, min(word.end - start, end - start + 1))
            for word in phonemes.words
            if start < word.start <= end
        ]
        yield Phonemes((*edge, *inner[start:end], *edge), phonemes.content, tuple(words), phonemes.warnings)
        start = end + 1 if end < len(inner) and inner[end] in MARKS else end


def groups(frames: Sequence[float], budget: float) -> list[list[int]]:
    """Group parts by length, so that the frames of a group, padding among them, stay within the budget."""
    found: list[list[int]] = []
    for number in sorted(range(len(frames)), key=lambda number: frames[number]):
        if found and frames[number] * (len(found[-1]) + 1) <= budget:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def speech(script: Script, spoken: Sequence[tuple[Samples, list[int]]]) -> Speech:
    """Join the parts' samples, and tell from the frames of each phoneme when it sounds."""
    words: list[WordTiming] = []
    phonemes: list[PhonemeTiming] = []
    start = 0.0
    for part, (samples, durations) in zip(script.parts, spoken, strict=True):
        timed = timings(part, durations, start)
        words += timed[0]
        phonemes += timed[1]
        start += len(samples) / AUDIO.sample_rate + part.pause_seconds
    waveforms = [Waveform(samples, AUDIO.sample_rate) for samples, _ in spoken]
    pauses = [part.pause_seconds for part in script.parts]
    whole = waveforms[0] if len(waveforms) == 1 else join(list(zip(waveforms, pauses, strict=True)))
    return Speech(whole, tuple(words), tuple(phonemes), script.warnings)


def timings(
    part: Part, durations: Sequence[int], start_seconds: float
) -> tuple[tuple[WordTiming, ...], tuple[PhonemeTiming, ...]]:
    """When each word and each phoneme of a part sounds that begins then."""
    times = [start_seconds + frames * FRAME_SECONDS for frames in accumulate(durations, initial=0)]
    phonemes = (PhonemeTiming(token, times[i], times[i + 1]) for i, token in enumerate(part.phonemes.tokens))
    words = (WordTiming(word.written, times[word.start], times[word.end]) for word in part.phonemes.words)
    return tuple(words), tuple(phonemes)
