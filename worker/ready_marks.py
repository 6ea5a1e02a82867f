"""What the main process of a worker and its children tell each other, by files."""

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path


class ReadyMarks:
    """Who is warm, who has outgrown, whether messages are taken, that what can't be finished is to be handed back."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="emotivoice-ready-"))
        self._ready, self._retired = self._folder / "ready", self._folder / "retired"
        self._draining, self._handing_back = self._folder / "draining", self._folder / "handing back"
        self._consuming = self._folder / "consuming"
        for folder in (self._ready, self._retired):
            folder.mkdir()

    def set(self) -> None:
        """Mark the calling child as ready."""
        (self._ready / str(os.getpid())).touch()

    def retire(self) -> None:
        """Mark the calling child as one to be replaced as soon as it has nothing in hand."""
        (self._retired / str(os.getpid())).touch()

    def has(self, pid: int) -> bool:
        """Whether the child is ready, and to be kept."""
        return (self._ready / str(pid)).exists() and not self.retired(pid)

    def retired(self, pid: int) -> bool:
        return (self._retired / str(pid)).exists()

    def consume(self, on: bool) -> None:
        if on:
            self._consuming.touch()
        else:
            self._consuming.unlink(missing_ok=True)

    def consuming(self) -> bool:
        """Whether the main process takes messages just now."""
        return self._consuming.exists()

    def drain(self) -> None:
        self._draining.touch()

    def draining(self) -> bool:
        """Whether the worker takes no more messages: children that take some themselves ask."""
        return self._draining.exists()

    def hand_back(self) -> None:
        self._handing_back.touch()

    def handing_back(self) -> bool:
        """Whether the worker is about to be killed: children stop between two utterances and hand their work back."""
        return self._handing_back.exists()

    def drop_gone(self, alive: Collection[int]) -> frozenset[int]:
        """Return the marked children that are not alive, and remove their marks."""
        gone = frozenset(int(mark.name) for mark in self._ready.iterdir()).difference(alive)
        for pid in gone:
            (self._ready / str(pid)).unlink(missing_ok=True)
            (self._retired / str(pid)).unlink(missing_ok=True)
        return gone

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
