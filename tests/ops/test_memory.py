"""Memory of results: any shape, whoever holds a tensor keeps it, and it comes back."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
import torch

from moiety import _core
from moiety.graph import Graph
from moiety.ops import free_memory, memory, spmm

LARGE = (1 << 10, 1 << 9)  # 2 MiB of float32, a huge page


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    gc.collect()
    free_memory()
    yield
    free_memory()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3), LARGE, (1, *LARGE, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_shapes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = memory.empty(shape, dtype)
    assert (x.shape, x.dtype) == (torch.Size(shape), dtype)
    assert x.is_contiguous()
    assert memory.empty_like(x).shape == x.shape
    assert bool((x.zero_() == 0).all())


def test_what_nobody_holds_any_more_is_the_next_result() -> None:
    x = memory.empty(LARGE, torch.float32)
    place, view = x.data_ptr(), x[:, 3:]
    assert place % 64 == 0
    del x
    assert memory.empty(LARGE, torch.float32).data_ptr() != place  # the view holds it
    del view
    assert place in {memory.empty(LARGE, torch.float32).data_ptr() for _ in range(2)}


def test_results_in_use_are_never_handed_out_again() -> None:
    held = [memory.empty(LARGE, torch.float32).fill_(i) for i in range(6)]
    for i in range(6, 30):
        held[i % 6] = memory.empty(LARGE, torch.float32).fill_(i)
        assert [float(x.min()) for x in held] == [float(x.max()) for x in held]
    assert len({int(x[0, 0]) for x in held}) == 6


def test_a_large_one_is_not_spent_on_a_small_one_and_all_can_be_freed() -> None:
    x = memory.empty((16 << 20,), torch.float32)
    place = x.data_ptr()
    del x
    small = memory.empty(LARGE, torch.float32)
    assert not place <= small.data_ptr() < place + (64 << 20)
    assert free_memory() == 64 << 20
    assert free_memory() == 0


def test_no_more_than_the_limit_is_kept() -> None:
    limit = _core.kept_limit()
    assert limit >= 256 << 20
    held = [memory.empty((limit // 10,), torch.uint8) for _ in range(12)]  # untouched
    del held
    assert 0.7 * limit < free_memory() <= limit


def test_one_beyond_the_limit_drives_nothing_out() -> None:
    small, giant = memory.empty(LARGE, torch.float32), memory.empty((_core.kept_limit() + 1,), torch.uint8)  # untouched
    del small
    del giant
    assert free_memory() == 2 << 20


def test_gradients_and_threads() -> None:
    """Autograd frees from a thread of its own, and several call at a time."""
    nodes = 3000
    graph = Graph.from_edge_index(torch.randint(0, nodes, (2, 20000)), nodes)
    x = torch.randn(nodes, 200)
    expected = spmm(graph, x)
    failed = []

    def work() -> None:
        for _ in range(8):
            value = x.clone().requires_grad_()
            y = spmm(graph, value)
            y.square().sum().backward()
            if not torch.equal(y.detach(), expected):
                failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


def test_results_can_be_written_to() -> None:
    """Under autograd as well, which refuses it for views that a function returns."""
    nodes = 3000
    graph, x = Graph.from_edge_index(torch.randint(0, nodes, (2, 20000)), nodes), torch.randn(nodes, 20, 10)
    for value in (x, x.clone().requires_grad_()):
        y = spmm(graph, value)
        assert not y._is_view()
        expected = y.detach() + 1
        y += 1
        assert torch.equal(y.detach(), expected)
    y.sum().backward()
    assert value.grad is not None


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="above 0, got 0"):
        _core.Memory(0)
