"""From the files that `moiety infer` is given to the program's input, at the client.

An image is turned upright, made RGB or grey by the program's channels, cropped to the central part of the right aspect,
reduced to the program's height and width, scaled to [0, 1] and normalised with the program's public metadata:

    metadata["preprocessing"] = {"mean": [one a channel], "std": [one a channel]}        (default: 0 and 1)

A `.npy` file is taken as it is: one float32 sample, or a batch. A `.npz` archive holds an array for each input of a
program with several.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inputs import check_input
from .program import Program

__all__ = ["class_names", "read_inputs"]


def read_inputs(program: Program, paths: list[Path]) -> tuple[NDArray[np.float32], list[str]]:
    """The samples of all files, stacked, and a name for each."""
    samples: list[NDArray[Any]] = []
    names: list[str] = []
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is not there: expected an image or a .npy file (.npz for several inputs)")
        if path.suffix == ".npz":
            batch = _read_several(path, program)
            names += [str(path)] if len(batch) == 1 else [f"{path}[{i}]" for i in range(len(batch))]
        elif path.suffix == ".npy":
            array = _read_array(path)
            batch = array if array.ndim == len(program.input_shape) + 1 else array[None]
            names += [str(path)] if len(batch) == 1 else [f"{path}[{i}]" for i in range(len(batch))]
        else:
            batch = _read_image(path, program)[None]
            names.append(str(path))
        if batch.shape[1:] != program.input_shape or batch.dtype != np.float32:
            raise ValueError(
                f"{path} holds {batch.dtype} of shape {batch.shape[1:]}: expected float32 of shape "
                f"{program.input_shape}"
            )
        samples.append(batch)
    return np.concatenate(samples), names


def _read_several(path: Path, program: Program) -> NDArray[np.float32]:
    """Of a program with several inputs: the arrays of an archive, in its order, with or without a batch."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name] for name in file.files]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not an archive of NumPy arrays: {error}") from None
    shapes = program.input_shapes
    if len(arrays) != len(shapes):
        raise ValueError(f"{path} holds {len(arrays)} arrays: expected {len(shapes)} of shapes {list(shapes)}")
    return check_input(program, [a if a.ndim > len(s) else a[None] for a, s in zip(arrays, shapes, strict=True)])


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a NumPy array: {error}") from None
    return np.asarray(array)


def _read_image(path: Path, program: Program) -> NDArray[np.float32]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(program.input_shape) != 3 or program.input_shape[0] not in (1, 3):
        raise ValueError(f"the program takes {program.input_shape}, no image: expected a .npy file instead of {path}")
    channels, height, width = program.input_shape
    try:
        with Image.open(path) as file:
            file.load()
            image = ImageOps.exif_transpose(file).convert("RGB" if channels == 3 else "L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from None
    small = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.float32).reshape(height, width, channels) / 255
    recipe = program.metadata.get("preprocessing") or {}
    mean = np.asarray(recipe.get("mean", [0.0] * channels), np.float32)
    std = np.asarray(recipe.get("std", [1.0] * channels), np.float32)
    if mean.shape != (channels,) or std.shape != (channels,) or not (std > 0).all():
        raise ValueError(
            f"the program's preprocessing does not fit {channels} channels: expected one mean and std each"
        )
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1), np.float32)


def class_names(program: Program, count: int) -> list[str]:
    """The program's names for its classes, or their numbers."""
    names = program.metadata.get("classes")
    if isinstance(names, list) and len(names) >= count:
        return [str(name) for name in names]
    return [str(i) for i in range(count)]
