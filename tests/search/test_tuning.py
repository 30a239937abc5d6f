"""Fine-tuning with operators that are ramped in."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from moiety.data import Dataset
from moiety.nn import Gate
from moiety.search import Architecture, FitConfig, choose, finetune, freeze, gates, relax
from moiety.search.tuning import _between


def everywhere(supernet: nn.Module, name: str) -> Architecture:
    return Architecture(dict.fromkeys(gates(supernet), name))


@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_halfway_is_half_of_each(network: nn.Module, images: Tensor, granularity: str) -> None:
    supernet = relax(network, images, granularity=granularity).eval()
    start = everywhere(supernet, "relu")
    end = start.but({"act1": "identity"} if granularity == "layer" else {"act1": ["identity", "x2"] * 4})
    gate = gates(supernet)["act1"]
    x = torch.randn(2, 8, 5, 5)
    expected = []
    for architecture in (start, end):
        choose(supernet, architecture)
        expected.append(gate(x))
    _between(supernet, start, end, 0.25)
    torch.testing.assert_close(gate(x), 0.75 * expected[0] + 0.25 * expected[1], rtol=1e-5, atol=1e-5)
    assert all(gates(supernet)[path].choice == "relu" for path in end.gates if path != "act1")
    _between(supernet, start, end, 1.0)
    assert gate.choice == end.gates["act1"]


def test_finetune_gives_the_frozen_network(digits: Dataset, network: nn.Module, images: Tensor) -> None:
    supernet = relax(network, images)
    before = copy.deepcopy(supernet.state_dict())
    architecture = everywhere(supernet, "relu").but({"act1": "identity", "layers.1.act2": "x2"})
    train = digits.train.subset(np.arange(256))
    tuned, history = finetune(supernet, architecture, train, FitConfig(epochs=2, batch=64), valid=digits.test)
    assert len(history) == 2
    assert 0 <= history[-1]["accuracy"] <= 1
    assert not any(isinstance(module, Gate) for module in tuned.modules())
    assert tuned.state_dict().keys() == freeze(supernet, architecture).state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    with pytest.raises(ValueError, match="a ramp of 0 to 1"):
        finetune(supernet, architecture, train, ramp=2.0)
