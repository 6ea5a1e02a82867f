"""Every weight of the model with its shape, by rule: the names are those of `model.state_dict()`."""

from collections.abc import Iterable
from itertools import chain

from worker.engine.emotivoice.config import OFFICIAL, AcousticConfig, ModelConfig, StyleConfig, VocoderConfig

Shapes = dict[str, tuple[int, ...]]

NETWORKS = ("acoustic", "vocoder", "style")

OUTER_KERNEL = 7  # of the vocoder's first and last convolution


def expected_shapes(config: ModelConfig = OFFICIAL) -> Shapes:
    """Return name -> shape of every weight, weight norm folded, training-only weights left out."""
    networks = (acoustic_shapes(config.acoustic), vocoder_shapes(config.vocoder), style_shapes(config.style))
    return {
        f"{network}.{name}": shape
        for network, shapes in zip(NETWORKS, networks, strict=True)
        for name, shape in shapes.items()
    }


def acoustic_shapes(config: AcousticConfig) -> Shapes:
    width = config.width
    predictors = {
        "duration_predictor": config.duration_layers,
        "pitch_predictor": config.pitch_layers,
        "energy_predictor": config.energy_layers,
    }
    return {
        "src_word_emb.weight": (config.tokens, width),
        "spk_tokenizer.weight": (config.speakers, width),
        **_transformer("encoder", config),
        **_transformer("decoder", config),
        **_merged(_predictor(name, layers, config) for name, layers in predictors.items()),
        **_layer("pitch_embed.0", width, 1, config.embed_kernel),
        **_layer("energy_embed.0", width, 1, config.embed_kernel),
        **_layer("embed_projection1", width, 2 * width + 2 * config.style_width),
        **_layer("to_mel", config.mels, width),
    }


def vocoder_shapes(config: VocoderConfig) -> Shapes:
    shapes = _layer("conv_pre", config.width, config.mels, OUTER_KERNEL)
    channels, block = config.width, 0
    for stage, kernel in enumerate(config.upsample_kernels):
        # A transposed convolution: its weight is (in, out, kernel).
        shapes |= {
            f"ups.{stage}.weight": (channels, channels // 2, kernel),
            f"ups.{stage}.bias": (channels // 2,),
        }
        channels //= 2
        for width in config.resblock_kernels:
            for index in range(len(config.resblock_dilations)):
                for convs in ("convs1", "convs2"):
                    shapes |= _layer(f"resblocks.{block}.{convs}.{index}", channels, channels, width)
            block += 1
    return shapes | _layer("conv_post", 1, channels, OUTER_KERNEL)


def style_shapes(config: StyleConfig) -> Shapes:
    width = config.width
    return {
        "embeddings.word_embeddings.weight": (config.vocabulary, width),
        "embeddings.position_embeddings.weight": (config.positions, width),
        "embeddings.token_type_embeddings.weight": (config.token_types, width),
        **_norm("embeddings.LayerNorm", width),
        **_merged(_bert_layer(f"encoder.layer.{number}", config) for number in range(config.layers)),
        **_layer("pooler.dense", width, width),
    }


def _transformer(name: str, config: AcousticConfig) -> Shapes:
    blocks = (_transformer_layer(f"{name}.encoders.{number}", config) for number in range(config.layers))
    return {f"{name}.embed.0.alpha": (), **_merged(blocks), **_norm(f"{name}.after_norm", config.width)}


def _transformer_layer(name: str, config: AcousticConfig) -> Shapes:
    width = config.width
    return {
        **_merged(_layer(f"{name}.self_attn.linear_{each}", width, width) for each in ("q", "k", "v", "out")),
        **_layer(f"{name}.feed_forward.w_1", config.inner, width, config.kernel),
        **_layer(f"{name}.feed_forward.w_2", width, config.inner, config.kernel),
        **_norm(f"{name}.norm1", width),
        **_norm(f"{name}.norm2", width),
    }


def _predictor(name: str, layers: int, config: AcousticConfig) -> Shapes:
    width = config.width
    convolutions = (
        _layer(f"{name}.conv.{number}.0", width, width, config.predictor_kernel)
        | _norm(f"{name}.conv.{number}.2", width)
        for number in range(layers)
    )
    return _merged(convolutions) | _layer(f"{name}.linear", 1, width)


def _bert_layer(name: str, config: StyleConfig) -> Shapes:
    width = config.width
    return {
        **_merged(_layer(f"{name}.attention.self.{each}", width, width) for each in ("query", "key", "value")),
        **_layer(f"{name}.attention.output.dense", width, width),
        **_norm(f"{name}.attention.output.LayerNorm", width),
        **_layer(f"{name}.intermediate.dense", config.inner, width),
        **_layer(f"{name}.output.dense", width, config.inner),
        **_norm(f"{name}.output.LayerNorm", width),
    }


def _layer(name: str, *weight: int) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _norm(name: str, width: int) -> Shapes:
    return _layer(name, width)


def _merged(parts: Iterable[Shapes]) -> Shapes:
    return dict(chain.from_iterable(part.items() for part in parts))
