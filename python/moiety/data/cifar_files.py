"""CIFAR-10 and CIFAR-100 in the formats that their authors publish (A. Krizhevsky, 2009).

binary: records of one label byte (CIFAR-100: two, the coarse and the fine one) and 3,072 bytes of an image, its red,
green and blue planes one after the other. The class names are lines of a text file.

python: a pickled dictionary, written by Python 2, with the same bytes as a NumPy array and the labels as a list. A
pickle can name any function and have it called; these are read by an unpickler that knows the few names which NumPy
arrays need and refuses every other.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from moiety.data.places import find_folder
from moiety.data.splits import Labels, Pixels

__all__ = ["load_binary", "load_python", "read_records", "safe_unpickle"]

Kind = Literal["cifar10", "cifar100"]
Part = tuple[Pixels, Labels]

PLANES = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
LARGEST_PICKLE = 1 << 28  # the public ones have 155 MB at most


def load_binary(kind: Kind, data: str | os.PathLike[str] | None = None) -> tuple[Part, Part, tuple[str, ...]]:
    """Training part, test part and class names; where the folder is looked for: `moiety.data.places`."""
    if kind == "cifar10":
        train = [f"data_batch_{i}.bin" for i in range(1, 6)]
        test, subfolder, label_bytes, names = "test_batch.bin", "cifar-10-batches-bin", 1, "batches.meta.txt"
    else:
        train, test, subfolder, label_bytes, names = (
            ["train.bin"], "test.bin", "cifar-100-binary", 2, "fine_label_names.txt",
        )  # fmt: skip
    folder = find_folder(f"{kind} (binary)", subfolder, [*train, test, names], data)
    classes = tuple(line.strip() for line in (folder / names).read_text("utf-8").splitlines() if line.strip())
    parts = [read_records(folder / name, label_bytes) for name in train]
    return joined(parts), read_records(folder / test, label_bytes), classes


def read_records(path: Path, label_bytes: int) -> Part:
    """Images (n, 32, 32, 3) and labels (n,) of a file of whole records; the last label byte of each counts."""
    raw = np.fromfile(path, np.uint8)
    size = label_bytes + IMAGE_BYTES
    if raw.size == 0 or raw.size % size:
        raise ValueError(f"{path} is damaged: expected records of {size} bytes, found {raw.size} bytes")
    records = raw.reshape(-1, size)
    return as_images(records[:, label_bytes:]), records[:, label_bytes - 1].astype(np.int64)


def load_python(kind: Kind, data: str | os.PathLike[str] | None = None) -> tuple[Part, Part, tuple[str, ...]]:
    """Training part, test part and class names; where the folder is looked for: `moiety.data.places`."""
    if kind == "cifar10":
        train = [f"data_batch_{i}" for i in range(1, 6)]
        test, subfolder, meta, labels, names = (
            "test_batch", "cifar-10-batches-py", "batches.meta", "labels", "label_names",
        )  # fmt: skip
    else:
        train, test, subfolder, meta, labels, names = (
            ["train"], "test", "cifar-100-python", "meta", "fine_labels", "fine_label_names",
        )  # fmt: skip
    folder = find_folder(f"{kind} (python)", subfolder, [*train, test, meta], data)
    classes = tuple(as_text(name) for name in entry(folder / meta, safe_unpickle(folder / meta), names, list))
    parts = [read_pickle(folder / name, labels) for name in train]
    return joined(parts), read_pickle(folder / test, labels), classes


def read_pickle(path: Path, labels_key: str) -> Part:
    """Images (n, 32, 32, 3) and labels (n,) of one pickled batch."""
    batch = safe_unpickle(path)
    pixels = entry(path, batch, "data", np.ndarray)
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != IMAGE_BYTES:
        raise ValueError(f"{path}: expected data of uint8 (n, {IMAGE_BYTES}), found {pixels.dtype} {pixels.shape}")
    labels = entry(path, batch, labels_key, list)
    if len(labels) != len(pixels) or not all(type(label) is int for label in labels):
        raise ValueError(f"{path}: expected {len(pixels)} whole numbers as {labels_key}, found {len(labels)} entries")
    return as_images(pixels), np.array(labels, np.int64)


def joined(parts: list[Part]) -> Part:
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def as_images(planes: Pixels) -> Pixels:
    """(n, 3072) -> (n, 32, 32, 3)."""
    return np.ascontiguousarray(planes.reshape(-1, *PLANES).transpose(0, 2, 3, 1))


def as_text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def entry(path: Path, found: object, key: str, kind: type) -> Any:
    """The value of a dictionary whose keys are text, or bytes where Python 2 wrote them."""
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a dictionary, found {type(found).__name__}")
    value = found.get(key.encode(), found.get(key))
    if not isinstance(value, kind):
        raise ValueError(f"{path}: expected {key!r} to be a {kind.__name__}, found {type(value).__name__}")
    return value


def safe_unpickle(path: Path) -> object:
    """What a pickle of NumPy arrays, numbers, text, bytes, lists and dictionaries holds.

    Raises ValueError for a pickle that names anything else, and for a damaged or unreasonably large one.
    """
    size = path.stat().st_size
    if size > LARGEST_PICKLE:
        raise ValueError(f"{path}: expected a pickle of at most {LARGEST_PICKLE} bytes, found {size}")
    try:
        return ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as error:  # a damaged one may end in any
        raise ValueError(f"{path} is no pickle of arrays: {error or type(error).__name__}") from None


class ArraysOnly(pickle._Unpickler):
    """Knows what a pickled array names, under its names of NumPy 1 and 2: makes empty arrays of whole numbers, which
    the pickle then fills, and NumPy checks that the bytes are as many as the shape says.

    This is the unpickler written in Python: the one in C reserves memory for whatever index a file mentions.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no array needs: it may be malicious")

    def load_build(self) -> None:
        """Fills the object under the top of the stack with the state on the top."""
        filled, state = self.stack[-2:]  # type: ignore[attr-defined]
        if isinstance(filled, np.dtype):
            order = as_text(state[1])
            if (state[0], *state[2:]) != (3, None, None, None, -1, -1, 0) or order not in ("|", "<"):
                raise pickle.UnpicklingError(f"expected a plain little-endian dtype, found the state {state!r}")
            self.stack.pop()  # type: ignore[attr-defined]
        elif isinstance(filled, np.ndarray) and isinstance(state[2], np.dtype) and isinstance(state[4], bytes):
            super().load_build()  # type: ignore[misc]
        else:
            raise pickle.UnpicklingError(f"it sets the state of a {type(filled).__name__}, which no array needs")

    dispatch[pickle.BUILD[0]] = load_build


def empty_array(_kind: object, shape: object, _code: object) -> np.ndarray[Any, Any]:
    if shape != (0,):
        raise pickle.UnpicklingError(f"expected an array to start with shape (0,), found {shape!r}")
    return np.empty((0,), np.int8)


def plain_dtype(code: object, _align: object = False, _copy: object = True) -> np.dtype[Any]:
    name = as_text(code)
    if name not in ("u1", "i1", "i2", "i4", "i8", "b1"):
        raise pickle.UnpicklingError(f"expected an array of whole numbers, found dtype {name!r}")
    return np.dtype(name)


def old_bytes(text: object, encoding: object) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it encodes something else than latin1 text")
    return text.encode("latin1")


# "ndarray" stands as an argument only: a name, nothing that can be called.
ADMITTED: dict[tuple[str, str], Callable[..., object] | str] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): plain_dtype,
    ("numpy.core.multiarray", "_reconstruct"): empty_array,
    ("numpy._core.multiarray", "_reconstruct"): empty_array,
    ("_codecs", "encode"): old_bytes,
}
