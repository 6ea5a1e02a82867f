"""Engines by name. Others come by the entry point group `emotivoice.engines`, or are named `module:factory`.

A factory takes `EngineOptions` and returns an engine.
"""

import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points

from worker.engine.errors import EngineUnavailable
from worker.engine.options import EngineOptions
from worker.engine.speech import Engine

ENTRY_POINT_GROUP = "emotivoice.engines"


Factory = Callable[[EngineOptions], Engine]


def _builtin(_: EngineOptions) -> Engine:
    from worker.engine.builtin import BuiltinEngine

    return BuiltinEngine()


def _emotivoice(options: EngineOptions) -> Engine:
    from worker.engine.emotivoice.engine import EmotiVoiceEngine

    return EmotiVoiceEngine.load(options)


_OURS: dict[str, Factory] = {"builtin": _builtin, "emotivoice": _emotivoice}


def load_engine(name: str, options: EngineOptions) -> Engine:
    """Load the engine of that name. It speaks from then on; warmed up, it speaks at full speed.

    Raises:
        EngineUnavailable: there is no such engine, or it can't start on this machine.
    """
    if name in _OURS:
        return _OURS[name](options)
    if ":" in name:
        return pkgutil.resolve_name(name)(options)
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in plugins:
        known = ", ".join(sorted({*_OURS, *plugins}))
        raise EngineUnavailable(f"no engine is called {name!r}; installed are: {known}")
    return plugins[name].load()(options)
