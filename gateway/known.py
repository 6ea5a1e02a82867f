"""What the gateway keeps for a few seconds instead of asking at each request: voices and the lanes' load."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.checking import Offer, offer_of
from shared.errors import NoCatalogue
from shared.jobs import Lane
from shared.ports import AsyncJobStore, Catalogue, LaneLoad

T = TypeVar("T")


class _Kept(Generic[T]):
    """An answer that is asked for again once it is too old."""

    def __init__(self, ask: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answer: T | None = None
        self._asked_at = 0.0

    async def get(self) -> T | None:
        if self._answer is None or time.monotonic() - self._asked_at > self._seconds:
            self._asked_at = time.monotonic()
            self._answer = await self._ask()
        return self._answer


class Known:
    """What the engine offers, as the workers announced it, and how busy each lane is."""

    def __init__(self, jobs: AsyncJobStore) -> None:
        self._jobs = jobs
        self._offer = _Kept(self._ask_offer, seconds=5)
        self._loads = _Kept(jobs.loads, seconds=1)
        self._stand_in = _Kept(lambda: jobs.catalogue(stand_in=True), seconds=5)

    async def catalogue(self) -> Catalogue:
        """Return the catalogue.

        Raises:
            NoCatalogue: no worker has started yet.
        """
        return (await self.offer()).catalogue

    async def offer(self) -> Offer:
        """Return the catalogue with its voices.

        Raises:
            NoCatalogue: no worker has started yet.
        """
        offer = await self._offer.get()
        if offer is None:
            raise NoCatalogue
        return offer

    async def _ask_offer(self) -> Offer | None:
        catalogue = await self._jobs.catalogue()
        return offer_of(catalogue) if catalogue else None

    async def stand_in(self) -> Catalogue | None:
        """Return what the stand-in engine offers, if a worker of it has ever started."""
        return await self._stand_in.get()

    async def load(self, lane: Lane) -> LaneLoad:
        loads = await self._loads.get()
        return (loads or {})[lane]
