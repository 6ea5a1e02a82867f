"""A clip's file as a waveform. It is a stranger's: `voices.child.decode_safely` has it done in a process with bounds.

FFmpeg finds a format for nearly everything, playlists that name other files among them. So what a file is, is told here
by its first bytes, and only a few decoders may be used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from audio.pieces import mono_samples
from audio.waveform import Samples, Waveform
from sandbox import MIB, Bounds

_DEMUXERS = ("wav", "flac", "ogg", "mp3", "mp4", "matroska")
_PCM = ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw")
_DECODERS = (*_PCM, "mp3float", "mp3", "aac", "alac", "flac", "opus", "vorbis")
_OPTIONS = {"format_whitelist": "mov,matroska,webm," + ",".join(_DEMUXERS), "codec_whitelist": ",".join(_DECODERS)}
_LEAST_RATE = 8_000
_MOST_DAMAGED = 0.05  # of the packets: the last one of a file that was cut off often is


class UnreadableClip(ValueError):
    """The file can't be used as a clip. The sentence is for the one who sent it."""


@dataclass(frozen=True)
class ClipLimits:
    """The most that a file may have, and that its decoding may take."""

    file_bytes: int = 20 * MIB
    seconds: float = 120.0
    sample_rate: int = 48_000  # what is higher is brought down to it
    memory_bytes: int = 768 * MIB
    cpu_seconds: int = 20
    wall_seconds: int = 60

    @property
    def bounds(self) -> Bounds:
        """Of the process that decodes it."""
        return Bounds(self.memory_bytes, self.cpu_seconds, self.wall_seconds)

    @property
    def samples(self) -> int:
        return round(self.seconds * self.sample_rate)


def decode(path: Path, limits: ClipLimits) -> Waveform:
    """Return the sound in a WAV, FLAC, Ogg, MP3, M4A, MP4 or WebM file, mixed down to one channel.

    Raises:
        UnreadableClip: there is none, it is damaged, or too long.
    """
    with path.open("rb") as file:
        demuxer = _demuxer(file.read(12))
        file.seek(0)
        try:
            with av.open(file, "r", format=demuxer, options=dict(_OPTIONS)) as container:
                return _sound(container, limits)
        except FFmpegError as error:
            raise UnreadableClip(
                "The file is damaged or incomplete. Send it anew, or save it in another format."
            ) from error


def _demuxer(head: bytes) -> str:
    """Return by what a file is read, by its first bytes: its name tells nothing."""
    found = {
        "wav": head[:4] == b"RIFF" and head[8:12] == b"WAVE",
        "flac": head[:4] == b"fLaC",
        "ogg": head[:4] == b"OggS",
        "mp4": head[4:8] == b"ftyp",
        "matroska": head[:4] == b"\x1aE\xdf\xa3",
        "mp3": head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0" and head[1] & 0b110 != 0),
    }
    for demuxer, fits in found.items():
        if fits:
            return demuxer
    raise UnreadableClip("It is no audio file that is read here. Send WAV, MP3, M4A, Ogg, FLAC or WebM.")


def _sound(container: InputContainer, limits: ClipLimits) -> Waveform:
    if not container.streams.audio:
        raise UnreadableClip("There is no audio in the file.")
    stream = container.streams.audio[0]
    if stream.codec_context.name not in _DECODERS:
        raise UnreadableClip(
            "Its audio is coded in a way that is not read here. Save it as WAV, MP3, M4A, Ogg or FLAC."
        )
    if stream.rate < _LEAST_RATE:
        raise UnreadableClip(f"Its sample rate is {stream.rate} Hz; at least {_LEAST_RATE} are needed.")
    rate = min(stream.rate, limits.sample_rate)
    pieces: list[Samples] = []
    count = 0
    for piece in _pieces(container, stream, rate):
        pieces.append(piece)
        count += len(piece)
        if count > limits.seconds * rate:
            raise UnreadableClip(
                f"It is longer than {limits.seconds:.0f} s. Send the 3 to 30 seconds that are to be used."
            )
    if not count:
        raise UnreadableClip("There is no audio in the file.")
    return Waveform(np.concatenate(pieces), rate)


def _pieces(container: InputContainer, stream: AudioStream, rate: int) -> Iterator[Samples]:
    mono = av.AudioResampler("flt", "mono", rate)
    for frame in _frames(container, stream):
        yield from (mono_samples(piece) for piece in mono.resample(frame))
    yield from (mono_samples(piece) for piece in mono.resample(None))


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yield what can be decoded, without the packets that are damaged, of which there may be few."""
    packets = damaged = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            yield from packet.decode()
        except FFmpegError:
            damaged += 1
    if damaged > max(1, _MOST_DAMAGED * packets):
        raise UnreadableClip(f"The file is damaged: of {packets} pieces {damaged} could not be read. Send it anew.")
