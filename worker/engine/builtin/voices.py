"""The voices: each has a home language that one program speaks, and a partner of the same gender for the other one."""

from dataclasses import dataclass

from worker.engine.speech import Voice
from worker.engine.text.language import Language


@dataclass(frozen=True)
class BuiltinVoice:
    """A voice, flite's name for how it speaks English and espeak-ng's variant for how it speaks Mandarin."""

    id: str
    name: str
    gender: str
    home: Language
    flite_voice: str
    espeak_variant: str
    description: str

    def described(self, languages: tuple[str, ...]) -> Voice:
        return Voice(self.id, self.name, languages, self.gender, self.description)


# Partners share a gender. Of espeak-ng's variants these four are the ones that a recognizer understood best in English.
VOICES = (
    BuiltinVoice("en-slt", "Slt", "female", "en", "slt", "f5", "US English, clear and even"),
    BuiltinVoice("en-rms", "Rms", "male", "en", "rms", "klatt", "US English, deep and careful"),
    BuiltinVoice("en-awb", "Awb", "male", "en", "awb", "adam", "Scottish English, lively"),
    BuiltinVoice("en-kal16", "Kal", "male", "en", "kal16", "klatt", "US English, plain and synthetic"),
    BuiltinVoice("zh-female-1", "Xiaolan", "female", "zh", "slt", "f5", "Mandarin, bright"),
    BuiltinVoice("zh-female-2", "Xiaomei", "female", "zh", "slt", "f2", "Mandarin, warm and a little rough"),
    BuiltinVoice("zh-male-1", "Dawei", "male", "zh", "rms", "adam", "Mandarin, clear"),
    BuiltinVoice("zh-male-2", "Jianguo", "male", "zh", "rms", "klatt", "Mandarin, dry and even"),
)
