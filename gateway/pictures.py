"""How large a picture is, by its header alone: what else is in it is for whoever shows it."""

import struct

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG that begin a frame (ITU T.81, table B.1)
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


def picture(data: bytes) -> tuple[str, int, int] | None:
    """Return the content type, width and height of a JPEG or PNG file; None for anything else."""
    if data.startswith(PNG) and data[12:16] == b"IHDR" and len(data) > 24:
        return "image/png", *struct.unpack(">II", data[16:24])
    size = _jpeg_size(data) if data.startswith(JPEG) else None
    return ("image/jpeg", *size) if size else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2  # it may be filled up
        if marker not in _ALONE and marker != 0xFF:
            at += struct.unpack(">H", data[at : at + 2])[0]
    return None
