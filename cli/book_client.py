"""The gateway's API for books as Python calls."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from cli.client import ANSWER_SECONDS, POLL_SECONDS, WAIT_SECONDS, Client, Json
from cli.errors import ClientError

UPLOAD_SECONDS = 120.0  # for the answer, once the file is there
PAGE = 20  # the most that the gateway lists at once
AT_WORK = frozenset({"reading", "rendering", "assembling"})


class BookCalls:
    """One gateway's books. Calls raise as those of `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, file: Path, options: Json) -> Json:
        with file.open("rb") as source:
            return self._json(
                "POST",
                "/v1/books",
                files={"file": (file.name, source)},
                data={"options": json.dumps(options, ensure_ascii=False)},
                headers={"Idempotency-Key": str(uuid.uuid4())},
                timeout=httpx.Timeout(ANSWER_SECONDS, read=UPLOAD_SECONDS),
            )

    def book(self, book_id: str) -> Json:
        return self._json("GET", f"/v1/books/{book_id}")

    def books(self, *, limit: int) -> Iterator[Json]:
        """Yield books, the newest first, asking for page after page."""
        query: dict[str, str | int] = {}
        while limit > 0:
            page = self._json("GET", "/v1/books", params={**query, "limit": min(limit, PAGE)})
            yield from page["books"]
            limit -= min(limit, PAGE)
            if not page["next_cursor"]:
                return
            query["cursor"] = page["next_cursor"]

    def wait(self, book_id: str, on_progress: Callable[[Json], None]) -> Json:
        """Return the book once nothing is being done with it; tell of every change on the way."""
        etag = ""
        while True:
            asked = time.monotonic()
            headers = {"If-None-Match": etag} if etag else {}
            answer = self._client.call(
                "GET",
                f"/v1/books/{book_id}",
                params={"wait": WAIT_SECONDS} if etag else {},
                headers=headers,
                timeout=WAIT_SECONDS + ANSWER_SECONDS,
            )
            if answer.status_code != 304:
                book, etag = cast(Json, answer.json()), answer.headers.get("ETag", "")
                on_progress(book)
                if book["state"] not in AT_WORK:
                    return book
            time.sleep(max(asked + POLL_SECONDS - time.monotonic(), 0))

    def change(self, book_id: str, changes: Json) -> Json:
        return self._json("PATCH", f"/v1/books/{book_id}", json=changes)

    def set_cover(self, book_id: str, picture: bytes) -> Json:
        return self._json("PUT", f"/v1/books/{book_id}/cover", content=picture)

    def render(self, book_id: str, formats: list[str], loudness: str | None) -> Json:
        body = {"formats": formats, "loudness": loudness}
        return self._json("POST", f"/v1/books/{book_id}/render", json=body, repeat=False)

    def act(self, book_id: str, what: str) -> Json:
        """Pause, resume, retry or cancel."""
        return self._json("POST", f"/v1/books/{book_id}/{what}")

    def delete(self, book_id: str) -> None:
        self._client.call("DELETE", f"/v1/books/{book_id}", timeout=ANSWER_SECONDS * 2)

    def download(self, edition: Json, target: BinaryIO) -> int:
        """Write an edition, and return its bytes.

        Raises:
            ClientError: what came is not what was made.
        """
        digest, written = hashlib.sha256(), 0
        answer = self._client.call("GET", edition["audio"], stream=True)
        try:
            for block in answer.iter_bytes():
                digest.update(block)
                written += target.write(block)
        except httpx.TransportError as error:
            raise ClientError(f"the download of the {edition['format']} broke off ({error})") from error
        finally:
            answer.close()
        if digest.hexdigest() != edition["sha256"]:
            raise ClientError(f"the {edition['format']} came damaged; the same command fetches it again")
        return written

    def _json(self, method: str, path: str, **options: Any) -> Json:
        return cast(Json, self._client.call(method, path, **options).json())
