"""`moiety report`: what a run found, as one self-contained HTML file, and as tables and a figure for documents."""

from .markdown import markdown
from .page import Run, document, load_run, page, picture

__all__ = ["Run", "document", "load_run", "markdown", "page", "picture"]
