"""Options of the whole test suite: where the data lies, and what may be skipped."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

NO_DATA = "data not found under --data, MOIETY_DATA or ../shared/data"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("moiety")
    group.addoption("--data", metavar="DIR", help="folder of the data sets, before $MOIETY_DATA and ../shared/data")
    group.addoption(
        "--fail-on-skip",
        metavar="REGEX",
        help="fail the run when a test was skipped for a reason that does not match REGEX",
    )
    group.addoption("--expect-core", metavar="DIR", help="refuse to run with a compiled core from elsewhere")


def data_root(config: pytest.Config) -> Path | None:
    """The folder of data sets, by the order that `NO_DATA` states; None where there is none."""
    places = [config.getoption("--data"), os.environ.get("MOIETY_DATA"), config.rootpath.parent / "shared" / "data"]
    return next((Path(place) for place in places if place and Path(place).is_dir()), None)


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """The folder of data sets; skips the test where there is none."""
    root = data_root(request.config)
    if root is None:
        pytest.skip(NO_DATA)
    return root


def pytest_configure(config: pytest.Config) -> None:
    if expected := config.getoption("--expect-core"):
        import moiety._core as core

        if not Path(core.__file__).resolve().is_relative_to(Path(expected).resolve()):
            raise pytest.UsageError(f"expected the core under {expected}, imported {core.__file__}")
    if allowed := config.getoption("--fail-on-skip"):
        config.pluginmanager.register(_SkipGuard(allowed), "moiety-skip-guard")


# Files of minutes: begun first, so that no process is left alone with one in the end.
LONG = (
    "drive/test_runs.py",
    "train/test_graph_distributed.py",
    "private/test_hypergraph.py",
    "private/test_forecast.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


class _SkipGuard:
    """Turns skips that nobody allowed into a failed run: a test that silently stops running protects nothing."""

    def __init__(self, allowed: str) -> None:
        self.allowed = re.compile(allowed)
        self.refused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            if not self.allowed.search(reason):
                self.refused.append(f"{report.nodeid}: {reason}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.refused:
            terminalreporter.write_line(f"SKIP NOT ALLOWED {line}", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
