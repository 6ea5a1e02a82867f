"""A change of a job as the arguments of `commit.lua`: which keys it needs unchanged, and the commands it makes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared import records
from shared.fair import NO_WINDOWS, NOTHING_GOES, Windows, in_order, share
from shared.jobs import JOIN, PLAN, Audio, Change, Job, JobKind, Lane, SpeechRequest, Step, StepState, Usage
from shared.limits import NO_LIMITS, Limits
from shared.ports import Segment
from shared.quotas import limits_argument, used_commands
from shared.usage import USAGE_DAYS, usage_commands
from shared.webhooks import told

PARTS = {"commit": ("told", "share"), "remove": ("told", "share"), "release": ("share",)}  # what scripts begin with


def script(name: str) -> str:
    """Return the text of a script that runs inside Redis."""
    names = (*PARTS.get(name, ()), name)
    return "\n".join((Path(__file__).parent / f"{one}.lua").read_text() for one in names)


EVENTS_KEPT = 200
MOST_MEMBERS = 1000  # in one command: Lua unpacks no more than some thousands
IDEMPOTENCY_SECONDS = 24 * 3600
TURNAROUND_SECONDS = 1.0  # from one step to the next a worker needs far less

Command = list[str]


@dataclass(frozen=True)
class Snapshot:
    """A job and one of its steps as they were read, with the very bytes, which the commit compares; "" for none."""

    job: Job
    step: Step
    raw_job: str
    raw_step: str


def commit_argument(  # noqa: PLR0913 - every argument by name
    was: Snapshot,
    change: Change,
    *,
    audio: Audio | None,
    segments: Sequence[Segment],
    now: float,
    usage_days: int = USAGE_DAYS,
    windows: Windows = NO_WINDOWS,
) -> str:
    """Return the argument of `commit.lua` that replaces the snapshot by the change."""
    job, step = change.job, change.step
    commands: list[Command] = [["HSET", records.steps_key(job.id), step.name, records.dump(step)]]
    if job != was.job:
        commands += _job_commands(was.job, job)
    commands += _no_longer_open(was.job) if job.finished else _open_commands(job, step, now)
    shares = _shares(was, change, segments, windows, now)
    if was.step.audio_address and not step.audio_address:
        commands += [_let_go(was.step.audio_address, job)]
    if audio:
        commands += _audio_commands(job, audio)
    if segments:
        commands += _segment_commands(job, segments)
    if change.usage:
        commands += usage_commands(change.usage, tenant=job.tenant, now=now, days=usage_days)
        commands += _spent_commands(job, change.usage)
    argument: dict[str, object] = {
        "job": [records.job_key(job.id), was.raw_job],
        "step": [records.steps_key(job.id), step.name, was.raw_step],
        "stores": [[records.audio_record_key(audio.address), records.UPLOADING, audio.key]] if audio else [],
        "commands": commands,
        **told(was.job, job, now=now),
    }
    if shares:
        argument["shares"] = shares
    lane = job.lane_of(step.name)
    if was.step.state is StepState.WAITING and step.state is StepState.RUNNING:
        argument["started"] = [records.waiting_key(lane), member(job.id, step.name), records.lane_key(lane)]
    if was.step.state is StepState.RUNNING and (step.state is StepState.DONE or job.finished):
        argument["drained"] = _drained(job, step, now)
    return json.dumps(argument, ensure_ascii=False)


def member(job_id: str, step: str) -> str:
    """Return how a step is named in the sorted sets of steps."""
    return f"{job_id}:{step}"


def _drained(job: Job, step: Step, now: float) -> list[str | float]:
    """Tell how fast the lane is: since when the step could have been worked on, and how long it took.

    A time in which no worker was there says nothing of the lane's speed, so it does not count.
    """
    arrived = (job.started_at if job.long else None) or job.created_at
    since = max(arrived, step.started_at - TURNAROUND_SECONDS)
    return [records.lane_key(job.lane_of(step.name)), since, now - step.started_at, now]


def creation_argument(  # noqa: PLR0913 - every argument by name
    job: Job,
    request: SpeechRequest,
    *,
    key: str,
    fingerprint: str,
    limits: Limits = NO_LIMITS,
    most_ahead: int = 0,
    windows: Windows = NO_WINDOWS,
    stands_for: Job | None = None,
) -> str:
    """Return the argument of `commit.lua` that records a new job, and that the idempotency key, if any, is its own.

    Args:
        stands_for: what is to be within the limits in place of the job, which leads to more than it is itself.
    """
    lane = job.lane_of(job.first_step)
    commands = [
        ["SET", records.request_key(job.id), records.dump(request)],
        ["ZADD", records.children_key(job.parent) if job.parent else records.jobs_key(job.tenant), "0", job.id],
        *_job_commands(None, job),
    ]
    arrival = (job.created_at, member(job.id, job.first_step))
    argument: dict[str, Any] = {
        "job": [records.job_key(job.id), ""],
        "commands": commands,
        "shares": [share(job.tenant, lane, windows, now=job.created_at, arrivals=[arrival], flow=job.parent)],
        "queue": [records.waiting_key(lane), records.parked_key(lane, job.tenant)],
    }
    argument["limits"] = limits_argument(stands_for or job, limits)
    if most_ahead:
        lane = job.speaking_lane
        ahead = [["ZCARD", records.waiting_key(lane)], ["ZCARD", records.parked_key(lane, job.tenant)]]
        argument["limits"] += [{"limit": most_ahead, "wanted": 1, "used": ahead}]
    if key:
        mine = records.idempotency_key(job.tenant, key)
        argument["once"] = [mine, json.dumps([job.id, fingerprint]), IDEMPOTENCY_SECONDS]
    return json.dumps(argument, ensure_ascii=False)


def repeat_argument(raw_job: str, job: Job) -> str:
    """Return the argument of `commit.lua` that counts a repeated request. It is no news for anybody."""
    commands = [["SET", records.job_key(job.id), records.dump(job)]]
    return json.dumps({"job": [records.job_key(job.id), raw_job], "commands": commands}, ensure_ascii=False)


def final_argument(raw_job: str, was: Job, job: Job, *, now: float, windows: Windows = NOTHING_GOES) -> str:
    """Return the argument of `commit.lua` that ends a job from outside its steps."""
    commands = [*_job_commands(was, job), *_no_longer_open(was)]
    shares = _left_shares(was, windows, now)
    argument = {"job": [records.job_key(job.id), raw_job], "commands": commands, "shares": shares}
    argument |= told(was, job, now=now)
    return json.dumps(argument, ensure_ascii=False)


def refusal_argument(raw_job: str, was: Job, job: Job, *, key: str) -> str:
    """Return the argument of `commit.lua` that ends a job that was not accepted after all, and frees its idempotency
    key. Its client was told; webhooks are not.
    """
    commands = [*_job_commands(was, job), *_no_longer_open(was)]
    if key:
        commands += [["DEL", records.idempotency_key(job.tenant, key)]]
    shares = _left_shares(was, NOTHING_GOES, job.created_at)
    argument = {"job": [records.job_key(job.id), raw_job], "commands": commands, "shares": shares}
    return json.dumps(argument, ensure_ascii=False)


def reopening_argument(  # noqa: PLR0913 - every argument by name
    raw_job: str,
    was: Job,
    job: Job,
    steps: Sequence[Step],
    *,
    now: float,
    windows: Windows | None = None,
    limits: Limits = NO_LIMITS,
) -> str:
    """Return the argument of `commit.lua` that has these steps of a finished job done again, and its join.

    Args:
        steps: as they are to be.
        windows: they wait for their tenant's turn; None: they are sent by who opens it again, past the window.
    """
    names = [step.name for step in steps]
    commands = [*_job_commands(was, job), *_in_portions(["HDEL", records.steps_key(job.id)], [*names, JOIN])]
    commands += [["HSET", records.steps_key(job.id), step.name, records.dump(step)] for step in steps if step.counted]
    if windows is None:
        commands += [["ZADD", records.waiting_key(job.lane_of(step)), str(now), member(job.id, step)] for step in names]
    commands += [["ZADD", records.EXPIRING, str(now + job.keep_seconds), job.id]]
    commands += [_let_go(was.audio_address, job)] if was.audio_address else []
    by_lane = _by_lane(job, names)
    if windows is None:
        shares = [share(job.tenant, lane, NOTHING_GOES, now=now, back=members) for lane, members in by_lane.items()]
    else:
        shares = [_arriving(job, lane, members, windows, now) for lane, members in by_lane.items()]
    argument: dict[str, Any] = {"job": [records.job_key(job.id), raw_job], "commands": commands, "shares": shares}
    argument["limits"] = limits_argument(job, limits)
    return json.dumps(argument, ensure_ascii=False)


def _arriving(job: Job, lane: Lane, members: Sequence[str], windows: Windows, now: float) -> dict[str, object]:
    arrivals = [(in_order(now, n), one) for n, one in enumerate(members)]
    return share(job.tenant, lane, windows, now=now, arrivals=arrivals, flow=job.parent or job.id)


def expiry_argument(raw_job: str, was: Job, job: Job, addresses: Sequence[str], *, now: float) -> str:
    """Return the argument of `remove.lua` that lets the audio of a job go, whose record stays for as long again."""
    commands = [*_job_commands(was, job), *_no_longer_open(was)]
    commands += [["ZADD", records.EXPIRING, str(now + job.keep_seconds), job.id]]
    shares = _left_shares(was, NOTHING_GOES, now)
    return _removal(raw_job, job, addresses, commands, now, shares=shares, **told(was, job, now=now))


def removal_argument(raw_job: str, job: Job, addresses: Sequence[str], *, now: float) -> str:
    """Return the argument of `remove.lua` that forgets a finished job."""
    indexes = [records.jobs_key(job.tenant), records.state_key(job.tenant, job.state), records.EXPIRING]
    indexes += [records.children_key(job.parent)] if job.parent else []
    commands = [
        *_no_longer_open(job),  # it may have been opened again just now
        *used_commands(job, None),
        *([["HINCRBY", records.counts_key(job.parent), str(job.state), "-1"]] if job.parent else []),
        ["DEL", *(key(job.id) for key in (records.job_key, records.request_key, records.steps_key))],
        ["DEL", *(key(job.id) for key in (records.segments_key, records.events_key))],
        *(["ZREM", index, job.id] for index in indexes),
    ]
    return _removal(raw_job, job, addresses, commands, now, shares=_left_shares(job, NOTHING_GOES, now))


def _removal(
    raw_job: str, job: Job, addresses: Sequence[str], commands: Sequence[Command], now: float, **more: object
) -> str:
    argument: dict[str, object] = {
        "job": [records.job_key(job.id), raw_job, job.id],
        "holds": [records.audio_record_key(address) for address in addresses],
        "garbage": [records.GARBAGE, now],
        "commands": commands,
        **more,
    }
    return json.dumps(argument, ensure_ascii=False)


def _job_commands(was: Job | None, job: Job) -> list[Command]:
    commands: list[Command] = [["SET", records.job_key(job.id), records.dump(job)], *used_commands(was, job)]
    if was is None or was.state is not job.state:
        commands += _state_commands(was, job)
    if was is None or job.finished:
        commands += [["ZADD", records.EXPIRING, str(job.expires_at), job.id]]
    event: dict[str, object] = {name: getattr(job, name) for name in ("state", "segments_done", "segments_total")}
    event |= {"failure": asdict(job.failure)} if job.failure else {}
    commands += _news(job.id, event)
    if job.parent and job.kind is not JobKind.ENCODING:  # nothing waits for those
        commands += _news(job.parent, {"job_id": job.id, "kind": job.kind, **event})
    return commands


def _news(of: str, event: dict[str, object]) -> list[Command]:
    return [
        ["XADD", records.events_key(of), "MAXLEN", "~", str(EVENTS_KEPT), "*", "data", json.dumps(event)],
        ["PUBLISH", records.CHANGED, of],
    ]


def _state_commands(was: Job | None, job: Job) -> list[Command]:
    """Keep the tenant's index by state; of what belongs to a book or batch its counts by state."""
    if job.parent:
        counts = records.counts_key(job.parent)
        left = [["HINCRBY", counts, str(was.state), "-1"]] if was else []
        return [["HINCRBY", counts, str(job.state), "1"], *left]
    left = [["ZREM", records.state_key(job.tenant, was.state), job.id]] if was else []
    return [["ZADD", records.state_key(job.tenant, job.state), "0", job.id], *left]


