"""Which rows meet in a max pooling along one axis: csrc/mpc/pool.hpp once more, for those who drive the kernel."""

from __future__ import annotations

__all__ = ["tournament"]


def tournament(
    length: int, kernel: int, stride: int, padding: int, dilation: int, out: int
) -> tuple[list[list[tuple[int, int]]], list[int]]:
    """The pairs of each level (entries are numbered: the rows, then each level's winners in order) and the entry that
    holds each window's maximum. Equal pairs of overlapping windows meet once; padding is left out."""
    reach = [[o * stride - padding + j * dilation for j in range(kernel)] for o in range(out)]
    windows = [[i for i in window if 0 <= i < length] for window in reach]
    entries, levels = length, []
    while any(len(window) > 1 for window in windows):
        met: dict[tuple[int, int], int] = {}
        for w, window in enumerate(windows):
            following = []
            for pair in zip(window[::2], window[1::2], strict=False):
                if pair not in met:
                    met[pair] = entries
                    entries += 1
                following.append(met[pair])
            windows[w] = following + window[len(window) // 2 * 2 :]
        levels.append(list(met))
    return levels, [window[0] for window in windows]
