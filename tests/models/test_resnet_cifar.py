"""moiety.models.resnet_cifar."""

import pytest
import torch
from torch import nn

from moiety.models.resnet_cifar import Activation, resnet_cifar
from moiety.nn import X2Act

ACTIVATIONS: tuple[Activation, ...] = ("relu", "x2")
BOTH = pytest.mark.parametrize("activation", ACTIVATIONS)


@BOTH
def test_shapes_and_size(activation: Activation) -> None:
    model = resnet_cifar(activation).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) <= 700_000


@BOTH
def test_has_one_kind_of_activation(activation: Activation) -> None:
    kinds = {type(m) for m in resnet_cifar(activation).modules() if isinstance(m, nn.ReLU | X2Act)}
    assert kinds == {nn.ReLU if activation == "relu" else X2Act}


@BOTH
def test_every_batch_norm_follows_a_convolution(activation: Activation) -> None:
    program = torch.export.export(resnet_cifar(activation).eval(), (torch.zeros(1, 3, 32, 32),))
    norms = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert len(norms) == 10
    assert all("conv" in str(node.args[0].target) and len(node.args[0].users) == 1 for node in norms)


def test_rejects_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"'relu', 'relu6', 'x2', 'identity' or a function .*, got 'gelu'"):
        resnet_cifar("gelu")  # type: ignore[arg-type]


def test_takes_any_activation_by_function() -> None:
    made: list[nn.Module] = []

    def activation(channels: int) -> nn.Module:
        made.append(nn.PReLU(channels))
        return made[-1]

    model = resnet_cifar(activation, widths=(4, 6, 8)).eval()
    assert [m for m in model.modules() if isinstance(m, nn.PReLU)] == made
    assert [m.num_parameters for m in made] == [4, 6, 6, 8, 8]
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 10)


def test_rejects_large_images() -> None:
    with pytest.raises(ValueError, match="8 to 64 pixels a side, got 224"):
        resnet_cifar(image_size=224)


def test_rejects_no_widths() -> None:
    with pytest.raises(ValueError, match="widths"):
        resnet_cifar(widths=())


def test_more_blocks_of_a_width() -> None:
    model = resnet_cifar(widths=(4, 6, 8), blocks=(2, 1)).eval()
    assert [block.conv1.stride for block in model.layers] == [(2, 2), (1, 1), (2, 2)]
    x = torch.rand(2, 6, 8, 8)  # as behind an activation
    nn.init.zeros_(model.layers[1].bn2.weight)  # type: ignore[arg-type, union-attr]
    torch.testing.assert_close(model.layers[1](x), x)
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 10)


@pytest.mark.parametrize("blocks", [(1,), (1, 1, 1), (0, 1)])
def test_rejects_blocks_that_do_not_fit_the_widths(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="blocks must have one number, at least 1, for each of 2 widths"):
        resnet_cifar(widths=(4, 6, 8), blocks=blocks)
