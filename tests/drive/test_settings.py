"""Settings: TOML to frozen dataclasses and back, refusals that name the setting, assignments."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moiety.drive.settings import SettingsError, assign, build, differences, dump, to_dict


@dataclass(frozen=True)
class Inner:
    epochs: int = 3
    rate: float = 0.1
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"expected at least one epoch, found {self.epochs}")


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    on: bool = False
    seeds: tuple[int, ...] = (0,)
    pair: tuple[str, str] = ("p", "q")
    where: Path | None = None
    target: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    inner: Inner = field(default_factory=lambda: Inner(rate=0.5))


def test_what_is_left_out_is_the_fields_default_not_the_types() -> None:
    built = build(Outer, {"seeds": [1, 2], "inner": {"epochs": 7}, "target": 3})
    assert built == Outer(seeds=(1, 2), target=3.0, inner=Inner(epochs=7, rate=0.5))
    assert isinstance(built.target, float)


def test_settings_survive_their_toml() -> None:
    settings = Outer('über "quoted"\n', True, (3, 4), ("a", "b"), Path("d/e"), 0.25, {"width": 8, "a b": [1.5]})
    assert build(Outer, tomllib.loads(dump(to_dict(settings)))) == settings


@given(
    st.recursive(
        st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.text()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
        max_leaves=8,
    )
)
def test_any_values_survive_their_toml(value: Any) -> None:
    assert tomllib.loads(dump({"value": value, "table": {"inner": {"deep": value}}})) == {
        "value": value,
        "table": {"inner": {"deep": value}},
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": [1]}, r"setting seed is not known: did you mean seeds\?"),
        ({"inner": {"epoch": 1}}, r"setting inner\.epoch is not known: did you mean epochs\?"),
        ({"zzzz": 1}, "setting zzzz is not known: expected one of inner, name"),
        ({"on": 1}, r"setting on is 1 \(int\): expected true or false"),
        ({"name": 1}, r"setting name is 1 \(int\): expected a string"),
        ({"seeds": 1}, r"setting seeds is 1 \(int\): expected a list of an integer"),
        ({"seeds": [1, "b"]}, r"setting seeds\[1\] is 'b' \(str\): expected an integer"),
        ({"seeds": [True]}, r"setting seeds\[0\] is True \(bool\): expected an integer"),
        ({"pair": ["a"]}, "expected a list of 2 values"),
        ({"inner": 3}, r"setting inner is 3 \(int\): expected a table"),
        ({"inner": {"kind": "c"}}, "setting inner.kind is 'c': expected one of 'a', 'b'"),
        ({"inner": {"rate": float("nan")}}, "setting inner.rate is nan: expected a finite number"),
        ({"inner": {"epochs": 0}}, r"\[inner\] expected at least one epoch, found 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(Outer, values)


def test_assignments_are_toml_values_or_bare_words() -> None:
    values = {"inner": {"epochs": 1}, "target": 1.0}
    made = assign(values, ["inner.epochs=5", "name=cifar10", "seeds=[1, 2]", "on=true", "target=none", "options.w=0.5"])
    assert made == {
        "inner": {"epochs": 5},
        "name": "cifar10",
        "seeds": [1, 2],
        "on": True,
        "options": {"w": 0.5},
    }
    assert values == {"inner": {"epochs": 1}, "target": 1.0}


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=1", "name=[1", 'name="x', "name.deep=1"])
def test_wrong_assignments_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        assign({"name": "x"}, [text])


def test_differences_name_every_setting() -> None:
    there, here = {"a": 1, "t": {"x": 1.5, "gone": "s"}}, {"a": 2, "t": {"x": 1.5}, "new": [1]}
    assert differences(there, here) == [
        "a: 1 there, 2 here",
        "new: (none) there, [1] here",
        't.gone: "s" there, (none) here',
    ]
