"""Converted models from and to an object store: resumed where they were cut, and checked by SHA-256."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Generator, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from cli.errors import ClientError
from shared.errors import AudioMissing, StorageUnavailable
from shared.ports import ObjectStore
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import MANIFEST
from worker.engine.emotivoice.manifest import OPTIONAL, FileEntry, Manifest, parse_manifest, read_manifest, sha256

Bar = Callable[[int], AbstractContextManager[Callable[[int], None]]]  # from a total to what counts bytes

STAGING = ".pull"  # in the folder: what has come so far
MANIFEST_BYTES = 1 << 20  # at most
PATIENCE = 6  # tries in a row in which nothing came
LONGEST_WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.5  # between two looks whether another pull has ended


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://bucket/prefix`; the prefix ends with a slash or is empty."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise ClientError(f"{url!r} is no place for a model; it should look like s3://bucket/models/emotivoice")
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


@dataclass(frozen=True)
class Turn:
    """What a pull does while another one is at the same folder."""

    wait_seconds: float = 0
    tell: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep


def pull(store: ObjectStore, prefix: str, folder: Path, *, bar: Bar, turn: Turn = Turn()) -> tuple[Manifest, list[str]]:
    """Make `folder` hold the model at `prefix`; return its manifest and the names of the files that had to come.

    A file that is there and right is kept. Until all have come and are right, a model that was there stays as it is.

    Raises:
        ClientError: the store has no model there, or not the one its manifest tells of; or a stranger's file is
            in the way; or another process still pulls into the folder when the wait is over.
        StorageUnavailable: the store did not answer for longer than our patience lasts.
    """
    content = _manifest_at(store, prefix)
    manifest = parse_manifest(content, where=f"{prefix}{MANIFEST}")
    with _alone(folder, turn):
        wanted = {name: entry for name, entry in manifest.files.items() if not _is_right(folder / name, entry)}
        _require_ours(folder, wanted)
        if wanted or not _is_the_same(folder, content):
            staging = folder / STAGING
            staging.mkdir(exist_ok=True)  # it stays when what follows fails, for the next try to go on from
            with bar(sum(entry.bytes for entry in wanted.values())) as advance:
                download = _Download(store, advance, turn.sleep)
                for name, entry in wanted.items():
                    download.fetch(f"{prefix}{name}", staging / name, entry)
            (staging / MANIFEST).write_bytes(content)
            _swap(staging, folder, [*wanted], old=OPTIONAL - manifest.files.keys())
            shutil.rmtree(staging)
    return manifest, [*wanted]


def push(store: ObjectStore, prefix: str, folder: Path, *, bar: Bar) -> tuple[Manifest, list[str]]:
    """Store the model of `folder` at `prefix`, its manifest last; return it and the names of the files that went.

    Raises:
        ModelFolderError: the folder is no converted model, or is damaged.
        StorageUnavailable: the store refused, or does not answer.
    """
    manifest = read_manifest(folder)
    manifest.verify(folder, weights=True)
    there = _files_at(store, prefix)
    wanted = [
        name
        for name, entry in manifest.files.items()
        if there.get(name) != entry or not store.exists(f"{prefix}{name}", bytes=entry.bytes)
    ]
    with bar(sum(manifest.files[name].bytes for name in wanted)) as advance:
        for name in [*wanted, MANIFEST]:
            with (folder / name).open("rb") as file:
                length = os.fstat(file.fileno()).st_size
                counted = cast(BinaryIO, _Counted(file, advance if name != MANIFEST else lambda _: None))
                store.put(f"{prefix}{name}", counted, length=length, content_type="application/octet-stream")
    return manifest, wanted


def _manifest_at(store: ObjectStore, prefix: str) -> bytes:
    content = b""
    try:
        for chunk in store.read(f"{prefix}{MANIFEST}"):
            content += chunk
            if len(content) > MANIFEST_BYTES:
                raise ClientError(f"{prefix}{MANIFEST} in the store is too long for a manifest")
    except AudioMissing as error:
        raise ClientError(f"there is no converted model: the store has no {prefix}{MANIFEST}") from error
    return content


def _files_at(store: ObjectStore, prefix: str) -> dict[str, FileEntry]:
    """What lies there already; nothing where that can't be told."""
    try:
        return parse_manifest(_manifest_at(store, prefix), where=prefix).files
    except (ClientError, ModelFolderError):
        return {}


