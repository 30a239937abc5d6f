"""Networks for graphs: registered, of the published size, equal to PyG's, with sparse features as with dense ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.models import create_model, list_models, load_network, read_metadata, save_network
from moiety.models.registry import GRAPH_FILES

NODES, IN, CLASSES = 40, 10, 4
NAMES = sorted(name for names in GRAPH_FILES.values() for name in names)


def edges() -> Tensor:
    return torch.randint(NODES, (2, 150), generator=torch.Generator().manual_seed(0))


def features() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(NODES, IN, generator=generator)
    return x * (torch.rand(NODES, IN, generator=generator) > 0.6)


def sparse(x: Tensor) -> Graph:
    rows, columns = x.nonzero(as_tuple=True)
    return Graph.from_edge_index(torch.stack([columns, rows]), len(x), x[rows, columns], num_sources=x.shape[1])


def test_names() -> None:
    assert list_models(inputs="graphs") == NAMES
    assert not set(list_models(inputs="images")) & set(NAMES)
    assert set(list_models()) >= {*list_models(inputs="images"), *NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_sparse_features_are_dense_ones(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, in_features=IN, num_classes=CLASSES)
    x, edge_index = features(), edges()
    graph = Graph.from_edge_index(edge_index, num_nodes=NODES)
    assert model(x, edge_index).shape == (NODES, CLASSES)  # in training mode
    assert model(sparse(x), graph).shape == (NODES, CLASSES)
    model.eval()
    torch.testing.assert_close(model(sparse(x), graph), model(x, edge_index), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, in_features=IN, num_classes=CLASSES)
    nn.functional.cross_entropy(model(features(), edges()), torch.arange(NODES) % CLASSES).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert bool(torch.isfinite(parameter.grad).all()), path


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sgc"])
@pytest.mark.parametrize("layers", [1, 3])
def test_depth(name: str, layers: int) -> None:
    model = create_model(name, in_features=IN, num_classes=CLASSES, layers=layers).eval()
    assert model(features(), edges()).shape == (NODES, CLASSES)


# On Cora (1,433 features, 7 classes), counted by hand from the papers' layer sizes.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gcn", 1433 * 16 + 16 + 16 * 7 + 7),
        ("gat", 1433 * 64 + 2 * 64 + 64 + 64 * 7 + 2 * 7 + 7),
        ("sgc", 1433 * 7 + 7),
        ("appnp", 1433 * 64 + 64 + 64 * 7 + 7),
        ("graphsage", 2 * 1433 * 64 + 64 + 2 * 64 * 7 + 7),
    ],
)
def test_sizes_on_cora(name: str, parameters: int) -> None:
    model = create_model(name, in_features=1433, num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "theirs", "options", "arguments"),
    [
        ("gcn", "GCN", {"hidden": 6, "layers": 3}, {}),
        ("graphsage", "GraphSAGE", {"hidden": 6}, {}),
        ("graphsage", "GraphSAGE", {"hidden": 6, "aggr": "pool"}, {"aggr": "max", "project": True}),
        ("gin", "GIN", {"hidden": CLASSES, "train_eps": False, "norm": False}, {}),
        ("gat", "GAT", {"hidden": 6, "heads": 1, "activation": "relu"}, {"heads": 1}),
        ("gatv2", "GAT", {"hidden": 6, "heads": 1, "activation": "relu"}, {"heads": 1, "v2": True}),
    ],
)
def test_equal_to_pyg(name: str, theirs: str, options: dict[str, Any], arguments: dict[str, Any]) -> None:
    models = pytest.importorskip("torch_geometric.nn.models", reason="PyTorch Geometric is not installed")
    hidden, layers = options["hidden"], options.get("layers", 2)
    expected = getattr(models, theirs)(IN, hidden, layers, CLASSES, norm=None, **arguments).eval()
    model = create_model(name, in_features=IN, num_classes=CLASSES, **options).eval()
    state = expected.state_dict()
    if name == "gin":  # an MLP class of its own, with its own names of the same layers
        state = {key.replace("nn.lins.0", "nn.0").replace("nn.lins.1", "nn.2"): v for key, v in state.items()}
    model.load_state_dict(state)
    x, edge_index = features(), edges()
    torch.testing.assert_close(model(x, edge_index), expected(x, edge_index), rtol=1e-4, atol=1e-5)


def test_dropout_of_sparse_features_is_of_their_entries() -> None:
    from moiety.models.graph_parts import FeatureDropout

    torch.manual_seed(0)
    x = sparse(torch.ones(50, 40))
    dropped = FeatureDropout(0.25)(x)
    assert isinstance(dropped, Graph)
    assert dropped.weight is not None
    assert sorted(set(dropped.weight.tolist())) == pytest.approx([0, 4 / 3])
    assert float((dropped.weight == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert FeatureDropout(0.25).eval()(x) is x


def test_files(tmp_path: Path) -> None:
    options = {"in_features": IN, "num_classes": CLASSES, "hidden": 5}
    model = create_model("gcn", **options).eval()
    path = tmp_path / "weights.safetensors"
    save_network(path, model, {"model": {"name": "gcn", "kwargs": options}, "features": IN}, half=False)
    found, metadata = load_network(path)
    assert metadata["features"] == IN
    assert torch.equal(found(features(), edges()), model(features(), edges()))
    save_network(path, model, {"model": {"name": "gcn", "kwargs": options}, "features": "many"})
    with pytest.raises(ValueError, match="expected how many features a node has, found 'many'"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gcn", {"num_classes": 3}, "'gcn' wants the option in_features"),
        ("gcn", {"in_features": 3, "num_classes": 3, "layers": 0}, "must be positive"),
        ("gcn", {"in_features": 3, "num_classes": 3, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ("gcn", {"in_features": 3, "num_classes": 3, "activation": "gelu"}, "got 'gelu'"),
        ("gat", {"in_features": 3, "num_classes": 3, "heads": 0}, "expected heads >= 1"),
        ("graphsage", {"in_features": 3, "num_classes": 3, "aggr": "lstm"}, "aggr must be"),
        ("gcn", {"in_features": 3, "num_classes": 3, "width": 4}, "no option 'width'"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        create_model(name, **options)
