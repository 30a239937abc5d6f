"""Rounds and bytes are the engine's counters; the choice of comparison protocols is optimal; tables are checked."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moiety import private
from moiety.cost import Backend, Cost, analytic, backend, default_table, load_table, measured, network_of
from moiety.cost.choose import Option, fastest, knapsack
from moiety.cost.fit import fit, misses
from moiety.cost.micro import KINDS, SHAPES, chain, single
from moiety.cost.table import Terms
from moiety.cost.timeline import LinkTerms, Step, simulate
from moiety.cost.trio import Trio
from moiety.models.parts import make_activation
from moiety.models.resnet_cifar import resnet_cifar
from moiety.private.plan import comparing, comparison_kinds, plan, require_comparison, spell
from moiety.private.transport import Network


def mixed(seed: int) -> private.Program:
    """A residual network with ReLU, x^2 or nothing at random."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    model = resnet_cifar("relu", widths=tuple(draw.choice((4, 8, 12)) for _ in range(3)))
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU):
            parent, _, leaf = path.rpartition(".")
            norm = model.get_submodule(f"{parent}.{leaf.replace('act', 'bn')}".lstrip("."))
            made = make_activation(draw.choice(("relu", "x2", "identity")), int(norm.num_features))
            setattr(model.get_submodule(parent), leaf, made)
    x = torch.randn(4, 3, 32, 32)
    return private.compile(model.eval(), x[:1], calibration=x)


@pytest.fixture(scope="module")
def trio() -> Trio:
    with Trio() as processes:
        yield processes


@pytest.mark.parametrize("seed", range(4))
def test_rounds_and_bytes_of_random_architectures_are_the_counters(trio: Trio, seed: int) -> None:
    program = mixed(seed)
    letters = "".join(random.Random(seed).choice("cd") for _ in comparing(program))
    mixture = [] if len(set(letters)) < 2 else [letters]
    for comparison, batch in (("circuit", 1), ("dcf", 2), *((spelled, 1) for spelled in mixture)):
        made = analytic().estimate(program, batch=batch, comparison=comparison)
        (sample,) = trio.run(program, batch=batch, comparison=comparison)
        counted = (sample.rounds, sample.bytes_server, sample.bytes_client)
        assert counted == (made.cost.rounds, made.bytes_server, made.bytes_client), comparison
        assert sample.seconds > 0
        assert made.cost.bytes_online == made.bytes_server + made.bytes_client
        assert sum(made.operations) == pytest.approx(made.cost.seconds)


