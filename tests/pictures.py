"""Small pictures, as a cover is one."""

from fractions import Fraction
from typing import Any, cast

import av
import numpy as np


def picture(content_type: str, *, width: int = 64, height: int = 48) -> bytes:
    """A JPEG or PNG picture of a slope from dark to light."""
    codec, pixels = {"image/jpeg": ("mjpeg", "yuvj420p"), "image/png": ("png", "rgb24")}[content_type]
    slope = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8)[:, np.newaxis], (height, width, 3))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(slope), format="rgb24").reformat(format=pixels)
    context = cast(Any, av.CodecContext.create(codec, "w"))
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pixels, Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
