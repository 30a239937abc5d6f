"""The compiler: each kind of operator against torch, what the passes must achieve, what is refused and how."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compile_helpers import Call, agree, kinds, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from zoo import DenseNet, UNet, randomise

from moiety import private
from moiety.private import UnsupportedOperator, reference
from moiety.private.evaluate import Evaluator
from moiety.private.export import export
from moiety.private.passes import simplify

torch.set_num_threads(1)


def seeded(*shape: int, seed: int = 3, low: float | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator)
    return x if low is None else x.abs() + low


WEIGHTS = seeded(5, 3, 2)
CONVOLUTIONS = {
    "conv1d": (nn.Conv1d(3, 4, 3, 2, 1), (3, 11)),
    "conv2d": (nn.Conv2d(3, 4, 3, padding=1), (3, 6, 7)),
    "conv2d_same_even": (nn.Conv2d(3, 4, 4, padding="same"), (3, 6, 7)),
    "conv2d_same": (nn.Conv2d(3, 4, 5, padding="same", dilation=2), (3, 9, 9)),
    "conv2d_valid": (nn.Conv2d(3, 4, (3, 1), padding="valid"), (3, 6, 7)),
    "conv2d_dilated": (nn.Conv2d(4, 6, 3, stride=(2, 1), padding=(2, 0), dilation=2, groups=2), (4, 9, 8)),
    "depthwise": (nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False), (4, 6, 6)),
    "conv3d": (nn.Conv3d(2, 3, (1, 3, 2), padding=(0, 1, 0)), (2, 3, 5, 4)),
    "transposed1d": (nn.ConvTranspose1d(3, 2, 4, 2, 1), (3, 6)),
    "transposed2d": (nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2), (4, 5, 4)),
    "transposed3d": (nn.ConvTranspose3d(2, 3, 2, 2, dilation=1), (2, 2, 3, 2)),
    "linear": (nn.Linear(7, 5), (7,)),
    "linear_tokens": (nn.Linear(7, 5), (3, 7)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_linear_layers(name: str) -> None:
    model, shape = CONVOLUTIONS[name]
    program = agree(randomise(nn.Sequential(model)), shape)
    assert kinds(program)["open"] == 1
    assert kinds(program)["truncate"] == 0  # logits leave at the scale at which they arise


OPERATORS = {
    "relu": (lambda m, x: F.relu(x), (3, 4, 5)),
    "relu6": (lambda m, x: F.relu6(4 * x), (6,)),
    "hardtanh": (lambda m, x: F.hardtanh(x, -0.5, 0.75), (6, 3)),
    "clamp": (lambda m, x: x.clamp(-1, 2), (6, 3)),
    "clamp_min": (lambda m, x: torch.clamp(x, min=-0.5), (6, 3)),
    "clamp_max": (lambda m, x: torch.clamp(x, max=0.25), (6, 3)),
    "clamp_max_zero": (lambda m, x: torch.clamp_max(x, 0), (6, 3)),
    "max_pool1d": (lambda m, x: F.max_pool1d(x, 3, 2, 1), (2, 9)),
    "max_pool2d": (lambda m, x: F.max_pool2d(x, 3, 2, 1), (2, 9, 8)),
    "max_pool2d_ceil": (lambda m, x: F.max_pool2d(x, 2, 2, ceil_mode=True), (2, 5, 7)),
    "max_pool2d_dilated": (lambda m, x: F.max_pool2d(x, (2, 3), 1, (1, 0), (2, 1)), (2, 6, 7)),
    "max_pool3d": (lambda m, x: F.max_pool3d(x, (2, 2, 1)), (2, 4, 4, 3)),
    "max_pool_indices": (lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0], (2, 4, 4)),
    "avg_pool1d": (lambda m, x: F.avg_pool1d(x, 3), (2, 9)),
    "avg_pool2d": (lambda m, x: F.avg_pool2d(x, 3, 2, 1), (2, 7, 8)),
    "avg_pool2d_divisor": (lambda m, x: F.avg_pool2d(x, 2, divisor_override=3), (2, 6, 8)),
    "avg_pool3d": (lambda m, x: F.avg_pool3d(x, 2), (2, 4, 4, 4)),
    "adaptive_avg": (lambda m, x: F.adaptive_avg_pool2d(x, (2, 3)), (2, 6, 6)),
    "adaptive_avg_irregular": (lambda m, x: F.adaptive_avg_pool2d(x, (3, 2)), (2, 4, 5)),
    "adaptive_avg_enlarging": (lambda m, x: F.adaptive_avg_pool2d(x, 4), (2, 2, 2)),
    "adaptive_max": (lambda m, x: F.adaptive_max_pool2d(x, 2), (2, 6, 4)),
    "global_mean": (lambda m, x: x.mean((2, 3)), (5, 3, 4)),
    "mean_keepdim": (lambda m, x: x.mean(dim=[-2, -1], keepdim=True), (5, 3, 3)),
    "mean_tokens": (lambda m, x: x.mean(1), (5, 3)),
    "sum": (lambda m, x: x.sum(1), (5, 3)),
    "add": (lambda m, x: x + F.relu(x), (5, 3)),
    "add_alpha": (lambda m, x: torch.add(x, F.relu(x), alpha=2), (5, 3)),
    "subtract": (lambda m, x: F.relu(x) - x, (5, 3)),
    "rsub": (lambda m, x: 1.5 - F.relu(x), (5, 3)),
    "multiply": (lambda m, x: F.relu(x) * F.relu6(x + 0.5), (5, 3)),
    "gate": (lambda m, x: x * F.hardtanh(x.mean((2, 3), keepdim=True), 0, 1), (5, 3, 4)),
    "scale": (lambda m, x: 0.37 * x - 1.25, (5, 3)),
    "divide": (lambda m, x: F.relu(x) / 7, (5, 3)),
    "divide_by_half": (lambda m, x: x / 0.5, (5, 3)),
    "negative": (lambda m, x: -F.relu(-x), (5, 3)),
    "elementwise_map": (lambda m, x: F.relu(x) * WEIGHTS + WEIGHTS[0], (5, 3, 2)),
    "cat": (lambda m, x: torch.cat([x, F.relu(x), -x], dim=1), (2, 3, 3)),
    "cat_space": (lambda m, x: torch.cat([x, F.relu(x)], dim=-1), (2, 3, 3)),
    "flatten": (lambda m, x: x.flatten(1), (2, 3, 3)),
    "view": (lambda m, x: x.view(x.size(0), -1), (2, 3, 3)),
    "reshape": (lambda m, x: x.reshape(-1, 3, 2, 3).relu(), (2, 3, 3)),
    "permute": (lambda m, x: x.permute(0, 2, 3, 1).relu(), (2, 3, 4)),
    "transpose": (lambda m, x: x.transpose(-1, 1), (2, 3, 4)),
    "squeeze": (lambda m, x: x.unsqueeze(2).relu().squeeze(2), (2, 3)),
    "slice": (lambda m, x: x[:, 1:, ::2].relu(), (3, 5, 4)),
    "select": (lambda m, x: x[:, :, -1].relu(), (3, 5)),
    "split": (lambda m, x: sum(x.split([1, 2], dim=1)[1].chunk(2, dim=1)), (3, 5)),
    "pad": (lambda m, x: F.pad(x.relu(), (1, 2, 0, 1)), (3, 5, 4)),
    "pad_channels": (lambda m, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)), (3, 4, 4)),
    "nearest": (lambda m, x: F.interpolate(x, scale_factor=2), (3, 4, 3)),
    "nearest_size": (lambda m, x: F.interpolate(x, size=(8, 9)), (3, 4, 3)),
    "bilinear": (lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear"), (3, 4, 3)),
    "bilinear_3": (lambda m, x: F.interpolate(x, scale_factor=(3, 4), mode="bilinear"), (3, 4, 3)),
    "linear_resize": (lambda m, x: F.interpolate(x, scale_factor=5, mode="linear"), (3, 4)),
    "dropout": (lambda m, x: F.dropout(x, 0.5, m.training).relu(), (3, 4)),
    "pixel_shuffle": (lambda m, x: F.pixel_shuffle(x, 2), (8, 2, 3)),
    "channel_shuffle": (lambda m, x: x.view(-1, 2, 3, 4).transpose(1, 2).reshape(-1, 6, 4), (6, 4)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    function, shape = OPERATORS[name]
    agree(Call(function), shape, tolerance=2e-4)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_between_layers(name: str) -> None:
    """The same between two linear layers, so that every form of the value is asked for."""
    function, shape = OPERATORS[name]
    first = nn.Conv1d(shape[0], shape[0], 1)

    def forward(m: Call, x: torch.Tensor) -> torch.Tensor:
        y = m.first(x.flatten(2) if x.dim() > 2 else x.unsqueeze(2)).reshape(x.shape)
        y = function(m, y).flatten(1)
        return m.last(y) + F.relu(y).sum(1, keepdim=True)

    with torch.no_grad():
        width = function(nn.Module().eval(), samples(shape)).flatten(1).shape[1]
    model = randomise(Call(forward, first=first, last=nn.Linear(width, 3)))
    agree(model, shape, tolerance=1e-2)  # half a unit for each of up to 432 floors that `sum` adds up


# ---- quadratic activations ------------------------------------------------------------------------------------------

QUADRATICS = {
    "square": lambda m, x: x * x,
    "power": lambda m, x: x**2,
    "torch_square": lambda m, x: torch.square(x),
    "x2act": lambda m, x: m.w1 * x * x + m.w2 * x + m.b,
    "horner": lambda m, x: (m.w1 * x + m.w2) * x + m.b,
    "shifted": lambda m, x: m.w1 * (x + m.b).pow(2) + m.w2,
    "scalar": lambda m, x: 0.25 * x**2 + 0.5 * x + 0.1,
    "difference": lambda m, x: (x - m.b) * (x + m.b),
    "divided": lambda m, x: (x * x + m.w1 * x) / 2,
    "minus": lambda m, x: m.b - x * m.w1 * x,
    "addcmul": lambda m, x: torch.addcmul(m.b * x, x, x, value=0.5),
}


@pytest.mark.parametrize("name", QUADRATICS)
@pytest.mark.parametrize("scalar", [False, True])
def test_quadratic_activations(name: str, scalar: bool) -> None:
    shape = (1,) if scalar else (4, 1, 1)
    parts = {key: 0.3 * seeded(*shape, seed=seed) for seed, key in enumerate(("w1", "w2", "b"))}
    model = Call(
        lambda m, x: m.last(QUADRATICS[name](m, m.norm(m.first(x))).flatten(1)),
        first=nn.Conv2d(3, 4, 3, padding=1),
        norm=nn.BatchNorm2d(4),
        last=nn.Linear(64, 3),
        **parts,
    )
    program = agree(randomise(model), (3, 4, 4))
    found = kinds(program)
    assert found["square"] == 1
    assert found["x2"] == found["multiply"] == 0
    assert found["add_constant"] <= 1
    assert found["linear"] == 2
    assert found["truncate"] == 1  # before the activation, exact; its square goes on as it is


def test_quadratic_with_coefficients_that_vary_in_space() -> None:
    model = Call(lambda m, x: m.w * x * x + x, w=seeded(2, 3, 3))
    program = agree(model, (2, 3, 3))
    assert kinds(program)["x2"] == 1


def test_batch_norm_merges_into_the_quadratic() -> None:
    """Before it and after it, where no linear layer takes it."""
    model = Call(
        lambda m, x: m.last(m.after(0.3 * m.before(F.relu(m.first(x))) ** 2)),
        first=nn.Conv2d(3, 4, 3),
        before=nn.BatchNorm2d(4),
        after=nn.BatchNorm2d(4),
        last=nn.Conv2d(4, 2, 3, padding=1),
    )
    program = agree(randomise(model), (3, 7, 7))
    assert kinds(program)["square"] + kinds(program)["x2"] == 1
    assert kinds(program)["linear"] == 2


def test_pooling_stays_behind_the_quadratic() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Call(lambda m, x: x * x), nn.MaxPool2d(2))
    program = agree(randomise(model), (3, 8, 8))
    order = [op.kind for op in program.ops]
    assert order.index("square") < order.index("maxpool")


# ---- passes ---------------------------------------------------------------------------------------------------------


def test_batch_norm_folds_into_the_layer_before() -> None:
    for layer, shape in (
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.BatchNorm2d(4)), (3, 5, 5)),
        (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6)), (4, 4, 4)),
        (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), (5,)),
        (nn.Sequential(nn.Conv3d(2, 4, 2, groups=2, bias=False), nn.BatchNorm3d(4)), (2, 3, 3, 3)),
    ):
        program = agree(randomise(layer), shape)
        assert kinds(program) == {"input": 1, "open": 1, "linear": 1, "output": 1}


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("transposed", [False, True])
def test_batch_norm_folds_forward_with_a_border_correct_bias(padding: int, transposed: bool) -> None:
    layer = (
        nn.ConvTranspose2d(4, 6, 3, 2, padding, groups=2) if transposed else nn.Conv2d(4, 6, 3, 2, padding, groups=2)
    )
    program = agree(randomise(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), layer)), (4, 6, 6), tolerance=2e-4)
    linears = [op for op in program.ops if op.kind == "linear"]
    assert len(linears) == 1
    bias = program.arrays[linears[0].attrs["bias"]]
    if padding or transposed:
        assert bias.shape == program.tensors[linears[0].output].shape
    else:
        assert bias.shape == (6,)


def test_batch_norm_sinks_through_a_flattening() -> None:
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 5))
    assert kinds(agree(randomise(model), (3, 4, 4)))["linear"] == 1


def test_batch_norm_that_does_not_fold_is_a_depthwise_layer() -> None:
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU())
    program = agree(randomise(model), (3, 4, 4))
    (layer,) = (op for op in program.ops if op.kind == "linear")
    assert layer.attrs["conv"]["groups"] == 3
    assert layer.attrs["conv"]["kernel"] == [1, 1, 1]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh()])
def test_pooling_moves_before_the_activation(activation: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), activation, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    program = agree(randomise(model), (3, 8, 8))
    (act,) = (op for op in program.ops if op.kind in ("relu", "hardtanh"))
    assert program.tensors[act.output].shape == (4, 4, 4)


def test_pooling_stays_where_the_activation_has_other_readers() -> None:
    """U-Net's skips: the activation is computed once, at its own size."""
    program = agree(randomise(UNet(2, 4, 2, False)), (3, 8, 8))
    pools = [op for op in program.ops if op.kind == "maxpool"]
    producers = {op.output: op for op in program.ops}
    assert len(pools) == 2
    assert all(producers[op.inputs[0]].kind == "relu" for op in pools)
    # Values of a ReLU are not negative: their differences need no bit more than they have.
    assert all(program.tensors[op.inputs[0]].bits == op.attrs["bits"] for op in pools)


