"""The builtin engine: text to phrases, phrases to sound, sound through WORLD where it has to change."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from audio.waveform import Signal, Waveform, amplify, fade_edges, limit_peaks, speech_level
from voices.encoder import encoder_revision
from worker.engine.builtin import world
from worker.engine.builtin.emotions import EMOTIONS, Style
from worker.engine.builtin.espeak import Espeak
from worker.engine.builtin.flite import Flite
from worker.engine.builtin.imitation import SENTENCE, Imitator
from worker.engine.builtin.likeness import LIKENESS_VERSION, Likeness, liken
from worker.engine.builtin.phrases import phrases
from worker.engine.builtin.programs import PACKAGES, SAMPLE_RATE, find_program
from worker.engine.builtin.prosody import Part, match, restyle
from worker.engine.builtin.speaker import Speaker
from worker.engine.builtin.timeline import SPEECH_DBFS, Stretch, Timeline, lay_out
from worker.engine.builtin.voices import VOICES, BuiltinVoice
from worker.engine.errors import EngineUnavailable
from worker.engine.speech import Imitation, ReferenceClip, Speech, Utterance, Voice, WordTiming
from worker.engine.text.normalization import normalize
from worker.engine.text.override import without_overrides

NO_PHONEMES = "the builtin engine speaks words as it knows them; the phonemes given for some were not used"
_WARM_UP_TEXT = {"en": "Good morning.", "zh": "早上好，请你慢慢走。"}
CODE_VERSION = "2"  # raise it with every change that can be heard


class BuiltinEngine:
    """Speaks with what a bare machine can install. One engine serves one process."""

    name = "builtin"
    sample_rate = SAMPLE_RATE
    emotions = tuple(EMOTIONS)
    free_text_emotion = False
    controls: tuple[str, ...] = ("pitch_shift", "pitch_scale", "energy_shift")
    blends = False
    batch_size = 1

    def __init__(self, search_path: str | None = None) -> None:
        """Find the programs in `search_path`, or in PATH.

        Raises:
            EngineUnavailable: neither flite nor espeak-ng can be used.
        """
        flite_path, espeak_path = find_program("flite", search_path), find_program("espeak-ng", search_path)
        flite = Flite(flite_path) if flite_path else None
        espeak = Espeak(espeak_path) if espeak_path else None
        self._speaker = Speaker(flite, espeak)
        self.missing = {voice.id: why for voice in VOICES if (why := self._speaker.why_missing(voice))}
        self._voices = {voice.id: voice for voice in VOICES if voice.id not in self.missing}
        if not self._voices:
            wanted = " or ".join(f"{program} (package {package})" for program, package in PACKAGES.items())
            raise EngineUnavailable(f"the builtin engine has no voice here; install {wanted}")
        self.voices: tuple[Voice, ...] = tuple(v.described(self._speaker.languages(v)) for v in self._voices.values())
        self.revision = _revision(flite, espeak)
        self.imitation_revision = f"{self.revision}-{LIKENESS_VERSION:g}-{encoder_revision()}"
        self._imitator = Imitator({voice.id: partial(self._sentence, voice) for voice in self._voices.values()})

    def warm_up(self) -> None:
        """Speak a little of each language, also through WORLD: dictionaries are read at their first use."""
        for language, text in _WARM_UP_TEXT.items():
            voice = next((voice for voice in self.voices if language in voice.languages), None)
            if voice:
                self.synthesize([Utterance(text, voice.id, emotion="happy")])

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        """Speak each utterance; the result is in the same order.

        Raises:
            UnspeakableText: an utterance holds a character that its voice can't read, or nothing to speak.
            ValueError: a voice, emotion, strength or speed that this engine does not have.
            EngineError: a program failed.
        """
        return [self._speak(utterance) for utterance in utterances]

    def imitate(self, clip: ReferenceClip, *, voice: str | None = None) -> Imitation:
        """Return how to speak like the clip, beginning with this voice, or else with the nearest of its language."""
        return self._imitator.imitate(clip, [self._voice(voice).id] if voice else self._at_home(clip.language))

    def _at_home(self, language: str) -> list[str]:
        """Return the voices of the language; all, if there is none: a voice's other language sounds less like it."""
        home = language.partition("-")[0].lower()
        return [voice.id for voice in self._voices.values() if voice.home == home] or [*self._voices]

    def _sentence(self, voice: BuiltinVoice) -> Waveform:
        return self._speak(Utterance(SENTENCE[voice.home], voice.id)).waveform

    def _speak(self, utterance: Utterance) -> Speech:
        voice, style = self._voice(utterance.voice), _style(utterance)
        text, overridden = without_overrides(utterance.text)
        said = phrases(normalize(text, voice.home))
        timeline = lay_out([(phrase, self._speaker.say(phrase, voice)) for phrase in said])
        samples = self._shaped(timeline, voice, style, utterance)
        level = SPEECH_DBFS + style.decibels - speech_level(samples, SAMPLE_RATE)
        samples = limit_peaks(amplify(samples, level), SAMPLE_RATE)
        waveform = fade_edges(Waveform(samples.astype(np.float32), SAMPLE_RATE))
        words = _scaled(timeline.words, style.tempo * utterance.speed, waveform.seconds)
        warnings = utterance.voice.warnings if isinstance(utterance.voice, Imitation) else ()
        return Speech(waveform, words, warnings=(*warnings, NO_PHONEMES) if overridden else warnings)

    def _shaped(self, timeline: Timeline, voice: BuiltinVoice, style: Style, utterance: Utterance) -> Signal:
        """Through WORLD, unless the programs' own sound is already what is wanted."""
        parts = [self._part(stretch, voice) for stretch in timeline.stretches]
        is_foreign, likeness = any(part.partner for part in parts), _likeness(utterance.voice)
        tempo = style.tempo * utterance.speed
        if replace(style, decibels=0) == Style() and tempo == 1 and not is_foreign and not likeness:
            return timeline.samples
        analysis = world.analyze(timeline.samples)
        if is_foreign:
            analysis = match(analysis, parts, self._speaker.profile(voice, voice.home))
        if likeness:
            analysis = liken(analysis, likeness)
        return world.synthesize(restyle(analysis, style, np.random.default_rng(utterance.seed)), tempo)

    def _part(self, stretch: Stretch, voice: BuiltinVoice) -> Part:
        foreign = self._speaker.is_foreign(stretch.language, voice)
        partner = self._speaker.profile(voice, stretch.language) if foreign else None
        start, end = (round(seconds * world.FRAMES_PER_SECOND) for seconds in (stretch.start, stretch.end))
        return Part(start, end, partner)

    def _voice(self, voice: str | tuple[float, ...] | Imitation) -> BuiltinVoice:
        if isinstance(voice, tuple):
            raise ValueError("the builtin engine takes a voice by its id, not by a speaker embedding")
        voice_id = voice.voice if isinstance(voice, Imitation) else voice
        if voice_id in self._voices:
            return self._voices[voice_id]
        if voice_id in self.missing:
            raise ValueError(f"the voice {voice_id!r} can't speak here: {self.missing[voice_id]}")
        raise ValueError(f"no voice is called {voice_id!r}; there are: {', '.join(self._voices)}")


