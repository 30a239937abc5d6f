"""What a run of forecasting is asked to do, as frozen dataclasses from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ForecastConfig", "ForecastFitConfig", "ForecastModelConfig", "SeriesConfig", "TopologyConfig",
           "WindowConfig"]  # fmt: skip


@dataclass(frozen=True)
class SeriesConfig:
    """The series and the edges of every step."""

    name: str = "generated"  # of moiety.data.load_series
    options: dict[str, Any] = field(default_factory=dict)  # its further arguments


@dataclass(frozen=True)
class WindowConfig:
    """What is read and what is forecast. The last part of the steps, as the series says, is the test; the part `valid`
    of all steps before it validates. A window lies within one part; scales are those of the training steps."""

    lag: int = 12  # steps read
    horizon: int = 12  # steps forecast
    valid: float = 0.1
    read: tuple[str, ...] = ()  # channels; none named: the one that is forecast, the series' first
    clock: bool = False  # sine and cosine of the time of day as two more channels

    def __post_init__(self) -> None:
        if self.lag < 2 or self.horizon < 1 or not 0 < self.valid < 1:
            raise ValueError(
                f"expected lag >= 2, horizon >= 1 and valid in (0, 1), found {self.lag}, {self.horizon}, {self.valid}"
            )


@dataclass(frozen=True)
class TopologyConfig:
    """The zigzag persistence image of a window (`moiety.topology`)."""

    mode: Literal["paper", "code"] = "code"  # true unions, or the authors' doubled copies
    alpha: float = 0.3  # edges of at most this weight
    weighting: Literal["distance", "rbf"] = "distance"  # of a road graph's edges by the values at their ends
    gamma: float = 1.0  # of rbf
    dimension: int = 1
    resolution: int = 100
    variant: Literal["paper", "code"] = "code"
    bandwidth: float = 1.0
    power: float = 1.0  # of a bar's persistence in its weight
    learnable: bool = False  # bandwidth and weight

    def __post_init__(self) -> None:
        if not self.alpha >= 0 or not self.gamma > 0 or self.dimension not in (0, 1):
            raise ValueError(
                f"expected alpha >= 0, gamma > 0 and dimension 0 or 1, found {self.alpha}, {self.gamma}, "
                f"{self.dimension}"
            )


@dataclass(frozen=True)
class ForecastModelConfig:
    """One network. num_nodes, channels, lag, horizon and resolution come from the data and the other sections."""

    name: str = "zgcnet"  # of moiety.models.create_model, one for series
    title: str = ""  # in tables; by default the name
    topology: bool = True  # zgcnet: reads persistence images
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.title or self.name


@dataclass(frozen=True)
class ForecastFitConfig:
    """Training with Adam."""

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 0.003
    schedule: Literal["constant", "cosine"] = "constant"  # of the learning rate, down to 0 with the last epoch
    weight_decay: float = 0.0
    loss: Literal["mae", "huber", "mse"] = "mae"  # of scaled values
    residual: int = 0  # what is learned is the change against the median of so many last values read; 0: the value
    clip: float = 5.0  # largest norm of the gradient
    patience: int = 20  # epochs without a better validation after which training ends; 0: it goes on to the last

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or min(self.learning_rate, self.clip) <= 0 or self.patience < 0:
            raise ValueError(
                f"expected epochs and batch >= 1, learning_rate and clip > 0, patience >= 0, found {self.epochs}, "
                f"{self.batch}, {self.learning_rate}, {self.clip}, {self.patience}"
            )
        if self.weight_decay < 0:
            raise ValueError(f"expected weight_decay >= 0, found {self.weight_decay}")
        if self.residual < 0:
            raise ValueError(f"expected residual >= 0, found {self.residual}")


@dataclass(frozen=True)
class ForecastConfig:
    """One run: every network trained with every seed."""

    task: Literal["forecast"] = "forecast"
    name: str = "traffic"
    seeds: tuple[int, ...] = (0,)
    threads: int = 1
    data: SeriesConfig = field(default_factory=SeriesConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    topology: TopologyConfig = field(default_factory=TopologyConfig)
    models: tuple[ForecastModelConfig, ...] = (ForecastModelConfig(),)
    fit: ForecastFitConfig = field(default_factory=ForecastFitConfig)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"expected different seeds, at least one, found {list(self.seeds)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"expected a name that a folder can have, found {self.name!r}")
        if self.threads < 1:
            raise ValueError(f"expected at least one thread, found {self.threads}")
        if self.fit.residual > self.windows.lag:
            raise ValueError(
                f"expected residual to be at most the {self.windows.lag} steps read, found {self.fit.residual}"
            )
        labels = [model.label for model in self.models]
        if not labels or len({label.lower().replace(" ", "-") for label in labels}) != len(labels):
            raise ValueError(f"expected networks with different titles, at least one, found {labels}")
        if bad := [label for label in labels if not label.replace(" ", "").replace("-", "").replace("_", "").isalnum()]:
            raise ValueError(f"expected titles of letters, digits, spaces, - and _, found {bad[0]!r}")

    @property
    def reads_images(self) -> bool:
        return any(model.name == "zgcnet" and model.topology for model in self.models)