def _spent_commands(job: Job, usage: Usage) -> list[Command]:
    """Count what an engine has spoken for a book; what was found cost nothing."""
    if job.kind is not JobKind.CHAPTER or not usage.engine_seconds:
        return []
    amounts = {"spoken": 1, "engine_us": round(usage.engine_seconds * 1e6)}
    return [["HINCRBY", records.counts_key(job.parent), name, str(amount)] for name, amount in amounts.items()]


def _open_commands(job: Job, step: Step, now: float) -> list[Command]:
    """Keep the indexes of what waits and of what is held. A join waits once its segments are all done."""
    name = member(job.id, step.name)
    waiting = records.waiting_key(job.lane_of(step.name))
    ready = step.name != JOIN or job.segments_done == job.segments_total
    commands = [["ZREM", waiting, name], ["ZREM", records.LEASES, name]]
    if step.state is StepState.RUNNING:
        commands[1] = ["ZADD", records.LEASES, str(step.lease_expires_at), name]
    elif step.state is StepState.WAITING and ready:
        commands[0] = ["ZADD", waiting, str(job.created_at), name]
    elif step.state is StepState.DONE and step.name not in (PLAN, JOIN) and job.segments_done == job.segments_total:
        commands += [["ZADD", records.waiting_key(job.lane_of(JOIN)), str(now), member(job.id, JOIN)]]
    return commands