def _likeness(voice: str | tuple[float, ...] | Imitation) -> Likeness | None:
    """Return what an imitation makes of its voice; one without numbers leaves it as it is."""
    return Likeness.of(voice.numbers) if isinstance(voice, Imitation) and voice.numbers else None


def _style(utterance: Utterance) -> Style:
    """The style of the utterance's emotion at its strength, moved by its controls; refuses what is out of range."""
    if utterance.emotion not in EMOTIONS:
        raise ValueError(f"no emotion is called {utterance.emotion!r}; there are: {', '.join(EMOTIONS)}")
    if not 0 <= utterance.emotion_strength <= 2:
        raise ValueError(f"the strength of an emotion is 0 to 2, not {utterance.emotion_strength}")
    if not 0.25 <= utterance.speed <= 4:
        raise ValueError(f"the speed is 0.25 to 4, not {utterance.speed}")
    style = EMOTIONS[utterance.emotion].scaled(utterance.emotion_strength)
    return replace(
        style,
        semitones=style.semitones + utterance.pitch_shift,
        pitch_range=style.pitch_range * utterance.pitch_scale,
        decibels=style.decibels + utterance.energy_shift,
    )


def _scaled(words: Sequence[WordTiming], tempo: float, seconds: float) -> tuple[WordTiming, ...]:
    return tuple(
        WordTiming(word.word, min(word.start_seconds / tempo, seconds), min(word.end_seconds / tempo, seconds))
        for word in words
    )


def _revision(flite: Flite | None, espeak: Espeak | None) -> str:
    parts = [CODE_VERSION, flite.version if flite else "-", espeak.version if espeak else "-", world.VERSION]
    return "builtin-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
