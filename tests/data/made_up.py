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
