"""What parallelism a graph network has: work, depth, traffic, partitions and pipelines of your model on your graph.

    from moiety.cost.concurrency import analyse
    analyse(model, graph).table()

The analysis is that of M. Besta and T. Hoefler, Parallel and Distributed Graph Neural Networks (arXiv 2205.09702), made
executable: the formulas of its tables, and exact counts of what a model really does. docs/concurrency.md explains one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis import Analysis, analyse
    from .calibration import calibrate
    from .formulas import evaluate, scheme, written
    from .pipeline import Pipeline, Schedule, schedules, simulate
    from .plan import Plan, parse_plan
    from .roofline import Machine, load_machine
    from .watch import Trace, trace
    from .zigzag import ReductionCost, zigzag_cells, zigzag_cost
    from .zoo import build

_HOME = {
    "Analysis": "analysis",
    "Machine": "roofline",
    "Pipeline": "pipeline",
    "Plan": "plan",
    "ReductionCost": "zigzag",
    "Schedule": "pipeline",
    "Trace": "watch",
    "analyse": "analysis",
    "build": "zoo",
    "calibrate": "calibration",
    "evaluate": "formulas",
    "load_machine": "roofline",
    "parse_plan": "plan",
    "schedules": "pipeline",
    "scheme": "formulas",
    "simulate": "pipeline",
    "trace": "watch",
    "written": "formulas",
    "zigzag_cells": "zigzag",
    "zigzag_cost": "zigzag",
}

__all__ = [
    "Analysis",
    "Machine",
    "Pipeline",
    "Plan",
    "ReductionCost",
    "Schedule",
    "Trace",
    "analyse",
    "build",
    "calibrate",
    "evaluate",
    "load_machine",
    "parse_plan",
    "schedules",
    "scheme",
    "simulate",
    "trace",
    "written",
    "zigzag_cells",
    "zigzag_cost",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
