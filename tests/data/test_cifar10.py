"""moiety.data.cifar10: on two archives made here, and on the real ones where they are."""

from pathlib import Path

import numpy as np
import pytest
from made_up import write_archives

import moiety.data.places
from moiety.data.cifar10 import CLASSES, find_cifar10, load_cifar10


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data by the environment, the repository or the working directory."""
    empty = tmp_path / "repository" / "inside"
    empty.mkdir(parents=True)
    monkeypatch.delenv("MOIETY_DATA", raising=False)
    monkeypatch.setattr(moiety.data.places, "__file__", str(tmp_path / "a" / "b" / "c" / "d" / "places.py"))
    monkeypatch.chdir(empty)
    return tmp_path


def test_decodes(nowhere: Path) -> None:
    colours = write_archives(nowhere / "data" / "cifar10", 12)
    data = load_cifar10("train", nowhere / "data")
    assert len(data) == 12
    assert data.images.shape == (12, 32, 32, 3)
    assert data.images.dtype == np.uint8
    assert data.labels.tolist() == [*range(10), 0, 1]
    for image, colour in zip(data.images, colours, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 4


def test_decodes_once_and_read_only(nowhere: Path) -> None:
    write_archives(nowhere / "data" / "cifar10", 1)
    data = load_cifar10("test", nowhere / "data")
    assert load_cifar10("test", nowhere / "data") is data
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0


def test_accepts_the_folder_itself(nowhere: Path) -> None:
    write_archives(nowhere / "cifar10", 1)
    assert find_cifar10(nowhere / "cifar10") == nowhere / "cifar10"


def test_order_of_places(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archives(nowhere / "repository" / "shared" / "data" / "cifar10", 1)
    assert find_cifar10().samefile(nowhere / "repository" / "shared" / "data" / "cifar10")
    write_archives(nowhere / "variable" / "cifar10", 1)
    monkeypatch.setenv("MOIETY_DATA", str(nowhere / "variable"))
    assert find_cifar10() == nowhere / "variable" / "cifar10"
    write_archives(nowhere / "option" / "cifar10", 1)
    assert find_cifar10(nowhere / "option") == nowhere / "option" / "cifar10"
    assert find_cifar10(nowhere / "absent") == nowhere / "variable" / "cifar10"


def test_names_all_places_when_absent(nowhere: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--data \(elsewhere\).*MOIETY_DATA \(not set\).*\.\./shared/data"):
        find_cifar10("elsewhere")


def test_real_data() -> None:
    try:
        folder = find_cifar10()
    except FileNotFoundError:
        pytest.skip("data not found under --data, MOIETY_DATA or ../shared/data")
    test = load_cifar10("test", folder)
    assert test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * len(CLASSES)
