"""A mark in speech that was made with a tenant's own voice, by which it can be told later. None is built in.

A plug-in is an entry point of the group `emotivoice.watermarks`, or `module:factory`: a function without arguments that
returns a `Watermark`. What is marked has an address of its own, with the plug-in's name and revision in it.
"""

import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np

from audio.waveform import Waveform
from shared.errors import EngineFailed

GROUP = "emotivoice.watermarks"


class Watermark(Protocol):
    """What a plug-in has to do."""

    revision: str  # another one marks otherwise

    def mark(self, speech: Waveform) -> Waveform:
        """Return the same speech, marked: as many samples at the same rate."""
        ...


@dataclass(frozen=True)
class NamedWatermark:
    """A plug-in by the name that the operator gave it."""

    name: str
    plugin: Watermark

    def __str__(self) -> str:
        return f"{self.name} {self.plugin.revision}"

    def mark(self, speech: Waveform) -> Waveform:
        """Return the speech, marked.

        Raises:
            EngineFailed: the plug-in returned something else. Nothing is stored without the mark.
        """
        marked = self.plugin.mark(speech)
        same = (len(marked.samples), marked.sample_rate) == (len(speech.samples), speech.sample_rate)
        if not same or not np.all(np.isfinite(marked.samples)):
            raise EngineFailed(f"the watermark {self.name} returned other audio than it was given")
        return marked


def load_watermark(name: str) -> NamedWatermark | None:
    """Return the plug-in of that name; None for none.

    Raises:
        ValueError: there is no such plug-in.
    """
    if not name:
        return None
    if ":" in name:
        return NamedWatermark(name, pkgutil.resolve_name(name)())
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name not in plugins:
        raise ValueError(f"no watermark is called {name!r}; installed are: {', '.join(sorted(plugins)) or 'none'}")
    return NamedWatermark(name, plugins[name].load()())
