"""How each emotion sounds: what is done to pitch, range, tempo, energy and timbre.

The directions are those that listeners agree on across studies: P. N. Juslin & P. Laukka, "Communication of emotions in
vocal expression and music performance", Psychological Bulletin 129 (2003), whose closing summary lists anger, fear,
happiness, sadness and tenderness; K. R. Scherer, "Vocal communication of emotion", Speech Communication 40 (2003).
Excited is our strong form of happy and surprised is our own. The sizes are ours: large enough to hear and to measure at
strength 1, small enough to stay a human voice at strength 2. docs/emotions.md states the directions; tests measure
them.
"""

from dataclasses import dataclass

from worker.engine.speech import NEUTRAL


@dataclass(frozen=True)
class Style:
    """What to do to neutral speech; all zero and one is nothing."""

    semitones: float = 0.0  # median pitch
    pitch_range: float = 1.0  # factor on the distance from the median, in semitones
    tempo: float = 1.0
    decibels: float = 0.0
    tilt: float = 0.0  # dB per octave around 1 kHz: above 0 brighter and pressed, below 0 softer
    breath: float = 0.0  # 0 to 1: share of the tone above 2 kHz that becomes noise
    tremor: float = 0.0  # semitones of a 6 Hz wobble
    rise: float = 0.0  # semitones that the end of the utterance goes up

    def scaled(self, strength: float) -> "Style":
        """The style at a strength from 0 (nothing) to 2; factors grow as powers, distances in proportion."""
        return Style(
            semitones=self.semitones * strength,
            pitch_range=self.pitch_range**strength,
            tempo=self.tempo**strength,
            decibels=self.decibels * strength,
            tilt=self.tilt * strength,
            breath=min(1.0, self.breath * strength),
            tremor=self.tremor * strength,
            rise=self.rise * strength,
        )


EMOTIONS: dict[str, Style] = {
    NEUTRAL: Style(),
    # high pitch, much variability, fast, fairly loud; bright by Scherer, neither bright nor dull by Juslin & Laukka
    "happy": Style(semitones=2.5, pitch_range=1.35, tempo=1.08, decibels=2.0, tilt=1.0),
    # low, little variability, slow, quiet, little high-frequency energy
    "sad": Style(semitones=-2.0, pitch_range=0.6, tempo=0.82, decibels=-4.0, tilt=-2.0, breath=0.2),
    # loud, fast, much high-frequency energy, high pitch with much variability (hot anger)
    "angry": Style(semitones=1.5, pitch_range=1.3, tempo=1.12, decibels=4.5, tilt=2.5),
    # tenderness: low pitch, little variability, slow, quiet, soft timbre
    "gentle": Style(semitones=-1.0, pitch_range=0.8, tempo=0.9, decibels=-3.0, tilt=-1.5, breath=0.35),
    # elated joy, the strong form of happy
    "excited": Style(semitones=4.0, pitch_range=1.6, tempo=1.18, decibels=3.5, tilt=1.5),
    # high pitch, little variability, fast, rather quiet, unsteady (irregular in small things); the two disagree on tilt
    "fearful": Style(semitones=3.0, pitch_range=0.65, tempo=1.15, decibels=-2.0, breath=0.25, tremor=0.3),
    # high, very wide, and rising to the end; a little slower than neutral, which sets it apart from excited
    "surprised": Style(semitones=3.5, pitch_range=1.7, tempo=0.95, decibels=1.5, tilt=0.5, rise=3.0),
}
