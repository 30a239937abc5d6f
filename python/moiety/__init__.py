"""Private, structured deep learning: a client and a server run a network together and neither sees the other's half."""

try:
    from moiety._core import ProtocolError, __version__
except ImportError as error:  # pragma: no cover
    raise ImportError("moiety's compiled core is missing: did you forget to build it? (`make build`)") from error

__all__ = ["ProtocolError", "__version__"]
