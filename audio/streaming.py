"""A waveform to audio while it comes: each piece is encoded at once, for a reader that may already play the first.

Nothing is ever written twice, so no header tells a length. Bodies of MP3 can be joined: there is neither an Xing nor an
ID3 header in them. WAV says that it has no end (0xFFFFFFFF bytes), as is usual where it is streamed: players read on
until the body ends, tools that trust the header believe in a longer one.
"""

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av

from audio.encoding import BIT_EXACT, as_frame, bit_rate, quantized
from audio.pieces import Blocks, Resampler
from audio.waveform import Samples

STREAMED = ("mp3", "opus", "aac", "flac", "wav", "pcm")

_ENDLESS = 0xFFFFFFFF
_FLAC_BLOCK = 2048  # samples: shorter blocks pack worse, longer ones come later


@dataclass(frozen=True)
class _Codec:
    """How one format is written as it comes."""

    container: str
    codec: str
    sample_format: str
    options: dict[str, str] = field(default_factory=dict[str, str])  # of the container


_CODECS = {
    "mp3": _Codec("mp3", "libmp3lame", "fltp", {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Codec("ogg", "libopus", "flt", {"page_duration": "100000"}),  # µs: a page is sent when it is full
    "aac": _Codec("adts", "aac", "fltp"),
    "flac": _Codec("flac", "flac", "s16", {"metadata_header_padding": "0"}),
}


class StreamEncoder:
    """Encodes the pieces of one waveform. Not for two threads at a time."""

    def __init__(self, format: str, *, source_rate: int, sample_rate: int) -> None:
        self._resampler = Resampler(source_rate, sample_rate)
        self._write = _Plain(format, sample_rate) if format in ("wav", "pcm") else _Coded(format, sample_rate)

    def push(self, samples: Samples) -> bytes:
        """Take the next samples: float32, shape (n,), at the source rate; return what is encoded by now."""
        return self._write.push(self._resampler.push(samples))

    def finish(self) -> bytes:
        """Return what is left."""
        return self._write.push(self._resampler.rest()) + self._write.finish()


class _Plain:
    """16 bit little endian, for WAV behind a header."""

    def __init__(self, format: str, sample_rate: int) -> None:
        self._header = _wav_header(sample_rate) if format == "wav" else b""

    def push(self, samples: Samples) -> bytes:
        header, self._header = self._header, b""
        return header + quantized(samples, "s16").astype("<i2").tobytes()

    def finish(self) -> bytes:
        return b""


def _wav_header(sample_rate: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, sample_rate, 2 * sample_rate, 2, 16)  # PCM, one channel
    return b"RIFF" + struct.pack("<I", _ENDLESS) + b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", _ENDLESS)


class _Pipe:
    """A target that can't seek, as av writes to it; what was written is taken piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


class _Coded:
    """A codec and its container."""

    def __init__(self, format: str, sample_rate: int) -> None:
        codec = _CODECS[format]
        self._sample_format = codec.sample_format
        self._pipe = _Pipe()
        options = {"fflags": "+bitexact", "flush_packets": "1", **codec.options}
        # Any: what the packets between the two are made of is not in PyAV's stubs.
        self._container = cast(Any, av.open(cast(Any, self._pipe), "w", format=codec.container, options=options))
        self._stream = self._container.add_stream(codec.codec, rate=sample_rate, options=BIT_EXACT)
        self._stream.layout = "mono"
        self._stream.format = codec.sample_format
        if rate := bit_rate(format, sample_rate):
            self._stream.bit_rate = rate
        self._container.start_encoding()
        self._frames = Blocks(_FLAC_BLOCK if format == "flac" else self._stream.frame_size)
        self._written = 0

    def push(self, samples: Samples) -> bytes:
        for block in self._frames.push(samples):
            self._encode(block)
        return self._pipe.take()

    def finish(self) -> bytes:
        if len(rest := self._frames.rest()):
            self._encode(rest)
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._pipe.take()

    def _encode(self, samples: Samples) -> None:
        data = as_frame(samples, self._stream.codec_context.name, self._sample_format)
        frame = av.AudioFrame.from_ndarray(data, format=self._sample_format, layout="mono")
        frame.sample_rate = self._stream.rate
        frame.time_base = Fraction(1, self._stream.rate)
        frame.pts = self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))
