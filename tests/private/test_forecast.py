"""Networks that forecast series, privately: recurrences, node-specific weights, adjacencies that the server keeps or
that are public, and the zigzag persistence image as a second input of the client."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import Call, agree, certified, kinds, samples
from torch import Tensor, nn

from moiety import private
from moiety.cost import analytic
from moiety.data.generated_traffic import generated_traffic
from moiety.drive.forecast.config import ForecastFitConfig, TopologyConfig, WindowConfig
from moiety.drive.forecast.fitting import Forecaster, fit
from moiety.drive.forecast.images import make_images
from moiety.drive.forecast.windows import Windows
from moiety.models import create_model, save_network
from moiety.models.zgcnet_steps import step_by_step
from moiety.private import UnsupportedOperator, reference
from moiety.private.images import read_inputs
from moiety.private.inputs import check_input
from moiety.private.lower import blend
from moiety.private.modelfile import compile_target
from moiety.private.program import ProgramError, load
from mpc.formulas import comparison
from private.test_execute import run

NODES, LAG, HORIZON, SIDE = 5, 3, 2, 31
SIZES = {"num_nodes": NODES, "lag": LAG, "horizon": HORIZON, "hidden": 4}
MODELS: dict[str, dict[str, Any]] = {
    "tgcn": {},
    "agcrn": {"layers": 2, "embedding": 3},
    "zgcnet": {"layers": 2, "embedding": 3, "order": 3, "resolution": SIDE},
}


def made(name: str, **more: Any) -> nn.Module:
    torch.manual_seed(3)
    model = create_model(name, **{**SIZES, **MODELS[name], **more}).eval()
    if name == "tgcn":
        ring = torch.roll(torch.eye(NODES), 1, 0)
        model.use_graph(ring + ring.T)
    return model


def windows(count: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Series and images."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, LAG, NODES, 1, generator=draw).clamp(-2, 2), torch.rand(
        count, 1, SIDE, SIDE, generator=draw
    )


def inputs_of(name: str, count: int = 6, seed: int = 0) -> tuple[Tensor, ...]:
    found = windows(count, seed)
    return found if name == "zgcnet" else found[:1]


def compiled(name: str, model: nn.Module | None = None, **options: Any) -> private.Program:
    given = inputs_of(name, 24, seed=1)
    defaults: dict[str, Any] = {"calibration": [given], "inputs": len(given), "single": True}
    bounds = [4.0, 2.0][: len(given)] if len(given) > 1 else 4.0
    return private.compile(model or made(name), given, **{**defaults, "input_bound": bounds, **options})


def plainly(program: private.Program, given: tuple[Tensor, ...]) -> reference.Trace:
    joined = check_input(program, tuple(x.numpy() for x in given) if len(given) > 1 else given[0].numpy())
    trace = reference.run(program, joined, trace=True)
    assert isinstance(trace, reference.Trace)
    return trace


@pytest.fixture(scope="module")
def programs() -> dict[tuple[str, str], private.Program]:
    return {(name, held): compiled(name, adjacency=held) for name in MODELS for held in ("private", "public")}


# ---- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adjacency", ["private", "public"])
@pytest.mark.parametrize("name", MODELS)
def test_networks_forecast_as_in_the_clear(name: str, adjacency: str, programs: Any) -> None:
    program, given = programs[name, adjacency], inputs_of(name)
    trace = plainly(program, given)
    with torch.no_grad():
        expected = made(name)(*given).numpy()
    assert trace.output.shape == expected.shape
    # Gates are off by at most their stated error, which the recurrence carries on.
    error = max(gate["error"] for gate in program.metadata["gates"])
    assert np.abs(trace.output - expected).max() <= 6 * error * np.abs(expected).max() + 0.01
    certified(program, trace)
    certified(program, plainly(program, inputs_of(name, seed=9)))


@pytest.mark.parametrize("comparison", ["circuit", "dcf"])
@pytest.mark.parametrize("name", MODELS)
def test_two_parties_forecast_at_the_predicted_cost(name: str, comparison: str, programs: Any) -> None:
    program, given = programs[name, "private"], inputs_of(name, 2)
    joined = check_input(program, tuple(x.numpy() for x in given) if len(given) > 1 else given[0].numpy())
    answer = run(program, joined, comparison)
    # A truncation that comes out one unit higher may move an input of a gate by one of its coarser units.
    np.testing.assert_allclose(answer.output, reference.run(program, joined), atol=0.02)
    made_up = analytic().estimate(program, batch=2, comparison=comparison)
    assert made_up.cost.rounds == answer.cost.rounds
    frames = made_up.bytes_server + made_up.bytes_client - answer.cost.server - answer.cost.client
    assert frames % 24 == 0
    assert 0 < frames <= 48 * made_up.cost.rounds


def test_the_adjacency_is_where_it_was_said_to_be(programs: Any) -> None:
    held = {(name, how): program for (name, how), program in programs.items()}
    for name in MODELS:
        kept, told = held[name, "private"], held[name, "public"]
        assert kinds(kept)["spmm"] == 0
        assert not kept.public
        assert kinds(told)["spmm"] > 0
        assert not any(np.array_equal(array, other) for array in kept.arrays.values() for other in told.public.values())
        # A product that the parties make on their own shares opens nothing and waits for nobody.
        assert private.estimate(told).rounds < private.estimate(kept).rounds
        assert (
            private.estimate(told, comparison="circuit").bytes_online
            <= private.estimate(kept, comparison="circuit").bytes_online
        )
    (matrix,) = {  # the road graph of T-GCN, in the client's program
        array.tobytes() for name, array in held["tgcn", "public"].without_weights().public.items() if "values" in name
    }
    adjacency = made("tgcn").adjacency.numpy()
    assert np.array_equal(
        np.frombuffer(matrix, np.int64), np.rint(adjacency[adjacency != 0] * 2.0**16).astype(np.int64)
    )


@pytest.mark.parametrize("protocol", ["circuit", "dcf"])
@pytest.mark.parametrize("adjacency", ["private", "public"])
def test_a_step_costs_its_closed_formula(adjacency: str, protocol: str) -> None:
    """docs/engine.md, 3.11: what one step more costs AGCRN, its inputs' side included."""
    hidden, costs = 4, []
    for lag in (3, 4):
        torch.manual_seed(3)
        model = create_model("agcrn", num_nodes=NODES, lag=lag, horizon=HORIZON, hidden=hidden, layers=1, embedding=3)
        x = torch.zeros(1, lag, NODES, 1)
        program = private.compile(model.eval(), x, input_bound=2.0, single=True, adjacency=adjacency)
        costs.append(run(program, x.numpy(), protocol).cost)
        made = {gate["function"]: gate for gate in program.metadata["gates"]}
    n, plane = NODES * hidden, 8 * math.ceil(NODES * hidden / 64)
    gates = [
        comparison(protocol, made[name]["pieces"] * count, made[name]["bits"], [made[name]["bits"]])
        for name, count in (("sigmoid", 2 * n), ("tanh", n))
    ]
    extends = 8 * math.ceil(2 * n / 64) + plane
    each = sum(gate.server for gate in gates) + extends + 2 * (2 * n * 8 + plane)
    opened = 8 * (4 * n + 2 * NODES)  # h, A h, r h, A (r h), and the step's x and A x
    rounds = (8 if adjacency == "private" else 6) + sum(gate.rounds + 1 for gate in gates)
    assert tuple(after - before for before, after in zip(*costs, strict=True)) == (each, each + opened, rounds)


