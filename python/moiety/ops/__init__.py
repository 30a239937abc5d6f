"""Torch operators over the compiled core."""

from moiety.ops.quadratic import quadratic

__all__ = ["quadratic"]
