"""`moiety report`: what a run found, as one self-contained HTML file, and as tables and a figure for documents."""

from . import nodes
from .markdown import markdown
from .nodes import NodeRun
from .page import Run, document, load_run, page, picture

__all__ = ["NodeRun", "Run", "document", "load_run", "markdown", "nodes", "page", "picture", "tables"]


def tables(run: Run | NodeRun) -> str:
    """A run's tables in Markdown."""
    return nodes.markdown(run.results) if isinstance(run, NodeRun) else markdown(run.results)