def _no_longer_open(job: Job) -> list[Command]:
    """Take every step of a finished job out of the indexes."""
    commands: list[Command] = []
    for lane, members in _by_lane(job, job.steps()).items():
        for index in (records.waiting_key(lane), records.LEASES):
            commands += _in_portions(["ZREM", index], members)
    return commands


def _by_lane(job: Job, steps: Sequence[str]) -> dict[Lane, list[str]]:
    found: dict[Lane, list[str]] = {}
    for step in steps:
        found.setdefault(job.lane_of(step), []).append(member(job.id, step))
    return found


def _shares(
    was: Snapshot, change: Change, segments: Sequence[Segment], windows: Windows, now: float
) -> list[dict[str, object]]:
    """Return what the change of a step is for its tenant's shares of the lanes. Most changes are nothing to them."""
    job, step = change.job, change.step
    if job.finished:
        running = step.name if was.step.state is StepState.RUNNING else ""
        return _left_shares(was.job, windows, now, but=running)
    lane, name = job.lane_of(step.name), member(job.id, step.name)
    if segments:
        arrivals = [(in_order(now, n), member(job.id, str(n))) for n in range(len(segments))]
        flow = job.parent or job.id
        return [share(job.tenant, job.speaking_lane, windows, now=now, arrivals=arrivals, flow=flow)]
    if was.step.state is StepState.WAITING and step.state is StepState.RUNNING:
        return [share(job.tenant, lane, windows, now=now, left=[name])]
    if was.step.state is not StepState.WAITING and step.state is StepState.WAITING:
        return [share(job.tenant, lane, windows, now=now, back=[name])]
    return []


