"""Waveform to audio and back: WAV, FLAC, MP3, Opus, AAC and M4A, with the codecs that PyAV carries.

The same samples give the same bytes, in however many pieces they come: no clock, serial number or library version
gets into a file, and resampler and codec are fed blocks of a fixed size.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import av
import numpy as np
from av.error import EOFError as EndOfFile
from av.error import InvalidDataError
from numpy.typing import NDArray

from audio.pieces import BLOCK_SAMPLES, Blocks, Resampler, mono_samples
from audio.tags import Tagging, Tags
from audio.waveform import Samples, Waveform

BIT_EXACT = {"flags": "+bitexact"}
LAME_SCALE = np.float32(0.95)  # by which LAME turns down whatever it gets: 0.45 dB that would be missing
_STRICT = {"err_detect": "crccheck+explode"}  # a damaged frame is left out, and then missed, instead of played


class NotAudio(ValueError):
    """The bytes are not audio in any format that we read."""


@dataclass(frozen=True)
class _Codec:
    """How one format is written."""

    container: str
    codec: str
    sample_format: str
    # Bits per second below 16 kHz, below 32 kHz, and above: a lower rate has less to say. Ample for one voice, and
    # constant, so that a size tells a length; LAME has each of them at the rates where it stands.
    bit_rates: tuple[int, int, int] | None = None  # None: without loss
    options: Mapping[str, str] = field(default_factory=dict[str, str])  # of the container

    @property
    def indexed(self) -> bool:
        """Whether this is M4A, whose index is written last and then moved to the front."""
        return self.container == "ipod"

    def container_options(self, sample_rate: int) -> dict[str, str]:
        options = {"fflags": "+bitexact", **self.options}
        if self.indexed:  # by default it counts milliseconds, which would round the end of the audio
            options |= {"movflags": "+faststart", "movie_timescale": str(sample_rate)}
        return options

    def bit_rate(self, sample_rate: int) -> int | None:
        if self.bit_rates is None:
            return None
        return self.bit_rates[(sample_rate >= 16_000) + (sample_rate >= 32_000)]


_CODECS = {
    # A WAV beyond 4 GiB (12 h at 48 kHz) becomes RF64 instead of an invalid file.
    "wav": _Codec("wav", "pcm_s16le", "s16", options={"rf64": "auto"}),
    # 24 bit: this is also what keeps the segments of a long job, whose join is encoded only once.
    # 8 kB for later tags, which it would have, is more than a short segment.
    "flac": _Codec("flac", "flac", "s32", options={"metadata_header_padding": "0"}),
    # Xing header: length and gaps are known. ID3 2.3, which everything reads, in front of it if there are tags.
    "mp3": _Codec("mp3", "libmp3lame", "fltp", (32_000, 64_000, 96_000), {"id3v2_version": "3"}),
    "opus": _Codec("ogg", "libopus", "flt", (24_000, 32_000, 48_000)),
    "aac": _Codec("adts", "aac", "fltp", (32_000, 64_000, 96_000)),
    "m4a": _Codec("ipod", "aac", "fltp", (32_000, 64_000, 96_000)),
}


def bit_rate(format: str, sample_rate: int) -> int | None:
    """Return the bits per second of a format, if it has a choice."""
    return _CODECS[format].bit_rate(sample_rate)


def encode(waveform: Waveform, *, format: str, sample_rate: int) -> bytes:
    """Return the waveform as audio of one of shared.audio_formats.FORMATS, at one of its rates."""
    target = io.BytesIO()
    with Encoder(target, format=format, source_rate=waveform.sample_rate, sample_rate=sample_rate) as encoder:
        encoder.write(waveform.samples)
    return target.getvalue()


def decode(data: bytes | BinaryIO) -> Waveform:
    """Return any audio as a waveform at its own rate; more than one channel is mixed down.

    WAV and FLAC come back exact, MP3 and Opus at their exact length, M4A with the rest of its last frame behind. ADTS
    has no place for a length: AAC has the codec's 1024 samples of delay in front as well.

    Raises:
        NotAudio: these bytes are not audio, or they are damaged.
    """
    pieces = list(decoded(data))
    rate = pieces[0].sample_rate if pieces else 1
    return Waveform(np.concatenate([np.zeros(0, np.float32), *(piece.samples for piece in pieces)]), rate)


def decoded(data: bytes | BinaryIO) -> Iterator[Waveform]:
    """Yield any audio in pieces, as `decode` does in one: a long one is never held as samples.

    Raises:
        NotAudio: these bytes are not audio, or they are damaged; that may show at the end.
    """
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        with av.open(source, "r") as container:
            if not container.streams.audio:
                raise NotAudio("the file has no audio in it")
            stream = container.streams.audio[0]
            stream.codec_context.options = _STRICT
            mono = av.AudioResampler("flt", "mono", stream.rate)
            count = 0
            for frame in chain(container.decode(stream), [None]):
                for piece in mono.resample(frame):
                    count += piece.samples
                    yield Waveform(mono_samples(piece), stream.rate)
            if container.format.name == "flac" and stream.duration and count != stream.duration:
                raise NotAudio(f"of {stream.duration} samples only {count} could be read")
    except (InvalidDataError, EndOfFile) as error:
        raise NotAudio("these bytes are not audio, or are damaged") from error


class Encoder:
    """Write a waveform as audio, piece by piece, without holding it.

    Use it as a context manager: leaving it finishes the audio, leaving it by an exception does not. The target stays
    open. A target that can't seek gets the audio at the end, from a file, since headers hold lengths.
    """

    def __init__(  # noqa: PLR0913 - every argument by name
        self,
        target: BinaryIO,
        *,
        format: str,
        source_rate: int,
        sample_rate: int,
        tags: Tags | None = None,
        bit_rate: int | None = None,
    ) -> None:
        """Open the audio; a `bit_rate` is for who asks for another than a voice needs."""
        self._target = target
        self._codec = _CODECS[format]
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._resampled = Resampler(source_rate, sample_rate)
        self._input = Blocks(BLOCK_SAMPLES)
        self._open(sample_rate, bit_rate or self._codec.bit_rate(sample_rate), tags or Tags())

    def _open(self, sample_rate: int, bit_rate: int | None, tags: Tags) -> None:
        codec = self._codec
        if codec.indexed or not self._target.seekable():
            self._directory = tempfile.TemporaryDirectory()
        options = codec.container_options(sample_rate)
        # Any: what the packets between the two are made of is not in PyAV's stubs.
        self._container = cast(Any, av.open(self._path or self._target, "w", format=codec.container, options=options))
        self._stream = self._container.add_stream(codec.codec, rate=sample_rate, options=BIT_EXACT)
        self._stream.layout = "mono"
        self._stream.format = codec.sample_format
        if bit_rate:
            self._stream.bit_rate = bit_rate
        Tagging(self._container, tags).start()
        self._frames = Blocks(self._stream.frame_size or BLOCK_SAMPLES)
        self._written = 0

    @property
    def samples(self) -> int:
        """How many samples were encoded by now: all of them once the audio is finished."""
        return self._written

    @property
    def _path(self) -> str:
        return str(Path(self._directory.name) / "audio") if self._directory else ""

    def write(self, samples: Samples) -> None:
        """Take the next samples: float32, shape (n,), at the source rate. What is outside [-1, 1] is clipped."""
        if not np.isfinite(samples).all():
            raise ValueError("the waveform has samples that are not numbers")
        for block in self._input.push(samples):
            self._encode_all(self._frames.push(self._resampled.push(block)))

    def close(self) -> None:
        """Finish the audio: the last frames, and the lengths in its header."""
        last = np.concatenate([self._resampled.push(self._input.rest()), self._resampled.rest()])
        self._encode_all(self._frames.push(last))
        self._encode_all(iter([self._frames.rest()]))
        if not self._written:
            raise ValueError("there is nothing to encode")
        self._container.mux(self._stream.encode(None))
        self._container.close()  # writes the header's lengths
        if self._directory:
            with Path(self._path).open("rb") as file:
                shutil.copyfileobj(file, self._target)
        self._discard()

    def _discard(self) -> None:
        self._container.close()
        if self._directory:
            self._directory.cleanup()

    def _encode_all(self, blocks: Iterator[Samples]) -> None:
        for block in blocks:
            if len(block):
                self._encode(block)

    def _encode(self, samples: Samples) -> None:
        data = as_frame(samples, self._codec.codec, self._codec.sample_format)
        frame = av.AudioFrame.from_ndarray(data, format=self._codec.sample_format, layout="mono")
        frame.sample_rate = self._stream.rate
        frame.time_base = Fraction(1, self._stream.rate)
        frame.pts = self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()


def as_frame(samples: Samples, codec: str, sample_format: str) -> NDArray[Any]:
    """Return samples as a codec takes them: (1, n), one channel."""
    data = quantized(samples, sample_format)[np.newaxis]
    return data / LAME_SCALE if codec == "libmp3lame" else data


def quantized(samples: Samples, sample_format: str) -> NDArray[Any]:
    """Return samples as numbers of a kind: floats, 16 bits, or 24 bits at the top of 32."""
    if sample_format == "s16":
        return _rounded(samples, bits=16).astype(np.int16)
    if sample_format == "s32":
        return _rounded(samples, bits=24).astype(np.int32) << 8
    return np.clip(samples, -1, 1)


def _rounded(samples: Samples, *, bits: int) -> NDArray[np.float64]:
    scale = 2 ** (bits - 1)
    return np.clip(np.rint(samples.astype(np.float64) * scale), -scale, scale - 1)
