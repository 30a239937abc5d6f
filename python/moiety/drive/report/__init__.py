"""`moiety report`: what a run found, as one self-contained HTML file."""

from .page import Run, document, load_run, page

__all__ = ["Run", "document", "load_run", "page"]