def test_one_opening_serves_several_layers() -> None:
    model = Call(
        lambda m, x: m.a(F.relu(x)) + m.b(F.relu(x.neg()) * 0 + F.relu(x)) * 0 + m.c(F.relu(x)),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(3, 4, 1),
        c=nn.Conv2d(3, 4, 3, padding=1),
    )
    shared = Call(lambda m, x: sum(layer(y) for y in [F.relu(x)] for layer in (m.a, m.c)), a=model.a, c=model.c)
    program = agree(randomise(shared), (3, 5, 5))
    assert kinds(program)["open"] == 1
    assert kinds(program)["add"] == 1


def test_densenet_opens_each_feature_map_once() -> None:
    layers = (2, 3)
    program = agree(randomise(DenseNet(layers, 4, 8, 5)), (3, 16, 16))
    opened = [op for op in program.ops if op.kind == "open"]
    assert len({op.inputs[0] for op in opened}) == len(opened)
    # Input; per dense layer one opening in front of each convolution and one of the new features; per block its first
    # features; per transition its convolution; the classifier.
    assert len(opened) == 1 + sum(3 * n for n in layers) + len(layers) + 1 + 1
    producers = {op.output: op.kind for op in program.ops}
    assert all(producers[op.inputs[0]] != "concat" for op in opened)


