"""Engines by name. Others come by the entry point group `emotivoice.engines`, or are named `module:factory`."""

import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points

from worker.engine.errors import EngineUnavailable
from worker.engine.speech import Engine

ENTRY_POINT_GROUP = "emotivoice.engines"


def _builtin() -> Engine:
    from worker.engine.builtin import BuiltinEngine

    return BuiltinEngine()


_OURS: dict[str, Callable[[], Engine]] = {"builtin": _builtin}


def load_engine(name: str) -> Engine:
    """Load the engine of that name, ready to speak.

    Raises:
        EngineUnavailable: there is no such engine, or it can't start on this machine.
    """
    if name in _OURS:
        return _OURS[name]()
    if ":" in name:
        return pkgutil.resolve_name(name)()
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in plugins:
        known = ", ".join(sorted({*_OURS, *plugins}))
        raise EngineUnavailable(f"no engine is called {name!r}; installed are: {known}")
    return plugins[name].load()()
