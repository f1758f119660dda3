"""What is asked: a study, as a frozen value that cannot exist wrongly."""

import hashlib
import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_LAYERS = 8
TRANSFORM_STEPS = ("log", "deseasonalise", "difference")

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]


class Part(BaseModel):
    """A frozen group of values; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Part):
    """Which rows and columns are forecast."""

    source: str = Field(description="a CSV or Parquet file")
    target: str = Field(min_length=1, description="the column to forecast")
    time: str = Field("", description="the column of dates or times; empty: rows are in order")
    series: str = Field("", description="a column that names the series: many series, one network")
    covariates: tuple[str, ...] = Field((), description="columns known up to now")
    season: int = Field(0, ge=0, description="steps in a season; 0: found from the time column")
    test: int = Field(0, ge=0, description="rows held out at the end; 0: the default span")

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        named = [c for c in (self.target, self.time, self.series, *self.covariates) if c]
        twice = sorted({c for c in named if named.count(c) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is named for two purposes")
        return self


class Task(Part):
    """What a forecast is and how its error is counted."""

    kind: Literal["forecast"] = "forecast"
    horizon: int = Field(1, ge=1, description="steps ahead")
    lookback: Annotated[int, Field(ge=0)] | tuple[Count, ...] = Field(
        0, description="steps in a window; 0: from season and length; a list is searched"
    )
    strategy: Literal["auto", "direct", "recursive"] = Field(
        "auto", description="all steps at once, or one step fed back"
    )
    transform: str = Field(
        "auto", description="none, log, deseasonalise, difference, joined by +; or auto"
    )
    metric: Literal["mase", "rmse", "mae", "smape"] = Field("mase", description="lower is better")

    @field_validator("lookback")
    @classmethod
    def _lookbacks_are_given(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(value, tuple) and not value:
            raise ValueError("an empty list leaves no lookback; give at least one, or 0 for the default")
        return tuple(sorted(set(value))) if isinstance(value, tuple) else value

    @field_validator("transform")
    @classmethod
    def _transform_is_known(cls, value: str) -> str:
        steps = value.split("+")
        if value in ("auto", "none"):
            return value
        if any(s not in TRANSFORM_STEPS for s in steps) or len(set(steps)) < len(steps):
            known = ", ".join(TRANSFORM_STEPS)
            raise ValueError(f"must be auto, none, or steps of {known} joined by +")
        return "+".join(s for s in TRANSFORM_STEPS if s in steps)


class Space(Part):
    """Which networks are looked at, before the bound."""

    layers: tuple[Count, Count] = Field((1, 3), description="fewest and most LSTM layers")
    cells: tuple[Count, Count] = Field((2, 128), description="fewest and most cells of a layer")
    learning_rate: Rate | tuple[Rate, Rate] = Field((1e-3, 1e-1), description="step size of AdamW")
    weight_decay: Annotated[float, Field(ge=0)] | tuple[Rate, Rate] = Field(
        0.0, description="of AdamW; a pair is searched"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] | tuple[
        Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]
    ] = Field(0.0, description="share of layer outputs dropped; a pair is searched")

    @field_validator("layers", "cells", "learning_rate", "weight_decay", "dropout")
    @classmethod
    def _ranges_ascend(cls, value: Any) -> Any:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError(f"the range {list(value)} must go from low to high")
        return value

    @field_validator("layers")
    @classmethod
    def _layers_are_few(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[1] > MAX_LAYERS:
            raise ValueError(f"must be at most {MAX_LAYERS} layers")
        return value

    @field_validator("cells")
    @classmethod
    def _cells_are_few(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[1] > 4096:
            raise ValueError("must be at most 4096 cells in a layer")
        return value


class Bound(Part):
    """The alpha rule: how large a network the data may carry (see sizing.bound)."""

    rule: Literal["formula", "freedom", "strict", "off"] = Field(
        "formula", description="the reading of the alpha rule"
    )
    alpha: Rate = Field(2.0, description="samples per degree of freedom; larger: smaller networks")
    alpha_max: Rate = Field(10.0, description="how far alpha may be raised")
    alpha_min: Rate = Field(2.0, description="how far alpha may be lowered")


class Training(Part):
    """How one network is trained."""

    max_steps: int = Field(2000, ge=1, le=10_000_000, description="most optimiser steps")
    batch_size: int = Field(32, ge=1, le=1_000_000, description="windows in a step")
    patience: int = Field(10, ge=1, description="checks without gain on the inner tail")
    engine: Literal["auto", "torch"] = Field("auto", description="what trains the networks")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where")


class Budget(Part):
    """How much work the study may cost."""

    trials: int = Field(60, ge=1, le=1_000_000, description="networks sizes and rates that are tried")
    trial_timeout_s: float = Field(600.0, gt=0, description="most seconds of one trial")


class Validation(Part):
    """How a trial is scored."""

    folds: int = Field(4, ge=1, le=100, description="rolling origins")
    seeds: int = Field(3, ge=1, le=1000, description="networks per trial and fold")


class Search(Part):
    """How the next trial is chosen."""

    sampler: Literal["tpe", "gp", "random", "grid"] = Field("tpe", description="of Optuna")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of everything random in the study")


class Verdict(Part):
    """When a smaller network is as good as the best."""

    tolerance: float = Field(0.0, ge=0, lt=1, description="share of the score that does not matter")
    target_score: float = Field(0.0, ge=0, description="the score that would be enough; 0: none")


class Study(Part):
    """A question about a data set and everything that decides how it is answered."""

    name: str = Field("", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$|^$", max_length=100)
    question: str = ""
    data: Data
    task: Task = Task()
    space: Space = Space()
    bound: Bound = Bound()
    training: Training = Training()
    budget: Budget = Budget()
    validation: Validation = Validation()
    search: Search = Search()
    verdict: Verdict = Verdict()

    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the answer: not the name, question or file's place."""
        asked = self.model_dump(mode="json", exclude={"name": True, "question": True})
        del asked["data"]["source"]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def differences(self, other: "Study") -> list[str]:
        """The keys whose values differ, each as `budget.trials: 60 here, 20 there`."""
        here, there = self.flat(), other.flat()
        return [
            f"{key}: {here[key]!r} here, {there[key]!r} there"
            for key in here
            if here[key] != there[key] and key not in ("name", "question", "data.source")
        ]

    def flat(self) -> dict[str, Any]:
        """Every value under its dotted key, in the order of the study file."""
        found: dict[str, Any] = {}
        for key, value in self.model_dump(mode="json").items():
            parts = {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
            found.update(parts)
        return found


def study_name(stem: str, fingerprint: str) -> str:
    """A name for a study without one: the file's stem and six digits of the fingerprint.

    >>> study_name("my sales", "0123456789abcdef")
    'my-sales-012345'
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "study"
    return f"{clean[:80]}-{fingerprint[:6]}"