def test_a_residual_sum_is_truncated_once_and_late() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(self.a(x) + self.b(x))

    program = agree(randomise(nn.Sequential(Block(), nn.Flatten(), nn.Linear(64, 3))), (4, 4, 4))
    assert kinds(program)["truncate"] == 1
    assert kinds(program)["extend"] == 1


def test_different_readers_get_their_own_truncations() -> None:
    model = Call(lambda m, x: m.b(m.a(x)) + F.relu(m.a(x)), a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 4, 1))
    program = agree(
        randomise(Call(lambda m, x: (lambda y: m.b(y) + F.relu(y))(m.a(x)), a=model.a, b=model.b)), (3, 4, 4)
    )
    bits = sorted(program.tensors[op.output].bits for op in program.ops if op.kind == "truncate")
    assert len(bits) == 2
    assert bits[0] < 32
    assert bits[1] == 64


def test_averages_fold_into_the_next_layer() -> None:
    model = nn.Sequential(nn.ReLU(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(12, 3))
    program = agree(randomise(model), (3, 6, 6))
    assert kinds(program)["scale"] == kinds(program)["truncate"] == 0
    (layer,) = (op for op in program.ops if op.kind == "linear")
    assert layer.attrs["weight_fraction"] == 16 + 4  # ceil(log2 9) bits more


def test_power_of_two_averages_only_move_the_scale() -> None:
    program = agree(Call(lambda m, x: F.relu(F.avg_pool2d(x, 2))), (3, 6, 6))
    (scale,) = (op for op in program.ops if op.kind == "scale")
    assert (scale.attrs["factor"], scale.attrs["fraction"]) == (1, 2)


def test_logits_or_class_index() -> None:
    model = randomise(nn.Sequential(nn.Flatten(), nn.Linear(12, 7)))
    x = samples((3, 2, 2), 16)
    program = private.compile(model, x, calibration=x, output="class")
    assert program.output_kind == "class"
    assert program.output_shape == ()
    result = reference.run(program, x.numpy())
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, model(x).argmax(1).numpy())
    explicit = private.compile(Call(lambda m, x: m.net(x).argmax(1), net=model).eval(), x, calibration=x)
    assert explicit.output_kind == "class"
    np.testing.assert_array_equal(reference.run(explicit, x.numpy()), result)


