from isa_levels import isa, threads

__all__ = ["isa", "threads"]
