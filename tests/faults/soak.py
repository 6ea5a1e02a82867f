"""A soak: many short jobs while a random fault strikes every few seconds. What comes depends on the seed only.

Some jobs are long, some are cancelled, some are sent again with their Idempotency-Key, and some come twice at the same
time with the same text. A fault is one of those of the fault matrix: a process or server killed, stopped, paused or
restarted, or its network cut. The next one strikes up to 4 s after the end of the one before, whether or not everybody
has recovered by then.

At the end every job must be in its right final state, with the right audio, and nothing may be left behind: no lease,
no message, no object without a record, no temporary file, no connection, and no process that had to be started again
but by the fault itself. The exit code is 1 if any of it is not so.

A run of `--jobs 3000 --seconds 600` takes about 12 minutes. To see a failure again, repeat its seed; `--folder` keeps
the logs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cli.stack.errors import StackError
from cli.stack.probes import http_ok
from tests.faults.checks import Before, Checks
from tests.faults.clients import Client
from tests.faults.faults import Fault, Victim, broken, target
from tests.faults.holds import Held
from tests.faults.matrix import LASTS_SECONDS
from tests.faults.orders import Order, OrderKind, Strike, orders, strikes
from tests.faults.rig import READY_SECONDS, Rig, running_rig
from tests.faults.tally import Fulfilled, Tally
from tests.waiting import wait_for

CLIENTS = 8  # that submit at the same time
FINAL_SECONDS = 180.0  # for the backlog of the last faults
ACCEPTED_SECONDS = 120.0  # for a job that comes while RabbitMQ or Redis is struck several times in a row


say = partial(print, flush=True)


@dataclass
class Soak:
    """One run."""

    rig: Rig
    checks: Checks
    client: Client
    seed: int
    say: Callable[[str], object] = say
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)

    def run(self, *, jobs: int, seconds: float) -> Tally:
        """Send the jobs while faults strike; wait until all have ended; check everything."""
        before = self.checks.before()
        drawn = orders(self.seed, jobs=jobs, seconds=seconds)
        with ThreadPoolExecutor(CLIENTS) as clients:
            sending = [clients.submit(self._fulfil, order) for order in drawn]
            now = self._strike(before, sending, seconds=seconds)
            self.say(f"{self._clock()} no more faults; {_done(sending)} of {jobs} jobs sent")
            accepted = [one for one in map(self._accepted, sending) if one]
        self.say(f"{self._clock()} all jobs sent; waiting for their ends")
        sent = time.monotonic()
        with self.tally.holding("after the faults"):
            self.rig.wait_ready()
        with self.tally.holding("at the end"):
            self.checks.final(before, seconds=FINAL_SECONDS)
        self.tally.settled_seconds = time.monotonic() - sent
        self.say(f"{self._clock()} looking at every job")
        self._check(accepted, before, now)
        return self.tally

    def _strike(self, before: Before, sending: list[Future[Fulfilled]], *, seconds: float) -> Before:
        """Do one fault after another for so long; return what runs then."""
        for number, strike in enumerate(strikes(self.seed)):
            time.sleep(strike.gap_seconds)
            if time.monotonic() - self.started > seconds:
                break
            self.say(f"{self._clock()} fault {number}: {strike}; {_done(sending)} jobs sent")
            self.tally.strike(strike)
            with self.tally.holding(f"fault {number}: {strike}"):
                self._struck(strike, before)
            pids = {member.name: member.process.pid for member in self.rig.members if member.process.running}
            before = replace(before, pids=before.pids | pids)
        return before

    def _struck(self, strike: Strike, before: Before) -> None:
        """Do the fault and undo it. Nobody but the victim may have ended."""
        try:
            if strike.victim is Victim.CHILD:  # one that dies while it loads takes its worker along, as it should
                port = self.rig.workers[strike.speaker].port
                wait_for(lambda: http_ok(port, "/readyz"), seconds=READY_SECONDS)
            victim = target(self.rig, strike.victim, Held(strike.speaker, 0, "", ""))
            with broken(victim, strike.fault):
                time.sleep(LASTS_SECONDS.get(strike.fault, 0))
            self.checks.nobody_restarted(before, but=_ended(strike, victim.member.name if victim.member else ""))
        except (AssertionError, StackError):
            self.rig.mend()  # for the faults to come
            raise

    def _fulfil(self, order: Order) -> Fulfilled:
        """Be the client of one job."""
        time.sleep(max(0.0, self.started + order.due_seconds - time.monotonic()))
        key = f"soak {self.seed}, {order.number}"
        sent = self.client.submit(order.text, seconds=ACCEPTED_SECONDS, key=key)
        if order.kind is OrderKind.REPEATED:
            time.sleep(order.pause_seconds)
            again = self.client.submit(order.text, seconds=ACCEPTED_SECONDS, key=key)
            return Fulfilled(order, sent, repeated=again)
        if order.kind is OrderKind.CANCELLED:
            time.sleep(order.pause_seconds)
            return Fulfilled(order, sent, cancelled=self.client.cancel(sent.job_id, seconds=ACCEPTED_SECONDS))
        return Fulfilled(order, sent)

    def _accepted(self, sending: Future[Fulfilled]) -> Fulfilled | None:
        try:
            return sending.result()
        except AssertionError as error:
            self.tally.not_accepted += 1
            self.tally.violations.append(str(error))
            return None

    def _check(self, accepted: list[Fulfilled], before: Before, now: Before) -> None:
        tally, checks = self.tally, self.checks
        records = checks.jobs_since(before.newest_job)
        tally.count(accepted, records, lambda sent: checks.right(sent, self.client))
        for job in records.values():
            with tally.holding(job.id):
                checks.each_ended_once({job.id: job})
        with tally.holding("left"):
            checks.nothing_left()
        with tally.holding("processes"):
            checks.nobody_restarted(now, but="")
        with tally.holding("temporary files"):
            checks.no_file_left()
        with tally.holding("connections"):
            same_gateway = now.pids["gateway"] == before.pids["gateway"]
            checks.no_connection_left(before, gateway_restarted=not same_gateway)

    def _clock(self) -> str:
        return f"{time.monotonic() - self.started:6.1f} s "


def _ended(strike: Strike, member: str) -> str:
    """Return who has ended by the fault and was started again, of our processes."""
    ends = strike.fault in (Fault.KILL, Fault.TERM, Fault.RESTART) and strike.victim is not Victim.CHILD
    return member if ends else ""


def _done(sending: list[Future[Fulfilled]]) -> int:
    return sum(one.done() for one in sending)


def soaked(rig: Rig, *, seed: int, jobs: int, seconds: float, say: Callable[[str], object] = say) -> Tally:
    """Soak a running rig."""
    client = Client(rig.url)
    try:
        return Soak(rig, Checks(rig), client, seed, say).run(jobs=jobs, seconds=seconds)
    finally:
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="decides which jobs come and which faults strike (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=3000, help="how many jobs are sent (%(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="how long faults strike (%(default)g)")
    parser.add_argument("--folder", type=Path, help="where data and logs go and stay; default: a temporary folder")
    parser.add_argument("--report", type=Path, help="a file for the closing table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, running_rig(options.folder or Path(temporary)) as rig:
        tally = soaked(rig, seed=options.seed, jobs=options.jobs, seconds=options.seconds)
    say(tally.table())
    if options.report:
        options.report.write_text(tally.table() + "\n")
    sys.exit(bool(tally.violations))


if __name__ == "__main__":
    main()
