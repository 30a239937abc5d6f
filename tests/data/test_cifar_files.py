"""moiety.data.cifar_files: the public formats, and pickles that are up to no good."""

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import photographs, python2_batch, write_binary, write_python

from moiety.data import Dataset, load_dataset
from moiety.data.cifar_files import read_records, safe_unpickle

KINDS = pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
SUBFOLDERS = {
    ("cifar10", "binary"): "cifar-10-batches-bin",
    ("cifar100", "binary"): "cifar-100-binary",
    ("cifar10", "python"): "cifar-10-batches-py",
    ("cifar100", "python"): "cifar-100-python",
}


def holds(data: Dataset, written: dict[str, tuple[np.ndarray, list[int]]]) -> None:
    *train, test = written.values()
    for split, parts in ((data.train, train), (data.test, [test])):
        planes = np.concatenate([planes for planes, _ in parts])
        expected = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(split.images(np.arange(len(split))), expected)
        assert split.labels.tolist() == [label for _, labels in parts for label in labels]
    assert data.classes == ("ant", "bee", "cow")
    x = data.train.normalize(data.train.images(np.arange(len(data.train))))
    assert np.abs(x.mean((0, 2, 3))).max() < 1e-4
    assert np.abs(x.std((0, 2, 3)) - 1).max() < 1e-4


@KINDS
@pytest.mark.parametrize("form", ["binary", "python"])
def test_reads_what_was_written(tmp_path: Path, kind: str, form: str) -> None:
    folder = tmp_path / SUBFOLDERS[kind, form]
    written = (write_binary if form == "binary" else write_python)(folder, kind)
    holds(load_dataset(f"{kind}-{form}", data=tmp_path), written)
    holds(load_dataset(f"{kind}-{form}", data=folder), written)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_reads_pickles_of_python3(tmp_path: Path, protocol: int) -> None:
    planes, labels = photographs(5, 0)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": planes, "labels": labels}, protocol))
    if protocol == 5:  # another way to write arrays, which the public files do not use
        with pytest.raises(ValueError, match=r"_frombuffer, which no array needs"):
            safe_unpickle(tmp_path / "batch")
        return
    found = safe_unpickle(tmp_path / "batch")
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found["data"], planes)


class Harm:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_runs_nothing(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": Harm(tmp_path / "harm")}, protocol))
    with pytest.raises(ValueError, match=r"it names (posix|nt)\.system, which no array needs: it may be malicious"):
        safe_unpickle(tmp_path / "batch")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "name",
    ["builtins\neval", "builtins\ngetattr", "numpy\nload", "numpy\nndarray.tofile", "os\nsystem", "_codecs\ndecode"],
)
def test_admits_no_other_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "batch").write_bytes(b"c" + name.encode() + b"\n.")
    with pytest.raises(ValueError, match=r"which no array needs"):
        safe_unpickle(tmp_path / "batch")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"cnumpy\nndarray\nK\x05\x85R.", "not callable"),
        (b"cnumpy.core.multiarray\n_reconstruct\nNJ\xff\xff\xff\x7f\x85NtR.", "no pickle"),
        (b"cnumpy.core.multiarray\n_reconstruct\nNJ\xff\xff\xff\x7f\x85N\x87R.", r"start with shape \(0,\)"),
        (b"cnumpy\ndtype\nU\x01O\x85R.", "whole numbers, found dtype 'O'"),
        (
            b"cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
            "plain little-endian",
        ),
        (b"cnumpy\ndtype\n}U\x01aK\x01sb.", "state of a function"),
        (b"Nr\xff\xff\xff\xff(b.", "no pickle"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aU\x04zlib\x86R.", "else than latin1"),
        (b"", "no pickle"),
        (b"not a pickle", "no pickle"),
    ],
)
def test_refuses_misuse_of_what_it_admits(tmp_path: Path, body: bytes, message: str) -> None:
    (tmp_path / "batch").write_bytes(b"\x80\x02" + body if body and body[:3] != b"not" else body)
    with pytest.raises(ValueError, match=message):
        safe_unpickle(tmp_path / "batch")


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_is_an_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: bool
) -> None:
    """Whatever a byte of the pickle turns into, the outcome is a value or a ValueError."""
    good = bytearray(python2_batch(*photographs(1, 0), "labels"))
    end = position % len(good)
    path = tmp_path_factory.mktemp("damage") / "batch"
    if cut:
        path.write_bytes(good[:end])
    else:
        heads = [*range(240), *range(len(good) - 30, len(good))]  # the opcodes, not the pixels
        good[heads[position % len(heads)]] = byte
        path.write_bytes(good)
    with contextlib.suppress(ValueError):
        safe_unpickle(path)


def test_wrong_sizes_and_labels(tmp_path: Path) -> None:
    write_binary(tmp_path / "cifar-10-batches-bin", "cifar10")
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin is damaged: expected records of 3073 bytes, found 12291"):
        load_dataset("cifar10-binary", data=tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="found 0 bytes"):
        read_records(path, 1)
    planes, _ = photographs(2, 0)
    path.write_bytes(b"\x07" + planes[0].tobytes())
    with pytest.raises(ValueError, match=r"train labels in \[0, 3\), found 0 to 7"):
        load_dataset("cifar10-binary", data=tmp_path)

    write_python(tmp_path / "cifar-100-python", "cifar100")
    train = tmp_path / "cifar-100-python" / "train"
    train.write_bytes(python2_batch(planes, [1], "fine_labels"))
    with pytest.raises(ValueError, match="expected 2 whole numbers as fine_labels, found 1"):
        load_dataset("cifar100-python", data=tmp_path)
    train.write_bytes(python2_batch(planes[:, :300], [1, 2], "fine_labels"))
    with pytest.raises(ValueError, match=r"uint8 \(n, 3072\), found uint8 \(2, 300\)"):
        load_dataset("cifar100-python", data=tmp_path)
    train.write_bytes(python2_batch(planes, [1, 2], "labels"))
    with pytest.raises(ValueError, match="'fine_labels' to be a list, found NoneType"):
        load_dataset("cifar100-python", data=tmp_path)
    train.write_bytes(b"\x80\x02].")
    with pytest.raises(ValueError, match="expected a dictionary, found list"):
        load_dataset("cifar100-python", data=tmp_path)


def test_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOIETY_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"cifar100 \(python\) \(cifar-100-python/train, .*found in none of"):
        load_dataset("cifar100-python", data=tmp_path)
