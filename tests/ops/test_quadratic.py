"""moiety.ops.quadratic: the kernel at every ISA level against the composed expression in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from moiety.nn import X2Act
from moiety.ops import quadratic
from moiety.ops.quadratic import _backward, _composed_backward, composed_quadratic

Arguments = list[Tensor | None]


def arguments(
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    *,
    per_channel: tuple[bool, bool, bool, bool] = (True, True, True, True),
    hinge: bool = True,
    channels_last: bool = False,
    seed: int = 0,
) -> Arguments:
    """x, w1, w2, b, r, all requiring gradients."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g).to(dtype)
    if channels_last and x.ndim > 2:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    c: Arguments = [torch.randn(shape[1] if per else 1, generator=g) for per in per_channel]
    if not hinge:
        c[3] = None
    return [None if v is None else v.requires_grad_() for v in [x, *c]]


def in_double(values: Arguments) -> Arguments:
    return [None if v is None else v.detach().double().requires_grad_() for v in values]


def evaluate(function: Callable[..., Tensor], values: Arguments, dy: Tensor) -> list[Tensor]:
    """The result and all gradients."""
    y = function(*values)
    return [y.detach(), *torch.autograd.grad(y, [v for v in values if v is not None], dy)]


def compare(values: Arguments, function: Callable[..., Tensor] = quadratic) -> None:
    x = values[0]
    assert x is not None
    dy = torch.randn(x.shape, generator=torch.Generator().manual_seed(99)).to(x.dtype)
    got = evaluate(function, values, dy)
    want = evaluate(composed_quadratic, in_double(values), dy.double())
    assert got[0].dtype == got[1].dtype == x.dtype
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        rounding = 2**-8 if x.dtype == torch.bfloat16 and i < 2 else 0.0
        # Sums cancel, so their error is measured by the size of what is summed.
        terms = math.sqrt(x.numel()) if i >= 2 else 1.0
        torch.testing.assert_close(a.double(), b, rtol=rounding + 2e-6, atol=2e-6 * (4 + terms))


SHAPES = [(2, 3, 5, 7), (4, 16, 8, 8), (3, 24, 5, 5), (2, 5), (64, 10), (1, 130, 7, 7), (7, 3, 1, 1), (4, 6, 3, 2, 3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_double(isa: str, shape: tuple[int, ...], channels_last: bool, dtype: torch.dtype) -> None:
    for per_channel in [(True,) * 4, (False,) * 4, (True, False, True, False)]:
        for hinge in (False, True):
            values = arguments(shape, dtype, per_channel=per_channel, hinge=hinge, channels_last=channels_last)
            compare(values)
            x = values[0]
            assert x is not None
            assert quadratic(*values).stride() == x.stride()  # type: ignore[arg-type]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_large_outputs_are_right_past_the_cache(isa: str, channels_last: bool, per_channel: bool) -> None:
    values = arguments((9, 12, 190, 191), per_channel=(per_channel,) * 4, channels_last=channels_last)
    compare(values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 20), min_size=2, max_size=5).map(tuple),
    bf16=st.booleans(),
    hinge=st.booleans(),
    channels_last=st.booleans(),
    per_channel=st.tuples(*[st.booleans()] * 4),
    seed=st.integers(0, 1000),
)
def test_any_shape(
    shape: tuple[int, ...], bf16: bool, hinge: bool, channels_last: bool, per_channel: tuple[bool, ...], seed: int
) -> None:
    dtype = torch.bfloat16 if bf16 else torch.float32
    compare(
        arguments(shape, dtype, per_channel=per_channel, hinge=hinge, channels_last=channels_last, seed=seed)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("layout", ["sliced", "transposed", "expanded gradient"])
def test_any_strides(isa: str, layout: str) -> None:
    values = arguments((4, 6, 8, 10))
    x = values[0]
    assert x is not None
    if layout == "sliced":
        values[0] = x.detach()[:, :, ::2, 1:].requires_grad_()
    elif layout == "transposed":
        values[0] = x.detach().transpose(2, 3).requires_grad_()
    if layout == "expanded gradient":
        quadratic(*values).sum().backward()  # type: ignore[arg-type]
        composed = in_double(values)
        composed_quadratic(*composed).sum().backward()  # type: ignore[arg-type]
        torch.testing.assert_close(x.grad.double(), composed[0].grad)  # type: ignore[union-attr]
    else:
        compare(values)


def test_sums_keep_their_precision_over_many_elements(isa: str) -> None:
    x = torch.full((1, 1, 2048, 2048), 0.1).requires_grad_()
    b = torch.zeros(1, requires_grad=True)
    one = torch.ones(1, requires_grad=True)
    quadratic(x, one, one, b).sum().backward()
    assert b.grad.item() == 2**22  # type: ignore[union-attr]
    assert one.grad.item() == pytest.approx(2**22 * (0.1 + 0.01), rel=1e-6)  # type: ignore[union-attr]


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    values = arguments((8, 24, 65, 67))
    x, rest = values[0].detach(), [v.detach() for v in values[1:]]  # type: ignore[union-attr]
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append([quadratic(x, *rest), *_backward(x, x.sin(), *rest)])
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_nan_and_infinity_stay_visible(isa: str, dtype: torch.dtype) -> None:
    x = torch.zeros(2, 3, 5).to(dtype)
    x[0, 1, 2], x[1, 2, 4] = math.nan, math.inf
    one, zero = torch.ones(1), torch.zeros(1)
    for coefficients in [(one, one, zero, None), (zero, zero, zero, one)]:
        y = quadratic(x, *coefficients)
        assert not torch.isfinite(y[0, 1, 2])
        assert not torch.isfinite(y[1, 2, 4])
        assert torch.isfinite(y).sum() == y.numel() - 2


def test_large_inputs_of_a_channel_without_square_stay_finite(isa: str) -> None:
    x = torch.full((2, 3, 4), 1e30)
    y = quadratic(x, torch.zeros(3), torch.ones(3), torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(y, 2 * x)


def test_rounds_bfloat16_to_nearest_even(isa: str) -> None:
    x = torch.randn(1, 1, 4096, generator=torch.Generator().manual_seed(0)).bfloat16()
    w1, w2, b = (torch.tensor([v]) for v in (0.37, -0.81, 0.11))
    exact = (w1.double() * x.double() + w2.double()) * x.double() + b.double()
    ulps = (quadratic(x, w1, w2, b).double() - exact).abs() / (exact.abs() * 2**-8)
    assert ulps.max() <= 1.0


def test_gradients_against_finite_differences() -> None:
    values = in_double(arguments((2, 3, 4), per_channel=(True, False, True, True)))
    assert torch.autograd.gradcheck(quadratic, values)
    assert torch.autograd.gradgradcheck(quadratic, values)


def test_kernel_gradients_against_finite_differences() -> None:
    values = arguments((3, 4, 2, 2), hinge=True)
    got = evaluate(quadratic, values, torch.ones(3, 4, 2, 2))[1:]
    for i, gradient in enumerate(got):
        for j in range(gradient.numel()):
            ends = []
            for step in (1e-5, -1e-5):
                moved = in_double(values)
                with torch.no_grad():
                    moved[i].view(-1)[j] += step  # type: ignore[union-attr]
                ends.append(composed_quadratic(*moved).sum().item())  # type: ignore[arg-type]
            assert gradient.flatten()[j].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-3)


def test_second_derivatives_of_the_kernel() -> None:
    def penalty(function: Callable[..., Tensor], values: Arguments) -> list[Tensor]:
        chosen = [v for v in values if v is not None]
        first = torch.autograd.grad(function(*values).sin().sum(), chosen, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), chosen))  # type: ignore[arg-type]

    values = arguments((2, 3, 4, 4))
    for a, b in zip(penalty(quadratic, values), penalty(composed_quadratic, in_double(values)), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


def test_composed_backward_is_the_kernels() -> None:
    for per_channel in [(True,) * 4, (False, True, False, False)]:
        values = [v.detach() for v in arguments((3, 5, 6, 6), per_channel=per_channel) if v is not None]
        dy = torch.randn(3, 5, 6, 6)
        for a, b in zip(
            _backward(values[0], dy, *values[1:]), _composed_backward(values[0], dy, *values[1:]), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("hinge", [False, True])
def test_the_registered_operator(dtype: torch.dtype, hinge: bool) -> None:
    values = arguments((2, 4, 3, 3), dtype, hinge=hinge, channels_last=True)
    if dtype is torch.float64:
        values = in_double(values)
    torch.library.opcheck(torch.ops.moiety.quadratic.default, values)
    if dtype is not torch.float64:
        compare(values, torch.ops.moiety.quadratic)


def test_under_autocast() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), X2Act(8), nn.Conv2d(8, 2, 1))
    with torch.autocast("cpu", torch.bfloat16):
        inner = model[0](torch.randn(2, 3, 8, 8))
        assert model[1](inner).dtype == torch.bfloat16
        model(torch.randn(2, 3, 8, 8)).float().sum().backward()
    assert model[1].w1.grad.dtype == torch.float32  # type: ignore[union-attr]


