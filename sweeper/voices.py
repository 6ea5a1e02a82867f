"""Looks after library voices: deletes what is left of those that go, and settles those whose job did not.

A gateway deletes at once what it can. What a worker was just about to store then, nobody saw: so all of it is deleted
once more when whoever was at work has ended.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from shared.errors import AudioMissing
from shared.jobs import Job, JobState
from shared.voice_library import (
    LibraryVoice,
    VoiceState,
    embeddings_of,
    ended,
    parse,
    revision_folder,
)
from shared.voice_records import LOOK_SECONDS, WORK_SECONDS
from shared.voice_store import Decide
from sweeper import emptying
from sweeper.emptying import emptied

log = logging.getLogger(__name__)

VOICES_A_ROUND = 200
AUDIO_AT_ONCE = 500
NOT_CHECKED = "The clip was not checked: the service was interrupted. Send it again."


class Voices(Protocol):
    """What is needed of shared.voice_store.RedisVoices."""

    def get(self, voice_id: str) -> LibraryVoice | None: ...
    def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None: ...
    def leave_clip(self, voice: LibraryVoice) -> bool: ...
    def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]: ...
    def due(self, *, now: float, limit: int) -> list[str]: ...
    def look_later(self, name: str, at: float) -> None: ...
    def unlisted(self, name: str) -> None: ...
    def forget_revision(self, voice_id: str, revision: int) -> None: ...
    def forget(self, voice: LibraryVoice) -> None: ...


class Children(emptying.Children, Protocol):
    """What is needed of shared.children.RedisChildJobs."""

    def jobs(self, ids: Sequence[str]) -> list[Job | None]: ...


class Records(emptying.Records, Protocol):
    """What is needed of shared.sweep_store.RedisSweepStore."""

    def deleted(self, keys: list[str]) -> None: ...


class Objects(Protocol):
    """What is needed of the object store."""

    def delete(self, key: str) -> None: ...
    def keys(self, prefix: str) -> Iterator[str]: ...


class VoiceCare:
    """A part of the sweeper's round."""

    def __init__(
        self,
        voices: Voices,
        children: Children,
        records: Records,
        objects: Objects,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._voices, self._children, self._records, self._objects = voices, children, records, objects
        self._clock = clock

    def look(self, go_on: Callable[[], bool]) -> None:
        """Look at what is due: voices that go, former clips, and voices whose clip is still being checked."""
        for name in self._voices.due(now=self._clock(), limit=VOICES_A_ROUND):
            if not go_on():
                return
            reference, _, clip_sha256 = name.partition(" ")
            voice_id, revision = parse(reference)
            if revision:
                self._delete_former(voice_id, revision, clip_sha256)
                self._voices.unlisted(name)
            elif voice := self._voices.get(voice_id):
                self._look_at(voice, go_on)
            else:
                self._voices.unlisted(name)

    def _look_at(self, voice: LibraryVoice, go_on: Callable[[], bool]) -> None:
        if voice.over:
            self._delete(voice, go_on)
            return
        [job] = self._children.jobs([voice.job])
        if voice.brought_by and (job is None or job.state is JobState.EXPIRED):
            self._voices.change(voice.id, ended)  # it is due at once
        elif voice.state is VoiceState.CHECKING and (job is None or job.finished):
            self._voices.change(voice.id, lambda now: _given_up(now, voice, job))
        elif voice.brought_by or voice.state is VoiceState.CHECKING:
            self._voices.look_later(voice.id, self._next_look(job))
        else:
            self._voices.unlisted(voice.id)

    def _next_look(self, job: Job | None) -> float:
        """Return when to look at a voice again; one whose job is finished stays for as long as the job's audio."""
        soon = self._clock() + LOOK_SECONDS
        return max(soon, job.expires_at) if job and job.finished else soon

    def _delete(self, voice: LibraryVoice, go_on: Callable[[], bool]) -> None:
        if not emptied(voice.uuid, self._children, self._records, go_on=go_on, clock=self._clock):
            return
        self._leave_clip(voice)
        self._delete_objects(voice.folder)
        for revision in range(1, voice.revision + 1):
            self._delete_audio(voice.id, revision)
        work_ends = voice.touched_at + WORK_SECONDS
        if self._clock() < work_ends:
            self._voices.look_later(voice.id, work_ends)
            return
        self._voices.forget(voice)
        log.info("a voice is forgotten", extra={"voice": voice.id})

    def _delete_former(self, voice_id: str, revision: int, clip_sha256: str) -> None:
        """Delete a clip that a voice had before, unless it is the same that it has now."""
        now = self._voices.get(voice_id)
        if not now or now.clip_sha256 != clip_sha256:
            self._leave_clip(LibraryVoice(voice_id, "", 0.0, clip_sha256=clip_sha256))
        self._delete_objects(revision_folder(voice_id, revision))
        self._delete_audio(voice_id, revision)
        self._voices.forget_revision(voice_id, revision)

    def _leave_clip(self, voice: LibraryVoice) -> None:
        if voice.clip_sha256 and self._voices.leave_clip(voice):
            self._delete_objects(embeddings_of(voice.clip_sha256))

    def _delete_objects(self, prefix: str) -> None:
        for key in list(self._objects.keys(prefix)):
            with suppress(AudioMissing):
                self._objects.delete(key)

    def _delete_audio(self, voice_id: str, revision: int) -> None:
        first = 0
        while keys := self._voices.doom(voice_id, revision, first=first, most=AUDIO_AT_ONCE):
            for key in keys:
                with suppress(AudioMissing):
                    self._objects.delete(key)
            self._records.deleted(keys)
            first += len(keys)


def _given_up(now: LibraryVoice, seen: LibraryVoice, job: Job | None) -> LibraryVoice | None:
    """Return a voice whose job ended without a word about its clip, with a word."""
    if now.over or now.revision != seen.revision or now.state is not VoiceState.CHECKING:
        return None
    why = job.failure.message if job and job.failure else NOT_CHECKED
    return replace(now, checked=now.revision, problems=(why,))