def test_in_place_operators_and_aliases() -> None:
    """x.relu_() changes what later readers of x see, also through views."""

    def forward(m: Call, x: torch.Tensor) -> torch.Tensor:
        y = m.a(x)
        z = F.relu(y, inplace=True)
        view = m.b(z).view(z.shape[0], -1)
        view += 1.0
        return m.c((y + z).flatten(1)) + view.sum(1, keepdim=True)

    model = Call(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 2, 1), c=nn.Linear(36, 5))
    agree(randomise(model), (3, 3, 3))


def test_ring_of_32_bits() -> None:
    model = randomise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)))
    program = agree(model, (3, 6, 6), tolerance=0.1, ring=32, fraction_bits=9)
    assert all(array.dtype == np.uint32 for array in program.arrays.values())


def test_weightless_program_does_not_depend_on_the_values_of_parameters() -> None:
    """Only compared widths may: with widths fixed by equal bounds, zero weights give the same public part."""

    def build(scale: float) -> nn.Module:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), Call(lambda m, x: m.w * x * x + x, w=torch.ones(4, 1, 1))
        )
        model = randomise(nn.Sequential(*model, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if not name.endswith("w"):  # whether a quadratic is a square depends on its coefficients
                    parameter.mul_(scale)
        return model

    x = samples((3, 4, 4))
    programs = [private.compile(build(scale), x, input_bound=4.0) for scale in (0.0, 0.25)]
    assert programs[0].hash == programs[1].hash
    assert programs[0].weights_hash != programs[1].weights_hash


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda m, x: F.silu(x), "silu"),
        (lambda m, x: F.gelu(x), "gelu"),
        (lambda m, x: F.softmax(x, 1), "softmax"),
        (lambda m, x: x / (1 + x.abs()), "abs"),
        (lambda m, x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False), "avg_pool1d"),
        (lambda m, x: F.pad(x, (1, 1), value=1.0), "pad"),
        (lambda m, x: F.pad(x, (1, 1), mode="reflect"), "pad"),
        (lambda m, x: x - x.mean(0), "mean"),
        (lambda m, x: x**3, "pow"),
        (lambda m, x: F.interpolate(x, size=7), "upsample_nearest1d"),
        (lambda m, x: torch.cat([x, x], 0), "cat"),
        (lambda m, x: torch.einsum("bii->bi", x[:, :, :3]), "einsum"),
        (lambda m, x: F.layer_norm(x, (6,)), "layer_norm"),
        (lambda m, x: F.max_pool1d(x, 2, return_indices=True)[1], "max_pool1d_with_indices"),
    ],
)
def test_refusals_name_operator_module_and_line(function: object, operator: str) -> None:
    model = nn.Sequential(nn.Conv1d(3, 3, 1), nn.Sequential(nn.ReLU(), Call(function)))
    with pytest.raises(UnsupportedOperator) as caught:
        private.compile(model.eval(), samples((3, 6)), input_bound=4.0)
    error = caught.value
    assert operator in error.operator, error.operator
    assert error.module == "1.1"
    assert "compile_helpers.py:" in error.line  # in `Call.forward`
    assert all(part in str(error) for part in (error.operator, "'1.1'", error.line, error.reason))


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"training mode: call model\.eval\(\)"):
        private.compile(nn.Sequential(nn.Conv2d(3, 3, 1)), samples((3, 4, 4)))
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout()).eval()
    model[1].train()
    with pytest.raises(ValueError, match="'1' \\(Dropout\\)"):
        private.compile(model, samples((3, 4, 4)))


