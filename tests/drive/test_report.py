"""The report: whole, self-contained, and visible in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from typer.testing import CliRunner

from drive.made_up import GATES, made_up_run
from moiety.cli import app
from moiety.drive.report import load_run, page
from moiety.drive.report.svg import Scale, ticks
from moiety.drive.results import comparison, pareto, read_results, summarise

PLOTS = ("pareto", "operators", "milliseconds", "gates", "fit")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HIGH = 520  # pixels of the box of a figure
VOID = {"meta", "link", "br", "img"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made_up_run(tmp_path / "run")
    return tmp_path / "run"


class Checker(HTMLParser):
    """Every element is closed in its turn; ids are unique; what the page would fetch is collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if "id" in said:
            self.ids.append(str(said["id"]))
        address = said.get("src") or (said.get("href") if tag != "a" else None)
        if address and not address.startswith("data:"):
            self.fetched.append(address)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(run: Path) -> None:
    text = page([load_run(run)])
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert checker.fetched == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert {f"plot-{name}" for name in PLOTS} <= set(checker.ids)
    assert "@import" not in text
    assert "url(" not in text
    assert "<script" not in text
    assert "a machine &lt;with&gt; brackets" in text


def test_every_gate_has_a_tooltip_with_its_cost(run: Path) -> None:
    text = page([load_run(run)])
    for gate in GATES:
        assert re.search(rf"<title>{re.escape(gate)}: [^<]+ ms</title>", text)


def test_the_command_writes_the_page_or_json(run: Path) -> None:
    runner = CliRunner()
    said = runner.invoke(app, ["report", str(run)])
    assert said.exit_code == 0
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    document = json.loads(runner.invoke(app, ["report", str(run), "--json"]).stdout)
    (entry,) = document["runs"]
    assert len(entry["against_random"]) == 5
    assert {group["method"] for group in entry["summary"]} == {"search", "random", "greedy", "everywhere"}


def test_the_command_writes_tables_and_a_figure_for_documents(run: Path) -> None:
    results = read_results(run)
    said = CliRunner().invoke(app, ["report", str(run), "--markdown", "--svg", str(run / "figure.svg")])
    assert said.exit_code == 0
    assert not (run / "report.html").exists()
    tables = [[line.split(" | ") for line in table.splitlines()] for table in said.stdout.strip().split("\n\n")]
    assert [len(table) for table in tables] == [2 + 3, 2 + 5, 2 + 5]
    assert all(len(row) == len(table[0]) for table in tables for row in table)
    best = min(g.target for g in summarise(results.networks) if g.method == "search")
    entry = comparison(summarise(results.networks))[best]
    assert f"{100 * entry['gain']:.2f} (± {100 * entry['error']:.2f})" in tables[1][2]
    image = ElementTree.parse(run / "figure.svg").getroot()
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert sum(element.tag.endswith("circle") for element in image.iter()) >= 5


def test_several_runs_are_put_side_by_side(run: Path, tmp_path: Path) -> None:
    made_up_run(tmp_path / "other", seeds=1, targets=1, measured=False)
    text = page([load_run(run), load_run(tmp_path / "other")])
    assert "side by side" in text
    assert text.count('<section class="run"') == 2


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert said.exit_code == 1
    assert "expected the folder of a finished" in said.stderr
    (tmp_path / "results.json").write_text('{"format": 1, "name": 3}')
    assert "does not hold a run's results" in CliRunner().invoke(app, ["report", str(tmp_path)]).stderr


def test_the_summary_is_the_arithmetic_of_the_networks(run: Path) -> None:
    results = read_results(run)
    groups = summarise(results.networks)
    searched = [g for g in groups if g.method == "search"]
    assert [g.target for g in searched] == [t.seconds for t in results.targets]
    first = searched[0]
    tests = [n.test for n in results.networks if n.method == "search" and n.target == first.target]
    assert first.test == pytest.approx(sum(tests) / len(tests))
    spread = (sum((t - first.test) ** 2 for t in tests) / (len(tests) - 1)) ** 0.5
    assert first.test_error == pytest.approx(spread / len(tests) ** 0.5)
    front = pareto(groups)
    assert all(a.seconds < b.seconds and a.test < b.test for a, b in pairwise(front))
    assert all(any(f.seconds <= g.seconds and f.test >= g.test for f in front) for g in groups)
    relu = next(g for g in groups if g.choice == "relu")
    random = next(g for g in groups if g.method == "random" and g.target == first.target)
    found = comparison(groups)[first.target]
    assert found["gain"] == pytest.approx(first.test - random.test)
    assert found["recovered"] == pytest.approx(found["gain"] / (relu.test - random.test))


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(14.2, 37.9, 6) == [15, 20, 25, 30, 35]
    assert ticks(3, 3) == [3]
    scale = Scale.around([5.0, 5.0], 0, 100)
    assert 0 < scale(5.0) < 100


def browser() -> str:
    """A Chromium, or the test is skipped."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_every_plot(run: Path, tmp_path: Path, scheme: str) -> None:
    """The page's own figures and style, each figure in a box whose place is known."""
    program = browser()
    text = page([load_run(run)])
    boxes = ""
    for i, name in enumerate(PLOTS):
        drawn = re.search(rf'<svg[^>]*id="plot-{name}".*?</svg>', text, re.DOTALL)
        assert drawn is not None
        boxes += (
            f'<div style="position:absolute;left:20px;top:{i * HIGH}px;width:1000px;height:{HIGH}px">{drawn[0]}</div>'
        )
    (tmp_path / "plots.html").write_text(text[: text.index("</head>")] + f"</head><body>{boxes}</body></html>")
    whole = screenshot(program, tmp_path / "plots.html", tmp_path / "plots.png", scheme).convert("RGB")
    for i, name in enumerate(PLOTS):
        image = whole.crop((0, i * HIGH, 1040, (i + 1) * HIGH))
        colours = image.getcolors(1 << 24) or []
        background, page_colour = max(colours)
        assert 1 - background / (image.width * image.height) > 0.004, name  # ink
        assert len(colours) > 40, name
        # Something in a colour of its own, not only grey lines.
        assert [c for n, c in colours if n > 20 and max(c) - min(c) > 60], name
        assert (sum(page_colour) < 200) == (scheme == "dark")


def screenshot(program: str, html: Path, target: Path, scheme: str) -> Image.Image:
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={target.parent / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        f"--window-size=1040,{HIGH * len(PLOTS)}",
        f"--screenshot={target}",
        html.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert target.exists(), done.stderr
    return Image.open(target)
