"""Objects as files: fetched and checked, or stored and measured, however large, without holding them."""

import hashlib
import io
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from shared.errors import AudioMissing
from shared.jobs import Audio
from shared.ports import ObjectStore

HASH_BLOCK_BYTES = 1 << 20


@contextmanager
def fetched(key: str, objects: ObjectStore, *, sha256: str) -> Generator[BinaryIO]:
    """Within the context, the object is a file that can seek, at its start.

    Raises:
        AudioMissing: it is gone, or is not what was stored.
    """
    with tempfile.TemporaryFile() as file:
        digest = hashlib.sha256()
        for block in objects.read(key):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != sha256:
            raise AudioMissing(key)
        file.seek(0)
        yield file


def stored(file: BinaryIO, audio: Audio, objects: ObjectStore, *, content_type: str) -> Audio:
    """Store the whole file as the object of `audio`; return that with the file's size and hash."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(HASH_BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    objects.put(audio.key, file, length=length, content_type=content_type)
    return replace(audio, bytes=length, sha256=digest.hexdigest())