def _left_shares(job: Job, windows: Windows, now: float, *, but: str = "") -> list[dict[str, object]]:
    """Return that no step of the job waits any more; `but` did not."""
    by_lane = _by_lane(job, [step for step in job.steps() if step != but])
    return [share(job.tenant, lane, windows, now=now, left=members) for lane, members in by_lane.items()]


def _in_portions(command: Command, members: Sequence[str]) -> list[Command]:
    return [[*command, *members[n : n + MOST_MEMBERS]] for n in range(0, len(members), MOST_MEMBERS)]


def _let_go(address: str, job: Job) -> Command:
    return ["SREM", f"{records.audio_record_key(address)}:jobs", job.id]


def _audio_commands(job: Job, audio: Audio) -> list[Command]:
    key = records.audio_record_key(audio.address)
    return [
        ["SET", key, records.dump(audio)],
        ["SADD", f"{key}:jobs", job.id],
        ["DEL", records.speaking_key(audio.address)],
        ["ZREM", records.UPLOADING, audio.key],
        ["ZREM", records.GARBAGE, audio.key],
    ]


def _segment_commands(job: Job, segments: Sequence[Segment]) -> list[Command]:
    commands: list[Command] = []
    for number, segment in enumerate(segments):
        commands += [["HSET", records.segments_key(job.id), str(number), records.dump(segment)]]
    return commands
