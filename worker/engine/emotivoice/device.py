"""Where and how precisely to compute, and what a device's failures mean."""

import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from worker.engine.errors import DeviceLost, EngineError, EngineUnavailable, OutOfMemory

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def find_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is the first CUDA device, or the CPU.

    Raises:
        EngineUnavailable: torch does not know it, or this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineUnavailable(f"there is no device {name!r}; a device is auto, cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise EngineUnavailable(f"the emotivoice engine runs on cpu and cuda, not on {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EngineUnavailable(f"{name!r} is not there: torch {torch.__version__} sees {_seen()}")
    return device


def _seen() -> str:
    count = torch.cuda.device_count()
    return f"{count} CUDA device{'s' if count > 1 else ''}" if count else "no CUDA device"


def find_precision(name: str, device: torch.device, stored: torch.dtype) -> torch.dtype:
    """Return the type to compute in; "auto" is fp16 on CUDA, and on a CPU that of the weights, for fp16 is slow there.

    Raises:
        EngineUnavailable: there is no such precision.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if stored is torch.bfloat16 else torch.float16
        return torch.float32 if stored is torch.float16 else stored
    if name not in PRECISIONS:
        raise EngineUnavailable(f"the precision is auto, {', '.join(PRECISIONS)}, not {name!r}")
    return PRECISIONS[name]


def to_device(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return the numbers as a tensor there. The host does not wait for a GPU's copy."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@contextmanager
def computing() -> Generator[None]:
    """Compute without gradients, and tell a full memory and a broken GPU apart from every other failure.

    Raises:
        OutOfMemory, DeviceLost, EngineError: instead of what torch raises.
    """
    try:
        with torch.inference_mode():
            yield
    except (RuntimeError, MemoryError) as error:
        meaning = what_it_means(error)
        traceback.clear_frames(error.__traceback__)  # they hold the tensors that filled the memory
        if meaning is None:
            raise
        raise meaning from error


_FULL = ("out of memory", "alloc_failed", "can't allocate memory", "not enough memory")
_REFUSED = ("not_supported", "bad_param", "invalid_value")  # a shape that a library has no kernel for
_GPU = ("cuda error", "cudnn_status", "cublas_status", "cudnn error")


def what_it_means(error: RuntimeError | MemoryError) -> EngineError | None:
    """Return the engine's name for a failure of torch; None for a mistake of ours."""
    text = str(error).lower()
    reason = (str(error).splitlines() or [""])[0]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in _FULL):
        return OutOfMemory(f"the memory is full: {reason}")
    if not isinstance(error, torch.AcceleratorError) and not any(sign in text for sign in _GPU):
        return None
    if any(sign in text for sign in _REFUSED):
        return EngineError(f"the GPU can't compute this: {reason}")
    return DeviceLost(f"the GPU failed: {reason}")