def test_layers_of_a_recurrence_run_side_by_side(programs: Any) -> None:
    """The second layer of AGCRN reads the first one's states one by one: it is one step behind, not a window."""
    one = private.estimate(compiled("agcrn", made("agcrn", layers=1)), comparison="circuit").rounds
    two = private.estimate(programs["agcrn", "private"], comparison="circuit").rounds
    assert two <= one * (LAG + 1) / LAG + 6


def test_states_are_opened_once(programs: Any) -> None:
    """A state is opened for the two products that read it at the next step and for the layer above; one product with
    the adjacency is opened for them too."""
    program = programs["agcrn", "private"]
    opened = [op for op in program.ops if op.kind == "open"]
    # Inputs; of every step and layer h, A h, r h, A (r h), where the first step has no state and the last one's state
    # of the first layer is read by the second alone.
    first, second = 4 * (LAG - 1) + 2, 4 * (LAG - 1) + 1
    assert len(opened) <= 2 + first + second


def test_updates_of_states_stay_between_old_and_new(programs: Any) -> None:
    """c + z (h - c) with 0 <= z <= 1: no bound grows with the number of steps."""
    c, z, h = (private.compiler.Node("input", [], (3,)) for _ in range(3))
    difference = private.compiler.Node("subtract", [h, c], (3,))
    product = private.compiler.Node("multiply", [z, difference], (3,))
    for terms in ([c, product], [product, c]):
        assert blend(private.compiler.Node("add", terms, (3,))) == (z, h, c)
    assert blend(private.compiler.Node("add", [h, product], (3,))) is None
    long = private.compile(made("tgcn", lag=8), torch.zeros(1, 8, NODES, 1), input_bound=2.0, single=True)
    bounds = [
        t.bound for op in long.ops if op.kind == "open" for t in [long.tensors[op.output]] if t.shape[-1:] == (4,)
    ]
    assert all(bound is not None and bound < 2.01 for bound in bounds)  # proved: without calibration