def test_arguments_are_checked() -> None:
    model, x = nn.Linear(3, 2).eval(), samples((3,))
    for options, message in (
        ({"ring": 48}, "ring 32 or 64"),
        ({"fraction_bits": 40}, "fraction bits"),
        ({"output": "top5"}, "'logits' or 'class'"),
        ({"margin_bits": 1}, "at least 2"),
        ({"calibration": samples((4,))}, "expected calibration data of shape"),
        ({"calibration": []}, "empty"),
    ):
        with pytest.raises(ValueError, match=message):
            private.compile(model, x, **options)
    with pytest.raises(TypeError, match="floating-point"):
        private.compile(model, torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"torch\.export cannot trace"):
        private.compile(Call(lambda m, x: x if x.sum() > 0 else -x).eval(), x)


# ---- random networks ------------------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A random small network of convolutions, activations, pooling, residual and dense connections."""
    channels, size = draw(st.integers(1, 3)), draw(st.integers(5, 9))
    shape = (channels, size, size)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        out = draw(st.integers(1, 4))
        kind = draw(st.sampled_from(["conv", "residual", "dense", "pre-activation"]))
        kernel = draw(st.sampled_from([1, 3]))
        act = draw(st.sampled_from([nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), Call(lambda m, x: 0.2 * x * x + 0.5 * x)]))
        same = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        if kind == "conv":
            stride, groups = draw(st.integers(1, 2)), draw(st.sampled_from([1, channels]))
            conv = nn.Conv2d(channels, out * groups, kernel, stride, draw(st.integers(0, 1)), groups=groups)
            layers += [conv, nn.BatchNorm2d(out * groups), act]
            channels = out * groups
        elif kind == "residual":
            layers.append(
                Call(lambda m, x: m.act(x + m.norm(m.conv(x))), conv=same, norm=nn.BatchNorm2d(channels), act=act)
            )
        elif kind == "dense":
            layers.append(Call(lambda m, x: torch.cat([x, m.act(m.conv(x))], 1), conv=same, act=act))
            channels *= 2
        else:
            layers += [nn.BatchNorm2d(channels), act, same]
        with torch.no_grad():
            size = nn.Sequential(*layers).eval()(torch.zeros(1, *shape)).shape[-1]
        if size >= 4 and draw(st.booleans()):
            layers.append(
                draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3)]))
            )
            size //= 2
        if size < 3:
            break
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]
    return randomise(nn.Sequential(*layers), draw(st.integers(0, 1000))), shape


