"""Text to the model's phonemes, in Chinese, English and both. docs/frontend.md has the rules and what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from worker.engine.emotivoice.frontend import english, mandarin
from worker.engine.emotivoice.frontend.g2p import PHONES
from worker.engine.emotivoice.frontend.marks import AFTER_WORD, ENGLISH_WORD, INSIDE_WORD, USED, mark
from worker.engine.emotivoice.frontend.notation import sounds
from worker.engine.emotivoice.frontend.reading import Reading, read_text
from worker.engine.emotivoice.frontend.sandhi import sandhi
from worker.engine.emotivoice.frontend.syllables import syllable_tokens
from worker.engine.errors import EngineUnavailable, UnspeakableText
from worker.engine.text.characters import names, plain_latin
from worker.engine.text.language import Language
from worker.engine.text.normalization import Token
from worker.engine.text.override import without_overrides

EDGE = "<sos/eos>"
_ARPABET = {phone: f"[{phone}]" for phone in PHONES if phone[0] != "<" and phone != "UW"}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000))  # half a character: no tokenizer takes it


@dataclass(frozen=True)
class Word:
    """A word as it was written, and which phonemes are its own: [start, end), without the marks around it."""

    written: str
    start: int
    end: int


@dataclass(frozen=True)
class Phonemes:
    """What the acoustic model is given for a text."""

    tokens: tuple[str, ...]  # with <sos/eos> at both ends
    content: str  # the text for the content embedding
    words: tuple[Word, ...]
    warnings: tuple[str, ...]  # what was not spoken as it was written, a sentence each


@dataclass(frozen=True)
class _Said:
    """A stretch of text and its phonemes."""

    start: int
    end: int
    language: Language
    tokens: tuple[str, ...]


class Frontend:
    """Knows the model's token list and the dictionaries."""

    def __init__(self, tokens: Sequence[str], *, tone_sandhi: bool = False) -> None:
        """Load the dictionaries.

        Args:
            tokens: the model's token list.
            tone_sandhi: change Mandarin tones as speakers do. The official model was trained without.
        Raises:
            EngineUnavailable: the list lacks what every text needs.
        """
        self._known = frozenset(tokens)
        missing = [token for token in (EDGE, *USED, *_ARPABET.values()) if token not in self._known]
        if missing:
            shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            raise EngineUnavailable(f"the model's token list lacks {shown}")
        self._tone_sandhi = tone_sandhi
        mandarin.load()
        english.load()

    def phonemes(self, text: str, *, default: Language = "zh") -> Phonemes:
        """What to say for a text of any length and any characters.

        Args:
            default: the language of a text without letters, such as "404".
        Raises:
            UnspeakableText: nothing in it sounds, or an override names a sound that the model has not.
        """
        reading = read_text(text, default)
        tokens, words = [EDGE], list[Word]()
        before: _Said | None = None
        for said in self._said(reading):
            if before is not None:
                tokens.append(mark(before.language, said.language, reading.text[before.end : said.start]))
            written = reading.text[said.start : said.end].strip()
            words.append(Word(written, len(tokens), len(tokens) + len(said.tokens)))
            tokens += said.tokens
            before = said
        if before is None:
            raise UnspeakableText(_nothing_sounds(reading))
        warnings = (_left_out(reading),) if reading.unspoken else ()
        content = without_overrides(text)[0].translate(_SURROGATES)
        return Phonemes((*tokens, EDGE), content, tuple(words), warnings)

    def _said(self, reading: Reading) -> Iterator[_Said]:
        stretch: list[Token] = []  # Chinese with nothing between
        for i, token in enumerate(reading.tokens):
            if stretch and (token.start != stretch[-1].end or token.language != "zh" or not token.spoken):
                yield from self._chinese(stretch, reading)
                stretch = []
            if token.start in reading.overrides:
                word, phonemes = reading.overrides[token.start]
                tokens, language = sounds(word, phonemes, self._known)
                yield _Said(token.start, token.end, language, tokens)
            elif token.language == "zh" and token.spoken:
                stretch.append(token)
            elif token.spoken:
                yield from _english(reading.tokens, i)
        yield from self._chinese(stretch, reading)

    def _chinese(self, stretch: Sequence[Token], reading: Reading) -> Iterator[_Said]:
        """The words of a stretch. A word ends where the dictionary's word and a token of the text both end."""
        text = _plain_han("".join(token.spoken for token in stretch))
        words = list(mandarin.words(text))
        syllables = self._syllables(words, reading)
        starts = {0: stretch[0].start} if stretch else {}  # place in the spoken text -> place in the written one
        ends: dict[int, int] = {}
        for end, token in zip(accumulate(len(token.spoken) for token in stretch), stretch, strict=True):
            ends[end] = starts[end] = token.end
        first, said = 0, list[tuple[str, ...]]()
        for end, word in zip(accumulate(map(len, words)), syllables, strict=True):
            said.append(_joined(word, INSIDE_WORD))
            if end in ends:
                if any(said):
                    yield _Said(starts[first], ends[end], "zh", _joined(said, AFTER_WORD))
                first, said = end, []

    def _syllables(self, words: Sequence[str], reading: Reading) -> list[list[tuple[str, ...]]]:
        """The tokens of each syllable of each word; a character without a reading has none."""
        readings = [[syllable or "" for syllable in mandarin.reading(word)] for word in words]
        tokens = [[self._syllable(syllable) for syllable in each] for each in readings]
        for word, each in zip(words, tokens, strict=True):
            reading.unspoken.update((character, None) for character, said in zip(word, each, strict=True) if not said)
        if self._tone_sandhi and all(all(each) for each in readings):
            changed = sandhi(list(zip(words, readings, strict=True)))
            tokens = [[self._syllable(syllable) for syllable in each] for each in changed]
        return [[syllable for syllable in each if syllable] for each in tokens]

    def _syllable(self, syllable: str) -> tuple[str, ...]:
        return (syllable and syllable_tokens(syllable, self._known)) or ()


