"""The small model with two dozen voices, as a converted folder, and quick: a frame or so for each phoneme."""

from dataclasses import replace
from pathlib import Path

import torch

from tests.worker.engine.emotivoice.small import SIZES, WORDS, small_files
from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.engine.emotivoice.conversion import _write  # pyright: ignore[reportPrivateUsage] - `convert` reads a folder
from worker.engine.emotivoice.folder import SPEAKERS, TOKENLIST, VOCABULARY, ModelFolder
from worker.engine.emotivoice.loading import ModelFiles
from worker.engine.emotivoice.voices import voices_of

IDS = tuple(str(number) for number in range(100, 124))


def many_voices(seed: int = 3) -> ModelFiles:
    """The weights, with a speaker table of another seed."""
    random = torch.Generator().manual_seed(seed)
    changed = {
        "acoustic.spk_tokenizer.weight": torch.randn(len(IDS), SIZES.acoustic.width, generator=random),
        "acoustic.duration_predictor.linear.bias": torch.tensor([0.8]),
    }
    files = small_files()
    config = replace(SIZES, acoustic=replace(SIZES.acoustic, speakers=len(IDS)))
    names = {
        "speakers": IDS,
        "voices": voices_of(IDS, {}),
        "revision": f"{seed:064x}",
        "source_revision": f"{seed:064x}",
    }
    return replace(files, weights=files.weights | changed, config=config, **names)


def write_many_voices(path: Path, seed: int = 3) -> Path:
    """Write them as a converted folder."""
    source = path.with_name(f"{path.name}-source")
    for folder in (path, source):
        folder.mkdir(parents=True)
    for name, lines in {TOKENLIST: TOKENS, SPEAKERS: IDS, VOCABULARY: WORDS}.items():
        (source / name).write_text("\n".join(lines) + "\n")
    weights = source / "none"
    tables = (source / VOCABULARY, source / TOKENLIST, source / SPEAKERS)
    files = many_voices(seed)
    _write(
        path,
        replace(files, folder=ModelFolder(source, "official", weights, weights, *tables, None)),
        files.weights,
        "fp32",
    )
    return path
