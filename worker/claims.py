"""Make each audio once: whoever speaks what another worker is speaking just now waits for it instead."""

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from shared.errors import StoreUnavailable
from shared.jobs import Audio
from shared.ports import AudioClaim, Holder
from worker.attempt import SpokenElsewhere
from worker.batching import leave_engine
from worker.lease import Lease
from worker.metrics import CACHE_HITS, CACHE_MISSES
from worker.runtime import Runtime

# Most speech takes less. What takes longer goes back to the broker: this worker has other work to do.
PATIENCE_SECONDS = 1.0
POLL_SECONDS = 0.05


class Claims:
    """The audio that one step makes. Within the context its claims are kept; at its end those that are left go."""

    def __init__(self, lease: Lease, runtime: Runtime) -> None:
        job, step = lease.started
        self._holder = Holder(f"{job.id}:{step.name}", lease.token)
        self.lease = lease
        self.runtime = runtime
        self._seconds = runtime.settings.lease_seconds
        self._keys: dict[str, str] = {}  # of the objects that may be made, by address
        self._stored = False

    def find(self, address: str, key: str) -> Audio | None:
        """Return the audio if it was made before and is really there; else it is this step's to make.

        Raises:
            SpokenElsewhere: another worker makes it, and has not come to an end within a second.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self.runtime.jobs.find_audio(address, key=key, holder=self._holder, seconds=self._seconds)
            if found is AudioClaim.OURS:
                CACHE_MISSES.inc()
                self._keys[address] = key
                self.lease.keep(
                    lambda: self.runtime.jobs.keep_claim(address, holder=self._holder, seconds=self._seconds)
                )
                return None
            if isinstance(found, Audio):
                if self.runtime.objects.exists(found.key, bytes=found.bytes):
                    CACHE_HITS.inc()
                    return found
                self.runtime.jobs.forget_audio(found)
                continue
            if time.monotonic() > deadline:
                raise SpokenElsewhere
            leave_engine()
            time.sleep(POLL_SECONDS)

    def storing(self, key: str, *, voices: Sequence[str] = ()) -> None:
        """From here on the object may be there, whatever happens to this worker.

        Args:
            voices: library voices that speak in it: it goes with each of them.
        Raises:
            VoiceDeleted: one of them is gone, or has another clip.
        """
        if voices:
            self.runtime.library.made(voices, key)
        self._stored = True

    def recorded(self, audio: Audio) -> None:
        """The record has it: that ended the claim."""
        self._keys.pop(audio.address, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(StoreUnavailable):  # they run out by themselves
            for address, key in self._keys.items():
                self.runtime.jobs.drop_claim(address, key=key, holder=self._holder, stored=self._stored)
