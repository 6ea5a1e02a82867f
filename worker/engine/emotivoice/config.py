"""The sizes of the three networks. They are the official model's; only its three tables vary in length."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class AudioConfig:
    """What the mel stands for: natural log of the magnitude, clamped at 1e-5."""

    sample_rate: int = 16_000  # Hz
    hop: int = 256  # samples per frame: 16 ms
    n_fft: int = 1024
    mels: int = 80
    fmin: float = 0.0  # Hz
    fmax: float = 8000.0  # Hz
    pitch_mean: float = 225.089  # Hz; the pitch predictor speaks in standard deviations from it
    pitch_std: float = 53.78
    energy_mean: float = 30.610
    energy_std: float = 21.78


AUDIO = AudioConfig()


@dataclass(frozen=True)
class AcousticConfig:
    """Phonemes, speaker, style and content to mel."""

    tokens: int = 502
    speakers: int = 2014
    width: int = 384
    layers: int = 4  # of the encoder, and of the decoder
    heads: int = 8
    inner: int = 1536
    kernel: int = 3  # of the feed-forward convolutions
    style_width: int = 768  # of the style embedding, and of the content embedding
    duration_layers: int = 2
    pitch_layers: int = 3
    energy_layers: int = 2
    predictor_kernel: int = 3
    embed_kernel: int = 9  # of pitch_embed and energy_embed
    mels: int = 80


@dataclass(frozen=True)
class VocoderConfig:
    """Mel to waveform: HiFi-GAN V1."""

    mels: int = 80
    width: int = 512  # channels after conv_pre; each upsampling halves them
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsample_kernels: tuple[int, ...] = (16, 16, 4, 4)
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[int, ...] = (1, 3, 5)


@dataclass(frozen=True)
class StyleConfig:
    """Prompt or content to an embedding: BERT base up to its pooler."""

    vocabulary: int = 13_685  # WordPieces
    positions: int = 512
    token_types: int = 2
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    norm_eps: float = 1e-12


@dataclass(frozen=True)
class ModelConfig:
    """All three networks."""

    acoustic: AcousticConfig = field(default_factory=AcousticConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    style: StyleConfig = field(default_factory=StyleConfig)

    def with_rows(self, *, tokens: int, speakers: int, vocabulary: int) -> "ModelConfig":
        """Return the same networks with tables of other lengths."""
        return replace(
            self,
            acoustic=replace(self.acoustic, tokens=tokens, speakers=speakers),
            style=replace(self.style, vocabulary=vocabulary),
        )


OFFICIAL = ModelConfig()
