"""Who speaks in a step: voices of the engine, or the tenant's own, which the engine imitates."""

from collections.abc import Iterable
from dataclasses import dataclass

from audio.waveform import Waveform
from shared.jobs import Job
from shared.voice_library import LibraryVoice, library_voices
from worker.batching import SharedEngine
from worker.engine import Engine, Imitates, Imitation
from worker.imitating import imitation_of, present
from worker.lease import Lease
from worker.runtime import Runtime
from worker.watermark import NamedWatermark


@dataclass(frozen=True)
class Cast:
    """The library voices of a step, and the engine that speaks it."""

    voices: dict[str, LibraryVoice]  # by how the request names them
    runtime: Runtime

    @classmethod
    def of(cls, named: Iterable[str], job: Job, runtime: Runtime) -> "Cast":
        """Return the cast of a step that names these voices.

        Raises:
            VoiceDeleted: one is gone, or has another clip.
        """
        return cls({one: present(one, job.tenant, runtime) for one in library_voices(named)}, runtime)

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(self.voices)

    @property
    def speaker(self) -> Engine | SharedEngine:
        if (speaker := self.runtime.speaker) is None:
            raise RuntimeError("there is no engine")
        return speaker

    @property
    def watermark(self) -> NamedWatermark | None:
        """What marks the speech: only that of library voices is."""
        return self.runtime.watermark if self.voices else None

    @property
    def revision(self) -> str:
        """Names exactly what makes the samples, besides the request."""
        revision, engine = self.speaker.revision, self.runtime.engine
        if self.voices and isinstance(engine, Imitates):
            revision = engine.imitation_revision
        return f"{revision}, marked by {self.watermark}" if self.watermark else revision

    def imitations(self, lease: Lease) -> dict[str, Imitation]:
        """Return how the engine speaks like each. Raises what `worker.imitating.imitation_of` does."""
        return {reference: imitation_of(voice, lease, self.runtime) for reference, voice in self.voices.items()}

    def marked(self, speech: Waveform) -> Waveform:
        return self.watermark.mark(speech) if self.watermark else speech
