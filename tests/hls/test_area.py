"""Area and power: what the checked-in counts say (hls/model/area.py --check makes them again), what is refused."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from moiety.cost.fpga_energy import PASNET, POWERS, STATED, Power
from moiety.cost.fpga_machine import PARTS, BudgetError, Lanes, Machine, data

sys.path.insert(0, str(Path(__file__).parents[2] / "hls" / "model"))
import area as area_script
import rtl_bench as bench


def test_every_twin_has_counts() -> None:
    assert set(data("area")) == set(area_script.TWINS)
    assert set(data("cycles")) == set(bench.TWINS)


def test_counts_are_those_of_ring_arithmetic() -> None:
    """A product mod 2^32 is 3 DSPs of 27 x 18 bits, mod 2^64 is 10; the steps of comparisons and AES are LUTs alone."""
    twins = data("area")
    for ring, product in ((32, 3), (64, 10)):
        assert twins[f"mac_{ring}_2x2"]["dsp"] == 4 * product
        assert twins[f"mac_{ring}_4x4"]["dsp"] == 16 * product
        assert twins[f"square_{ring}"]["dsp"] == 2 * product
        assert twins[f"x2_{ring}"]["dsp"] == 4 * product
        assert twins[f"select_{ring}"]["dsp"] == product
        for name in ("mask", "truncate_mask", "truncate_finish"):
            assert twins[f"{name}_{ring}"]["dsp"] == 0
    assert all(twins[name]["dsp"] == 0 for name in ("prefix_leaf_8", "prefix_inner_8", "aes_round"))


def test_every_twin_takes_a_beat_a_cycle() -> None:
    assert all(twin["ii"] == 1.0 for twin in data("cycles").values())


def test_a_zcu104_holds_576_products() -> None:
    """1,728 DSPs are 576 products of 32 bits less what the other lanes take."""
    machine = Machine(compares=False, lanes=Lanes(out=32, pix=17))
    units = machine.units()
    assert units["product"].dsp == 3 * 32 * 17
    assert machine.area().dsp == units["product"].dsp + units["square"].dsp == 3 * 544 + 6 * machine.lanes.square
    assert machine.require().dsp <= PARTS["zcu104"].dsp
    with pytest.raises(BudgetError, match=r"zcu104: 32 x 18 products of 32 bits.*need 1740 DSP, the budget is 1728"):
        machine.with_lanes(pix=18).require()
    with pytest.raises(BudgetError, match="budget is 1600"):
        dataclasses.replace(machine, dsp=1600).require()
    with pytest.raises(BudgetError, match="need 3080 DSP"):
        dataclasses.replace(machine, ring=64, compares=False, lanes=Lanes(out=16, pix=19, square=2)).require()


def test_power_settings() -> None:
    assert PASNET.fixed == 16.0
    assert POWERS == {"stated": STATED, "pasnet": PASNET}
    with pytest.raises(ValueError, match="power dsp is -1: expected 0 or more"):
        Power(dsp=-1)
