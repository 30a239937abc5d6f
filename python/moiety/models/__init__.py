"""Networks, a file for each paper, created by name."""

from moiety.models.registry import create_model, list_models, register_model

__all__ = ["create_model", "list_models", "register_model"]
