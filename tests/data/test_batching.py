"""moiety.data.batching: what an epoch depends on, and what it does to the images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.data import Augment, Recipe, Split, batches, in_order
from moiety.data.batching import moved


def made_up(count: int = 20, side: int = 8, mirror: bool = True, channels: int = 3) -> Split:
    """Images that tell which one they are: pixel 0 of every channel would do, here all of them differ."""
    images = np.random.default_rng(count).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return Split.of(images, np.arange(count) % 5, Recipe((0.5,) * channels, (0.25,) * channels, mirror))


def drawn(split: Split, batch: int = 6, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    both = list(batches(split, batch, **{"epoch": 0, "seed": 1, **options}))  # type: ignore[arg-type]
    return torch.cat([x for x, _ in both]), torch.cat([y for _, y in both])


def equal(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_form() -> None:
    x, y = next(batches(made_up(), 6, epoch=0, seed=1))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((6, 3, 8, 8), torch.float32, (6,), torch.int64)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert len(list(batches(made_up(), 6, epoch=0, seed=1))) == 3  # 2 of 20 are left out


def test_depends_on_seed_and_epoch_alone() -> None:
    split = made_up()
    assert equal(drawn(split), drawn(split))
    assert not equal(drawn(split), drawn(split, epoch=1))
    assert not equal(drawn(split), drawn(split, seed=2))
    late = drawn(split, epoch=7)
    for epoch in range(7):
        drawn(split, epoch=epoch)
    assert equal(late, drawn(split, epoch=7))


def test_plain_epoch_is_a_permutation() -> None:
    split = made_up(18)
    x, y = drawn(split, augment=False)
    whole = split.normalize(split.images(np.arange(18)))
    found = [int(np.flatnonzero((whole == image.numpy()).all((1, 2, 3)))[0]) for image in x]
    assert sorted(found) == list(range(18))
    assert found != sorted(found)
    assert y.tolist() == [i % 5 for i in found]


def test_mirrors_in_every_other_epoch_and_only_where_that_keeps_the_class() -> None:
    split = made_up(12)
    whole = split.normalize(split.images(np.arange(12)))
    turned = np.zeros((2, 12), int)
    for epoch in (0, 1):
        x, _ = drawn(split, epoch=epoch, augment=Augment(shift=0))
        for image in x.numpy():
            straight = (whole == image).all((1, 2, 3))
            mirrored = (whole[..., ::-1] == image).all((1, 2, 3))
            assert straight.any() != mirrored.any()
            turned[epoch, np.flatnonzero(straight | mirrored)] += mirrored.any()
    np.testing.assert_array_equal(turned.sum(0), 1)
    assert equal(
        drawn(made_up(12, mirror=False), augment=Augment(shift=0)), drawn(made_up(12, mirror=False), augment=False)
    )


def test_shifts_reflect_at_the_border() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    offsets = np.array([[0, 0], [2, -3], [-2, 1], [5, 6], [-1, -1]])
    padded = np.stack([np.pad(image, ((5, 5), (6, 6), (0, 0)), mode="reflect") for image in pixels])
    for image, source, (down, right) in zip(moved(pixels, offsets, None), padded, offsets, strict=True):
        np.testing.assert_array_equal(image, source[5 + down : 11 + down, 6 + right : 13 + right])


def test_hole_is_grey() -> None:
    split = made_up(6)
    x, _ = drawn(split, augment=Augment(shift=0, hole=3))
    holes = (x == 0).all(1).sum((1, 2))
    assert ((holes >= 1) & (holes <= 9)).all()
    assert holes.max() > 1


@settings(max_examples=25, deadline=None)
@given(world=st.sampled_from([1, 2, 3, 4]), share=st.integers(1, 4), epoch=st.integers(0, 5), hole=st.integers(0, 3))
def test_ranks_together_see_the_batches_of_one(world: int, share: int, epoch: int, hole: int) -> None:
    split, batch = made_up(19), world * share
    options = {"epoch": epoch, "seed": 3, "augment": Augment(hole=hole)}
    parts = [list(batches(split, batch, rank=rank, world=world, **options)) for rank in range(world)]  # type: ignore[arg-type]
    for i, (x, y) in enumerate(batches(split, batch, **options)):  # type: ignore[arg-type]
        assert torch.equal(x, torch.cat([part[i][0] for part in parts]))
        assert torch.equal(y, torch.cat([part[i][1] for part in parts]))
    assert {len(part) for part in parts} == {19 // batch}


def test_in_order() -> None:
    split = made_up(7)
    both = list(in_order(split, 3))
    assert [len(y) for _, y in both] == [3, 3, 1]
    np.testing.assert_array_equal(torch.cat([x for x, _ in both]).numpy(), split.normalize(split.images(np.arange(7))))


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        (21, {}, "1 to 20 images, .* found 21"),
        (0, {}, "found 0"),
        (6, {"world": 4}, "rank 0 of 4 and a batch of 6"),
        (6, {"rank": 2, "world": 2}, "rank 2 of 2"),
    ],
)
def test_refuses(batch: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches(made_up(), batch, epoch=0, seed=1, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no pixel or more"):
        Augment(shift=-1)
