"""The shipped networks answer privately as they do in the clear, on 1,000 test images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moiety import private
from moiety.data.cifar10 import load_cifar10
from moiety.data.images import normalize
from moiety.demo import load_network
from moiety.demo.assets import Variant

IMAGES = 1000
BATCH = 125
MOST_DIFFERENT = 2  # of IMAGES
TOLERANCE = 0.02  # on a logit


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", ["searched", "x2"])
def test_private_answers_are_the_plain_ones(variant: Variant, data: Path) -> None:
    x = torch.from_numpy(normalize(load_cifar10("test", data).images[:IMAGES]))
    model, metadata = load_network(variant)
    program = private.compile(model, x[:1], calibration=metadata["activation_bounds"])
    answers = torch.cat([private.run_local(program, batch).output for batch in x.split(BATCH)])
    with torch.no_grad():
        plain = model(x)
    assert (answers.argmax(1) != plain.argmax(1)).sum() <= MOST_DIFFERENT
    assert (answers - plain).abs().max() <= TOLERANCE
