"""What the engine offers, as the workers announced it, kept for a few seconds."""

import time

from shared.errors import NoCatalogue
from shared.ports import AsyncJobStore, Catalogue

FRESH_SECONDS = 5.0


class CatalogueCache:
    """Asks the store at most once in five seconds."""

    def __init__(self, jobs: AsyncJobStore) -> None:
        self._jobs = jobs
        self._catalogue: Catalogue | None = None
        self._read_at = 0.0

    async def get(self) -> Catalogue:
        """Return the catalogue.

        Raises:
            NoCatalogue: no worker has started yet.
        """
        if self._catalogue is None or time.monotonic() - self._read_at > FRESH_SECONDS:
            self._catalogue = await self._jobs.catalogue()
            self._read_at = time.monotonic()
        if self._catalogue is None:
            raise NoCatalogue
        return self._catalogue