@pytest.mark.parametrize("ring", [32, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_chains_are_programs_that_run_as_counted(trio: Trio, kind: str, ring: int) -> None:
    program = chain(kind, 2, ring=ring)
    program.validate()
    for comparison in ("circuit", "dcf"):
        (sample,) = trio.run(program, comparison=comparison)
        made = analytic().estimate(program, comparison=comparison)
        assert (sample.rounds, sample.bytes_server, sample.bytes_client) == (
            made.cost.rounds,
            made.bytes_server,
            made.bytes_client,
        )
    operator = analytic("1:1000").operator(kind, ring=ring, comparison="dcf")
    assert operator.seconds > 0
    assert operator.rounds <= made.cost.rounds


def test_whole_sessions_agree_on_a_protocol_for_each_layer(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU6(), nn.MaxPool2d(2)).eval()
    x = torch.randn(1, 3, 8, 8)
    program = private.compile(model, x, calibration=x)
    for randomness in ("dealer", "file"):
        result = private.run_local(program, x, comparison="cdc", randomness=randomness)
        made = private.estimate(program, comparison="cdc")
        assert result.stats.client["online"].rounds == made.rounds
        assert result.stats.server["online"].bytes_sent == made.bytes_server
        assert result.stats.client["online"].bytes_sent == made.bytes_client
        with torch.no_grad():
            assert torch.allclose(result.output, model(x), atol=1e-2)
    with pytest.raises(ValueError, match="one letter, c or d, for each of the program's 3"):
        private.run_local(program, x, comparison="cd")


def test_comparisons_have_one_spelling() -> None:
    assert spell(["dcf", "dcf"]) == "dcf"
    assert spell(["circuit", "dcf"]) == "cd"
    assert spell([]) == "circuit"
    program = chain("relu", 3)
    assert comparison_kinds(program, "cdc") == ["circuit", "dcf", "circuit"]
    kinds = [spec["kind"] for spec in plan(program, 1, "cdc").specs]
    assert kinds == ["circuit", "dcf", "circuit"]
    for wrong in ("ccc", "d", "", "cdx", None, "c" * 10_000_000):
        with pytest.raises(ValueError, match="expected circuit or dcf, or one letter"):
            require_comparison(wrong, 3)


def test_knapsack_is_exact() -> None:
    random_ = random.Random(0)
    for _ in range(60):
        count = random_.randint(1, 9)
        gains = [random_.uniform(-1, 5) for _ in range(count)]
        sizes = [random_.randint(1, 30) for _ in range(count)]
        budget = random_.randint(0, 90)
        best = max(
            sum(gains[i] for i in taken)
            for size in range(count + 1)
            for taken in itertools.combinations(range(count), size)
            if sum(sizes[i] for i in taken) <= budget
        )
        chosen = knapsack(gains, sizes, budget)
        assert sum(sizes[i] for i in chosen) <= budget
        assert sum(gains[i] for i in chosen) == pytest.approx(max(best, 0.0))


def test_layers_that_gain_only_together_are_taken_together() -> None:
    def seconds(taken: frozenset[int]) -> float:
        return 10.0 - (4.0 if {0, 1} <= taken else 0.0) - (1.0 if 2 in taken else 0.0)

    options = [Option(i, 10) for i in range(3)]
    assert fastest(options, seconds, 30) == {0, 1, 2}
    assert fastest(options, seconds, 20) == {0, 1}
    assert fastest(options, seconds, 10) == {2}


def test_auto_keeps_to_the_offline_budget() -> None:
    program = mixed(1)
    everything = analytic("1:1000").estimate(program, comparison="dcf").cost
    circuit = analytic("1:1000").estimate(program, comparison="circuit").cost
    assert everything.seconds < circuit.seconds
    last = everything.seconds
    for part in (1.0, 0.7, 0.4, 0.0):
        budget = int(circuit.bytes_offline + part * (everything.bytes_offline - circuit.bytes_offline))
        made = analytic("1:1000", offline_budget=budget).estimate(program)
        assert made.cost.bytes_offline <= max(budget, circuit.bytes_offline)
        assert last <= made.cost.seconds <= circuit.seconds + 1e-12
        last = made.cost.seconds
    assert last == pytest.approx(circuit.seconds)
    assert analytic("1:1000").choose(program) == analytic("1:1000").estimate(program).comparison


def test_two_clocks() -> None:
    """The client sends on while the server multiplies; the server waits for the later of the two."""
    program = chain("open", 1)
    kinds = [op.kind for op in program.ops]
    steps = [Step([]) for _ in kinds]
    steps[kinds.index("open")] = Step([(0, 1000)], client=1.0)
    steps[kinds.index("linear")] = Step([], server=5.0, client=0.5)
    steps[kinds.index("output")] = Step([(100, 0)])
    run = simulate(program, steps, LinkTerms(0.0), Network(rtt_ms=2000.0))
    # Half of the client's second comes before the opening, which takes a second; five seconds; a second back.
    assert run.seconds == pytest.approx(0.5 + 1.0 + 5.0 + 1.0)
    assert (run.rounds, run.bytes_server, run.bytes_client) == (2, 124, 1024)
    slow = simulate(program, steps, LinkTerms(0.0), Network(mbit=8e-3))
    assert slow.seconds == pytest.approx(0.5 + 1.024 + 5.0 + 0.124)
    cold = simulate(program, steps, LinkTerms(0.0, ((0.5, 0.1), (1.5, 0.3))), Network(rtt_ms=2000.0))
    assert cold.seconds > run.seconds


def test_waking_rises_with_the_wait() -> None:
    link = LinkTerms(0.0, ((1e-3, 1e-4), (1e-2, 2e-4)))
    assert link.waking(0.5e-3) == pytest.approx(0.5e-4)
    assert link.waking(10**-2.5) == pytest.approx(1.5e-4)
    assert link.waking(1.0) == 2e-4


def test_fit_finds_terms_that_are_not_negative() -> None:
    random_ = np.random.default_rng(0)
    features = random_.uniform(0, 1, (40, 3)) * np.array([1, 1e4, 1e6])
    seconds = features @ np.array([2e-5, 0.0, 3e-9])
    seconds[3] *= 4  # one outlier
    terms = fit(features.tolist(), seconds.tolist())
    assert terms == pytest.approx([2e-5, 0.0, 3e-9], rel=0.02, abs=1e-12)
    assert np.median(misses(features.tolist(), seconds.tolist(), terms)) < 0.01
    assert (fit([[1.0, 1.0], [1.0, 2.0]], [2.0, 1.0]) >= 0).all()


def test_tables_go_through_files_and_bad_ones_are_refused(tmp_path: Path) -> None:
    rings = {
        ring: {name: replace(row, error=0.05) for name, row in rows.items()}
        for ring, rows in default_table().rings.items()
    }
    table = replace(default_table(), rings=rings)
    path = tmp_path / "table.json"
    table.save(path)
    assert load_table(path).rings == table.rings
    assert measured(path).network == network_of(None)
    assert measured(path, "1:1000").network == Network(1.0, 1000.0)
    rows = dict(table.rings[64])
    rows["circuit"] = replace(rows["circuit"], error=0.31)
    replace(table, rings={64: rows}).save(path)
    with pytest.raises(ValueError, match=r"circuit in the ring of 64 bits by 31%.*measure again"):
        measured(path)
    rows = dict(table.rings[32])
    rows["circuit"] = replace(rows["circuit"], error=0.31)
    other = measured(replace(table, rings={64: table.rings[64], 32: rows}))  # programs of 64 bits do not use it
    assert other.operator("relu").seconds > 0
    with pytest.raises(ValueError, match=r"circuit in the ring of 32 bits by 31%"):
        other.cost(single("relu", ring=32))
    document = json.loads(path.read_text())
    for change in ({"version": 9}, {"rings": {"16": {}}}, {"link": {"hop": -1.0, "sleep": []}}, {"link": None}):
        path.write_text(json.dumps(document | change))
        with pytest.raises(ValueError, match="expected a cost table of `moiety profile`"):
            load_table(path)
    path.write_text("no JSON")
    with pytest.raises(ValueError, match="found no JSON"):
        load_table(path)
    with pytest.raises(ValueError, match="has no row 'x2' for a ring of 64"):
        replace(table, rings={64: {"open": Terms(0, 0, 0, 0, 1)}}).row(64, "x2")


def test_backends_by_name() -> None:
    assert backend("analytic").name == "engine, loopback"
    assert backend("analytic:1:1000").name == "engine, 1 ms, 1000 Mbit/s"
    assert backend("analytic:lan").network == Network.of("lan")
    assert backend("fpga", bandwidth=1e9).bandwidth == 1e9
    assert isinstance(backend("analytic"), Backend)
    for wrong in ("gpu", "measured", "analytic:fast", "analytic:1:-3", "fpga:2"):
        with pytest.raises(ValueError, match="expected"):
            backend(wrong)


def test_operators_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="expected one of open"):
        single("softmax")
    with pytest.raises(ValueError, match="operator relu has no channels"):
        single("relu", channels=3)
    with pytest.raises(ValueError, match="expected whole numbers of at least 1"):
        chain("conv", 1, size=0)
    assert set(SHAPES) == set(KINDS)


def test_costs_add_up() -> None:
    assert Cost(1, 2, 3, 4, 5.0) + Cost(1, 1, 1, 1, 1.0) == Cost(2, 3, 4, 5, 6.0)
    assert Cost(1, 2, 3, 4, 5.0).to_dict()["bytes_online"] == 2
