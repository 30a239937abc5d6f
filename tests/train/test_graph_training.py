"""The loops of every schedule in one process, and what they refuse."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from moiety.data.small_graphs import karate, stochastic_blocks
from moiety.graph import partition, sample_neighbors
from moiety.models import create_model
from moiety.nn.graph import GCNConv, SAGEConv
from moiety.train.graph import Layer, MacroPipeline, PartitionParallel, Stages, Staleness, training
from moiety.train.graph.__main__ import main
from moiety.train.graph.training import Settings, _unbiased

SHORT = Settings(epochs=30, learning_rate=0.02)


def model(name: str = "gcn", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, in_features=16, num_classes=4, **options)


@pytest.mark.parametrize("name", ["gcn", "graphsage", "gat"])
def test_every_schedule_learns(name: str) -> None:
    data = stochastic_blocks(nodes=600, train=15, valid=15, seed=1)
    parts = partition(data.graph, 4)
    results = {
        "full": training.full_batch(model(name), data, SHORT),
        "sampled": training.sampled(model(name), data, [5, 5], 20, SHORT),
        "cluster": training.cluster(model(name), data, parts, 2, SHORT),
        "parts": training.partition_parallel(model(name), data, parts, Staleness.pipegcn(), SHORT),
        "macro": training.macro_pipeline(model(name), data, parts, None, SHORT),
    }
    for how, result in results.items():
        assert len(result.losses) == 30, how
        assert result.losses[-1] < 0.8 * result.losses[0], how
        assert result.accuracy["test"] > 0.8, how
        json.dumps(result.as_dict())


@pytest.mark.parametrize("name", ["gcn", "graphsage"])
def test_micro_pipelines_train_the_same_network(name: str) -> None:
    data = stochastic_blocks(nodes=300, train=10, valid=10, seed=1)
    one, two = model(name, dropout=0.0), model(name, dropout=0.0)
    a = training.full_batch(one, data, SHORT)
    b = training.full_batch(two, data, SHORT, chunks=3)
    assert b.losses == pytest.approx(a.losses, abs=2e-5)
    assert a.accuracy == pytest.approx(b.accuracy, abs=0.01)


def test_samples_are_unbiased_for_sums() -> None:
    """The mean over many samples of what a summing layer makes of a node is what it makes of all neighbours."""
    data = karate()
    stages = Stages([Layer(GCNConv(34, 3))])
    operand = stages[1].operand(data.graph)
    seeds = torch.arange(34)
    with torch.no_grad():
        whole = stages(data.dense(), data.graph)
        total = torch.zeros_like(whole)
        for seed in range(1500):
            sample = sample_neighbors(operand, seeds, [2], seed=seed)
            total += stages.on_blocks(data.dense()[sample.nodes], _unbiased(stages, operand, sample)) / 1500
    assert float((total - whole).abs().max()) < 0.05 * float(whole.abs().max())


def test_all_neighbours_are_no_sample() -> None:
    """With every edge drawn, a batch gives the seeds what the whole graph gives them."""
    data = stochastic_blocks(nodes=200, train=8, valid=8, seed=1)
    for name in ("gcn", "graphsage", "gat"):
        stages = Stages.of(model(name)).eval()
        operand = stages[1].operand(data.graph)
        sample = sample_neighbors(operand, torch.tensor([7, 150, 3]), [-1, -1])
        x = data.dense()
        found = stages.on_blocks(x[sample.nodes], _unbiased(stages, operand, sample))
        torch.testing.assert_close(found, stages(x, data.graph)[[7, 150, 3]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("schedule", ["full", "sampled", "cluster", "partition", "macro"])
def test_command(schedule: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", "karate", "--schedule", schedule, "--epochs", "2", "--parts", "3", "--hidden", "4"])
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["losses"]) == 2
    assert set(printed["accuracy"]) == {"train", "valid", "test"}


def test_refusals() -> None:
    data = stochastic_blocks(nodes=200, train=8, valid=8)
    mixed = Stages([Layer(GCNConv(16, 8)), Layer(SAGEConv(8, 4))])
    with pytest.raises(ValueError, match="layers that read the same graph"):
        training.sampled(mixed, data, [2, 2])
    with pytest.raises(ValueError, match="fan-out for each of 2 layers"):
        training.sampled(model(), data, [2])
    with pytest.raises(ValueError, match="a block for each of 2 layers, got 1"):
        mixed.on_blocks(data.dense(), [data.graph])
    with pytest.raises(ValueError, match="epochs >= 1"):
        Settings(epochs=0)
    with pytest.raises(ValueError, match="goes with --schedule partition or macro"):
        main(["--data", "karate", "--staleness", "1", "1", "1", "0", "0", "1"])
    with pytest.raises(ValueError, match="one process a part"):
        PartitionParallel(mixed, data.graph, partition(data.graph, 2))
    alone = PartitionParallel(mixed, data.graph, partition(data.graph, 1))
    with pytest.raises(ValueError, match="features of this part's 200 nodes"):
        alone(data.dense()[:5])
    gat = Stages.of(model("gat"))
    with pytest.raises(ValueError, match="overlap sums local neighbours"):
        PartitionParallel(gat, data.graph, partition(data.graph, 1), overlap=True)
    assert MacroPipeline(mixed, data.graph, partition(data.graph, 2)).owner(2) == 0
