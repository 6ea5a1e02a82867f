"""A file that a client sends, or has sent to the object store before: kept in a temporary file, hashed, bounded."""

import hashlib
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, TypeVar, cast

from anyio import to_thread
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gateway.dependencies import Services
from shared.errors import AudioMissing, BodyTooLarge, FileTooLarge, InvalidForm, UnknownUpload

IN_MEMORY_BYTES = 1024 * 1024  # of a file; the rest of it is on the disk
OPTIONS_BYTES = 1024 * 1024  # of the part `options`
CHUNK_BYTES = 1024 * 1024
LONGEST_NAME = 255

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Received:
    """A file that is here. Who got it closes it."""

    file: BinaryIO
    name: str
    bytes: int
    sha256: str


async def form(request: Request, body: type[Body]) -> tuple[UploadFile, Body]:
    """Return the part `file` of a multipart body, and its part `options`.

    Raises:
        InvalidForm, RequestValidationError: it can't be read, or the options are none.
    """
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=1, max_part_size=OPTIONS_BYTES)
    try:
        found = await parser.parse()
    except MultiPartException as error:
        raise InvalidForm(error.message.rstrip(".")) from error
    except UnicodeDecodeError as error:
        raise InvalidForm("a name in the form is no text") from error
    file = found.get("file")
    try:
        if unknown := [name for name in found if name not in ("file", "options")]:
            raise InvalidForm(f"there is a part {unknown[0][:100]!r}")
        if not isinstance(file, UploadFile):
            raise InvalidForm("the part `file` is missing, or has no file name")
        return file, parsed(body, str(found.get("options", "{}")), "options")
    except BaseException:  # a request that was cancelled, too: it leaves no file open
        await found.close()
        raise


async def json_body(request: Request, body: type[Body], *, limit: int) -> Body:
    """Return a body that is JSON.

    Raises:
        BodyTooLarge, RequestValidationError: it is not what it should be.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:  # the route as such takes files
            raise BodyTooLarge(limit=limit)
    return parsed(body, bytes(raw))


def parsed(body: type[Body], raw: str | bytes, *where: str) -> Body:
    """Return the JSON as a body.

    Raises:
        RequestValidationError: it is not one; told as FastAPI does.
    """
    try:
        return body.model_validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        at = [("body", *where, *(fault["loc"] or (() if where else (0,)))) for fault in faults]
        told = [{**fault, "loc": loc} for fault, loc in zip(faults, at, strict=True)]
        raise RequestValidationError(told) from error


async def received(upload: UploadFile, *, limit: int) -> Received:
    """Return the file of a form, hashed.

    Raises:
        FileTooLarge: it is.
    """
    if (upload.size or 0) > limit:
        raise FileTooLarge(limit=limit)
    file = upload.file
    sha256 = await to_thread.run_sync(_sha256, file)
    return Received(file, file_name(upload.filename or ""), upload.size or 0, sha256)


async def fetched(key: str, name: str, services: Services, *, tenant: str, limit: int | None = None) -> Received:
    """Return a file that the tenant has uploaded.

    Raises:
        UnknownUpload, FileTooLarge: it is not there, not the tenant's, or too large.
    """
    limit = limit or services.settings.max_file_bytes
    if not is_own(key, tenant):
        raise UnknownUpload(key)
    try:
        size = await to_thread.run_sync(services.objects.size, key)
        if size > limit:
            raise FileTooLarge(limit=limit)
        file = await to_thread.run_sync(_spooled, services.objects.read(key), limit)
    except AudioMissing:
        raise UnknownUpload(key) from None
    sha256 = await to_thread.run_sync(_sha256, file)
    return Received(file, file_name(name), size, sha256)


def uploads_of(tenant: str) -> str:
    """Return how the keys of a tenant's uploads begin."""
    return f"uploads/{tenant}/"


def is_own(key: str, tenant: str) -> bool:
    rest = key.removeprefix(uploads_of(tenant))
    return rest != key and "/" not in rest


def file_name(name: str) -> str:
    """Return a name as it may be shown: no folders, nothing invisible."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable())[-LONGEST_NAME:]


def _spooled(chunks: Iterator[bytes], limit: int) -> BinaryIO:
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115 - its owner closes it
    with closed_on_error(file):
        for chunk in chunks:
            file.write(chunk)
            if file.tell() > limit:  # it was replaced meanwhile
                raise FileTooLarge(limit=limit)
        file.seek(0)
    return file


@contextmanager
def closed_on_error(file: BinaryIO) -> Generator[None]:
    """Close the file if the block does not come to its end: nobody else would."""
    try:
        yield
    except BaseException:  # a request that was cancelled, too
        file.close()
        raise


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
