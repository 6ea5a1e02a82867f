"""A voice of a tenant's own, made of a reference clip. Pure.

A client names it `voice-<uuid>`. A request that is accepted says `voice-<uuid>@<revision>`: another clip is another
revision, so the audio's address differs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

PREFIX = "voice-"
_REFERENCE = re.compile(r"(voice-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@(\d+))?")


class VoiceState(StrEnum):
    """Where a library voice is."""

    CHECKING = "checking"  # its clip is
    READY = "ready"  # to speak
    FAILED = "failed"  # its clip will not do, or could not be had


@dataclass(frozen=True)
class Consent:
    """That the person whose voice it is has agreed: who said so, and when."""

    given_by: str  # the caller's subject
    at: float  # Unix seconds


@dataclass(frozen=True)
class LibraryVoice:
    """A voice as it is recorded."""

    id: str  # voice-<uuid7>
    tenant: str
    created_at: float
    name: str = ""
    language: str = ""  # BCP 47; in which it will mostly speak, as its preview does
    description: str = ""
    consent: Consent | None = None
    revision: int = 1  # grows with each new clip
    touched_at: float = 0.0
    source_url: str = ""  # from which the clip is fetched; "": its file is an object
    job: str = ""  # checks the clip of this revision; its audio is the preview
    checked: int = 0  # the revision whose clip was last checked, with this result:
    problems: tuple[str, ...] = ()  # why it will not do
    clip_sha256: str = ""
    clip_bytes: int = 0
    report: dict[str, float] = field(default_factory=dict[str, float])  # what was measured, by name
    brought_by: str = ""  # the job that came with the clip: such a voice is in nobody's list, and goes with its job
    over: bool = False  # it is being deleted

    @property
    def state(self) -> VoiceState:
        if self.checked != self.revision:
            return VoiceState.CHECKING
        return VoiceState.FAILED if self.problems else VoiceState.READY

    @property
    def reference(self) -> str:
        """As a request names it: with its revision."""
        return f"{self.id}@{self.revision}"

    @property
    def uuid(self) -> str:
        """The parent of its jobs."""
        return self.id.removeprefix(PREFIX)

    @property
    def folder(self) -> str:
        """Where its objects are."""
        return f"voices/{self.id}/"


def ended(voice: LibraryVoice) -> LibraryVoice:
    """Return what is left of the record while the rest is deleted: nothing that tells of a person."""
    return replace(
        voice, over=True, name="", description="", language="", source_url="", consent=None, problems=(), report={}
    )


def source_key(voice_id: str, revision: int) -> str:
    """The file as its owner sent it."""
    return f"voices/{voice_id}/{revision}/source"


def clip_key(voice_id: str, revision: int) -> str:
    """The clip as it is used: decoded, trimmed, one channel, FLAC."""
    return f"voices/{voice_id}/{revision}/clip.flac"


def imitation_key(voice_id: str, revision: int, engine_revision: str) -> str:
    """How an engine speaks with it, as JSON."""
    return f"voices/{voice_id}/{revision}/imitations/{engine_revision}.json"


def embedding_key(clip_sha256: str, encoder_revision: str) -> str:
    """The speaker embedding of a clip, whosever it is: 256 float32, little-endian."""
    return f"embeddings/{clip_sha256}.{encoder_revision}"


def embeddings_of(clip_sha256: str) -> str:
    """Return how the keys of a clip's embeddings begin."""
    return f"embeddings/{clip_sha256}."


def revision_folder(voice_id: str, revision: int) -> str:
    """Where the objects of one clip are."""
    return f"voices/{voice_id}/{revision}/"


def is_library_voice(voice: str) -> bool:
    """Whether it is written like a library voice, with or without a revision."""
    return _REFERENCE.fullmatch(voice) is not None


def library_voices(voices: Iterable[str]) -> tuple[str, ...]:
    """Return those that are library voices, each once."""
    return tuple(dict.fromkeys(voice for voice in voices if is_library_voice(voice)))


def parse(voice: str) -> tuple[str, int]:
    """Return the id and the revision; 0 if none is said.

    Raises:
        ValueError: it is no library voice.
    """
    found = _REFERENCE.fullmatch(voice)
    if not found:
        raise ValueError(f"not a library voice: {voice!r}")
    return found[1], int(found[2] or 0)


def as_named(voice: str) -> str:
    """Return the voice as its owner names it: without a revision."""
    return parse(voice)[0] if is_library_voice(voice) else voice
