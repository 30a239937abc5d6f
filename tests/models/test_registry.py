"""moiety.models: names, options, errors; what every registered network keeps to."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from moiety.models import create_model, list_models, register_model
from moiety.models.registry import FILES, REGISTERED, find_model


def test_names() -> None:
    assert {"resnet8", "resnet18", "resnet_cifar"} <= set(list_models())
    assert list_models("resnet?") == ["resnet8"]
    assert list_models("nothing*") == []


def test_listing_imports_no_torch() -> None:
    code = "import sys, moiety.models as m; m.list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_register_what_is_said_of_them() -> None:
    for file, names in FILES.items():
        for name in names:
            entry = find_model(name)
            assert entry.factory.__module__ == file
            assert entry.paper
            assert entry.summary.endswith((".", "]")) or entry.summary


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"no model 'resnet17': did you mean resnet18 or"):
        create_model("resnet17")
    with pytest.raises(ValueError, match=r"no model 'transformer': expected one of .*resnet8"):
        create_model("transformer")


def test_unknown_options() -> None:
    with pytest.raises(
        ValueError, match=r"'resnet8' has no option 'widths': did you mean 'width'\? expected num_classes"
    ):
        create_model("resnet8", widths=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu"}, "got 'gelu'"),
        ({"pool": "sum", "image_size": 224}, "'max' or 'avg', got 'sum'"),
        ({"image_size": 4}, "at least 8, got 4"),
        ({"width": 0}, "must be positive, got 0"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model("resnet18", **options)


def test_own_models() -> None:
    def tiny(num_classes: int = 2) -> nn.Module:
        """One layer."""
        return nn.Linear(3, num_classes)

    try:
        register_model("tiny", paper="none")(tiny)
        register_model("tiny", paper="none")(tiny)  # a reloaded file
        assert "tiny" in list_models("t*")
        assert find_model("tiny").summary == "One layer."
        assert create_model("tiny", num_classes=5)(torch.zeros(1, 3)).shape == (1, 5)
        with pytest.raises(ValueError, match="'tiny' is registered already"):
            register_model("tiny", paper="none")(nn.Linear)
    finally:
        REGISTERED.pop("tiny", None)
