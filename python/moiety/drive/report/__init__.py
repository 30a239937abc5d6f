"""`moiety report`: what a run found, as one self-contained HTML file, and as tables and a figure for documents."""

from .markdown import markdown
from .page import Run, document, load_run, page, picture
from .shown import Shown

__all__ = ["Run", "Shown", "document", "load_run", "markdown", "page", "picture", "tables"]


def tables(run: Shown) -> str:
    """A run's tables in Markdown."""
    return run.tables()
