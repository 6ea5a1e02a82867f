"""The voices' store in memory: the workers' side, and the gateway's over the same voices."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from shared.errors import VoiceDeleted
from shared.voice_library import LibraryVoice, parse

Decide = Callable[[LibraryVoice], LibraryVoice | None]


class InMemoryVoices:
    """As shared.voice_store.RedisVoices."""

    def __init__(self) -> None:
        self.voices: dict[str, LibraryVoice] = {}
        self.embeddings: dict[str, tuple[float, ...]] = {}
        self.users: dict[str, set[str]] = {}  # by the clip's SHA-256
        self.spoken: dict[str, list[str]] = {}  # keys of objects, by reference
        self.defaults: dict[str, str] = {}  # by tenant
        self.held_elsewhere: set[str] = set()  # names that another worker holds

    def get(self, voice_id: str) -> LibraryVoice | None:
        return self.voices.get(voice_id)

    def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None:
        if voice := self.voices.get(voice_id):
            changed = self.voices[voice_id] = decide(voice) or voice
            if changed.over and self.defaults.get(changed.tenant) == voice_id:
                del self.defaults[changed.tenant]
        return self.voices.get(voice_id)

    def embedding(self, key: str) -> tuple[float, ...] | None:
        return self.embeddings.get(key)

    def keep_embedding(self, key: str, numbers: Sequence[float]) -> None:
        self.embeddings[key] = tuple(numbers)

    def using(self, clip_sha256: str, voice_id: str) -> None:
        self.users.setdefault(clip_sha256, set()).add(voice_id)

    def leave_clip(self, voice: LibraryVoice) -> bool:
        self.users.get(voice.clip_sha256, set[str]()).discard(voice.id)
        return not self.users.get(voice.clip_sha256)

    def held(self, name: str, seconds: float) -> AbstractContextManager[Callable[[], None] | None]:
        return nullcontext(None if name in self.held_elsewhere else lambda: None)

    def made(self, references: Iterable[str], key: str) -> None:
        named = [*references]
        for reference in named:
            voice = self.voices.get(parse(reference)[0])
            if voice is None or voice.over or voice.reference != reference:
                raise VoiceDeleted(parse(reference)[0])
        for reference in named:
            self.spoken.setdefault(reference, []).append(key)

    def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]:
        return self.spoken.get(f"{voice_id}@{revision}", [])[first : first + most]


class InMemoryAsyncVoices:
    """As shared.voice_store.AsyncRedisVoices."""

    def __init__(self, store: InMemoryVoices | None = None) -> None:
        self.store = store or InMemoryVoices()

    async def create(self, voice: LibraryVoice) -> bool:
        if voice.id in self.store.voices:
            return False
        self.store.voices[voice.id] = replace(voice, touched_at=voice.created_at)
        return True

    async def get(self, voice_id: str) -> LibraryVoice | None:
        return self.store.get(voice_id)

    async def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None:
        return self.store.change(voice_id, decide)

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[LibraryVoice]:
        newest_first = sorted(self._listed(tenant), key=lambda voice: voice.id, reverse=True)
        return [voice for voice in newest_first if before is None or voice.id < before][:limit]

    async def count(self, tenant: str) -> int:
        return len(self._listed(tenant))

    async def default(self, tenant: str) -> str:
        return self.store.defaults.get(tenant, "")

    async def set_default(self, tenant: str, voice: str) -> None:
        self.store.defaults[tenant] = voice

    async def leave_clip(self, voice: LibraryVoice) -> bool:
        return self.store.leave_clip(voice)

    async def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]:
        return self.store.doom(voice_id, revision, first=first, most=most)

    def _listed(self, tenant: str) -> list[LibraryVoice]:
        voices = self.store.voices.values()
        return [voice for voice in voices if voice.tenant == tenant and not voice.over and not voice.brought_by]
