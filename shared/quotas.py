"""What a tenant may use, and how it is counted.

A job is counted when it is accepted, in the commit that records it, by its characters and by how long its audio is
expected to be. The commit that ends it corrects that: the audio as it is, and what was not spoken is given back. A
line of a batch counts as open until its job has ended.
"""

import math
from typing import Any

from shared import records
from shared.jobs import Job, JobKind, JobState
from shared.limits import Limits, Quota
from shared.usage import DAY_SECONDS, day_of

CHARACTERS, AUDIO = "characters", "audio_us"


SCALE = {Quota.AUDIO: 1_000_000}  # counted in whole microseconds
OF_JOBS = (Quota.CHARACTERS, Quota.AUDIO, Quota.JOBS, Quota.STORAGE)  # looked at when a job is to be recorded


def wanted(job: Job) -> dict[Quota, int]:
    """Return what a new job adds, in the units that are counted."""
    audio = round(job.estimated_seconds * SCALE[Quota.AUDIO])
    return {Quota.CHARACTERS: job.characters, Quota.AUDIO: audio, Quota.JOBS: 1, Quota.STORAGE: 1, Quota.LINES: 1}


def limits_argument(job: Job, limits: Limits) -> list[dict[str, Any]]:
    """Return the limits for `commit.lua`: each with the commands that tell what is used."""
    day = day_key(job)
    used = {
        Quota.CHARACTERS: [["HGET", day, CHARACTERS]],
        Quota.AUDIO: [["HGET", day, AUDIO]],
        Quota.JOBS: [["ZCARD", records.state_key(job.tenant, state)] for state in (JobState.QUEUED, JobState.RUNNING)],
        Quota.STORAGE: [["GET", records.stored_key(job.tenant)]],
        Quota.LINES: [["GET", records.open_lines_key(job.tenant)]],
    }
    asked = wanted(job)
    return [
        {"limit": int(limits.of(quota) * SCALE.get(quota, 1)), "wanted": asked[quota], "used": used[quota]}
        for quota in limited(job, limits)
    ]


def limited(job: Job, limits: Limits) -> list[Quota]:
    """Return which limits a new job has to keep, in the order of `limits_argument`."""
    return [quota for quota in (*OF_JOBS, *([Quota.LINES] if is_line(job) else [])) if limits.of(quota)]


def is_line(job: Job) -> bool:
    """Whether the job is a line of a batch."""
    return job.kind is JobKind.SPEECH and bool(job.parent)


def used_commands(was: Job | None, job: Job | None) -> list[list[str]]:
    """Return the commands that count what a change of a job uses, or gives back; `job` is None if it is forgotten."""
    one = job or was
    assert one
    before, after = charge(was), charge(job) if job else charge(was)
    day = day_key(one)
    counts = [["HINCRBY", day, name, str(after[name] - before[name])] for name in after if after[name] != before[name]]
    if counts:
        counts += [["EXPIRE", day, str(2 * DAY_SECONDS)]]
    kept = (job.stored_bytes if job else 0) - (was.stored_bytes if was else 0)
    counts += [["INCRBY", records.stored_key(one.tenant), str(kept)]] if kept else []
    opened = _open_lines(job) - _open_lines(was)
    return [*counts, ["INCRBY", records.open_lines_key(one.tenant), str(opened)]] if opened else counts


def _open_lines(job: Job | None) -> int:
    return int(job is not None and is_line(job) and not job.finished)


def charge(job: Job | None) -> dict[str, int]:
    """Return what a job counts for on its day. One that ended badly counts for the share of it that was spoken."""
    if job is None or not job.speaks:
        return {CHARACTERS: 0, AUDIO: 0}
    characters, audio = job.characters, round(job.estimated_seconds * SCALE[Quota.AUDIO])
    if job.audio_seconds:  # it has succeeded, and may have expired since
        audio = round(job.audio_seconds * SCALE[Quota.AUDIO])
    elif job.finished:
        share = job.segments_done / job.segments_total if job.segments_total else 0.0
        characters, audio = math.ceil(characters * share), math.ceil(audio * share)
    return {CHARACTERS: characters, AUDIO: audio}


def day_key(job: Job) -> str:
    return records.used_key(job.tenant, day_of(job.created_at))
