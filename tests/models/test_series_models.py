"""Networks that forecast: published sizes, the fast form equal to the published order of steps, gradients, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from moiety.models import create_model, list_models, load_network, save_network
from moiety.models.registry import SERIES_FILES
from moiety.models.tgcn import TGCN, normalised
from moiety.models.zgcnet import ImageFeatures, ZGCNet
from moiety.models.zgcnet_steps import step_by_step

NAMES = sorted(name for names in SERIES_FILES.values() for name in names)
SMALL: dict[str, Any] = {"num_nodes": 7, "lag": 5, "horizon": 3, "hidden": 6}


def inputs(
    batch: int = 4, channels: int = 1, side: int = 32, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, SMALL["lag"], SMALL["num_nodes"], channels, generator=generator, dtype=dtype)
    return x, torch.rand(batch, 1, side, side, generator=generator, dtype=dtype)


def small(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    more = {"resolution": 32} if name == "zgcnet" else {}
    return create_model(name, **{**SMALL, **more, **options})


def forecast(model: nn.Module, x: Tensor, zpi: Tensor) -> Tensor:
    found: Tensor = model(x, zpi) if isinstance(model, ZGCNet) and model.resolution else model(x)
    return found


def test_names() -> None:
    assert list_models(inputs="series") == NAMES
    assert not set(NAMES) & {*list_models(inputs="images"), *list_models(inputs="graphs")}


@pytest.mark.parametrize(
    ("name", "nodes", "parameters"),
    [  # counted in the authors' own networks
        ("zgcnet", 170, 453_664),
        ("zgcnet", 307, 455_034),
        ("agcrn", 307, 748_810),
    ],
)
def test_published_sizes(name: str, nodes: int, parameters: int) -> None:
    model = create_model(name, num_nodes=nodes)
    assert sum(p.numel() for p in model.parameters()) == parameters
    if isinstance(model, ZGCNet):
        images = [m for m in model.modules() if isinstance(m, ImageFeatures)]
        assert len(images) == 4
        assert sum(p.numel() for m in images for p in m.parameters()) == 14_336


@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"order": 3, "layers": 1}, {"in_channels": 2, "out_channels": 2}, {"resolution": 0}]
)
def test_the_fast_form_is_the_published_one(options: dict[str, Any], hoist: bool) -> None:
    """The same forecasts and the same gradients of every parameter, in float64."""
    model = small("zgcnet", **options).double()
    assert isinstance(model, ZGCNet)
    x, images = inputs(channels=model.in_channels, dtype=torch.float64)
    zpi = images if model.resolution else None
    fast, slow = model(x, zpi), step_by_step(model, x, zpi, hoist=hoist)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    parameters = list(model.parameters())
    weights = torch.randn(fast.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), parameters) for y in (fast, slow))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10)


def test_images_are_read_four_times_instead_of_forty_eight() -> None:
    model = create_model("zgcnet", num_nodes=3, hidden=2)
    assert isinstance(model, ZGCNet)
    read: list[int] = []
    for module in model.modules():
        if isinstance(module, ImageFeatures):
            module.register_forward_hook(lambda *_: read.append(1))
    x, zpi = torch.randn(2, 12, 3, 1), torch.rand(2, 1, 100, 100)
    counts = []
    for run in (
        lambda: model(x, zpi),
        lambda: step_by_step(model, x, zpi),
        lambda: step_by_step(model, x, zpi, hoist=True),
    ):
        read.clear()
        run()
        counts.append(len(read))
    assert counts == [4, 48, 4]


def test_agcrn_is_its_equations() -> None:
    """Equations 4 to 6, step by step and node by node."""
    model = small("agcrn", order=3, layers=1).double()
    x, _ = inputs(dtype=torch.float64)
    nodes, hidden = SMALL["num_nodes"], SMALL["hidden"]
    adjacency = torch.softmax(torch.relu(model.embeddings @ model.embeddings.t()), 1)
    chebyshev = [torch.eye(nodes, dtype=torch.float64), adjacency]
    chebyshev.append(2 * adjacency @ adjacency - chebyshev[0])

    def conv(which: nn.Module, z: Tensor) -> Tensor:
        rows = []
        for n in range(nodes):
            weights = torch.einsum("d,dkio->kio", model.embeddings[n], which.weights)
            rows.append(sum(torch.einsum("m,bmc->bc", chebyshev[k][n], z) @ weights[k] for k in range(3)))
        return torch.stack(rows, 1) + model.embeddings @ which.bias

    layer, state = model.layers[0], torch.zeros(len(x), nodes, hidden, dtype=torch.float64)
    for step in range(SMALL["lag"]):
        z, r = torch.sigmoid(conv(layer.gate, torch.cat([x[:, step], state], -1))).split(hidden, -1)
        candidate = torch.tanh(conv(layer.update, torch.cat([x[:, step], z * state], -1)))
        state = r * state + (1 - r) * candidate
    expected = (state @ model.head.weight.t() + model.head.bias).permute(0, 2, 1).unsqueeze(-1)
    torch.testing.assert_close(model(x), expected, rtol=1e-11, atol=1e-11)


def test_tgcn_reads_its_graph() -> None:
    model = small("tgcn")
    assert isinstance(model, TGCN)
    x, _ = inputs()
    alone = model(x)
    weights = torch.zeros(7, 7)
    weights[0, 1] = weights[1, 0] = 1.0
    model.use_graph(weights)
    assert torch.allclose(model.adjacency, normalised(weights))
    assert model.adjacency[0, :2].tolist() == pytest.approx([0.5, 0.5])  # degrees of 2, loops among them
    joined = model(x)
    changed = (joined - alone).detach().abs().amax((0, 1, 3))
    assert bool((changed[:2] > 1e-4).all())
    assert float(changed[2:].max()) < 1e-6
    with pytest.raises(ValueError, match=r"expected weights \(7, 7\)"):
        model.use_graph(torch.zeros(3, 3))
    with pytest.raises(ValueError, match="nonnegative weights"):
        model.use_graph(-weights)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str, tmp_path: Path) -> None:
    model = small(name)
    if isinstance(model, TGCN):
        model.use_graph(torch.ones(7, 7))
    x, zpi = inputs()
    y = forecast(model, x, zpi)
    assert y.shape == (4, 3, 7, 1)
    y.abs().mean().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert bool(torch.isfinite(parameter.grad).all()), path
    kwargs = {**SMALL, **({"resolution": 32} if name == "zgcnet" else {})}
    save_network(
        tmp_path / "w.safetensors", model, {"model": {"name": name, "kwargs": kwargs}, "features": 1}, half=False
    )
    again, _ = load_network(tmp_path / "w.safetensors")
    assert torch.equal(forecast(again, x, zpi), forecast(model.eval(), x, zpi))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("zgcnet", {"hidden": 5}, "an even hidden"),
        ("zgcnet", {"resolution": 10}, "at least 31, got 2 and 10"),
        ("zgcnet", {"order": 1}, "order >= 2"),
        ("agcrn", {"layers": 0}, "layers of at least 1, got 0"),
        ("tgcn", {"hidden": -1}, "hidden of at least 1"),
    ],
)
def test_impossible_sizes(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs(name: str) -> None:
    model = small(name)
    x, zpi = inputs()
    with pytest.raises(
        ValueError, match=r"expected windows \(batch, 5 steps, 7 nodes, 1 channels\), got \(4, 4, 7, 1\)"
    ):
        model(x[:, 1:], zpi if name == "zgcnet" else None)
    if name == "zgcnet":
        with pytest.raises(ValueError, match=r"persistence images \(4, 1, 32, 32\), got None"):
            model(x)
        with pytest.raises(ValueError, match="made without topology"):
            small("zgcnet", resolution=0)(x, zpi)
    else:
        with pytest.raises(ValueError, match="reads no persistence images"):
            model(x, zpi)


def test_least_resolution() -> None:
    assert ImageFeatures(4, 31)(torch.rand(2, 1, 31, 31)).shape == (2, 4)
