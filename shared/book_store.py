"""Books in Redis: the workers' store and the gateway's. A change is one compare-and-set of the whole record."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from shared import records
from shared.books import Book, Chapter, Edition, Voicing, Wanted
from shared.redis_clients import hasty_client, patient_client, translated

UNSETTLED = "books:unsettled"  # ids of books that the sweeper has to look at, by when they were touched
EXPIRING = "books:expiring"  # ids of all books, by when their time is over

# Write the record if it is as it was read, with its indexes.
# KEYS: book, its tenant's books, unsettled, expiring, its events.
# ARGV: was, new, id, unsettled since or "", expires at, event, channel
WRITE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
if ARGV[4] == '' then redis.call('ZREM', KEYS[3], ARGV[3]) else redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3]) end
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[3])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 200, '*', 'data', ARGV[6])
redis.call('PUBLISH', ARGV[7], ARGV[3])
return 1
"""

SETTLE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('ZREM', KEYS[2], ARGV[2]) end"

Decide = Callable[[Book], Book | None]  # None: leave it as it is


def book_key(book_id: str) -> str:
    return f"book:{book_id}"


def books_key(tenant: str) -> str:
    """The ids of a tenant's books."""
    return records.of_tenant(tenant, "books")


def dump(book: Book) -> str:
    return json.dumps(asdict(book), ensure_ascii=False, separators=(",", ":"))


def load(raw: str) -> Book:
    fields: dict[str, Any] = json.loads(raw)
    return Book(
        voicing=Voicing(**fields.pop("voicing")),
        chapters=tuple(Chapter(**one) for one in fields.pop("chapters")),
        editions=tuple(Edition(**one) for one in fields.pop("editions")),
        wanted=Wanted(fields.pop("wanted")),
        notes=tuple(fields.pop("notes")),
        formats=tuple(fields.pop("formats")),
        **fields,
    )


def _arguments(raw: str, book: Book) -> tuple[list[str], list[str]]:
    keys = [book_key(book.id), books_key(book.tenant), UNSETTLED, EXPIRING, records.events_key(book.id)]
    since = str(book.touched_at) if book.wanted is Wanted.RENDER or not book.chapters else ""
    event = json.dumps({"book": book.id, "wanted": book.wanted, "chapters": len(book.included)})
    expires_at = str(book.touched_at + book.keep_seconds)
    return keys, [raw, dump(book), book.id, since, expires_at, event, records.CHANGED]


class RedisBooks:
    """The workers' and the sweeper's side. Calls wait out a restart of Redis."""

    def __init__(self, url: str) -> None:
        self._redis: Any = patient_client(url)
        self._write = self._redis.register_script(WRITE)

    def get(self, book_id: str) -> Book | None:
        with translated():
            raw = self._redis.get(book_key(book_id))
        return load(raw) if raw else None

    def change(self, book_id: str, decide: Decide) -> Book | None:
        """Apply `decide` to the book as it is, until no other change comes between; return the book as it is then."""
        with translated():
            while raw := self._redis.get(book_key(book_id)):
                book = load(raw)
                changed = decide(book)
                if changed is None or changed == book:
                    return book
                changed = replace(changed, touched_at=time.time())
                keys, arguments = _arguments(raw, changed)
                if self._write(keys=keys, args=arguments):
                    return changed
        return None

    def unsettled(self) -> list[str]:
        """Return the ids of the books that are being read or rendered."""
        with translated():
            return self._redis.zrange(UNSETTLED, 0, -1)

    def settled(self, book: Book) -> None:
        """There is nothing to be done any more for the book as it is here, until it is changed."""
        with translated():
            self._redis.eval(SETTLE, 2, book_key(book.id), UNSETTLED, dump(book), book.id)

    def due(self, *, now: float, limit: int) -> list[str]:
        """Return the ids of books whose time is over."""
        with translated():
            return self._redis.zrange(EXPIRING, "-inf", now, byscore=True, offset=0, num=limit)

    def forget(self, book: Book) -> None:
        """Forget a book; its objects and jobs are gone."""
        with translated():
            _forget(self._redis, book)


class AsyncBooks(Protocol):
    """What the gateway asks of the books' store."""

    async def create(self, book: Book) -> bool: ...

    async def get(self, book_id: str) -> Book | None: ...

    async def change(self, book_id: str, decide: Decide) -> Book | None: ...

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[Book]: ...

    async def forget(self, book: Book) -> None: ...

    async def let_go(self, key: str, *, at: float) -> None:
        """The sweeper deletes that object after that time, if nobody has before."""
        ...


class AsyncRedisBooks:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)
        self._write = self._redis.register_script(WRITE)

    async def create(self, book: Book) -> bool:
        """Record a new book; whether its id was free."""
        keys, arguments = _arguments("", book)
        with translated():
            return bool(await self._write(keys=keys, args=arguments))

    async def get(self, book_id: str) -> Book | None:
        with translated():
            raw = await self._redis.get(book_key(book_id))
        return load(raw) if raw else None

    async def change(self, book_id: str, decide: Decide) -> Book | None:
        """Apply `decide` to the book as it is, until no other change comes between; return the book as it is then."""
        with translated():
            while raw := await self._redis.get(book_key(book_id)):
                book = load(raw)
                changed = decide(book)
                if changed is None or changed == book:
                    return book
                changed = replace(changed, touched_at=time.time())
                keys, arguments = _arguments(raw, changed)
                if await self._write(keys=keys, args=arguments):
                    return changed
        return None

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[Book]:
        """Books of the tenant from the newest to the oldest, beginning after the book `before`."""
        newest = f"({before}" if before else "+"
        with translated():
            ids: Sequence[str] = await self._redis.zrange(
                books_key(tenant), newest, "-", desc=True, bylex=True, offset=0, num=limit
            )
            raw: list[str | None] = await self._redis.mget([book_key(one) for one in ids]) if ids else []
        return [load(one) for one in raw if one]

    async def forget(self, book: Book) -> None:
        """Forget a book; its objects and jobs are gone."""
        with translated():
            await _forget(self._redis, book)

    async def let_go(self, key: str, *, at: float) -> None:
        with translated():
            await self._redis.zadd(records.GARBAGE, {key: at})

    async def close(self) -> None:
        await self._redis.aclose()


def _forget(client: Any, book: Book) -> Any:
    """Return the execution of what forgets a book: a coroutine for an asynchronous client."""
    pipeline = client.pipeline(transaction=True)
    pipeline.delete(book_key(book.id), records.events_key(book.id))
    pipeline.delete(records.counts_key(book.id), records.children_key(book.id))
    for index in (books_key(book.tenant), UNSETTLED, EXPIRING):
        pipeline.zrem(index, book.id)
    return pipeline.execute()
