"""Image folders: one sub-folder for each class, in a folder for training and one for testing, or in one to be split."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from moiety.data.splits import Indices, Labels, Pixels, Recipe, Split

__all__ = ["load_folder"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
TRAINING, TESTING = ("train", "training"), ("test", "val", "valid", "validation")
KEPT_BYTES = 1 << 30  # of decoded images, for each split


@dataclass
class Files:
    """Decodes on demand; keeps what it decoded where all of it fits into memory."""

    paths: list[Path]
    size: int
    kept: Pixels | None = field(init=False, default=None)
    known: np.ndarray[tuple[int], np.dtype[np.bool_]] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.paths), self.size, self.size, 3)
        if np.prod(shape, dtype=np.int64) <= KEPT_BYTES:
            self.kept = np.empty(shape, np.uint8)  # takes memory as it is filled
        self.known = np.zeros(len(self.paths), np.bool_)

    def read(self, index: Indices) -> Pixels:
        if self.kept is None:
            return np.stack([decode(self.paths[i], self.size) for i in index])
        for i in index[~self.known[index]]:
            self.kept[i] = decode(self.paths[i], self.size)
            self.known[i] = True
        return self.kept[index]


def decode(path: Path, size: int) -> Pixels:
    """The image file as uint8 (size, size, 3): upright, RGB, its central square, reduced or enlarged.

    That is what `moiety.private.images` makes of a client's file.
    """
    try:
        with Image.open(path) as file:
            file.load()
            upright = ImageOps.exif_transpose(file).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from None
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS), np.uint8)


def load_folder(
    path: str | os.PathLike[str], size: int, recipe: Recipe, valid: float
) -> tuple[Split, Split, tuple[str, ...]]:
    """Training split, test split, class names. valid: the part of each class to test with where there is no folder."""
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder: expected one with a sub-folder for each class")
    if size < 8 or not 0 < valid < 1:
        raise ValueError(f"expected a size of at least 8 and a part between 0 and 1, found {size} and {valid}")
    training = [root / name for name in TRAINING if (root / name).is_dir()]
    testing = [root / name for name in TESTING if (root / name).is_dir()]
    if len(training) == 1 and len(testing) == 1:
        classes = class_names(training[0])
        if class_names(testing[0]) != classes:
            raise ValueError(
                f"{root}: expected the same classes in {training[0].name} and {testing[0].name}, found "
                f"{', '.join(classes)} and {', '.join(class_names(testing[0]))}"
            )
        parts = [listed(folder, classes) for folder in (training[0], testing[0])]
    elif training or testing:
        names = ", ".join(folder.name for folder in (*training, *testing))
        raise ValueError(f"{root}: expected one folder to train and one to test with (train and test), found {names}")
    else:
        classes = class_names(root)
        files, labels = listed(root, classes)
        tested = drawn(labels, valid)
        parts = [([files[i] for i in np.flatnonzero(rows)], labels[rows]) for rows in (~tested, tested)]
    train, test = (Split(labels, Files(files, size).read, (size, size, 3), recipe) for files, labels in parts)
    return train, test, classes


def class_names(folder: Path) -> tuple[str, ...]:
    """The sub-folders, sorted."""
    names = tuple(sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")))
    if len(names) < 2:
        raise ValueError(f"{folder}: expected a sub-folder for each of at least two classes, found {len(names)}")
    return names


def listed(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], Labels]:
    """Every image file of every class, sorted, and its label; sub-folders of a class count."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        own = sorted(f for f in (folder / name).rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
        if not own:
            raise ValueError(f"{folder / name} holds no image: expected files that end in {', '.join(SUFFIXES)}")
        files += own
        labels += [label] * len(own)
    return files, np.array(labels, np.int64)


def drawn(labels: Labels, part: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which images to test with: of every class the same part, at least one, always the same ones."""
    tested = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) < 2:
            raise ValueError(
                f"expected at least two images of every class to split, found {len(own)} of number {label}"
            )
        count = min(max(1, round(part * len(own))), len(own) - 1)
        tested[np.random.default_rng((int(label), len(own))).permutation(own)[:count]] = True
    return tested
