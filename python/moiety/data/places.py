"""Where data sets are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["find_folder"]


def find_folder(what: str, subfolder: str, files: Sequence[str], data: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds all `files` of the data set `what`.

    Looked for under `data` (the ``--data`` option), then the environment variable ``MOIETY_DATA``, then
    ``../shared/data`` relative to the repository and to the working directory; each either is the folder or has it as
    `subfolder`. A place that does not hold all files is passed over for the next.
    """
    for root in _roots(data):
        for folder in (root / subfolder, root):
            if all((folder / file).is_file() for file in files):
                return folder
    raise FileNotFoundError(
        f"{what} ({', '.join(f'{subfolder}/{file}' for file in files)}) found in none of: "
        f"--data ({'not given' if data is None else os.fspath(data)}), "
        f"MOIETY_DATA ({os.environ.get('MOIETY_DATA') or 'not set'}), ../shared/data"
    )


def _roots(data: str | os.PathLike[str] | None) -> Iterator[Path]:
    if data is not None:
        yield Path(data)
    if variable := os.environ.get("MOIETY_DATA"):
        yield Path(variable)
    repository = Path(__file__).resolve().parents[3]  # <repository>/python/moiety/data/places.py
    yield repository.parent / "shared" / "data"
    yield Path.cwd().parent / "shared" / "data"
