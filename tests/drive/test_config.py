"""The configurations that come with the package and with the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from moiety.data import dataset_names, graph_names, hypergraph_names, series_names
from moiety.drive.config import RunConfig, load_config, load_task, shipped
from moiety.drive.densest.config import DensestConfig
from moiety.drive.forecast.config import ForecastConfig
from moiety.drive.hypernodes.config import HypernodesConfig
from moiety.drive.nodes.config import NodesConfig
from moiety.drive.settings import SettingsError, build, dump, to_dict
from moiety.models import create_model, list_models

COMMITTED = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("name", [*shipped(), *map(str, COMMITTED)], ids=lambda name: Path(name).stem)
def test_every_configuration_is_of_known_parts(name: str) -> None:
    config = load_task(name)
    if isinstance(config, HypernodesConfig):
        assert {told.name for told in config.sets} <= set(hypergraph_names())
        for network in config.models:
            create_model(network.name, in_features=8, num_classes=3, **network.options)
        return
    if isinstance(config, ForecastConfig):
        assert config.data.name in series_names()
        assert {network.name for network in config.models} <= set(list_models(inputs="series"))
        return
    if isinstance(config, DensestConfig):
        assert {network.name for network in config.models} <= set(list_models(inputs="hypergraphs"))
        return
    if isinstance(config, NodesConfig):
        assert config.data.name in graph_names()
        create_model(config.model.name, in_features=8, num_classes=3, **config.model.options)
        return
    assert config.data.name in dataset_names()
    create_model(config.model.name, **config.model.options)
    assert set(config.baselines.everywhere) <= set(config.gates.activations)


def test_the_embedded_default_is_there() -> None:
    assert "digits" in shipped()
    assert COMMITTED


def test_a_resolved_configuration_is_itself_one(tmp_path: Path) -> None:
    config = load_config("digits", ["seeds=[4, 5]", "output.target=0.6", "teacher.weights=a/b.safetensors"])
    (tmp_path / "again.toml").write_text(dump(to_dict(config)))
    assert load_config(str(tmp_path / "again.toml")) == config


def test_the_weights_of_the_search_keep_their_own_defaults() -> None:
    config = load_config("digits", ["search.weights.momentum=0.8"])
    assert config.search.weights.learning_rate == RunConfig().search.weights.learning_rate
    assert config.search.weights.learning_rate != config.fit.learning_rate


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": []}, "expected different seeds, at least one"),
        ({"seeds": [1, 1]}, "expected different seeds"),
        ({"name": "a/b"}, "expected a name that a folder can have"),
        ({"threads": 0}, "expected at least one thread"),
        ({"data": {"valid": 1.0}}, r"\[data\] expected valid in \[0, 1\)"),
        ({"targets": {"fractions": []}}, r"\[targets\] expected a latency target"),
        ({"targets": {"fractions": [-1]}}, r"\[targets\] expected positive targets"),
        ({"latency": {"repeat": -1}}, r"\[latency\] expected repeat >= 0"),
        ({"fit": {"epochs": 0}}, r"\[fit\] expected at least one epoch"),
        ({"search": {"order": 3}}, r"\[search\] expected order 1 or 2"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(RunConfig, values)