def _left_out(reading: Reading) -> str:
    return f"left out, as this model has no sound for it: {names(list(reading.unspoken))}"


def _nothing_sounds(reading: Reading) -> str:
    left = [character for character in dict.fromkeys((*reading.unspoken, *reading.text)) if not character.isspace()]
    return f"nothing can be spoken: the text holds only {names(left) if left else 'blanks'}"


def _plain_han(text: str) -> str:
    """々 repeats the character before it, and 〇 is a zero that the dictionaries know by another character."""
    plain = ""
    for character in text.replace("〇", "零"):
        plain += plain[-1] if character == "々" and plain else character
    return plain


def _english(tokens: Sequence[Token], i: int) -> Iterator[_Said]:
    token = tokens[i]
    phones = [english.pronounce(word, as_letter=as_letter) for word, as_letter in _spoken_words(tokens, i)]
    said = _joined([tuple(_ARPABET[phone] for phone in each) for each in phones], ENGLISH_WORD)
    if said:
        yield _Said(token.start, token.end, "en", said)


def _spoken_words(tokens: Sequence[Token], i: int) -> list[tuple[str, bool]]:
    """The words to look up for a token, each with whether an A in it is the letter."""
    token = tokens[i]
    written = plain_latin(token.written.replace("’", "'"))
    spelled = written.isupper() or written.removesuffix("s").removesuffix("'").isupper()  # PDFs
    if len(written) > 1 and not spelled and english.is_known(written.lower()):
        return [(written, False)]
    parts = token.spoken.replace(" '", "'").split()  # OpenAI's: "open A I 's"
    return [(part, len(parts) > 1 or _is_letter(tokens, i)) for part in parts]


def _is_letter(tokens: Sequence[Token], i: int) -> bool:
    """Whether a lone A is the letter, as in A股, 选A, A/B, Plan A is: not an article before its noun."""
    token = tokens[i]
    neighbours = [*tokens[max(0, i - 1) : i], *tokens[i + 1 : i + 2]]
    if any(each.written in ("/", "／") and token.start in (each.start - 1, each.end) for each in neighbours):
        return True  # A/B, a/c
    before = [each for each in tokens[max(0, i - 1) : i] if each.spoken]
    after = [each for each in tokens[i + 1 : i + 2] if each.spoken]
    words_after = [each for each in after if each.language == "en"]
    if any(each.language == "zh" for each in before + after):
        return not words_after
    in_title = any(each.written[0].isupper() for each in words_after)  # Once Upon A Time
    return token.written == "A" and before != [] and not in_title


def _joined(parts: Sequence[tuple[str, ...]], between: str) -> tuple[str, ...]:
    joined: list[str] = []
    for part in filter(None, parts):
        joined += [between, *part] if joined else part
    return tuple(joined)
