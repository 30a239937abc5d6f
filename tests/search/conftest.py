"""A small network on the embedded digits, shared by the tests of the search."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from moiety.data import Dataset, batches, load_dataset
from moiety.models import create_model


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits", size=16)


@pytest.fixture
def images(digits: Dataset) -> Tensor:
    return next(iter(batches(digits.train, 64, epoch=0, seed=0, augment=False)))[0]


@pytest.fixture
def network(digits: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return create_model("resnet_cifar", widths=(8, 16, 32), image_size=16)
