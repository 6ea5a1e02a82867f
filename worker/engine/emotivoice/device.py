"""Where and how precisely to compute, and what a device's failures mean."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from worker.engine.errors import DeviceLost, EngineUnavailable, OutOfMemory

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


@contextmanager
def computing() -> Generator[None]:
    """Compute without gradients, and tell a full memory and a broken GPU apart from every other failure.

    Raises:
        OutOfMemory, DeviceLost: instead of what torch raises.
    """
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("the GPU's memory is full") from error
    except MemoryError as error:
        raise OutOfMemory("the memory is full") from error
    except RuntimeError as error:
        text = str(error)
        if "can't allocate memory" in text or "not enough memory" in text:
            raise OutOfMemory("the memory is full") from error
        if isinstance(error, torch.AcceleratorError) or "CUDA error" in text or "CUDNN_STATUS" in text:
            raise DeviceLost(f"the GPU failed: {text.splitlines()[0]}") from error
        raise