def test_exports_to_plain_arithmetic() -> None:
    program = torch.export.export(X2Act(2).eval(), (torch.ones(1, 2, 3, 3),))
    operators = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert operators <= {"aten.mul.Tensor", "aten.add.Tensor", "aten.view.default", "aten.reshape.default"}


@pytest.mark.parametrize("function", [quadratic, torch.ops.moiety.quadratic], ids=["function", "operator"])
def test_compiles_whole(function: Callable[..., Tensor]) -> None:
    torch.compiler.reset()
    compare(arguments((2, 4, 3, 3)), torch.compile(function, backend="aot_eager", fullgraph=True))


def test_traces_without_data() -> None:
    with torch._subclasses.FakeTensorMode() as mode:
        values = [mode.from_tensor(v.detach()) for v in arguments((2, 4, 3, 3)) if v is not None]
        assert quadratic(*values).shape == (2, 4, 3, 3)
        assert torch.ops.moiety.quadratic(*values).shape == (2, 4, 3, 3)


def test_vectorised_over_a_batch_of_networks() -> None:
    x, w1, w2, b, _ = (v.detach() for v in arguments((2, 4, 3, 3)) if v is not None)
    many = torch.stack([w1, 2 * w1])
    got = torch.func.vmap(lambda w: quadratic(x, w, w2, b))(many)
    torch.testing.assert_close(got[1], quadratic(x, 2 * w1, w2, b))


def test_empty() -> None:
    x = torch.zeros(0, 3, 4, requires_grad=True)
    w = torch.ones(3, requires_grad=True)
    quadratic(x, w, w, w).sum().backward()
    assert w.grad is not None
    assert (w.grad == 0).all()


def test_refusals() -> None:
    one = torch.ones(1)
    with pytest.raises(ValueError, match=r"expected w2 of shape \(1,\) or \(3,\).*got \(2,\)"):
        quadratic(torch.ones(2, 3), one, torch.ones(2), one)
    with pytest.raises(ValueError, match="expected floating-point x"):
        quadratic(torch.ones(2, 3, dtype=torch.int64), one, one, one)
    with pytest.raises(ValueError, match="expected floating-point x"):
        quadratic(torch.ones(3), one, one, one)
