"""Networks, a file for each paper, created by name."""

from moiety.models.files import load_network, read_metadata, save_network
from moiety.models.registry import create_model, list_models, register_model

__all__ = ["create_model", "list_models", "load_network", "read_metadata", "register_model", "save_network"]
