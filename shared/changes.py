"""A change of a job as the arguments of `commit.lua`: which keys it needs unchanged, and the commands it makes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import records
from shared.jobs import Audio, Change, Job, SpeechRequest, Step, StepState
from shared.ports import Segment

COMMIT = (Path(__file__).parent / "commit.lua").read_text()
REMOVE = (Path(__file__).parent / "remove.lua").read_text()
EVENTS_KEPT = 200
IDEMPOTENCY_SECONDS = 24 * 3600

Command = list[str]


@dataclass(frozen=True)
class Snapshot:
    """A job and one of its steps as they were read, with the very bytes, which the commit compares; "" for none."""

    job: Job
    step: Step
    raw_job: str
    raw_step: str


def commit_argument(
    was: Snapshot, change: Change, *, audio: Audio | None, segments: Sequence[Segment], now: float
) -> str:
    """Return the argument of `commit.lua` that replaces the snapshot by the change."""
    job, step = change.job, change.step
    commands: list[Command] = [["HSET", records.steps_key(job.id), step.name, records.dump(step)]]
    if job != was.job:
        commands += _job_commands(was.job, job)
    if step.state is not was.step.state or job.finished:
        commands += _waiting_commands(was, job, step)
    if audio:
        commands += _audio_commands(job, audio)
    if segments:
        commands += _segment_commands(job, segments)
    argument: dict[str, object] = {
        "job": [records.job_key(job.id), was.raw_job],
        "step": [records.steps_key(job.id), step.name, was.raw_step],
        "stores": [records.audio_record_key(audio.address)] if audio else [],
        "commands": commands,
    }
    if was.step.state is StepState.RUNNING and (step.state is StepState.DONE or job.finished):
        argument["drained"] = _drained(job, step, now)
    return json.dumps(argument, ensure_ascii=False)


def _drained(job: Job, step: Step, now: float) -> list[str | float]:
    """Tell how fast the lane is: since when the step could have been worked on, and how long it took."""
    since = (job.started_at if job.long else None) or job.created_at
    return [records.lane_key(job.lane_of(step.name)), since, now - step.started_at, now]


def creation_argument(job: Job, request: SpeechRequest, *, key: str, fingerprint: str) -> str:
    """Return the argument of `commit.lua` that records a new job, and that the idempotency key, if any, is its own."""
    queue = records.waiting_key(job.lane_of(job.first_step))
    commands = [
        ["SET", records.request_key(job.id), records.dump(request)],
        ["ZADD", records.ALL_JOBS, "0", job.id],
        ["ZADD", queue, str(job.created_at), f"{job.id}:{job.first_step}"],
        *_job_commands(None, job),
    ]
    argument: dict[str, object] = {"job": [records.job_key(job.id), ""], "commands": commands, "queue": queue}
    if key:
        argument["once"] = [records.idempotency_key(key), json.dumps([job.id, fingerprint]), IDEMPOTENCY_SECONDS]
    return json.dumps(argument, ensure_ascii=False)


def final_argument(raw_job: str, was: Job, job: Job) -> str:
    """Return the argument of `commit.lua` that ends a job from outside its steps: cancelled, or refused."""
    commands = [*_job_commands(was, job), *_no_longer_waiting(was)]
    return json.dumps({"job": [records.job_key(job.id), raw_job], "commands": commands}, ensure_ascii=False)


def _job_commands(was: Job | None, job: Job) -> list[Command]:
    commands: list[Command] = [["SET", records.job_key(job.id), records.dump(job)]]
    if was is None or was.state is not job.state:
        commands += [["ZADD", records.state_key(job.state), "0", job.id]]
        commands += [["ZREM", records.state_key(was.state), job.id]] if was else []
    event = {"state": job.state, "segments_done": job.segments_done, "segments_total": job.segments_total}
    commands += [
        ["XADD", records.events_key(job.id), "MAXLEN", "~", str(EVENTS_KEPT), "*", "data", json.dumps(event)],
        ["PUBLISH", records.CHANGED, job.id],
    ]
    return commands


def _waiting_commands(was: Snapshot, job: Job, step: Step) -> list[Command]:
    if job.finished:
        return _no_longer_waiting(was.job)
    key, member = records.waiting_key(job.lane_of(step.name)), f"{job.id}:{step.name}"
    if step.state is StepState.WAITING:
        return [["ZADD", key, str(job.created_at), member]]
    return [["ZREM", key, member]]


def _no_longer_waiting(job: Job) -> list[Command]:
    return [["ZREM", records.waiting_key(job.lane_of(step)), f"{job.id}:{step}"] for step in job.steps()]


def _audio_commands(job: Job, audio: Audio) -> list[Command]:
    key = records.audio_record_key(audio.address)
    return [["SET", key, records.dump(audio)], ["SADD", f"{key}:jobs", job.id]]


def _segment_commands(job: Job, segments: Sequence[Segment]) -> list[Command]:
    commands: list[Command] = []
    for number, segment in enumerate(segments):
        commands += [
            ["HSET", records.segments_key(job.id), str(number), records.dump(segment)],
            ["ZADD", records.waiting_key(job.lane), str(job.started_at), f"{job.id}:{number}"],
        ]
    return commands
