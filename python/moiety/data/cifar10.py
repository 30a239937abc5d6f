"""CIFAR-10 as JPEG files packed in two ``.npz`` archives.

``train_jpeg.npz`` and ``test_jpeg.npz`` hold ``jpeg`` (all files back to back, uint8), ``offsets`` (n + 1, image i is
``jpeg[offsets[i]:offsets[i + 1]]``) and ``labels`` (n, uint8). The images are lossy copies (quality 75, 4:2:0 chroma)
of Krizhevsky's (2009): accuracies on them are not exactly those on the originals.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from moiety.data.places import find_folder

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
    """The folder that holds the two archives; where it is looked for: `moiety.data.places`."""
    return find_folder("CIFAR-10", "cifar10", ("train_jpeg.npz", "test_jpeg.npz"), data)


def load_cifar10(split: Split, data: str | os.PathLike[str] | None = None, *, cache: bool = False) -> Cifar10:
    """The decoded `split`: 50,000 or 10,000 images. Decoding takes seconds and happens once a process.

    cache: keep the decoded images on disk as well, under XDG_CACHE_HOME, from where every later process maps them: they
    then cost their memory once a machine, and no decoding.
    """
    return _decode(find_cifar10(data).resolve() / f"{split}_jpeg.npz", cache)


@lru_cache(maxsize=4)
def _decode(path: Path, cache: bool) -> Cifar10:
    with np.load(path) as archive:
        jpeg, offsets, labels = archive["jpeg"].tobytes(), archive["offsets"], archive["labels"].astype(np.int64)
    if len(offsets) != len(labels) + 1 or offsets[0] != 0 or offsets[-1] != len(jpeg) or (np.diff(offsets) <= 0).any():
        raise ValueError(f"{path} is damaged: its offsets do not cut its bytes into {len(labels)} files")
    kept = _cache_file(path) if cache else None
    if kept is not None and (images := _mapped(kept, len(labels))) is not None:
        return Cifar10(images, labels)
    images = np.empty((len(labels), 32, 32, 3), dtype=np.uint8)
    for i, (begin, end) in enumerate(pairwise(offsets)):
        images[i] = np.asarray(Image.open(io.BytesIO(jpeg[begin:end])).convert("RGB"))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.npy")
        np.save(partial, images)
        os.replace(partial, kept)
    images.setflags(write=False)  # shared by every caller
    labels.setflags(write=False)
    return Cifar10(images, labels)


def _cache_file(path: Path) -> Path:
    """One for each state of the archive."""
    state = path.stat()
    key = hashlib.sha256(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:16]
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "moiety" / f"{path.stem}_{key}.npy"


def _mapped(path: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """The images in the cache, or None where there are none or not what was written."""
    try:
        images = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return None
    return images if images.dtype == np.uint8 and images.shape == (count, 32, 32, 3) else None
