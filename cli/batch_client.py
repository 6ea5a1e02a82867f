"""The gateway's API for batches as Python calls."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from cli.client import ANSWER_SECONDS, Client, Json
from cli.errors import ClientError

UPLOAD_SECONDS = 300.0  # for the answer, once the file is there
BATCHES_A_PAGE = 100
LINES_A_PAGE = 200
OVER = frozenset({"succeeded", "partly_failed", "failed", "cancelled"})


class BatchCalls:
    """One gateway's batches. Calls raise as those of `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, sha256: str, options: Json) -> Json | None:
        """Return the newest batch of this file with these options."""
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": BATCHES_A_PAGE} | ({"cursor": cursor} if cursor else {})
            page = self._json("GET", "/v1/batches", params=query)
            for batch in page["batches"]:
                if batch["sha256"] == sha256 and all(batch[name] == value for name, value in options.items()):
                    return batch
            cursor = page["next_cursor"]
        return None

    def send(self, file: Path, options: Json, *, key: str) -> Json:
        with file.open("rb") as source:
            return self._json(
                "POST",
                "/v1/batches",
                files={"file": (file.name, source)},
                data={"options": json.dumps(options, ensure_ascii=False)},
                headers={"Idempotency-Key": key},
                timeout=httpx.Timeout(ANSWER_SECONDS, read=UPLOAD_SECONDS),
            )

    def batch(self, batch_id: str) -> Json:
        return self._json("GET", f"/v1/batches/{batch_id}")

    def retry(self, batch_id: str) -> Json:
        return self._json("POST", f"/v1/batches/{batch_id}/retry")

    def lines(self, batch_id: str, *, cursor: int) -> Json:
        """Return a page of what became of the lines after that one."""
        return self._json("GET", f"/v1/batches/{batch_id}/jobs", params={"cursor": cursor, "limit": LINES_A_PAGE})

    def manifest(self, batch_id: str) -> Iterator[bytes]:
        answer = self._client.call("GET", f"/v1/batches/{batch_id}/manifest", stream=True)
        try:
            yield from answer.iter_bytes()
        finally:
            answer.close()

    def download(self, line: Json, target: BinaryIO) -> None:
        """Write the audio of a line.

        Raises:
            ClientError: what came is not what was made.
        """
        digest = hashlib.sha256()
        answer = self._client.call("GET", line["audio"], stream=True)
        try:
            for block in answer.iter_bytes():
                digest.update(block)
                target.write(block)
        except httpx.TransportError as error:
            raise ClientError(f"the download of line {line['line']} broke off ({error})") from error
        finally:
            answer.close()
        if digest.hexdigest() != line["sha256"]:
            raise ClientError(f"line {line['line']} came damaged; the same command fetches it again")

    def _json(self, method: str, path: str, **options: Any) -> Json:
        return cast(Json, self._client.call(method, path, **options).json())