def test_the_reference_order_of_zgcnet_compiles_as_well(programs: Any) -> None:
    """einsum with the identity among the supports, everything computed anew at every step."""
    model = made("zgcnet", layers=1)
    steps = Call(None, model=model)
    steps.forward = lambda x, zpi: step_by_step(model, x, zpi)  # type: ignore[method-assign]
    given = inputs_of("zgcnet")
    program = compiled("zgcnet", steps.eval())
    hoisted = compiled("zgcnet", model)
    for one in (program, hoisted):
        with torch.no_grad():
            assert np.abs(plainly(one, given).output - model(*given).numpy()).max() < 0.05
    assert private.estimate(program).bytes_online > private.estimate(hoisted).bytes_online


@pytest.mark.parametrize("check_range", [False, True])
def test_forecasts_are_within_one_per_cent_of_the_error_in_the_clear(tmp_path: Path, check_range: bool) -> None:
    data = generated_traffic(nodes=8, steps=420, seed=1)
    config, topology = WindowConfig(lag=4, horizon=2), TopologyConfig(resolution=SIDE, alpha=0.5, dimension=0)
    split, images = Windows(data, config), make_images(tmp_path, data, 4, topology)
    torch.manual_seed(0)
    sizes = {"num_nodes": 8, "in_channels": 1, "lag": 4, "horizon": 2, "hidden": 6, "layers": 1, "embedding": 3}
    forecaster = Forecaster(create_model("zgcnet", **sizes, resolution=SIDE), images, 1)
    fit(forecaster, split, ForecastFitConfig(epochs=2, batch=32, learning_rate=0.01), 0)
    forecaster.eval()

    def given(starts: Tensor) -> tuple[Tensor, Tensor]:
        """What the client computes of its own data."""
        assert forecaster.image is not None
        with torch.no_grad():
            return split.batch(starts).x, forecaster.image(*forecaster.images_of(starts))

    program = private.compile(
        forecaster.network, given(split.train[:1]), calibration=[given(split.train[::4])], inputs=2, single=True,
        check_range=check_range,
    )  # fmt: skip
    batch, inputs = split.batch(split.test), given(split.test)
    with torch.no_grad():
        plain = split.unscaled(forecaster.whole(forecaster.network(*inputs), batch))
    output = torch.from_numpy(plainly(program, inputs).output).float()
    shown = split.unscaled(forecaster.whole(output, batch))
    errors = [(found - batch.y).abs().mean().item() for found in (plain, shown)]
    assert abs(errors[1] - errors[0]) <= 0.01 * errors[0]
    if not check_range:
        joined = check_input(program, tuple(x[:2].numpy() for x in inputs))
        np.testing.assert_allclose(run(program, joined).output, output[:2], atol=0.02)


# ---- several inputs -------------------------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.row = nn.Conv2d(1, 2, 3), nn.Linear(4, 6)

    def forward(self, row: Tensor, image: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.row(row)), torch.tanh(self.image(image)).flatten(1).mean(1, keepdim=True)], 1)


