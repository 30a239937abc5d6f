"""Training: learns, resumes, is the same on two processes, and says where it diverges."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from search_support import Memory, Rounds
from torch import Tensor, nn

from moiety.data import Dataset, load_dataset
from moiety.models import create_model
from moiety.nn import DivergenceError
from moiety.search import (
    FitConfig,
    Latency,
    Remembered,
    SearchConfig,
    evaluate,
    fit,
    fixed_point,
    relax,
    search,
    uniform_architecture,
)
from moiety.search.training import Stepper, certify

SHORT = FitConfig(epochs=3, batch=64, learning_rate=0.1)


def test_learns_the_digits_with_a_teacher(digits: Dataset, network: nn.Module) -> None:
    config = dataclasses.replace(SHORT, epochs=6)
    history = fit(network, digits.train, config, valid=digits.test)
    assert [record["epoch"] for record in history] == list(range(6))
    assert history[-1]["accuracy"] == evaluate(network, digits.test) > 0.9
    torch.manual_seed(1)
    student = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16, activation="x2")
    events: list[dict] = []
    config = dataclasses.replace(config, settle=2, extremes=4)
    fit(student, digits.train, config, teacher=Remembered(network), progress=events.append)
    assert evaluate(student, digits.test) > 0.85
    assert not student.training
    assert {"phase", "epoch", "epochs", "step", "steps", "loss"} <= set(events[0])


def test_resume_equals_uninterrupted(digits: Dataset, network: nn.Module) -> None:
    config = dataclasses.replace(SHORT, settle=1)
    other = copy.deepcopy(network)
    expected = fit(network, digits.train, config)
    memory = Memory(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        fit(other, digits.train, config, checkpoint=memory)
    torch.manual_seed(99)
    again = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16)
    history = fit(again, digits.train, config, checkpoint=memory)
    assert [r["loss"] for r in history] == [r["loss"] for r in expected]
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def _trained(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    torch.manual_seed(rank)  # the first process's weights are everybody's
    network = create_model("resnet_cifar", widths=(4, 8), image_size=16, activation="x2")
    split = load_dataset("digits", size=16).train.subset(np.arange(256))
    config = FitConfig(epochs=2, batch=64, learning_rate=0.05, bfloat16=False)
    history = fit(network, split, config)
    if rank == 0:
        torch.save({"state": network.state_dict(), "loss": [r["loss"] for r in history]}, f"{folder}/{world}.pt")
    if world > 1:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    for world in (1, 2):
        mp.spawn(_trained, args=(world, str(tmp_path)), nprocs=world)
    one, two = (torch.load(tmp_path / f"{world}.pt", weights_only=True) for world in (1, 2))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-3)
    for name, value in one["state"].items():
        if value.is_floating_point():
            torch.testing.assert_close(value, two["state"][name], rtol=1e-2, atol=1e-3)


def _searched(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/searching", rank=rank, world_size=world)
    torch.manual_seed(0)
    digits = load_dataset("digits", size=16)
    images = torch.randn(8, 3, 16, 16)
    supernet = relax(create_model("resnet_cifar", widths=(4, 8), image_size=16), images)
    latency = Latency(supernet, images, Rounds(), comparison="circuit")
    low, high = (latency.exact(uniform_architecture(latency, name)).seconds for name in ("identity", "relu"))
    weights = FitConfig(batch=64, learning_rate=0.02, bfloat16=False)
    config = SearchConfig(target=(low + high) / 2, shared_epochs=1, epochs=1, order=2, weights=weights)
    train, valid = digits.train.subset(np.arange(256)), digits.train.subset(np.arange(256, 512))
    found = search(supernet, train, valid, latency, config)
    if rank == 0:
        losses = [record["loss"] for record in found.history]
        Path(f"{folder}/searched-{world}.json").write_text(json.dumps([losses, dict(found.architecture.gates)]))
    if world > 1:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_search_as_one_does(tmp_path: Path) -> None:
    for world in (1, 2):
        mp.spawn(_searched, args=(world, str(tmp_path)), nprocs=world)
    one, two = (json.loads((tmp_path / f"searched-{world}.json").read_text()) for world in (1, 2))
    np.testing.assert_allclose(one[0], two[0], rtol=5e-3)
    assert one[1] == two[1]


def test_divergence_names_the_layer(digits: Dataset) -> None:
    torch.manual_seed(0)
    network = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16, activation="x2")
    with torch.no_grad():
        network.layers[0].act1.w1.fill_(1e30)
    with pytest.raises(DivergenceError, match=r"layers\.0\.act2|layers\.1\.act1"):
        fit(network, digits.train, SHORT)


def test_divergence_without_quadratics_names_the_layer(digits: Dataset, network: nn.Module) -> None:
    with torch.no_grad():
        network.layers[1].bn2.weight.fill_(float("nan"))
    with pytest.raises(DivergenceError, match=r"layers\.1\.bn2"):
        fit(network, digits.train, SHORT)


def test_a_network_that_ends_out_of_range_is_refused(digits: Dataset) -> None:
    torch.manual_seed(0)
    network = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16, activation="x2")
    with torch.no_grad():
        network.layers[0].bn1.weight.fill_(100.0)
    with pytest.raises(DivergenceError, match=r"layers\.0\.act1: an input of magnitude .* certified range"):
        certify(network, digits.train, 10.0)


def test_fixed_point_rounds_what_the_program_rounds(network: nn.Module, images: Tensor) -> None:
    network.eval()
    with torch.no_grad():
        exact = network(images)
        coarse = []
        for bits in (4, 8, 16):
            with fixed_point(network, images, bits):
                y = network(images)
            assert torch.equal(y * 2**bits, (y * 2**bits).round())
            coarse.append(float((y - exact).abs().max()))
        assert torch.equal(network(images), exact)
    assert coarse[0] > coarse[1] > coarse[2]
    assert coarse[2] < 1e-2


def test_fixed_point_training_helps_at_few_bits(digits: Dataset, network: nn.Module, images: Tensor) -> None:
    fit(network, digits.train, dataclasses.replace(SHORT, epochs=5))

    def rounded_accuracy() -> float:
        with fixed_point(network, images, 2):
            return evaluate(network, digits.test)

    before = rounded_accuracy()
    fit(network, digits.train, FitConfig(epochs=2, batch=64, learning_rate=0.02, fixed_epochs=2, fraction_bits=2))
    assert rounded_accuracy() > before


def test_settings_are_checked(digits: Dataset, network: nn.Module) -> None:
    with pytest.raises(ValueError, match="at most 3 each"):
        FitConfig(epochs=3, settle=4)
    with pytest.raises(ValueError, match="choose a smaller batch"):
        fit(network, digits.train.subset(np.arange(10)), SHORT)


def test_a_network_that_leaves_its_range_is_pulled_back(digits: Dataset) -> None:
    config = dataclasses.replace(SHORT, epochs=2, bound=1.0, learning_rate=0.05, bfloat16=False)

    def trained(rescues: int) -> tuple[nn.Module, list[dict]]:
        torch.manual_seed(1)
        network = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16, activation="x2")
        return network, fit(network, digits.train, dataclasses.replace(config, rescues=rescues))

    with pytest.raises(DivergenceError, match="leaves the certified range"):
        trained(0)
    network, history = trained(3)
    assert 1 <= history[-1]["rescues"] <= 3
    certify(network, digits.train, config.bound)


def test_the_gradient_of_an_escaped_input_stays_a_direction(network: nn.Module) -> None:
    """Its norm overflows in float32; the step must be as long as the clip allows, not none and not infinite."""
    stepper = Stepper(network, SHORT)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for p in network.parameters():
        p.grad = torch.full_like(p, 1e25)
    stepper.descend(0.01)
    moved = [(p.detach() - before[name]).norm() for name, p in network.named_parameters()]
    assert 0 < float(torch.stack(moved).norm()) < 0.1
    network.fc.bias.grad = torch.full_like(network.fc.bias, float("nan"))
    with pytest.raises(DivergenceError, match=r"fc\.bias: its gradient is not finite"):
        stepper.descend(0.01)
