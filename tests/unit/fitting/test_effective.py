"""gamma counts the weights that the data determine, from exact derivatives."""

import numpy as np
import pytest
import torch

from hpo.data.windows import examples
from hpo.fitting import effective
from hpo.fitting.effective import effective_parameters, settle
from hpo.training.network import load
from hpo.training.trainer import Samples, Shape, Weights
from hpo.training.weights import initial_weights, join

SHAPES = [Shape(inputs=2, outputs=2, cells=(3, 2)), Shape(inputs=1, outputs=1, cells=(4,))]


def network(shape: Shape) -> Weights:
    rng = np.random.default_rng(0)
    fresh = initial_weights(shape, rng)
    return {
        name: array + 0.1 * rng.standard_normal(array.shape).astype(np.float32)
        for name, array in fresh.items()
    }


def samples(shape: Shape, windows: int = 40, *, anchored: bool = True) -> Samples:
    values_RF = np.random.default_rng(1).standard_normal((windows + 20, shape.inputs))
    return Samples(
        values_RF=values_RF.astype(np.float32),
        starts_N=np.arange(windows),
        lookback=7,
        outputs=shape.outputs,
        anchored=anchored,
    )


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives_and_errors_are_those_of_torch(shape: Shape, anchored: bool) -> None:
    weights, seen = network(shape), samples(shape, anchored=anchored)
    x_NTF, y_NK = examples(
        seen.values_RF, seen.starts_N, lookback=7, outputs=shape.outputs, anchored=anchored
    )
    model = load(shape, weights, "cpu").double()
    y_hat_NK = model(torch.from_numpy(x_NTF).double())
    found = list(effective._jacobians(shape, weights, seen, seen.starts_N))
    assert len(found) == shape.outputs
    for k, (jacobian_NP, error_N) in enumerate(found):
        np.testing.assert_allclose(
            error_N, y_hat_NK[:, k].detach().numpy() - y_NK[:, k], atol=1e-12
        )
        for n in (0, 17, 39):
            gradients = torch.autograd.grad(
                y_hat_NK[n, k], list(model.parameters()), retain_graph=True
            )
            expected_P = torch.cat([g.reshape(-1) for g in gradients]).numpy()
            np.testing.assert_allclose(jacobian_NP[n], expected_P, atol=1e-12)


def test_gamma_is_the_traces_formula_at_its_own_alpha_and_beta() -> None:
    rng = np.random.default_rng(2)
    jacobian_EP, error_E, weight_P = rng.standard_normal((50, 9)), rng.random(50), rng.random(9)
    curvature_PP = jacobian_EP.T @ jacobian_EP
    squared_error, squared_weight = float(error_E @ error_E), float(weight_P @ weight_P)
    gamma = settle(
        np.asarray(np.linalg.eigvalsh(curvature_PP)), squared_error, squared_weight, errors=50
    )
    assert gamma is not None
    alpha, beta = gamma / (2 * squared_weight), (50 - gamma) / (2 * squared_error)
    hessian_PP = 2 * beta * curvature_PP + 2 * alpha * np.eye(9)
    assert gamma == pytest.approx(9 - 2 * alpha * np.trace(np.linalg.inv(hessian_PP)), abs=1e-3)


def test_a_linear_model_with_weights_that_data_barely_touch_has_fewer_effective_ones() -> None:
    """Of 20 weights 5 have inputs of size 1, the others of a thousandth: left to the prior."""
    rng = np.random.default_rng(3)
    x_EP = rng.standard_normal((200, 20)) * np.repeat([1.0, 1e-3], [5, 15])
    weight_P = np.repeat([1.0, 0.0], [5, 15])
    error_E = 0.5 * rng.standard_normal(200)
    gamma = settle(
        np.asarray(np.linalg.eigvalsh(x_EP.T @ x_EP)),
        float(error_E @ error_E),
        float(weight_P @ weight_P),
        errors=200,
    )
    assert gamma == pytest.approx(5, abs=0.1)


def test_gamma_lies_between_none_and_all_weights_that_do_not_add_up() -> None:
    for shape in SHAPES:
        weights = network(shape)
        gamma = effective_parameters(shape, weights, samples(shape))
        assert gamma is not None
        assert 0 < gamma < join(shape, weights).size - 4 * sum(shape.cells)


def test_more_windows_determine_more_weights() -> None:
    shape = SHAPES[1]
    few, many = (effective_parameters(shape, network(shape), samples(shape, n)) for n in (20, 400))
    assert few is not None
    assert many is not None
    assert few < many


def test_windows_are_thinned_without_changing_what_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = SHAPES[1]
    weights, seen = network(shape), samples(shape, 600)
    whole = effective_parameters(shape, weights, seen)
    monkeypatch.setattr(effective, "MOST_ERRORS", 300)
    assert effective_parameters(shape, weights, seen) == pytest.approx(whole, rel=0.1)


def test_a_large_network_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES[1]
    monkeypatch.setattr(effective, "MOST_WEIGHTS", 116)  # of 117
    assert effective_parameters(shape, network(shape), samples(shape)) is None


@pytest.mark.parametrize(
    ("curvature", "error", "weight"),
    [(np.inf, 1.0, 1.0), (np.nan, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0)],
)
def test_what_is_zero_or_no_number_gives_none(
    curvature: float, error: float, weight: float
) -> None:
    assert settle(np.full(3, curvature), error, weight, errors=9) is None


def test_gamma_is_never_more_than_errors_nor_less_than_nothing() -> None:
    steep, flat = np.full(30, 1e9), np.full(30, 1e-30)
    of_nine = settle(steep, 1.0, 1.0, errors=9)
    assert of_nine is not None
    assert 8 < of_nine <= 9
    assert settle(flat, 1.0, 1.0, errors=9) == 0.0


def test_weights_that_are_no_numbers_have_none() -> None:
    shape = SHAPES[1]
    weights = network(shape)
    weights["head.weight"] = np.full_like(weights["head.weight"], np.nan)
    assert effective_parameters(shape, weights, samples(shape)) is None
