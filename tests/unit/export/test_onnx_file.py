"""The ONNX graph gives what torch gives, for every shape of network."""

import numpy as np
import pytest

from hpo.errors import UsageError
from hpo.export import onnx_file
from hpo.export.contents import Contents
from tests.unit.export.models import case, months

SHAPES: dict[str, Contents] = {
    "one layer": case(months(), (5,)).before_the_test(),
    "three unequal layers, two inputs": case(
        months(), (4, 2, 7), data={"covariates": ["lead"]}, task={"strategy": "direct"}
    ).before_the_test(),
    "recursive": case(months(), (3, 3), task={"strategy": "recursive"}).before_the_test(),
}


@pytest.mark.parametrize("windows", [1, 17])
@pytest.mark.parametrize("name", SHAPES)
def test_its_outputs_are_torchs(name: str, windows: int) -> None:
    contents = SHAPES[name]
    signature = contents.signature
    shape = (windows, signature.lookback, signature.inputs)
    x_BTF = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = onnx_file.run(onnx_file.checked(contents), x_BTF)
    expected = onnx_file.torch_outputs(contents, x_BTF)
    assert found.shape == (windows, len(signature.seeds), signature.outputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected[:, 0] - expected[:, 1]).max() > 1e-3, "each network has its own"


def test_gates_in_the_wrong_order_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "_iofc", lambda array: array)
    with pytest.raises(AssertionError, match="onnxruntime and torch differ"):
        onnx_file.checked(SHAPES["one layer"])


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(UsageError) as refused:
        onnx_file.refuse_missing()
    assert str(refused.value) == "--onnx needs onnx; pip install hpo[onnx]"
    assert refused.value.exit_code == 2
