"""moiety.data.folder: the user's own images."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up import write_images
from PIL import Image

import moiety.data.folder
from moiety.data import Dataset, load_dataset
from moiety.private.images import read_inputs

CLASSES = {"bee": 5, "ant": 10, "cow": 2}


def labels_match(data: Dataset) -> None:
    """write_images put the class's number, in the order of CLASSES, in red."""
    numbers = [list(CLASSES).index(name) for name in data.classes]
    for split in (data.train, data.test):
        red = split.images(np.arange(len(split)))[:, 0, 0, 0]
        assert red.tolist() == [40 * numbers[label] for label in split.labels]


def test_splits_by_class(tmp_path: Path) -> None:
    write_images(tmp_path, CLASSES)
    data = load_dataset("folder", data=tmp_path, size=16)
    assert data.classes == ("ant", "bee", "cow")
    assert np.bincount(data.train.labels).tolist() == [8, 4, 1]
    assert np.bincount(data.test.labels).tolist() == [2, 1, 1]
    assert data.input_shape == (3, 16, 16)
    labels_match(data)
    again = load_dataset("folder", data=str(tmp_path), size=16)
    np.testing.assert_array_equal(data.test.images([0, 1]), again.test.images([0, 1]))


@pytest.mark.parametrize("testing", ["test", "val"])
def test_explicit_folders(tmp_path: Path, testing: str) -> None:
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path / testing, {"bee": 1, "ant": 1, "cow": 1})
    data = load_dataset("folder", data=tmp_path, size=8, mirror=False)
    assert (len(data.train), len(data.test), data.mirror) == (17, 3, False)
    labels_match(data)


def test_decodes_when_asked_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, {"ant": 4, "bee": 4})
    seen: list[str] = []
    decode = moiety.data.folder.decode

    def counted(path: Path, size: int) -> np.ndarray:
        seen.append(path.name)
        return decode(path, size)

    monkeypatch.setattr(moiety.data.folder, "decode", counted)
    data = load_dataset("folder", data=tmp_path, size=8, valid=0.5)
    assert seen == []
    first = data.train.images([2, 0, 2])
    np.testing.assert_array_equal(data.train.images([2, 0, 2]), first)
    assert len(seen) <= 3
    monkeypatch.setattr(moiety.data.folder, "KEPT_BYTES", 0)  # too large to keep
    data = load_dataset("folder", data=tmp_path, size=8, valid=0.5)
    seen.clear()
    for _ in range(2):
        np.testing.assert_array_equal(data.train.images([2, 0, 2]), first)
    assert len(seen) == 6


def test_sees_what_a_client_sees(tmp_path: Path) -> None:
    """Training and `moiety infer` crop, scale and normalise a file alike."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    data = load_dataset("folder", data=tmp_path, size=8)
    client = SimpleNamespace(input_shape=data.input_shape, metadata=data.metadata())
    at_client, _ = read_inputs(client, [tmp_path / "ant" / "0.png"])  # type: ignore[arg-type]
    np.testing.assert_allclose(data.train.normalize(data.train.images([0])), at_client, atol=1e-5)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'folder' wants the option data"):
        load_dataset("folder")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_dataset("folder", data=tmp_path / "absent")
    write_images(tmp_path / "one", {"ant": 2})
    with pytest.raises(ValueError, match="at least two classes, found 1"):
        load_dataset("folder", data=tmp_path / "one")
    write_images(tmp_path / "empty", {"ant": 2, "bee": 0})
    with pytest.raises(ValueError, match=r"bee holds no image: expected files that end in \.bmp"):
        load_dataset("folder", data=tmp_path / "empty")
    write_images(tmp_path / "few", {"ant": 2, "bee": 1})
    with pytest.raises(ValueError, match="at least two images of every class"):
        load_dataset("folder", data=tmp_path / "few")
    write_images(tmp_path / "half" / "train", {"ant": 2, "bee": 2})
    with pytest.raises(ValueError, match=r"one folder to train and one to test with \(train and test\), found train"):
        load_dataset("folder", data=tmp_path / "half")
    write_images(tmp_path / "half" / "test", {"ant": 2, "cow": 2})
    with pytest.raises(ValueError, match="same classes in train and test, found ant, bee and ant, cow"):
        load_dataset("folder", data=tmp_path / "half")
    with pytest.raises(ValueError, match=r"a part between 0 and 1, found 32 and 1\.0"):
        load_dataset("folder", data=tmp_path / "few", size=32, valid=1.0)
    write_images(tmp_path / "bad", {"ant": 2, "bee": 2})
    for file in (tmp_path / "bad").rglob("*.png"):
        file.write_bytes(b"no image")
    data = load_dataset("folder", data=tmp_path / "bad")
    with pytest.raises(ValueError, match=r"\.png cannot be read as an image"):
        data.train.images([0])
