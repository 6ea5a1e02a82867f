"""The file of a batch as a client sends it: a body, a part of a form, or an upload; and what its first line says."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError

from gateway.batch_schemas import BatchOptions, BatchUpload
from gateway.dependencies import Services
from gateway.receiving import IN_MEMORY_BYTES, Received, closed_on_error, fetched, form, json_body, parsed, received
from shared.batch_lines import LONGEST_LINE_BYTES
from shared.errors import EmptyBatch, InvalidBatchOptions, TooManyLines, UnsupportedBody

JSON_LINES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines", "application/ndjson")
TYPES = (*JSON_LINES, "multipart/form-data", "application/json")
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class BatchFile:
    """A file of lines. Who got it closes it."""

    source: Received
    options: BatchOptions
    lines: int
    first_line: int


async def batch_file(request: Request, services: Services, *, tenant: str) -> BatchFile:
    """Return the file that the request brings, or names.

    Raises:
        JobError, RequestValidationError: there is none, it is too large, or its options are none.
    """
    settings = services.settings
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    options = None
    if content_type in JSON_LINES:
        source = await _body(request)
    elif content_type == "multipart/form-data":
        upload, options = await form(request, BatchOptions)
        source = await received(upload, limit=settings.max_batch_bytes)
    elif content_type == "application/json":
        named = await json_body(request, BatchUpload, limit=settings.max_body_bytes)
        options = BatchOptions.model_validate(named.model_dump(exclude={"source_key"}, exclude_unset=True))
        source = await fetched(named.source_key, "", services, tenant=tenant, limit=settings.max_batch_bytes)
    else:
        raise UnsupportedBody(content_type, TYPES)
    with closed_on_error(source.file):
        return await to_thread.run_sync(_looked_at, source, options, settings.max_batch_lines)


async def _body(request: Request) -> Received:
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115 - its owner closes it
    digest, size = hashlib.sha256(), 0
    with closed_on_error(file):
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
            await to_thread.run_sync(file.write, chunk)
    file.seek(0)
    return Received(file, "", size, digest.hexdigest())


def _looked_at(source: Received, options: BatchOptions | None, most_lines: int) -> BatchFile:
    first = source.file.readline(LONGEST_LINE_BYTES)
    told = _options(first)
    if told and options and options != BatchOptions():
        raise InvalidBatchOptions("they are in the file's first line and beside the file; say them once")
    first_line = 2 if told else 1
    if not told:
        source.file.seek(0)
    lines = _count(source.file) + (1 if told else 0)
    if lines > most_lines + (1 if told else 0):
        raise TooManyLines(limit=most_lines)
    source.file.seek(0)
    return BatchFile(source, told or options or BatchOptions(), lines, first_line)


def _count(file: BinaryIO) -> int:
    """Return how many lines follow.

    Raises:
        EmptyBatch: all of them are blank.
    """
    lines, blank, last = 0, True, b"\n"
    while chunk := file.read(CHUNK_BYTES):
        lines += chunk.count(b"\n")
        blank = blank and chunk.isspace()
        last = chunk[-1:]
    if blank:
        raise EmptyBatch
    return lines + (last != b"\n")


def _options(first: bytes) -> BatchOptions | None:
    """Return the options if the first line has them: an object whose only field is `batch`."""
    try:
        found: Any = json.loads(first)
    except (ValueError, RecursionError):
        return None  # it is a line, and wrong
    if not isinstance(found, dict) or found.keys() != {"batch"}:
        return None
    try:
        return parsed(BatchOptions, json.dumps(found["batch"]))
    except RequestValidationError as error:
        faults = (f"{'.'.join(str(one) for one in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors())
        raise InvalidBatchOptions(f"in the first line, {'; '.join(faults)}") from error
