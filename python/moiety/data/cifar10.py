"""CIFAR-10 as JPEG files packed in two ``.npz`` archives.

``train_jpeg.npz`` and ``test_jpeg.npz`` hold ``jpeg`` (all files back to back, uint8), ``offsets`` (n + 1, image i is
``jpeg[offsets[i]:offsets[i + 1]]``) and ``labels`` (n, uint8). The images are lossy copies (quality 75, 4:2:0 chroma)
of Krizhevsky's (2009): accuracies on them are not exactly those on the originals.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["CLASSES", "Cifar10", "find_cifar10", "load_cifar10"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Cifar10:
    """One decoded split."""

    images: npt.NDArray[np.uint8]  # (n, 32, 32, 3), RGB
    labels: npt.NDArray[np.int64]  # (n,), index into CLASSES

    def __len__(self) -> int:
        return len(self.labels)


def find_cifar10(data: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the two archives.

    Looked for under `data` (the ``--data`` option), then the environment variable ``MOIETY_DATA``, then
    ``../shared/data`` relative to the repository and to the working directory; each either is the folder or has it as
    ``cifar10/``. A place that does not hold both archives is passed over for the next.
    """
    for root in _roots(data):
        for folder in (root / "cifar10", root):
            if (folder / "train_jpeg.npz").is_file() and (folder / "test_jpeg.npz").is_file():
                return folder
    raise FileNotFoundError(
        "CIFAR-10 (cifar10/train_jpeg.npz and cifar10/test_jpeg.npz) found in none of: "
        f"--data ({'not given' if data is None else os.fspath(data)}), "
        f"MOIETY_DATA ({os.environ.get('MOIETY_DATA') or 'not set'}), ../shared/data"
    )


def load_cifar10(split: Split, data: str | os.PathLike[str] | None = None) -> Cifar10:
    """The decoded `split`: 50,000 or 10,000 images. Decoding takes seconds and happens once a process."""
    return _decode(find_cifar10(data).resolve() / f"{split}_jpeg.npz")


def _roots(data: str | os.PathLike[str] | None) -> Iterator[Path]:
    if data is not None:
        yield Path(data)
    if variable := os.environ.get("MOIETY_DATA"):
        yield Path(variable)
    repository = Path(__file__).resolve().parents[3]  # <repository>/python/moiety/data/cifar10.py
    yield repository.parent / "shared" / "data"
    yield Path.cwd().parent / "shared" / "data"


@lru_cache(maxsize=2)
def _decode(path: Path) -> Cifar10:
    with np.load(path) as archive:
        jpeg, offsets, labels = archive["jpeg"].tobytes(), archive["offsets"], archive["labels"].astype(np.int64)
    images = np.empty((len(labels), 32, 32, 3), dtype=np.uint8)
    for i, (begin, end) in enumerate(pairwise(offsets)):
        images[i] = np.asarray(Image.open(io.BytesIO(jpeg[begin:end])).convert("RGB"))
    images.setflags(write=False)  # shared by every caller
    labels.setflags(write=False)
    return Cifar10(images, labels)
