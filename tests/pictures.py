"""Small pictures for covers."""

import struct
import zlib
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


def png(width: int = 8, height: int = 8) -> bytes:
    """Return a grey PNG file."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * min(height, 100))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")))


def jpeg_header(width: int = 8, height: int = 8) -> bytes:
    """Return the beginning of a JPEG file: an application's segment, and the frame's."""
    application = b"\xff\xe0\x00\x10JFIF\0" + bytes(9)
    frame = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + application + frame + b"\xff\xda"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
