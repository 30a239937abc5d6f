"""moiety.data: splits, data sets, and those of them that are at hand everywhere."""

from pathlib import Path

import numpy as np
import pytest
from made_up import write_archives

from moiety.data import Dataset, Recipe, Split, dataset_names, load_dataset

GREY = Recipe((0.5,), (0.25,))


def split(count: int = 6) -> Split:
    return Split.of(np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2, 1), np.arange(count) % 3, GREY)


def test_split_and_subset() -> None:
    whole = split()
    part = whole.subset([5, 1, 1]).subset(np.array([2, 0]))
    assert len(part) == 2
    assert part.labels.tolist() == [1, 2]
    np.testing.assert_array_equal(part.images([0, 1]), whole.images([1, 5]))
    assert part.recipe is whole.recipe
    assert (part.mean, part.std, part.mirror) == ((0.5,), (0.25,), False)
    assert len(whole.subset([])) == 0
    with pytest.raises(ValueError, match="read-only"):
        whole.labels[0] = 1


@pytest.mark.parametrize("index", [[6], [-1], [0, 99]])
def test_positions_out_of_range(index: list[int]) -> None:
    with pytest.raises(IndexError, match=r"expected positions in \[0, 6\)"):
        split().images(index)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"positions .* found float64"):
        split().images([0.5])
    with pytest.raises(ValueError, match="as many labels as images, found 2 and 1"):
        Split.of(np.zeros((1, 2, 2, 1), np.uint8), [0, 1], GREY)
    with pytest.raises(ValueError, match=r"uint8 images .* found float32"):
        Split.of(np.zeros((1, 2, 2, 1), np.float32), [0], GREY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mean and std for each of 3 channels, found 1"):
        Split.of(np.zeros((1, 2, 2, 3), np.uint8), [0], GREY)
    with pytest.raises(ValueError, match="positive standard deviation"):
        Recipe((0.5,), (0.0,))
    with pytest.raises(ValueError, match=r"labels .* found float64"):
        Split.of(np.zeros((1, 2, 2, 1), np.uint8), [0.5], GREY)


def test_dataset_checks_its_splits() -> None:
    with pytest.raises(ValueError, match=r"made-up: expected train labels in \[0, 2\), found 0 to 2"):
        Dataset("made-up", split(), split(), ("a", "b"))
    with pytest.raises(ValueError, match="the test split is empty"):
        Dataset("made-up", split(), split().subset([]), ("a", "b", "c"))
    other = Split.of(np.zeros((1, 3, 3, 1), np.uint8), [0], GREY)
    with pytest.raises(ValueError, match="one shape and normalisation"):
        Dataset("made-up", split(), other, ("a", "b", "c"))


def test_names() -> None:
    assert {"digits", "cifar10"} <= set(dataset_names())
    with pytest.raises(ValueError, match="no data set 'cifar-10': did you mean 'cifar10"):
        load_dataset("cifar-10")
    with pytest.raises(ValueError, match="'digits' has no option sizes: expected size, channels"):
        load_dataset("digits", sizes=8)


def test_digits() -> None:
    data = load_dataset("digits")
    assert data.train.shape == (32, 32, 3)
    assert data.input_shape == (3, 32, 32)
    assert len(data.train) + len(data.test) == 1797
    assert not data.mirror
    counts = np.bincount(data.test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 37
    x = data.train.normalize(data.train.images(np.arange(len(data.train))))
    assert abs(x.mean()) < 1e-3
    assert abs(x.std() - 1) < 1e-3
    assert data.metadata()["classes"] == list("0123456789")


def test_digits_as_they_are() -> None:
    data = load_dataset("digits", size=8, channels=1)
    assert data.train.shape == (8, 8, 1)
    images = data.train.images(np.arange(len(data.train)))
    assert images.min() == 0
    assert images.max() == 255
    assert len(np.unique(images)) == 17
    with pytest.raises(ValueError, match="at least 8 and 1 or 3 channels, found 4 and 3"):
        load_dataset("digits", size=4)


def test_cifar10(tmp_path: Path) -> None:
    write_archives(tmp_path / "cifar10", 12)
    data = load_dataset("cifar10", data=tmp_path)
    assert (len(data.train), len(data.test), len(data.classes), data.mirror) == (12, 12, 10, True)
    assert data.train.images([3]).shape == (1, 32, 32, 3)


def test_cifar10_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import moiety.data.cifar10 as cifar10

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_archives(tmp_path / "cifar10", 5)
    plain = load_dataset("cifar10", data=tmp_path).train.images(np.arange(5))
    for _ in range(2):  # written, then read
        cifar10._decode.cache_clear()
        kept = load_dataset("cifar10", data=tmp_path, cache=True).train.images(np.arange(5))
        np.testing.assert_array_equal(kept, plain)
    files = sorted((tmp_path / "cache" / "moiety").iterdir())
    assert [file.name.rsplit("_", 1)[0] for file in files] == ["test_jpeg", "train_jpeg"]
    for file in files:
        file.write_bytes(b"cut short")  # a damaged cache is written anew
    cifar10._decode.cache_clear()
    np.testing.assert_array_equal(load_dataset("cifar10", data=tmp_path, cache=True).train.images(np.arange(5)), plain)
