"""The sweeper deletes what is left of voices, and settles those whose job did not."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.jobs import NO_TENANT, Failure, Job, JobState, Lane
from shared.voice_library import LibraryVoice, VoiceState, ended
from shared.voice_records import LOOK_SECONDS, WORK_SECONDS
from sweeper.voices import NOT_CHECKED, VoiceCare
from tests.fake_voices import InMemoryVoices
from tests.fakes import InMemoryObjectStore

ID = "voice-01a00000-0000-7000-8000-000000000001"
NOW = time.time()


class Voices(InMemoryVoices):
    """With what is due, by when."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: dict[str, float] = {}

    def due(self, *, now: float, limit: int) -> list[str]:
        return [name for name, at in self.looks.items() if at <= now][:limit]

    def look_later(self, name: str, at: float) -> None:
        self.looks[name] = at

    def unlisted(self, name: str) -> None:
        del self.looks[name]

    def forget_revision(self, voice_id: str, revision: int) -> None:
        self.spoken.pop(f"{voice_id}@{revision}", None)

    def forget(self, voice: LibraryVoice) -> None:
        del self.voices[voice.id], self.looks[voice.id]


class Jobs:
    """Those of voices, which the sweeper removes."""

    def __init__(self) -> None:
        self.known: dict[str, Job] = {}

    def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        return [self.known.get(one) for one in ids]

    def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        return sorted(one.id for one in self.known.values() if one.parent == parent and one.id > after)[:limit]

    def remove(self, job_id: str, *, now: float) -> None:
        del self.known[job_id]

    def deleted(self, keys: list[str]) -> None:
        """The audio may be stored again."""


class Room:
    """A sweeper's world; its clock stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.voices, self.jobs, self.objects = Voices(), Jobs(), InMemoryObjectStore()
        self.now = NOW
        self.care = VoiceCare(self.voices, self.jobs, self.jobs, self.objects, clock=lambda: self.now)

    def add(self, **fields: Any) -> LibraryVoice:
        voice = replace(LibraryVoice(ID, NO_TENANT, NOW, touched_at=NOW, job="job"), **fields)
        self.voices.voices[ID], self.voices.looks[ID] = voice, NOW
        return voice

    def add_job(self, state: JobState, *, parent: str = "", failure: Failure | None = None) -> None:
        self.jobs.known["job"] = Job("job", Lane.INTERACTIVE, 5, NOW, state=state, parent=parent, failure=failure)

    def look(self) -> LibraryVoice | None:
        self.care.look(lambda: True)
        return self.voices.get(ID)


@pytest.fixture
def room() -> Room:
    return Room()


def test_what_a_gateway_has_left_of_a_voice_goes_and_once_more_an_hour_later(room: Room) -> None:
    voice = ended(room.add(checked=1, clip_sha256="c11p"))
    room.voices.voices[ID] = voice
    room.add_job(JobState.SUCCEEDED, parent=voice.uuid)
    room.voices.spoken[voice.reference] = ["audio/ab/ab.wav"]
    left = ("audio/ab/ab.wav", f"voices/{ID}/1/clip.flac", "embeddings/c11p.encoder-1")
    room.objects.objects |= dict.fromkeys((*left, "audio/cd/cd.wav"), b"")

    assert room.look()
    assert (room.objects.objects.keys(), room.jobs.known) == ({"audio/cd/cd.wav"}, {})

    room.objects.objects["audio/ab/ab.wav"] = b"from a worker that was at work"
    room.now += WORK_SECONDS
    assert room.look() is None
    assert room.objects.objects.keys() == {"audio/cd/cd.wav"}


def test_a_former_clip_goes_and_the_same_clip_given_again_keeps_its_embedding(room: Room) -> None:
    room.add(revision=3, checked=3, clip_sha256="new")
    for sha256 in ("old", "new"):
        room.voices.using(sha256, ID)
        room.objects.objects[f"embeddings/{sha256}.encoder-1"] = b""
    room.objects.objects |= {f"voices/{ID}/{n}/clip.flac": b"" for n in (1, 2, 3)}
    room.voices.looks |= {f"{ID}@1 old": NOW, f"{ID}@2 new": NOW}

    room.look()

    assert room.objects.objects.keys() == {"embeddings/new.encoder-1", f"voices/{ID}/3/clip.flac"}
    assert not room.voices.looks


@pytest.mark.parametrize("state", [None, JobState.EXPIRED])
def test_a_voice_that_came_with_a_job_goes_with_it(room: Room, state: JobState | None) -> None:
    room.add(brought_by="job")
    if state:
        room.add_job(state)

    voice = room.look()

    assert voice
    assert voice.over


def test_while_its_job_is_there_it_stays(room: Room) -> None:
    room.add(brought_by="job", checked=1)
    room.add_job(JobState.RUNNING)

    assert room.look() == room.voices.voices[ID]
    assert room.voices.looks == {ID: NOW + LOOK_SECONDS}


def test_one_whose_job_is_finished_is_looked_at_when_the_time_of_the_job_is_over(room: Room) -> None:
    room.add(brought_by="job", checked=1)
    room.add_job(JobState.SUCCEEDED)

    room.look()
    assert room.voices.looks == {ID: room.jobs.known["job"].expires_at}

    room.now = room.jobs.known["job"].expires_at
    room.look()
    assert room.voices.looks == {ID: room.now + LOOK_SECONDS}


@pytest.mark.parametrize(
    ("state", "failure", "problem"),
    [
        (None, None, NOT_CHECKED),
        (JobState.CANCELLED, None, NOT_CHECKED),
        (JobState.FAILED, Failure("worker_lost", "the worker died"), "the worker died"),
    ],
)
def test_a_clip_that_nobody_will_check_any_more_is_told_so(
    room: Room, state: JobState | None, failure: Failure | None, problem: str
) -> None:
    room.add()
    if state:
        room.add_job(state, failure=failure)

    voice = room.look()

    assert voice
    assert (voice.state, voice.problems) == (VoiceState.FAILED, (problem,))


def test_one_that_is_being_checked_is_looked_at_again_and_one_that_is_ready_is_not(room: Room) -> None:
    room.add()
    room.add_job(JobState.RUNNING)
    room.look()
    assert room.voices.looks == {ID: NOW + LOOK_SECONDS}

    room.voices.voices[ID] = replace(room.voices.voices[ID], checked=1)
    room.now += LOOK_SECONDS
    room.look()
    assert not room.voices.looks
