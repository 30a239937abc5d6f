"""What a run is asked to do: one TOML file, or the name of a shipped one, as frozen dataclasses.

`moiety search` and `moiety train` read the same file; each section says which of them uses it. `moiety train` reads
files with `task = "nodes"`, `"hypernodes"` or `"forecast"` as well, whose settings are in `nodes.config` and so on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from moiety.search import FitConfig, SearchConfig

from .densest.config import DensestConfig
from .forecast.config import ForecastConfig
from .hypernodes.config import HypernodesConfig
from .nodes.config import NodesConfig
from .settings import SettingsError, assign, build

__all__ = [
    "TASKS",
    "BaselineConfig",
    "DataConfig",
    "GateConfig",
    "LatencyConfig",
    "ModelConfig",
    "OutputConfig",
    "RunConfig",
    "TargetConfig",
    "TaskConfig",
    "TeacherConfig",
    "load_config",
    "load_task",
    "shipped",
]

SHIPPED = Path(__file__).parent / "configs"
# What `task` may say beside "images", each a package of its own: `moiety.drive.nodes` has config, running, results, and
# `moiety.drive.report.nodes` the page.
TASKS: dict[str, type[NodesConfig] | type[HypernodesConfig] | type[DensestConfig] | type[ForecastConfig]] = {
    "nodes": NodesConfig,
    "hypernodes": HypernodesConfig,
    "densest": DensestConfig,
    "forecast": ForecastConfig,
}


@dataclass(frozen=True)
class DataConfig:
    """Images (both commands). The test split is used once, for the accuracies of the report."""

    name: str = "digits"  # of moiety.data.load_dataset
    options: dict[str, Any] = field(default_factory=dict)  # its further arguments
    images: int | None = None  # at most so many training images, the same number of every class
    valid: float = 0.2  # part of them that is held out from training, for choices; `moiety train` uses it if above 0

    def __post_init__(self) -> None:
        if not 0 <= self.valid < 1:
            raise ValueError(f"expected valid in [0, 1), found {self.valid}")


@dataclass(frozen=True)
class ModelConfig:
    """The network (both commands)."""

    name: str = "resnet8"  # of moiety.models.create_model
    options: dict[str, Any] = field(default_factory=dict)  # its arguments; num_classes comes from the data


@dataclass(frozen=True)
class GateConfig:
    """What a gate may be (search)."""

    activations: tuple[str, ...] = ("relu", "x2", "identity")
    pools: tuple[str, ...] = ("max", "avg")
    granularity: Literal["layer", "channel"] = "layer"
    ramp: float = 0.5  # part of the fine-tuning in which gates go over from their first candidate to the chosen one


@dataclass(frozen=True)
class LatencyConfig:
    """Where the private inference will run (both commands)."""

    backend: str = "analytic:1:1000"  # of moiety.cost.backend; the search goes by it
    network: str = "1:1000"  # RTT_MS:MBIT, lan, wan or none, on which the networks found are measured
    repeat: int = 9  # timed inferences of each; 0 measures nothing
    batch: int = 1
    comparison: str = "auto"  # circuit, dcf or auto

    def __post_init__(self) -> None:
        if self.repeat < 0 or self.batch < 1:
            raise ValueError(f"expected repeat >= 0 and batch >= 1, found {self.repeat} and {self.batch}")


@dataclass(frozen=True)
class TargetConfig:
    """The latencies to stay under (search): milliseconds, or fractions of the way between two uniform networks."""

    milliseconds: tuple[float, ...] = ()
    fractions: tuple[float, ...] = (0.25, 0.5, 0.75)
    between: tuple[str, str] = ("identity", "relu")

    def __post_init__(self) -> None:
        if not (self.milliseconds or self.fractions):
            raise ValueError("expected a latency target in milliseconds or fractions")
        if any(value <= 0 for value in (*self.milliseconds, *self.fractions)):
            raise ValueError(f"expected positive targets, found {self.milliseconds} and {self.fractions}")


@dataclass(frozen=True)
class TeacherConfig:
    """The all-ReLU network: networks with an architecture start from its weights and are distilled from it.

    `moiety train` without an architecture uses it only if `weights` are given, for distillation.
    """

    weights: Path | None = None  # a file of an earlier run; otherwise it is trained first
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class BaselineConfig:
    """What the search is compared with (search), each trained as the searched networks are."""

    random: int = 0  # networks of equal latency, for each target and seed
    tolerance: float = 0.05  # by how much of the target they may lie below it
    greedy: bool = False  # with the first seed alone, as the architecture depends on no seed
    uniform: bool = False  # likewise: the first candidate at as many gates as the target allows, spread evenly
    evolve: bool = False
    everywhere: tuple[str, ...] = ()  # operators, each at all gates, for each seed


@dataclass(frozen=True)
class OutputConfig:
    """The network that is kept (both commands)."""

    target: float | None = None  # search: of which target, by its fraction or milliseconds; else the middle one
    calibration: int = 2048  # training images on which the ranges of its activations are measured
    compile: bool = False  # write program.moiety and program-client.moiety
    ring: int = 64
    fraction_bits: int = 16


@dataclass(frozen=True)
class RunConfig:
    """One run."""

    name: str = "digits"
    seeds: tuple[int, ...] = (0,)
    threads: int = 1  # of each trial; results depend on it in the last digits
    architecture: Path | None = None  # train: an architecture.json; otherwise the model as its options make it
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    gates: GateConfig = field(default_factory=GateConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    baselines: BaselineConfig = field(default_factory=BaselineConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"expected different seeds, at least one, found {list(self.seeds)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"expected a name that a folder can have, found {self.name!r}")
        if self.threads < 1:
            raise ValueError(f"expected at least one thread, found {self.threads}")


TaskConfig = RunConfig | NodesConfig | HypernodesConfig | DensestConfig | ForecastConfig


def shipped() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_config(config: str, sets: Sequence[str] = ()) -> RunConfig:
    """The configuration in a TOML file, or a shipped one by name, with `--set` assignments applied.

    Raises `SettingsError`, which names the setting.
    """
    found = load_task(config, sets)
    if not isinstance(found, RunConfig):
        raise SettingsError(f"{config} is of the task {found.task!r}: expected images, which are what is searched on")
    return found


def load_task(config: str, sets: Sequence[str] = ()) -> TaskConfig:
    """The same for whatever `task` it is of: "images", which need not be said, or one of `TASKS`."""
    path = Path(config)
    if not path.is_file():
        if config not in shipped():
            expected = f"expected a path, or {', '.join(shipped())}"
            raise SettingsError(f"configuration {config!r} is neither a file nor a shipped one: {expected}")
        path = SHIPPED / f"{config}.toml"
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML file: {error}") from None
    values.setdefault("name", path.stem)
    values = assign(values, sets)
    task = values.get("task", "images")
    if task == "images":
        return build(RunConfig, {key: value for key, value in values.items() if key != "task"})
    if task not in TASKS:
        raise SettingsError(f"setting task is {task!r}: expected 'images', {', '.join(map(repr, TASKS))}")
    if "output" in values:  # --compile
        raise SettingsError(
            "setting output: compile a graph network from its file, moiety compile RUN/weights.safetensors"
        )
    return build(TASKS[task], values)
