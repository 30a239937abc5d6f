"""moiety.nn.X2Act."""

import pytest
import torch

from moiety.nn import X2Act


def test_is_the_per_channel_quadratic() -> None:
    act = X2Act(3)
    with torch.no_grad():
        act.w1.copy_(torch.tensor([0.1, 0.2, 0.3]))
        act.w2.copy_(torch.tensor([1.0, 0.5, -0.5]))
        act.b.copy_(torch.tensor([0.0, 1.0, -2.0]))
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    y = act(x)
    for c, (w1, w2, b) in enumerate([(0.1, 1.0, 0.0), (0.2, 0.5, 1.0), (0.3, -0.5, -2.0)]):
        torch.testing.assert_close(y[:, c], w1 * x[:, c] ** 2 + w2 * x[:, c] + b)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 3, 2), (4, 6, 1, 2, 3)])
def test_any_number_of_trailing_axes(shape: tuple[int, ...]) -> None:
    assert X2Act(6)(torch.ones(shape)).shape == shape


def test_default_fits_relu_on_a_standard_normal_up_to_the_constant() -> None:
    x = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    powers = torch.cat([x**2, x, torch.ones_like(x)], dim=1)
    best = torch.linalg.lstsq(powers, x.relu()).solution.flatten()
    act = X2Act(1)
    assert act.w1.item() == pytest.approx(best[0].item(), abs=0.01)
    assert act.w2.item() == pytest.approx(best[1].item(), abs=0.01)


def test_gradients() -> None:
    act = X2Act(2).double()
    x = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(act, (x,))
    act(x).sum().backward()
    assert act.w1.grad is not None
    torch.testing.assert_close(act.w1.grad, (x * x).sum(dim=(0, 2, 3)).detach())


def test_exports_to_plain_arithmetic() -> None:
    program = torch.export.export(X2Act(2).eval(), (torch.ones(1, 2, 3, 3),))
    operators = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert operators <= {"aten.mul.Tensor", "aten.add.Tensor", "aten.view.default", "aten.reshape.default"}


def test_rejects_no_channels() -> None:
    with pytest.raises(ValueError, match="channels must be positive"):
        X2Act(0)
