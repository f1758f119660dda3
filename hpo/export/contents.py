"""What a bundle holds, as values: into bytes by file name, and back, everything checked.

Shapes: S series, F features, M steps of a season.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hpo.data.transform import Transform
from hpo.export import bundle
from hpo.export.intervals import Intervals
from hpo.export.signature import Signature
from hpo.spec.answer import Answer
from hpo.spec.study import Part, Study
from hpo.training.trainer import Weights
from hpo.training.weights import check_layout

Value = TypeVar("Value")
Arrays = dict[str, npt.NDArray[Any]]
STATE = ("floor_S", "seasonal_SM", "centre_SF", "scale_SF")


class Evidence(Part):
    """How good the model is: the study's answer, and what its intervals rest on, if it has any."""

    answer: Answer
    intervals: Intervals | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """All of a bundle but its README: `weights` of each seed, in the signature's order.

    The transform's series are the signature's; its rows are counted from their first training rows.
    """

    study: Study
    signature: Signature
    evidence: Evidence
    transform: Transform
    weights: dict[int, Weights]


def to_files(contents: Contents) -> dict[str, bytes]:
    """The files by their names."""
    state = {name: np.ascontiguousarray(getattr(contents.transform, name)) for name in STATE}
    weights = {
        f"{seed}.{name}": np.ascontiguousarray(array)
        for seed, arrays in contents.weights.items()
        for name, array in arrays.items()
    }
    return {
        bundle.STUDY: _json(contents.study),
        bundle.SIGNATURE: _json(contents.signature),
        bundle.EVIDENCE: _json(contents.evidence),
        bundle.TRANSFORM: save(state),
        bundle.WEIGHTS: save(weights),
    }


def from_files(files: Mapping[str, bytes], folder: Path) -> Contents:
    """`to_files` undone. Raises DataError for what cannot be understood, or contradicts itself."""

    def parse(name: str, read: Callable[[bytes], Value]) -> Value:
        try:
            return read(files[name])
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            said = f"is not understood: {where or 'it'}: {first['msg']}"
            raise bundle.refusal(folder / name, said[:300]) from None
        except (ValueError, KeyError, RecursionError) as error:
            raise bundle.refusal(folder / name, f"is not understood: {str(error)[:200]}") from None

    signature = parse(bundle.SIGNATURE, Signature.model_validate_json)
    return Contents(
        study=parse(bundle.STUDY, Study.model_validate_json),
        signature=signature,
        evidence=parse(bundle.EVIDENCE, lambda content: _evidence(content, signature)),
        transform=parse(bundle.TRANSFORM, lambda content: _transform(content, signature)),
        weights=parse(bundle.WEIGHTS, lambda content: _weights(content, signature)),
    )


def _json(value: Part) -> bytes:
    return f"{value.model_dump_json(indent=2)}\n".encode()


def _evidence(content: bytes, signature: Signature) -> Evidence:
    evidence = Evidence.model_validate_json(content)
    widths = evidence.intervals.half_widths if evidence.intervals else {}
    if any(len(w) != signature.horizon or min(w) < 0 for w in widths.values()):
        raise ValueError(f"an interval needs {signature.horizon} half widths, none below 0")
    return evidence


def _transform(content: bytes, signature: Signature) -> Transform:
    arrays = _arrays(content)
    series = len(signature.names)
    season = signature.season if "deseasonalise" in signature.transform else 1
    expected = {
        "floor_S": (series,),
        "seasonal_SM": (series, season),
        "centre_SF": (series, signature.inputs),
        "scale_SF": (series, signature.inputs),
    }
    if (found := {name: array.shape for name, array in arrays.items()}) != expected:
        raise ValueError(f"its arrays are {found}, where the signature asks for {expected}")
    if any(array.dtype != np.float64 or not np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("an array is not of finite float64")
    if (arrays["scale_SF"] <= 0).any() or (arrays["floor_S"] <= 0).any():
        raise ValueError("a scale or a floor is not above 0")
    return Transform(steps=signature.transform, starts_S=np.zeros(series, dtype=np.int64), **arrays)


def _weights(content: bytes, signature: Signature) -> dict[int, Weights]:
    found: dict[int, Weights] = {seed: {} for seed in signature.seeds}
    for name, array in _arrays(content).items():
        seed, _, part = name.partition(".")
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"{name[:60]} is not of finite float32")
        found[int(seed)][part] = array
    for weights in found.values():
        check_layout(signature.shape, weights)
    return found


def _arrays(content: bytes) -> Arrays:
    try:
        return dict(load(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from None
