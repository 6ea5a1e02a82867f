"""The chapters' audio of which editions are made. What is lost of it is made again, and the edition waits for that."""

from typing import NoReturn

from shared.edition_order import SpokenChapter
from shared.errors import AudioMissing
from shared.jobs import Audio, JobState
from worker.attempt import NotYet
from worker.rendering import stores
from worker.runtime import Runtime

MOST_REPAIRS = 5  # of a chapter: an object store that loses what it is given would keep it going for ever
SPOKEN_AGAIN_SECONDS = 5.0  # from one look at a chapter that is being joined again to the next


def audio_of(chapter: SpokenChapter, runtime: Runtime) -> Audio:
    """Return the record of a chapter's audio: one at a time, as each has all its words.

    Raises:
        NotYet: it was lost; it is joined again.
        AudioMissing: it was lost again and again.
    """
    (audio,) = runtime.jobs.audio([chapter.address])
    return audio or speak_again(chapter, None, runtime)


def speak_again(chapter: SpokenChapter, audio: Audio | None, runtime: Runtime) -> NoReturn:
    """Have the lost audio of a chapter joined again; what is lost of its segments is spoken again by that."""
    _, children = stores(runtime)
    (job,) = children.jobs([chapter.job])
    if job and job.state is JobState.SUCCEEDED and job.repairs < MOST_REPAIRS:
        if audio:
            runtime.jobs.forget_audio(audio)
        if again := children.reopen(chapter.job):
            for step in again.steps:
                runtime.queue.enqueue(chapter.job, step, lane=again.job.lane_of(step))
        raise NotYet(SPOKEN_AGAIN_SECONDS)
    if job and job.state in (JobState.QUEUED, JobState.RUNNING):
        raise NotYet(SPOKEN_AGAIN_SECONDS)
    raise AudioMissing(audio.key if audio else chapter.address)
