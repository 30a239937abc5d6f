"""Data sets of images by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from moiety.data.named import load_named
from moiety.data.splits import Dataset, Labels, Pixels, Recipe, Split

__all__ = ["dataset_names", "load_dataset"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_dataset(name: str, **options: object) -> Dataset:
    """The data set `name` (see `dataset_names`); its options are those of the function of that name here."""
    return load_named(LOADERS, name, options)


def dataset_names() -> list[str]:
    """What `load_dataset` takes."""
    return list(LOADERS)


def digits(*, size: int = 32, channels: int = 3) -> Dataset:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998), enlarged
    bilinearly to `size` x `size`, grey or repeated to three channels. Nothing is downloaded.

    Every fifth image of each class is a test image. The set is sorted by writer, roughly, so that all writers are in
    both splits: easier than the set's own split by writers.
    """
    from PIL import Image
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    if size < 8 or channels not in (1, 3):
        raise ValueError(f"digits: expected a size of at least 8 and 1 or 3 channels, found {size} and {channels}")
    raw, labels = load_digits(return_X_y=True)
    small = np.rint(raw.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)  # 17 levels of ink
    large = [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)) for image in small]
    images: Pixels = np.repeat(np.stack(large)[..., None], channels, axis=3)
    tested = np.zeros(len(labels), bool)
    for label in range(10):
        tested[np.flatnonzero(labels == label)[4::5]] = True
    grey = images[~tested, ..., 0] / 255
    recipe = Recipe((float(grey.mean()),) * channels, (float(grey.std()),) * channels)
    train, test = (Split.of(images[rows], labels[rows], recipe) for rows in (~tested, tested))
    return Dataset("digits", train, test, tuple(str(digit) for digit in range(10)))


def cifar10(*, data: str | os.PathLike[str] | None = None, cache: bool = False) -> Dataset:
    """The JPEG copy of CIFAR-10 (see `moiety.data.cifar10`)."""
    from moiety.data.cifar10 import CLASSES, load_cifar10
    from moiety.data.images import MEAN, STD

    parts = [load_cifar10("train", data, cache=cache), load_cifar10("test", data, cache=cache)]
    train, test = (Split.of(part.images, part.labels, Recipe(MEAN, STD, mirror=True)) for part in parts)
    return Dataset("cifar10", train, test, CLASSES)


def cifar_binary(kind: Literal["cifar10", "cifar100"]) -> Callable[..., Dataset]:
    def load(*, data: str | os.PathLike[str] | None = None) -> Dataset:
        """The public binary files (see `moiety.data.cifar_files`)."""
        from moiety.data.cifar_files import load_binary

        return from_arrays(f"{kind}-binary", *load_binary(kind, data))

    return load


def cifar_python(kind: Literal["cifar10", "cifar100"]) -> Callable[..., Dataset]:
    def load(*, data: str | os.PathLike[str] | None = None) -> Dataset:
        """The public pickles, read without running what they say (see `moiety.data.cifar_files`)."""
        from moiety.data.cifar_files import load_python

        return from_arrays(f"{kind}-python", *load_python(kind, data))

    return load


def from_arrays(
    name: str, train: tuple[Pixels, Labels], test: tuple[Pixels, Labels], classes: tuple[str, ...]
) -> Dataset:
    """Photographs in memory, normalised by the training pixels' statistics."""
    pixels = train[0].reshape(-1, train[0].shape[-1])
    counts = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])  # (3, 256): no float copy
    values = np.arange(256) / 255
    mean = counts @ values / len(pixels)
    std = np.sqrt(counts @ values**2 / len(pixels) - mean**2)
    if std.min() <= 0:
        raise ValueError(f"{name}: expected images that differ, found a channel that is the same everywhere")
    recipe = Recipe(tuple(mean.tolist()), tuple(std.tolist()), mirror=True)
    return Dataset(name, Split.of(*train, recipe), Split.of(*test, recipe), classes)


def folder(
    *,
    data: str | os.PathLike[str],
    size: int = 224,
    valid: float = 0.2,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    mirror: bool = True,
) -> Dataset:
    """Your own images: `data` holds train/ and test/ (or val/) with a sub-folder for each class, or the sub-folders
    themselves, of which the part `valid` becomes the test split.

    size: side of the square that every image is cropped and scaled to. mean, std: by default ImageNet's, which
    published weights want. mirror: does an image keep its class when it is mirrored?
    """
    from moiety.data.folder import load_folder

    train, test, classes = load_folder(data, size, Recipe(tuple(mean), tuple(std), mirror), valid)
    return Dataset("folder", train, test, classes)


LOADERS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "cifar10": cifar10,
    "cifar10-binary": cifar_binary("cifar10"),
    "cifar10-python": cifar_python("cifar10"),
    "cifar100-binary": cifar_binary("cifar100"),
    "cifar100-python": cifar_python("cifar100"),
    "folder": folder,
}
