"""What the README and docs/ show works: Python blocks run, and the commands that shell blocks name exist."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from moiety.models import registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]
ILLUSTRATIONS = {"docs/engine.md"}  # interfaces written down, not programs


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(first line, text) of the fenced blocks of one language."""
    text = page.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: m.start()].count("\n") + 2, m[1]) for m in found]


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if blocks(p, "python") and str(p.relative_to(ROOT)) not in ILLUSTRATIONS],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_python_blocks_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in registry.FILES:  # what a page imports first would register in the copy alone
        importlib.import_module(file)
    monkeypatch.setattr(registry, "REGISTERED", dict(registry.REGISTERED))  # a page may register models of its own
    names: dict[str, object] = {"__name__": "example"}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)


def commands() -> list[tuple[str, list[str]]]:
    """Every `moiety ...` and `make ...` line of the shell blocks, continuation lines joined."""
    found = []
    for page in PAGES:
        indented = [(0, "\n".join(line[4:] for line in page.read_text().splitlines() if line.startswith("    ")))]
        for _, text in [*blocks(page, "sh"), *indented]:
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line.partition(" #")[0], posix=True) if re.match(r"(moiety|make) ", line) else []
                if words:
                    found.append((f"{page.relative_to(ROOT)}: {line.strip()[:60]}", words))
    return found


@pytest.mark.parametrize(("where", "words"), [pytest.param(w, c, id=w) for w, c in commands()])
def test_commands_exist_with_their_options(where: str, words: list[str]) -> None:
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets, where
        return
    import typer.main

    from moiety.cli import app

    command, rest = typer.main.get_command(app), words[1:]
    while rest and hasattr(command, "commands"):  # a group of commands
        command = command.commands.get(rest.pop(0))
        assert command is not None, f"{where}: no such command"
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    used = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert used <= known, f"{where}: unknown options {used - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
