"""Which engine trains what: decided once by policy, carried out with what is there."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import UsageError
from hpo.training import engine as module
from hpo.training.engine import (
    NATIVE_UP_TO_CELLS,
    Engines,
    engine_for,
    native_is_available,
    resolve_engine,
    wants_native,
)
from hpo.training.trainer import Shape

POLICY = f"native-to-{NATIVE_UP_TO_CELLS}"


def shape(*cells: int) -> Shape:
    return Shape(inputs=1, outputs=1, cells=cells)


@pytest.mark.parametrize(
    ("asked", "device", "policy"),
    [
        ("auto", "auto", POLICY),
        ("auto", "cpu", POLICY),
        ("auto", "cuda", "torch"),
        ("auto", "mps", "torch"),
        ("native", "auto", "native"),
        ("torch", "auto", "torch"),
        ("torch", "cuda", "torch"),
    ],
)
def test_the_policy_follows_from_what_was_asked(asked: str, device: str, policy: str) -> None:
    assert resolve_engine(asked, device) == policy
    assert wants_native(policy) == (policy != "torch")


@given(cells=st.lists(st.integers(1, 200), min_size=1, max_size=3).map(tuple))
def test_the_widest_layer_decides_where_the_engine_was_left_open(cells: tuple[int, ...]) -> None:
    assert engine_for("native", cells) == "native"
    assert engine_for("torch", cells) == "torch"
    assert engine_for(POLICY, cells) == ("native" if max(cells) <= 96 else "torch")


def test_a_study_keeps_the_limit_it_was_submitted_with() -> None:
    assert engine_for("native-to-16", (17,)) == "torch"
    assert engine_for("native-to-16", (16,)) == "native"


def test_without_the_native_engine_torch_trains_in_its_place_on_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "native_is_available", lambda: False)
    engines = Engines(POLICY, "auto")
    small, wide = engines.trainer_for(shape(4)), Engines(POLICY, "cpu").trainer_for(shape(400))
    assert (small.name, small.device) == ("torch", "cpu")
    assert (wide.name, wide.device) == ("torch", "cpu")
    assert engines.trainer_for(shape(5)) is small
    assert (engines.device(4), engines.threads(3)) == ("cpu", 3)


@pytest.mark.skipif(not native_is_available(), reason="no native engine in this installation")
def test_each_network_is_trained_by_the_engine_of_its_size() -> None:
    engines = Engines(POLICY, "cpu")
    assert engines.trainer_for(shape(4, 96)).name == "native"
    assert engines.trainer_for(shape(4, 97)).name == "torch"
    assert Engines("native", "auto").trainer_for(shape(400)).name == "native"
    assert Engines("torch", "cpu").trainer_for(shape(4)).name == "torch"


def test_an_accelerator_trains_one_network_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolve_device", lambda _: "cuda")
    assert Engines("torch", "auto").threads(4) == 1
    assert Engines("native", "auto").threads(4) == 4


def test_a_device_that_is_not_there_is_refused_where_it_is_needed() -> None:
    engines = Engines("torch", "mps")
    for need in (lambda: engines.device(4), lambda: engines.trainer_for(shape(4))):
        with pytest.raises(UsageError, match="'mps' is not on this machine"):
            need()


def test_a_study_of_native_networks_needs_no_torch() -> None:
    code = (
        "import sys; from hpo.training import engine;"
        "engine.native_is_available = lambda: True;"
        f"engines = engine.Engines('{POLICY}', 'auto');"
        "import hpo.service.worker;"
        "print(engines.device(96), engines.threads(2), 'torch' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == "cpu 2 False\n"
