"""Small data sets of every format, written by the tests."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def write_archives(folder: Path, count: int) -> list[np.ndarray]:
    """`count` one-coloured images in each split; returns their colours."""
    folder.mkdir(parents=True)
    colours = [np.array([20 * i, 100, 255 - 20 * i], dtype=np.uint8) for i in range(count)]
    files = []
    for colour in colours:
        buffer = io.BytesIO()
        Image.fromarray(np.broadcast_to(colour, (32, 32, 3)).copy()).save(buffer, "JPEG", quality=95)
        files.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, files)]).astype(np.int64)
    for split in ("train", "test"):
        np.savez(
            folder / f"{split}_jpeg.npz",
            jpeg=np.frombuffer(b"".join(files), dtype=np.uint8),
            offsets=offsets,
            labels=np.arange(count, dtype=np.uint8) % 10,
        )
    return colours


def photographs(count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    """Planes (count, 3072) as the CIFAR files hold them, and labels."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8), [i % 3 for i in range(count)]


def write_binary(folder: Path, kind: str, count: int = 4) -> dict[str, tuple[np.ndarray, list[int]]]:
    """The files of cifar-10-batches-bin or cifar-100-binary."""
    folder.mkdir(parents=True)
    ten = kind == "cifar10"
    files = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"] if ten else ["train.bin", "test.bin"]
    (folder / ("batches.meta.txt" if ten else "fine_label_names.txt")).write_text("ant\nbee\ncow\n\n")
    written = {}
    for i, name in enumerate(files):
        planes, labels = written[name] = photographs(count, i)
        columns = [np.array(labels, np.uint8)[:, None]] if ten else [np.full((count, 1), 9, np.uint8)]
        columns += [] if ten else [np.array(labels, np.uint8)[:, None]]
        np.concatenate([*columns, planes], axis=1).tofile(folder / name)
    return written


def python2_string(text: bytes) -> bytes:
    return (b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + len(text).to_bytes(4, "little")) + text


def python2_batch(planes: np.ndarray, labels: list[int], labels_key: str) -> bytes:
    """A batch's pickle as Python 2 wrote it, opcode by opcode: protocol 2, 8-bit strings, NumPy 1's names."""
    dtype = b"cnumpy\ndtype\n" + python2_string(b"u1") + b"K\x00K\x01\x87R(K\x03" + python2_string(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"M" + len(planes).to_bytes(2, "little") + b"M" + planes.shape[1].to_bytes(2, "little") + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + python2_string(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + python2_string(planes.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    body = python2_string(b"data") + array + python2_string(labels_key.encode()) + numbers
    return b"\x80\x02}(" + body + b"u."


def write_python(folder: Path, kind: str, count: int = 4) -> dict[str, tuple[np.ndarray, list[int]]]:
    """The files of cifar-10-batches-py or cifar-100-python."""
    folder.mkdir(parents=True)
    ten = kind == "cifar10"
    files = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"] if ten else ["train", "test"]
    key, meta = ("label_names", "batches.meta") if ten else ("fine_label_names", "meta")
    names = b"](" + b"".join(python2_string(name) for name in (b"ant", b"bee", b"cow")) + b"e"
    (folder / meta).write_bytes(b"\x80\x02}" + python2_string(key.encode()) + names + b"s.")
    written = {}
    for i, name in enumerate(files):
        planes, labels = written[name] = photographs(count, i)
        (folder / name).write_bytes(python2_batch(planes, labels, "labels" if ten else "fine_labels"))
    return written


def write_images(folder: Path, classes: dict[str, int], size: tuple[int, int] = (12, 10)) -> None:
    """PNG files of one colour, which is the class's number in red and the image's in green."""
    for label, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (40 * label, i, 100)).save(folder / name / f"{i:03}.png")
