"""What the page shows of a finished run, whatever its task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Shown"]


class Shown(Protocol):
    """A finished run. The module of this package that is named for a task has ``load(folder, config, environment)``,
    of the text of config.toml and what env.json says, which gives one."""

    @property
    def folder(self) -> Path: ...

    @property
    def environment(self) -> Mapping[str, Any]: ...

    @property
    def title(self) -> str: ...

    @property
    def subtitle(self) -> str: ...

    def document(self) -> dict[str, Any]:
        """The same as JSON."""

    def section(self, index: int, headed: bool) -> str:
        """Its part of the page in HTML; with `headed` under its own title."""

    def tables(self) -> str:
        """Its tables in Markdown."""
