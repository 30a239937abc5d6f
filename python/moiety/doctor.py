"""What this installation is, what it chose on this machine, whether its transport works, and what is missing.

`moiety doctor` prints it. Nothing here needs torch: a broken environment is reported, not met with a traceback.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib import metadata
from json import dumps
from typing import Any

from moiety import __version__, _core

__all__ = ["Component", "Report", "collect", "run"]

LOOPBACK_BYTES = 1 << 20
LOOPBACK_TIMEOUT_S = 10.0
CONTROL = 2  # frame tag, docs/engine.md section 2


@dataclass(frozen=True)
class Component:
    """A distribution that the package needs, or that one of its extras brings."""

    name: str
    needed: str  # the version asked for, such as ">=2.6"
    found: str | None  # the installed version
    extra: str | None  # None: required

    @property
    def satisfied(self) -> bool:
        lowest = re.fullmatch(r">=([\d.]+)", self.needed)
        if self.found is None or lowest is None:
            return self.found is not None
        return _release(self.found) >= _release(lowest[1])


@dataclass
class Report:
    """Everything that `moiety doctor` knows; `problems` is empty on a healthy machine."""

    versions: dict[str, str]
    machine: dict[str, Any]
    kernels: dict[str, str]
    transport: dict[str, str]
    components: list[Component]
    problems: list[str] = field(default_factory=list)


def collect() -> Report:
    """Look at everything; never raises for what it finds."""
    components = _components()
    transport = {name: _attempt(test) for name, test in LOOPBACK_TESTS.items()}
    problems = [
        f"{c.name}{c.needed} is needed, found {c.found or 'none'}: {_install([c])}"
        for c in components
        if not c.extra and not c.satisfied
    ]
    problems += [f"loopback over {name}: {said}" for name, said in transport.items() if not said.startswith("ok")]
    if not ssl.HAS_TLSv1_3:
        problems.append(f"TLS 1.3 is needed between machines; {ssl.OPENSSL_VERSION} has none: use a newer Python")
    return Report(
        versions={
            "moiety": __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            "core compiler": _core.compiler(),
            "tls": ssl.OPENSSL_VERSION,
            "torch": _version("torch") or "missing",
            "numpy": _version("numpy") or "missing",
        },
        machine={
            "system": f"{platform.system()} {platform.machine()}",
            "cpu features": dict(_core.cpu_features()),
            "threads": _core.default_threads(),
            "MOIETY_NUM_THREADS": os.environ.get("MOIETY_NUM_THREADS"),
            "MOIETY_ISA": os.environ.get("MOIETY_ISA"),
        },
        kernels=_kernels(_core.isa(), dict(_core.cpu_features())),
        transport=transport,
        components=components,
        problems=problems,
    )


def run(json: bool = False) -> int:
    """Print the report, as text or as JSON; returns the exit code: 0 when there is no problem, else 1."""
    report = collect()
    print(dumps(asdict(report), indent=2) if json else _text(report))
    return int(bool(report.problems))


# --- what is looked at -----------------------------------------------------------------------------------------------


def _kernels(isa: str, features: dict[str, bool]) -> dict[str, str]:
    """The path that each family of kernels takes at level `isa`; csrc/core/cpu.hpp says what a level leaves on."""
    wide = isa == "avx512"
    aes = (
        "VAES, 512 bits"
        if wide and features["vaes"]
        else "AES-NI"
        if isa != "scalar" and features["aesni"]
        else "portable"
    )
    return {"ring": isa, "comparison": isa, "graph": isa, "aes": aes}


def _components() -> list[Component]:
    try:
        requirements = metadata.requires("moiety") or []
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return []
    found = []
    for requirement in requirements:
        parts = re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?\s*([^;]*)", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
        if parts is None or parts[1] == "moiety":
            continue
        name, needed = parts[1], parts[3].strip()
        found.append(Component(name, needed, _version(name), extra[1] if extra else None))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _attempt(test: Callable[[], str]) -> str:
    try:
        return test()
    except Exception as error:  # whatever it is, it is what the doctor has to tell
        return f"failed: {type(error).__name__}: {error}"


# --- loopback: one frame there and back through the channel that the parties use ------------------------------------


def _unix() -> str:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    return _echo(ours, theirs)


def _tcp() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), timeout=LOOPBACK_TIMEOUT_S)
        theirs, _ = listener.accept()
    return _echo(ours, theirs)


LOOPBACK_TESTS: dict[str, Callable[[], str]] = {"Unix socket": _unix, "TCP": _tcp}


def _echo(ours: socket.socket, theirs: socket.socket) -> str:
    with closing(ours), closing(theirs):
        near = _core.mpc.socket_channel(ours.fileno(), LOOPBACK_TIMEOUT_S)
        far = _core.mpc.socket_channel(theirs.fileno(), LOOPBACK_TIMEOUT_S)
        with closing(near), closing(far):
            peer = threading.Thread(target=lambda: far.send(*far.recv()), daemon=True)
            peer.start()
            message = os.urandom(LOOPBACK_BYTES)
            near.send(CONTROL, message)
            tag, answer = near.recv()
            peer.join(LOOPBACK_TIMEOUT_S)
            if (tag, bytes(answer)) != (CONTROL, message):
                return f"failed: sent {len(message)} bytes with tag {CONTROL}, got {len(answer)} bytes with tag {tag}"
            return f"ok, {LOOPBACK_BYTES >> 20} MiB there and back, {near.bytes_sent} bytes counted each way"


# --- text ------------------------------------------------------------------------------------------------------------


def _text(report: Report) -> str:
    features = report.machine["cpu features"]
    variables = {name: report.machine[name] or "not set" for name in ("MOIETY_NUM_THREADS", "MOIETY_ISA")}
    lines = [f"moiety {__version__}", ""]
    lines += _section("Versions", {k: v for k, v in report.versions.items() if k != "moiety"})
    lines += _section(
        "Machine",
        {
            "system": report.machine["system"],
            "CPU has": ", ".join(k for k, has in features.items() if has) or "no extension that the kernels use",
            "CPU lacks": ", ".join(k for k, has in features.items() if not has) or "nothing that the kernels use",
            "threads": report.machine["threads"],
            **variables,
        },
    )
    lines += _section("Kernels in use", report.kernels)
    lines += _section("Transport self-test on loopback", report.transport)
    lines += _section("Required", {c.name: c.found or "missing" for c in report.components if not c.extra})
    lines += _section("Optional", {f"[{extra}]": said for extra, said in _extras(report.components).items()})
    lines += ["No problem found."] if not report.problems else ["Problems", *(f"  {line}" for line in report.problems)]
    return "\n".join(lines)


def _extras(components: list[Component]) -> dict[str, str]:
    said = {}
    for extra in dict.fromkeys(c.extra for c in components if c.extra):
        missing = [c for c in components if c.extra == extra and not c.satisfied]
        said[extra] = f"missing {', '.join(c.name for c in missing)}: {_install(missing)}" if missing else "installed"
    return said


def _install(components: list[Component]) -> str:
    return " ".join(["pip install", *(f"'{c.name}{c.needed}'" for c in components)])


def _section(title: str, rows: dict[str, Any]) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return [title, *(f"  {name:<{width}}  {value}" for name, value in rows.items()), ""]
