"""A device is the one asked for or the best there is, and never one that is not there."""

import pytest
import torch

from hpo.errors import UsageError
from hpo.training.device import describe_device, resolve_device


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with the devices that the test names, and the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)


@pytest.mark.parametrize(
    ("there", "best"),
    [([], "cpu"), (["mps"], "mps"), (["cuda"], "cuda"), (["cuda", "mps"], "cuda")],
    indirect=["there"],
)
@pytest.mark.usefixtures("there")
def test_auto_takes_the_fastest_kind_there_is(best: str) -> None:
    assert resolve_device("auto") == best


@pytest.mark.parametrize("there", [["cuda", "mps"]], indirect=True)
@pytest.mark.parametrize("asked", ["cuda", "mps", "cpu"])
@pytest.mark.usefixtures("there")
def test_a_device_that_is_there_is_taken_as_asked(asked: str) -> None:
    assert resolve_device(asked) == asked


@pytest.mark.parametrize("there", [[]], indirect=True)
@pytest.mark.parametrize("asked", ["cuda", "mps"])
@pytest.mark.usefixtures("there")
def test_a_device_that_is_not_there_is_refused_with_what_is(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_device(asked)
    assert str(caught.value) == f"device={asked!r} is not on this machine; choose auto or cpu"


def test_the_processor_needs_no_further_name() -> None:
    assert describe_device("cpu") == "cpu"
