"""One form for the tables of benches: a row is figures, what is asked of them, notes, and the load under which it was
measured. A sheet is a Markdown file with the raw figures beside it (NAME.md, name.json); rows may be measured one at a
time, and what RESULTS.md says of a sheet is read from its raw figures.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import machine

__all__ = [
    "Check",
    "Results",
    "Row",
    "Sheet",
    "at_least",
    "at_most",
    "header",
    "raw_of",
    "resident",
    "rewrite",
    "summary",
]

FOLDER = Path(__file__).parent
Results = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """A figure and what is asked of it; None: nothing."""

    what: str
    reached: float
    asked: float | None
    unit: str
    at_most: bool

    @property
    def met(self) -> bool:
        return self.asked is None or (self.reached <= self.asked if self.at_most else self.reached >= self.asked)

    def words(self, always: bool = False) -> str:
        """In bold when short; `always`: with what is asked when met as well."""
        text = f"{_number(self.reached)}{self.unit}{' ' + self.what if self.what else ''}"
        if self.asked is not None and (always or not self.met):
            text += f" ({'at most' if self.at_most else 'at least'} {_number(self.asked)}{self.unit})"
        return text if self.met else f"**{text}**"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def at_least(reached: float, asked: float | None, what: str = "", unit: str = "x") -> Check:
    return Check(what, reached, asked, unit, False)


def at_most(reached: float, asked: float | None, what: str = "", unit: str = " ms") -> Check:
    return Check(what, reached, asked, unit, True)


@dataclass(frozen=True)
class Row:
    """`figures` by implementation, in the sheet's unit; a text says why there is none."""

    title: str
    figures: Mapping[str, float | str]
    checks: Sequence[Check] = ()
    notes: str = ""
    load: str = field(default_factory=lambda: machine.load())
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))


@dataclass(frozen=True)
class Sheet:
    """`about`: how figures were had and what notes mean; `issue`: of the project, which asks for them."""

    name: str
    title: str
    about: str
    issue: int
    unit: str = "ms"

    def parser(self, doc: str | None, keys: Sequence[str] = ()) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        if keys:
            parser.add_argument("--rows", nargs="+", choices=list(keys), help="measure these anew, keep the others")
        parser.add_argument("--note", default="", help="what a reader must know of this run, such as what else ran")
        parser.add_argument("--out", type=Path, default=FOLDER / f"{self.name}.md")
        return parser

    def results(self, options: argparse.Namespace) -> Results:
        """Raw figures without rows yet."""
        command = shlex.join(["python", f"bench/{Path(sys.argv[0]).name}", *sys.argv[1:]])
        made: Results = {"name": self.name, "title": self.title, "about": self.about, "issue": self.issue}
        return made | {
            "unit": self.unit, "command": command, "note": options.note, "machine": machine.describe(), "rows": {}
        }  # fmt: skip

    def measure(self, rows: Mapping[str, Callable[[], Row]], options: argparse.Namespace) -> int:
        """Those rows that `options` asks for; the files are written after each."""
        chosen, raw = getattr(options, "rows", None), raw_of(options.out)
        kept = json.loads(raw.read_text()).get("rows", {}) if chosen and raw.exists() else {}
        results = self.results(options)
        for key, call in rows.items():
            if chosen and key not in chosen:
                continue
            try:
                row = call()
            except Exception as error:  # a bench reports what fails and goes on
                words = " ".join(str(error).split())[:200].replace("|", "/")
                row = Row(key, {"not measured": f"{type(error).__name__}: {words}"})
            kept[key] = asdict(row) | {"commit": results["machine"]["commit"], "note": options.note}
            print(f"{time.process_time():7.1f} s  {_line(kept[key], self.unit)}", flush=True)
            results["rows"] = {name: kept[name] for name in rows if name in kept}
            raw.write_text(json.dumps(results, indent=1) + "\n")
            options.out.write_text(render(results))
        return 0


def _span(values: Sequence[object]) -> str:
    return f"{values[0]} to {values[-1]}" if values[0] != values[-1] else f"{values[0]}"


def raw_of(out: Path) -> Path:
    return out.with_name(out.stem.lower() + ".json")


def resident(key: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key))) / 1024


def header(described: Mapping[str, str], **more: str) -> str:
    """The machine, a line a fact."""
    return "".join(f"- {name}: {value}\n" for name, value in {**described, **more}.items() if value)


def _checks(row: Results) -> list[Check]:
    return [Check(**check) for check in row["checks"]]


def _cells(row: Results) -> list[str]:
    figures = ", ".join(
        f"{name} {value if isinstance(value, str) else _number(value)}" for name, value in row["figures"].items()
    )
    return [row["title"], figures, ", ".join(check.words() for check in _checks(row)), row["notes"]]


def _when(row: Results) -> str:
    return ", ".join(filter(None, [row["date"], row["load"], row.get("commit"), row.get("note")]))


def _line(row: Results, unit: str) -> str:
    title, figures, reached, notes = _cells(row)
    return f"{title}: {figures} ({unit}); {reached} {notes}"


def render(results: Results) -> str:
    lines = ["| " + " | ".join([*_cells(row), _when(row)]) + " |" for row in results["rows"].values()]
    return (
        f"# {results['title']}\n\nLast run: `{results['command']}`, raw figures in `{results['name'].lower()}.json`. "
        f"{results['about']} In bold what is short of what issue {results['issue']} asks; the last column has the load "
        "average of 1 and 5 minutes, the commit, and what else ran.\n\n"
        f"{header(results['machine'])}\n"
        f"| | {results['unit']} | reached | | when, under which load |\n|---|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def sheets(folder: Path) -> list[Results]:
    """The raw figures of every sheet in a folder, by issue."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted((s for s in found if "rows" in s and "issue" in s), key=lambda s: s["issue"])


def rewrite(folder: Path) -> None:
    """Every table anew from its raw figures, but those that have columns of their own."""
    for sheet in sheets(folder):
        if "pairs" not in sheet:
            (folder / f"{sheet['name']}.md").write_text(render(sheet))


def summary(folder: Path) -> str:
    """What is asked for and what was reached, of every sheet in a folder."""
    parts = []
    for sheet in sheets(folder):
        asked = {row["title"]: [c for c in _checks(row) if c.asked is not None] for row in sheet["rows"].values()}
        asked = {title: checks for title, checks in asked.items() if checks}
        if not asked:
            continue
        all_checks = [check for checks in asked.values() for check in checks]
        loads = sorted(
            float(one) for row in sheet["rows"].values() if (one := row["load"].split(" / ")[0])[:1].isdigit()
        )
        dates = sorted(row["date"] for row in sheet["rows"].values())
        commits = ", ".join(
            dict.fromkeys(row.get("commit", sheet["machine"]["commit"]) for row in sheet["rows"].values())
        )
        busy = f", load {_span(loads)}" if loads else ""
        parts.append(
            f"### [{sheet['title']}]({sheet['name']}.md)\n\n"
            f"Issue {sheet['issue']}: {sum(check.met for check in all_checks)} of {len(all_checks)} met. "
            f"`{sheet['command']}`, {_span(dates)}{busy}; {sheet['machine']['CPU']}, "
            f"commit {commits}.\n\n| what | reached (bold: short) |\n|---|---|\n"
            + "\n".join(f"| {title} | {', '.join(c.words(True) for c in checks)} |" for title, checks in asked.items())
        )
    return "\n\n".join(parts)
