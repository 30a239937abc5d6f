"""From an image file to the demo network's input.

The network sees 32 x 32 RGB, normalised per channel by CIFAR-10's mean and standard deviation, which puts every value
in [-2.0, 2.2]. Normalisation is public and happens at the input's owner, before sharing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MEAN", "SIDE", "STD", "normalize", "preprocess"]

SIDE = 32
MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training pixels, scaled to [0, 1]
STD = (0.2470, 0.2435, 0.2616)


def normalize(
    pixels: npt.NDArray[np.uint8], mean: Sequence[float] = MEAN, std: Sequence[float] = STD
) -> npt.NDArray[np.float32]:
    """(n, h, w, c) bytes -> (n, c, h, w) float32, ``(pixel / 255 - mean) / std``, a mean and std for each channel.

    The memory stays as it is, channels last: what a convolution on a CPU likes best.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != len(mean):
        raise ValueError(f"expected uint8 pixels (n, h, w, {len(mean)}), got {pixels.dtype} {pixels.shape}")
    rows = pixels.reshape(*pixels.shape[:2], -1)  # (n, h, w * c): long rows, which NumPy goes through fast
    scale = np.tile((1 / (255 * np.array(std))).astype(np.float32), pixels.shape[2])
    shift = np.tile((np.array(mean) / np.array(std)).astype(np.float32), pixels.shape[2])
    out: npt.NDArray[np.float32] = rows * scale
    out -= shift
    return out.reshape(pixels.shape).transpose(0, 3, 1, 2)


def preprocess(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """The image file at `path` as the network's input, float32 (1, 3, 32, 32).

    Turned upright by its EXIF orientation, made RGB, cropped to the central square and reduced to 32 x 32 with
    antialiasing.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image that Pillow reads, or a damaged one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise
    except UnidentifiedImageError as error:
        raise ValueError(f"{os.fspath(path)} is not an image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{os.fspath(path)} cannot be read as an image: {error}") from error
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    square = upright.crop((left, top, left + side, top + side))
    small = square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(normalize(np.asarray(small, dtype=np.uint8)[None]))
