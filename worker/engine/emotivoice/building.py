"""Make modules whose weights come later."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def without_weights() -> Generator[None]:
    """Within the block a new module's weights are shapes only: for `load_state_dict(..., assign=True)`.

    The meta device alone would do, but drawing random numbers on it imports sympy and more: 2 to 3 s for nothing.
    """
    with torch.device("meta"), _NoInit():
        yield


class _NoInit(TorchFunctionMode):
    """Leaves out what torch.nn.init does."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":  # a property's getter has no module
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
