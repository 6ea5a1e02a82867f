"""What an assembly worker needs for the largest books: a chapter of two hours is joined, one of ten hours is made."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from audio.encoding import encode
from audio.waveform import Waveform
from shared.edition_order import EditionOrder, SpokenChapter
from shared.jobs import JOIN, PLAN, Audio, Job, JobKind, Lane, SpeechRequest, Step, StepState
from shared.ports import Segment
from tests.fakes import InMemoryObjectStore
from tests.worker.bookroom import Bookroom

MOST_MIB = 400
SEGMENTS, SEGMENT_SECONDS = 600, 12  # two hours
CHAPTERS, CHAPTER_SECONDS = 60, 600  # ten hours
RATE = 16_000


class ObjectsInFiles(InMemoryObjectStore):
    """Objects in a folder; `alike` names objects that have the bytes of one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.alike: dict[str, str] = {}

    def put(self, key: str, data: BinaryIO, *, length: int, content_type: str) -> None:
        with self._path(key).open("wb") as file:
            while block := data.read(1 << 20):
                file.write(block)

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        with self._path(self.alike.get(key, key)).open("rb") as file:
            while block := file.read(1 << 16):
                yield block

    def exists(self, key: str, *, bytes: int) -> bool:
        return self._path(self.alike.get(key, key)).stat().st_size == bytes

    def _path(self, key: str) -> Path:
        return self._folder / key.replace("/", "_")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["chapter", "book"])
def test_an_assembly_worker_stays_within_400_mib(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.worker.test_book_memory", what], stdout=subprocess.PIPE, text=True, check=True
    )

    assert 20 < float(done.stdout) < MOST_MIB


def main(what: str) -> None:
    """Do it, and print the peak of the resident memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        room = Bookroom()
        room.objects = ObjectsInFiles(Path(folder))
        room.runtime = replace(room.runtime, objects=room.objects)
        (_join if what == "chapter" else _assemble)(room, room.objects)
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    sys.stdout.write(str(int(peak[1]) / 1024 if peak else "nan"))


def _join(room: Bookroom, objects: ObjectsInFiles) -> None:
    job = Job("j", Lane.BULK, 1, 0.0, long=True, segments_total=SEGMENTS, segments_done=SEGMENTS)
    room.jobs.add(replace(job, kind=JobKind.CHAPTER), SpeechRequest("x", "hum", "neutral", 1, 1, "flac", RATE, 0))
    room.jobs.texts["j"] = [Segment("x", 0.3)] * SEGMENTS
    words = tuple((f"word{n}", n / 3, n / 3 + 0.3) for n in range(3 * SEGMENT_SECONDS))
    sound = replace(_stored(room, objects, "segment", SEGMENT_SECONDS, "flac"), words=words)
    for number in range(SEGMENTS):
        _finished(room, objects, "j", number, sound)
    room.deliver("j", JOIN)
    assert room.jobs.jobs["j"].audio_seconds > SEGMENTS * SEGMENT_SECONDS


def _assemble(room: Bookroom, objects: ObjectsInFiles) -> None:
    source = _stored(room, objects, "chapter", CHAPTER_SECONDS, "flac")
    chapters = tuple(SpokenChapter(f"Chapter {n}", "none", source.address) for n in range(CHAPTERS))
    order = EditionOrder("m4b", "podcast", chapters, {"title": "Long"})
    request = SpeechRequest("", "hum", "neutral", 1, 1, "m4b", 0, 0)
    text = json.dumps(asdict(order))
    job = Job("e", Lane.ASSEMBLY, 0, 0.0, long=True, segments_total=0, kind=JobKind.EDITION)
    room.jobs.add(job, replace(request, text=text))
    room.deliver("e", PLAN)
    room.deliver("e", "0")
    first = room.jobs.stored[room.jobs.steps["e"]["0"].audio_address or ""]
    for number in range(1, CHAPTERS):
        _finished(room, objects, "e", number, first)
    room.jobs.jobs["e"] = replace(room.jobs.jobs["e"], segments_done=CHAPTERS)
    room.deliver("e", JOIN)
    assert room.jobs.jobs["e"].audio_seconds >= CHAPTERS * CHAPTER_SECONDS


def _stored(room: Bookroom, objects: ObjectsInFiles, name: str, seconds: int, format: str) -> Audio:
    chance = np.random.default_rng(0)
    samples = (0.1 * chance.standard_normal(seconds * RATE)).astype(np.float32)
    data = encode(Waveform(samples, RATE), format=format, sample_rate=RATE)
    audio = Audio(name, name, len(data), seconds, RATE, format, hashlib.sha256(data).hexdigest())
    objects.put(name, io.BytesIO(data), length=len(data), content_type="")
    room.jobs.stored[name] = audio
    return audio


def _finished(room: Bookroom, objects: ObjectsInFiles, job_id: str, number: int, like: Audio) -> None:
    address = f"{like.address}-{number}"
    objects.alike[address] = like.key
    room.jobs.stored[address] = replace(like, address=address, key=address)
    room.jobs.steps[job_id][str(number)] = Step(str(number), StepState.DONE, audio_address=address)


if __name__ == "__main__":
    main(sys.argv[1])
