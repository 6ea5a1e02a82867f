"""The audio formats that a job may ask for: the gateway offers them, the worker writes them."""

from dataclasses import dataclass

# The sampling frequencies that MPEG-1, -2 and -2.5 layer III and AAC have in common, up to 48 kHz.
_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# The input rates of an Opus encoder (RFC 6716, section 2); whatever the input, Opus is played at 48 kHz.
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


@dataclass(frozen=True)
class AudioFormat:
    """One format: how it is called in HTTP and on a disk, and which rates it may have."""

    content_type: str
    extension: str  # without a dot
    sample_rates: tuple[int, ...]  # in Hz, ascending


FORMATS = {
    "wav": AudioFormat("audio/wav", "wav", _MPEG_RATES),
    "mp3": AudioFormat("audio/mpeg", "mp3", _MPEG_RATES),
    "opus": AudioFormat("audio/ogg", "opus", _OPUS_RATES),
    "flac": AudioFormat("audio/flac", "flac", _MPEG_RATES),
    "aac": AudioFormat("audio/aac", "aac", _MPEG_RATES),
    "m4a": AudioFormat("audio/mp4", "m4a", _MPEG_RATES),
}
