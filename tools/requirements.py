"""Print what pyproject.toml asks for, one requirement a line, for `pip install -r`.

    python tools/requirements.py build run test

`build` stands for the build requirements, `run` for the dependencies, any other word for an extra.
"""

import re
import sys
import tomllib
from pathlib import Path


def requirements(project: dict, group: str) -> list[str]:
    """The requirements of one group; `moiety[a,b]` inside an extra stands for the extras a and b."""
    if group == "build":
        return project["build-system"]["requires"]
    if group == "run":
        return project["project"]["dependencies"]
    found = []
    for requirement in project["project"]["optional-dependencies"][group]:
        own = re.fullmatch(r"moiety\[(.+)\]", requirement)
        found += [r for g in own[1].split(",") for r in requirements(project, g.strip())] if own else [requirement]
    return found


if __name__ == "__main__":
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    print("\n".join(r for group in sys.argv[1:] for r in requirements(pyproject, group)))