def _is_right(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry.bytes and sha256(path) == entry.sha256


def _is_the_same(folder: Path, manifest: bytes) -> bool:
    return (folder / MANIFEST).is_file() and (folder / MANIFEST).read_bytes() == manifest


def _require_ours(folder: Path, wanted: dict[str, FileEntry]) -> None:
    if (folder / MANIFEST).is_file() or (folder / STAGING).is_dir():
        return
    strangers = [name for name in wanted if (folder / name).exists()]
    if strangers:
        raise ClientError(f"{folder} holds {', '.join(strangers)} and no {MANIFEST}: it is no model, and is left alone")


@contextmanager
def _alone(folder: Path, turn: Turn) -> Generator[None]:
    """Hold the folder, which is made if it is not there; the lock goes with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        left = turn.wait_seconds
        while not _taken(lock):
            if left <= 0:
                raise ClientError(f"another process is pulling a model into {folder}")
            if left == turn.wait_seconds:
                turn.tell(f"another process is pulling a model into {folder}: waiting for up to {left:g} s")
            turn.sleep(min(LOOK_SECONDS, left))
            left -= LOOK_SECONDS
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class _Download:
    store: ObjectStore
    advance: Callable[[int], None]
    sleep: Callable[[float], None]

    def fetch(self, key: str, path: Path, entry: FileEntry) -> None:
        """Fetch a file, going on from what an earlier try has left of it."""
        if _is_right(path, entry):
            self.advance(entry.bytes)
            return
        part = path.with_name(f"{path.name}.part")
        resumed = part.exists()
        self._complete(key, part, entry)
        if resumed and not _is_right(part, entry):  # what was left is of another model
            self.advance(-entry.bytes)
            part.unlink()
            self._complete(key, part, entry)
        if not _is_right(part, entry):
            part.unlink()
            raise ClientError(f"what the store holds as {key} is not what its manifest tells of: the SHA-256 differs")
        part.replace(path)

    def _complete(self, key: str, part: Path, entry: FileEntry) -> None:
        """Append to the part until it has its size, with patience for a store that is away for a while."""
        tries = 0
        with part.open("ab") as file:
            if file.tell() > entry.bytes:
                file.truncate(0)
                file.seek(0)
            self.advance(file.tell())
            while (start := file.tell()) < entry.bytes:
                try:
                    self._append(key, file, entry.bytes - start)
                    tries = 0
                except StorageUnavailable:
                    tries = tries + 1 if file.tell() == start else 1
                    if tries == PATIENCE:
                        raise
                    self.sleep(min(LONGEST_WAIT_SECONDS, 2.0 ** (tries - 1)))

    def _append(self, key: str, file: BinaryIO, wanted: int) -> None:
        start = file.tell()
        try:
            # Without a length: some servers refuse a range that ends behind the object.
            for chunk in self.store.read(key, offset=start):
                file.write(chunk)
                self.advance(len(chunk))
                if file.tell() - start >= wanted:
                    break
        except AudioMissing as error:
            raise ClientError(f"the store has no {key}") from error
        if file.tell() == start:
            raise ClientError(f"{key} has {start:,} bytes in the store; its manifest tells of {start + wanted:,}")


def _swap(staging: Path, folder: Path, names: list[str], *, old: Set[str]) -> None:
    """Move the files to their places. In between the folder is no model, so nobody loads half of each."""
    for name in [MANIFEST, *old]:
        (folder / name).unlink(missing_ok=True)
    for name in [*names, MANIFEST]:
        (staging / name).replace(folder / name)


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._advance(len(block))
        return block