@pytest.fixture(scope="module")
def two() -> tuple[Two, private.Program, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    model, given = Two().eval(), (samples((4,), 5), samples((1, 5, 5), 5, seed=2))
    program = private.compile(model, given, calibration=[(*given, torch.zeros(5))], inputs=2, input_bound=(4.0, 5.0))
    return model, program, given


def test_a_program_of_two_inputs(two: Any, tmp_path: Path) -> None:
    model, program, given = two
    assert program.input_shapes == ((4,), (1, 5, 5))
    assert program.input_bounds == (4.0, 5.0)
    assert program.input_shape == (29,)
    program.save(tmp_path / "two")
    assert load(tmp_path / "two").hash == program.hash == program.without_weights().hash
    result = private.run_local(program, given)
    with torch.no_grad():
        expected = model(*given).numpy()
    np.testing.assert_allclose(result.output, expected, atol=0.02)
    np.testing.assert_allclose(reference.run(program, tuple(x.numpy() for x in given)), expected, atol=0.02)
    estimated = private.estimate(program, batch=5)
    assert result.stats.client["online"].rounds == estimated.rounds


def test_calibration_of_two_inputs_by_name(two: Any) -> None:
    model, _, given = two
    bounds = private.calibrate(model, [given], inputs=2)
    assert bounds["input"] == pytest.approx(float(given[0].abs().max()))
    assert bounds["input1"] == pytest.approx(float(given[1].abs().max()))
    program = private.compile(model, given, calibration=bounds, inputs=2)
    assert program.input_bounds == pytest.approx((2 * bounds["input"], 2 * bounds["input1"]))


WRONG: dict[str, tuple[Any, str]] = {
    "one": (lambda x, z: (x,), "expected 2 inputs of shapes"),
    "order": (lambda x, z: (z, x), r"input 0 has shape .*: expected \(batch, 4\)"),
    "batch": (lambda x, z: (x, z[:2]), r"batches of \[5, 2\]: expected one size for all"),
    "first": (lambda x, z: (x * 0 + 4.5, z), "input 0 reaches 4.5: expected magnitudes up to 4"),
    "second": (lambda x, z: (x, z * 0 + 5.5), "input 1 reaches 5.5: expected magnitudes up to 5"),
    "type": (lambda x, z: (x, z.double()), "input 1 has dtype .*float64: expected float32"),
    "nan": (lambda x, z: (x, z * float("nan")), "125 values that are not finite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_inputs_are_refused_by_number(case: str, two: Any) -> None:
    _, program, given = two
    change, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        check_input(program, change(*given))


def test_an_archive_holds_an_array_for_each_input(two: Any, tmp_path: Path) -> None:
    _, program, (x, z) = two
    np.savez(tmp_path / "batch.npz", row=x.numpy(), image=z.numpy())
    np.savez(tmp_path / "one.npz", row=x[0].numpy(), image=z[0].numpy())
    found, names = read_inputs(program, [tmp_path / "batch.npz", tmp_path / "one.npz"])
    joined = check_input(program, (x.numpy(), z.numpy()))
    np.testing.assert_array_equal(found, np.concatenate([joined, joined[:1]]))
    assert names == [*(f"{tmp_path / 'batch.npz'}[{i}]" for i in range(5)), str(tmp_path / "one.npz")]
    np.savez(tmp_path / "less.npz", row=x.numpy())
    (tmp_path / "text.npz").write_text("no archive")
    for name, message in (
        ("less.npz", "holds 1 arrays: expected 2"),
        ("text.npz", "is not an archive of NumPy arrays"),
    ):
        with pytest.raises(ValueError, match=message):
            read_inputs(program, [tmp_path / name])


def test_the_command_says_how_a_forecasting_network_is_compiled(tmp_path: Path) -> None:
    kwargs = {**SIZES, "in_channels": 1, "out_channels": 1}
    said = {"model": {"name": "tgcn", "kwargs": kwargs}, "features": 1, "trained_on": {"name": "generated"}}
    save_network(tmp_path / "net.safetensors", made("tgcn"), said, half=False)
    with pytest.raises(ValueError, match=r"forecasts series: .* single=True"):
        compile_target(str(tmp_path / "net.safetensors"), None, None)


def test_refusals_of_the_compiler(two: Any) -> None:
    model, program, given = two
    with pytest.raises(TypeError, match="a tuple that starts with 2 tensors"):
        private.compile(model, given[0], inputs=2, input_bound=4.0)
    with pytest.raises(ValueError, match="input_bound has 3 values: expected one for each of 2"):
        private.compile(model, given, inputs=2, input_bound=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="inputs is 0"):
        private.compile(model, given, inputs=0)
    with pytest.raises(ValueError, match="adjacency is 'open': expected 'private'"):
        private.compile(model, given, inputs=2, adjacency="open")
    with pytest.raises(ValueError, match="the batch as axis 0"):
        private.compile(Call(lambda m, x: x[0]).eval(), samples((4,)), input_bound=4.0, single=True)
    document = program.to_json()
    document["ops"][1]["attrs"] = {}
    from moiety.private.program import from_json

    with pytest.raises(ProgramError, match="the bound of every input"):
        from_json(document, {**program.arrays, **program.public}).validate()


# ---- products along any axes ----------------------------------------------------------------------------------------

N, C = 4, 3
SHAPES = {"nn": (N, N), "cc": (C, 5), "ncc": (N, C, 2), "knn": (2, N, N), "nkio": (N, 2, C, 2), "t": (6,)}
W = {
    name: torch.randn(*shape, generator=torch.Generator().manual_seed(i))
    for i, (name, shape) in enumerate(SHAPES.items())
}
# Functions of x (B, N, C), or (B, N, C, 6), and a constant w.
PRODUCTS: dict[str, tuple[Any, str, tuple[int, ...], bool]] = {
    "adjacency": (lambda m, x: m.w @ x, "nn", (N, C), False),
    "features": (lambda m, x: x @ m.w, "cc", (N, C), False),
    "nodes' own": (lambda m, x: torch.einsum("bni,nio->bno", x, m.w), "ncc", (N, C), False),
    "supports": (lambda m, x: torch.einsum("knm,bmc->bknc", m.w, x), "knn", (N, C), False),
    "both": (
        lambda m, x: torch.einsum("bnki,nkio->bno", torch.stack([x, 2 * x], 2), m.w),
        "nkio",
        (N, C),
        False,
    ),
    "steps": (lambda m, x: torch.matmul(x, m.w), "t", (N, C, 6), False),
    "secret": (lambda m, x: torch.einsum("bni,bmi->bnm", x, x @ m.w @ m.w.T), "cc", (N, C), False),
    "bmm": (lambda m, x: torch.bmm(x.permute(1, 0, 2), m.w).permute(1, 0, 2), "ncc", (N, C), True),
    "baddbmm": (
        lambda m, x: torch.baddbmm(x.permute(1, 0, 2)[..., :2], x.permute(1, 0, 2), m.w).permute(1, 0, 2),
        "ncc",
        (N, C),
        True,
    ),
    "concatenated": (
        lambda m, x: m.w @ torch.cat([x, x.new_zeros(len(x), N, 2), x * 0.5], 2),
        "nn",
        (N, C),
        True,
    ),
    "unbound": (lambda m, x: torch.stack([v @ m.w for v in x.unbind(1)], 1), "cc", (N, C), True),
    "a public number": (lambda m, x: (-2 * x + 0.3 * x) @ m.w, "cc", (N, C), True),
    "broadcast": (
        lambda m, x: (x @ m.w) * torch.tanh(x.mean(1, keepdim=True)).sum(2, keepdim=True),
        "cc",
        (N, C),
        True,
    ),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case: str) -> None:
    function, name, shape, single = PRODUCTS[case]
    for alone in {True, single}:
        agree(Call(function, w=W[name]), shape, tolerance=0.03, single=alone)


class Cells(nn.Module):
    """torch's own cell, unrolled from a state of zeros."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(C, 4, bias=bias), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:  # (B, N, C): N steps
        h = x.new_zeros(len(x), 4)
        for step in range(x.shape[1]):
            h = self.cell(x[:, step], h)
        return self.out(h)


@pytest.mark.parametrize("bias", [False, True])
def test_gru_cells(bias: bool) -> None:
    torch.manual_seed(0)
    program = agree(Cells(bias), (N, C), tolerance=0.03, single=True)
    found = kinds(program)
    # The first state is zero: r has nothing to weigh there but the server's bias.
    assert found["piecewise"] == 3 * N - (not bias)
    assert found["multiply"] == 2 * N - 1


def test_products_that_are_refused() -> None:
    x = samples((N, C))
    for function, message in (
        (lambda m, v: torch.einsum("bnc,bmd->nm", v, v), "does not keep the batch"),
        (lambda m, v: torch.einsum("bnn->bn", v[:, :C]), "two operands"),
    ):
        with pytest.raises(UnsupportedOperator, match=message):
            private.compile(Call(function).eval(), x, input_bound=4.0)