@pytest.mark.slow
@given(networks())
@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_networks(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    model, shape = case
    agree(model, shape, tolerance=5e-3)
    agree(model, shape, tolerance=5e-3, check_range=True)


@given(networks())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_passes_keep_the_function(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    model, shape = case
    x = samples(shape).double()
    graph = export(model, samples(shape))
    before = Evaluator(graph, torch.float64)(x)
    simplify(graph)
    after = Evaluator(graph, torch.float64)(x)
    with torch.no_grad():
        expected = model.double()(x)
    torch.testing.assert_close(before, expected)
    torch.testing.assert_close(after, expected)


@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0, 8.0, 16.0])
def test_an_average_that_feeds_a_residual_sum_leaves_it_room(gain: float) -> None:
    """The untruncated average has a large scale; where the sum would not fit beside it, the truncated one is added."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            self.pool = nn.AvgPool2d(3, 2, 1)
            self.body = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.stem(x)
            z = self.pool(gain * y * y + 0.5 * y)
            w = 8 * self.body(z) + z
            return 0.01 * w * w + w

    x = seeded(4, 3, 8, 8)
    torch.manual_seed(0)
    net = Residual().eval()
    program = private.compile(net, x[:1], calibration=x)
    got = reference.run(program, x.numpy())
    np.testing.assert_allclose(got, net(x).detach().numpy(), atol=5e-3 * gain**2)
