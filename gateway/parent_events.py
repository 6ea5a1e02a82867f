"""What happens to a book or batch, as server-sent events: the changes of its jobs, and of its own record."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import HTTPException
from fastapi.sse import ServerSentEvent

from gateway.dependencies import Services
from shared.children import ParentNews
from shared.errors import StoreUnavailable

RETRY_MILLISECONDS = 2000  # after which a client whose stream broke off comes again
LONGEST_PAUSE_SECONDS = 5.0  # between two looks; a change is told at once
REST = 4  # times as long as a look took: a book has up to thousands of jobs, and each of them changes often

Seen = TypeVar("Seen")


async def check_after(parent: str, services: Services, *, after: str, at_rest: bool) -> None:
    """Tell a client to stay away that has heard everything.

    Raises:
        HTTPException: 204, which an EventSource obeys.
    """
    if after and at_rest and not await services.children.news(parent, after=after):
        raise HTTPException(204)


async def told(  # noqa: PLR0913 - every argument by name
    parent: str,
    request: Request,
    services: Services,
    *,
    after: str,
    look: Callable[[], Awaitable[Seen | None]],
    at_rest: Callable[[Seen], bool],
    event: Callable[[Seen, ParentNews], ServerSentEvent],
) -> AsyncIterator[ServerSentEvent]:
    """Yield what happened after that event and what comes, until nothing is being done.

    Args:
        look: returns the parent as it is now, or None once it is gone.
        at_rest: whether nothing is being done with it.
        event: what its listeners hear of a piece of news.
    """
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)  # something to pass on at once, for proxies
    async with services.jobs.watch(parent) as changed:
        while True:
            began = time.monotonic()
            try:
                seen = await look()  # before the news: what is at rest then, has none after these
                news: Sequence[ParentNews] = await services.children.news(parent, after=after)
            except StoreUnavailable:  # a listener sits it out: its client would have to come again
                if request.app.state.leaving():
                    return
                await changed(LONGEST_PAUSE_SECONDS)
                continue
            looking = time.monotonic() - began
            if seen is None:
                return
            for one in news:
                yield event(seen, one)
            after = news[-1].id if news else after
            if at_rest(seen) or request.app.state.leaving():
                return
            await changed(LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(REST * looking)
