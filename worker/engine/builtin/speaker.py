"""Which program says a phrase for a voice, and what each voice is like."""

from worker.engine.builtin.espeak import ENGLISH, MANDARIN, Espeak
from worker.engine.builtin.flite import Flite
from worker.engine.builtin.phrases import Phrase, phrases
from worker.engine.builtin.programs import PACKAGES, Sound
from worker.engine.builtin.prosody import Profile, profile
from worker.engine.builtin.voices import BuiltinVoice
from worker.engine.errors import UnspeakableText
from worker.engine.text.language import Language
from worker.engine.text.normalization import normalize
from worker.engine.text.pinyin import pinyin

_SAMPLE_TEXT: dict[Language, str] = {  # many vowels and all tones: what a voice's profile is taken from
    "en": "The boy was there when the sun rose, and we all heard her say good morning.",
    "zh": "今天早上妈妈和弟弟去公园看花还买了五本书。",
}


class Speaker:
    """The programs that are installed, speaking for any voice. A profile is measured once, when first needed."""

    def __init__(self, flite: Flite | None, espeak: Espeak | None) -> None:
        self._flite = flite
        self._espeak = espeak
        self._profiles: dict[tuple[str, Language], Profile] = {}

    def why_missing(self, voice: BuiltinVoice) -> str:
        """Why the voice can't speak here and what to install, or nothing."""
        program = "flite" if voice.home == "en" else "espeak-ng"
        installed = self._flite if voice.home == "en" else self._espeak
        if installed is None:
            return f"{program} is not installed; install the package {PACKAGES[program]}"
        if self._flite and voice.home == "en" and voice.flite_voice not in self._flite.voices:
            return f"this build of flite lacks the voice {voice.flite_voice}; install Debian's package flite"
        if self._espeak and voice.home == "zh" and not self._espeak.speaks_mandarin:
            return f"this build of espeak-ng lacks the voice {MANDARIN}; install espeak-ng 1.51 or newer"
        return ""

    def languages(self, voice: BuiltinVoice) -> tuple[Language, ...]:
        """What the voice reads here, its own language first."""
        if voice.home == "zh":
            return "zh", "en"  # without flite, espeak-ng speaks its English too
        return ("en", "zh") if self._espeak and self._espeak.speaks_mandarin else ("en",)

    def is_foreign(self, language: Language, voice: BuiltinVoice) -> bool:
        """Whether another voice, its partner, says this language for it."""
        return language != voice.home and not (language == "en" and self._flite is None)

    def say(self, phrase: Phrase, voice: BuiltinVoice) -> Sound:
        """Say the phrase; the sound has the times of each word that `word_counts` counts.

        Raises:
            UnspeakableText: the voice can't read the language of the phrase here.
        """
        if phrase.language not in self.languages(voice):
            written = "".join(token.written for token in phrase.tokens)
            raise UnspeakableText(f"the voice {voice.id} can't read {written!r} here: install espeak-ng for Mandarin")
        if phrase.language == "zh":
            return self._espeak_says(pinyin("".join(t.spoken for t in phrase.tokens)), phrase, voice, MANDARIN)
        words = " ".join(token.spoken for token in phrase.tokens).split()
        if self._flite is None:
            return self._espeak_says(words, phrase, voice, ENGLISH)
        return self._flite.speak(words, _marks(phrase), voice.flite_voice)

    def _espeak_says(self, words: list[str], phrase: Phrase, voice: BuiltinVoice, language: str) -> Sound:
        assert self._espeak is not None  # `languages` promised it
        return self._espeak.speak(words, phrase.pause or ",", language=language, variant=voice.espeak_variant)

    def profile(self, voice: BuiltinVoice, language: Language) -> Profile:
        """The profile of whoever says this language for the voice."""
        says_it = voice.flite_voice if language == "en" and self._flite else voice.espeak_variant
        key = (says_it, language)
        if key not in self._profiles:
            (phrase,) = phrases([t for t in normalize(_SAMPLE_TEXT[language]) if t.spoken])
            self._profiles[key] = profile(self.say(phrase, voice).samples)
        return self._profiles[key]


def word_counts(phrase: Phrase) -> list[int]:
    """How many timed words each token of the phrase has: Han characters, or English words."""
    return [len(token.spoken if phrase.language == "zh" else token.spoken.split()) for token in phrase.tokens]


def _marks(phrase: Phrase) -> list[str]:
    """The punctuation after each English word."""
    marks: list[str] = []
    for count, mark in zip(word_counts(phrase), phrase.marks, strict=True):
        marks += [""] * (count - 1) + [mark]
    marks[-1] = marks[-1] or ","  # a phrase that goes on in the other language doesn't fall like an end
    return marks
