"""The main job: photographs classified by a server that does not see them, by weights that nobody else sees.

`moiety demo` and `make demo` call `run`. Two networks are shipped: one whose
activations were searched, and one whose activations are all quadratic.
"""

from moiety.demo.assets import AssetError, load_network, photos
from moiety.demo.run import Disagreement, run

__all__ = ["AssetError", "Disagreement", "load_network", "photos", "run"]
