"""Tags and a cover in an audio file, by the names that FFmpeg has for them."""

import base64
import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
from av.error import FFmpegError
from av.stream import Disposition

COVER_TYPES = ("image/jpeg", "image/png")

_CODECS = {"image/jpeg": "mjpeg", "image/png": "png"}
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_FRONT_COVER = 3  # the kind of a picture in ID3 and FLAC


class UnusableCover(ValueError):
    """The bytes are not a JPEG or PNG picture."""


@dataclass(frozen=True)
class Cover:
    """A picture for the front. Its content type is one of COVER_TYPES, and what the bytes are."""

    data: bytes
    content_type: str

    def size(self) -> tuple[int, int]:
        """Return its width and height in pixels.

        Raises:
            UnusableCover: the bytes are no picture of that type.
        """
        codec = _CODECS.get(self.content_type)
        try:
            with av.open(io.BytesIO(self.data)) as container:
                picture = container.streams.video[0].codec_context
                if picture.name == codec and picture.width and picture.height:
                    return picture.width, picture.height
        except (FFmpegError, IndexError):
            pass
        raise UnusableCover(f"a cover has to be a picture of one of {', '.join(COVER_TYPES)}; these bytes are none")


@dataclass(frozen=True)
class Tags:
    """What a file says about itself: FFmpeg's names (`title`, `artist`, `album`, `track`, …) with their texts."""

    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    cover: Cover | None = None


class Tagging:
    """Puts tags into a container that is being written: make it before its header, and call `start` then."""

    def __init__(self, container: Any, tags: Tags) -> None:
        self._container = container
        self._cover = tags.cover
        self._stream: Any = None
        texts = {key: storable(text) for key, text in sorted(tags.texts.items())}
        container.metadata.update({key: text for key, text in texts.items() if text})
        if tags.cover and container.format.name == "ogg":  # pictures are text there
            container.metadata["METADATA_BLOCK_PICTURE"] = base64.b64encode(_flac_picture(tags.cover)).decode()
        elif tags.cover and container.format.name != "wav":  # which has no place for one
            self._stream = self._picture_stream(tags.cover)

    def start(self) -> None:
        """Write the header, and the cover."""
        self._container.start_encoding()
        if self._stream and self._cover:
            packet = av.Packet(self._cover.data)
            packet.stream = self._stream
            packet.pts = packet.dts = 0
            packet.time_base = Fraction(1, 25)
            packet.is_keyframe = True
            self._container.mux(packet)

    def _picture_stream(self, cover: Cover) -> Any:
        cover.size()
        with av.open(io.BytesIO(cover.data)) as picture:
            stream = self._container.add_stream_from_template(cast(Any, picture.streams.video[0]), opaque=True)
        stream.disposition = Disposition.attached_pic
        stream.metadata["comment"] = "Cover (front)"  # what FFmpeg calls the kind
        return stream


def storable(text: str) -> str:
    """Return a text without what no file has a place for: the end of a C string, and halves of characters."""
    return _NOT_STORABLE.sub("", text)


def _flac_picture(cover: Cover) -> bytes:
    """A FLAC picture block (RFC 9639, section 8.8), as Vorbis comments carry it."""
    kind = cover.content_type.encode()
    width, height = cover.size()
    head = struct.pack(">II", _FRONT_COVER, len(kind)) + kind + struct.pack(">I", 0)  # without a description
    return head + struct.pack(">IIIII", width, height, 24, 0, len(cover.data)) + cover.data
