"""The stand-in headers: bounded FIFOs, deadlocks found and named, the same order always, integers as AMD's."""

from __future__ import annotations

from typing import Any

import pytest

from moiety.hls.flow import MissingTool, vendor_headers

MAIN = """
#include <moiety/dataflow.hpp>
#include <cstdio>
using word = ap_uint<64>;
static void produce(int count, hls::stream<word>& a, hls::stream<word>& b) {
    for (int i = 0; i < count; ++i) a.write(word(i));
    for (int i = 0; i < count; ++i) b.write(word(100 + i));
}
static void consume(int count, hls::stream<word>& a, hls::stream<word>& b, word& sum) {
    for (int i = 0; i < count; ++i) sum = word(3 * sum + a.read() + b.read());
}
static word region(int count) {
    word sum = 0;
    {
        MOIETY_FIFO(word, left, 4);
        MOIETY_FIFO(word, right, 8);
        MOIETY_REGION(stages);
        MOIETY_STAGE(stages, produce(count, left, right));
        MOIETY_STAGE(stages, consume(count, left, right, sum));
    }
    return sum;
}
"""


def test_a_deadlock_is_found_and_named(compiled: Any) -> None:
    """All of `left` before any of `right`: with two more than `left` holds, both stages wait for ever."""
    program = compiled(
        MAIN
        + """
int main() {
    try {
        region(6);
    } catch (const moiety_shim::Deadlock& error) {
        std::puts(error.what());
        return 3;
    }
}
"""
    )
    code, text = program()
    assert code == 3
    assert text.splitlines() == [
        "deadlock: nothing can run",
        "  produce waits to write left",
        "  consume waits to read right",
        "  fifo left holds 4 of 4",
        "  fifo right holds 0 of 8",
    ]


def test_what_fits_runs_and_is_reported(compiled: Any) -> None:
    program = compiled(
        MAIN
        + """
int main() {
    std::printf("%llu\\n", (unsigned long long)region(4));
    std::fputs(moiety_shim::Simulation::get().occupancy().c_str(), stdout);
}
"""
    )
    code, text = program()
    total = 0
    for i in range(4):
        total = 3 * total + i + 100 + i
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == str(total)
    assert lines[1].startswith("fifo left: depth 4, peak 4, writes 4,")
    assert lines[2].startswith("fifo right: depth 8, peak ")
    assert program() == (code, text)  # the same order every time


def test_a_stage_may_hold_a_region_and_its_error_comes_out(compiled: Any) -> None:
    program = compiled(
        MAIN
        + """
#include <stdexcept>
static void inner(hls::stream<word>& out) { out.write(region(4)); }
static void fail(hls::stream<word>& in) {
    in.read();
    throw std::runtime_error("said by a stage");
}
int main() {
    try {
        MOIETY_FIFO(word, result, 2);
        MOIETY_REGION(outer);
        MOIETY_STAGE(outer, inner(result));
        MOIETY_STAGE(outer, fail(result));
    } catch (const std::exception& error) {
        std::puts(error.what());
    }
}
"""
    )
    assert program() == (0, "said by a stage\n")


# Every rule of widths and signs that the kernels lean on, printed.
INTEGERS = """
#include <ap_int.h>
#include <cstdio>
template <class T>
void show(const T& x) {
    const ap_uint<64> low = x;
    std::printf("%llx\\n", (unsigned long long)low);
}
int main() {
    const ap_uint<64> a = 0xFEDCBA9876543210ULL, b = 0x0123456789ABCDEFULL;
    const ap_uint<32> c = 0x89ABCDEFU;
    const ap_uint<6> six = 45;
    const ap_uint<1> one = 1;
    const ap_int<8> minus = -3;
    show(a + b); show(ap_uint<128>(a + a) >> 60); show(a - b); show(b - a); show(ap_uint<128>(b - a) >> 64);
    show(a * b); show(ap_uint<128>(a * b) >> 64); show(c * c); show(ap_uint<32>(c * c));
    show(one + one); show(six * six); show(six << 3); show(ap_uint<6>(six << 3)); show(~six); show(~one);
    show(minus * six); show(minus + six); show(minus >> 1); show(ap_uint<8>(minus) >> 1); show(~minus);
    show(a & c); show(a | c); show(a ^ minus); show(a >> 13); show(a << 13); show(a + 1); show(5 - c); show(c - 5);
    show(ap_uint<64>(0 - b)); show((ap_uint<128>(a) << 64 | b) >> 32);
    std::printf("%d %d %d %d %d\\n", a > b, c == 0x89ABCDEFU, minus < 0, minus < six, one != 0);
    ap_uint<64> d = a;
    d += b; show(d); d ^= c; show(d); d >>= 5; show(d); d *= 3; show(d);
    d -= 7; show(d); d |= 1; show(d); d &= c; show(d);
    d[3] = 1; d[0] = 0; show(d); show(ap_uint<8>(a.range(15, 8))); d.range(47, 40) = 0x5A; show(d);
}
"""


def test_integers_are_as_amds_are(compiled: Any) -> None:
    try:
        headers = vendor_headers()
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert compiled(INTEGERS)() == compiled(INTEGERS, headers)()


def test_integers(compiled: Any) -> None:
    """A few of the same by hand, where there is nothing to compare with."""
    code, text = compiled(INTEGERS)()
    lines = text.split("\n")
    a, b = 0xFEDCBA9876543210, 0x0123456789ABCDEF
    mask = (1 << 64) - 1
    expected = [(a + b) & mask, (a + a) >> 60, (a - b) & mask, (b - a) & mask]
    assert code == 0
    assert [int(line, 16) for line in lines[:4]] == expected
    assert [int(lines[5], 16), int(lines[6], 16)] == [(a * b) & mask, (a * b) >> 64]
    assert lines[9:15] == ["2", hex(45 * 45)[2:], hex(45 << 3 & 63)[2:], hex(45 << 3 & 63)[2:], *lines[13:15]]
