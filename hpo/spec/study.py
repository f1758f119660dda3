"""What is asked: a study, as a frozen value that cannot exist wrongly."""

import hashlib
import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

MAX_LAYERS = 8
MAX_CELLS = 4096
MAX_STEPS = 1_000_000_000
TRANSFORM_STEPS = ("log", "deseasonalise", "difference")

Column = Annotated[str, Field(min_length=1)]
Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]
Cells = Annotated[int, Field(ge=1, le=MAX_CELLS)]
Lookback = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Part(BaseModel):
    """A frozen group of values; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _text_can_be_stored(cls, value: Any) -> Any:
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("must be text in UTF-8")
        return value


class Section(Part):
    """A section of a study: true and false are not taken for 1 and 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any) -> Any:
        if any(
            isinstance(v, bool) for v in (value if isinstance(value, list | tuple) else [value])
        ):
            raise PydanticCustomError("truth", "true and false are no values of a study")
        return value


class Data(Section):
    """Which rows and columns are forecast."""

    source: str = Field(min_length=1, description="a CSV or Parquet file")
    target: str = Field(min_length=1, description="the column to forecast")
    time: str = Field("", description="the column of dates or times; empty: rows are in order")
    series: str = Field("", description="a column that names the series: many series, one network")
    covariates: tuple[Column, ...] = Field((), description="columns known up to now, A,B")
    season: int = Field(
        0, ge=0, le=MAX_STEPS, description="steps in a season; 0: found from the time column"
    )
    test: int = Field(
        0, ge=0, le=MAX_STEPS, description="rows held out at the end; 0: the default span"
    )

    @field_validator("source")
    @classmethod
    def _source_can_be_a_path(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("must be the name of a file, without NUL characters")
        return value

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        purposes = [("target", self.target), ("time", self.time), ("series", self.series)]
        taken: dict[str, str] = {}
        for purpose, column in [*purposes, *(("covariates", c) for c in self.covariates)]:
            if column and column in taken:
                raise ValueError(
                    f"column {column!r} is named twice, by {taken[column]} and by {purpose}"
                )
            taken[column] = purpose
        return self


class Task(Section):
    """What a forecast is and how its error is counted."""

    kind: Literal["forecast"] = Field("forecast", description="what is asked of the data")
    horizon: int = Field(1, ge=1, le=MAX_STEPS, description="steps ahead")
    lookback: Annotated[int, Field(ge=0, le=MAX_STEPS)] | tuple[Lookback, ...] = Field(
        0, description="steps in a window; 0: from season and length; a list is searched"
    )
    strategy: Literal["auto", "direct", "recursive"] = Field(
        "auto", description="all steps at once, or one step fed back"
    )
    transform: str = Field(
        "auto", description="none, log, deseasonalise, difference, joined by +; or auto"
    )
    metric: Literal["mase", "rmse", "mae", "smape"] = Field(
        "mase", description="how errors are counted, lower is better"
    )

    @field_validator("lookback")
    @classmethod
    def _lookbacks_are_given(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(value, tuple) and not value:
            raise ValueError("must hold at least one lookback, or be 0 for the default")
        return tuple(sorted(set(value))) if isinstance(value, tuple) else value

    @field_validator("transform")
    @classmethod
    def _transform_is_known(cls, value: str) -> str:
        steps = value.split("+")
        if value in ("auto", "none"):
            return value
        if any(s not in TRANSFORM_STEPS for s in steps) or len(set(steps)) < len(steps):
            known = ", ".join(TRANSFORM_STEPS)
            raise ValueError(f"must be auto, none, or some of {known}, each once, joined by +")
        return "+".join(s for s in TRANSFORM_STEPS if s in steps)


class Space(Section):
    """Which networks are looked at, before the bound."""

    layers: tuple[Layers, Layers] = Field(
        (1, 3), description="fewest and most LSTM layers, LOW:HIGH"
    )
    cells: tuple[Cells, Cells] = Field(
        (2, 128), description="fewest and most cells of a layer, LOW:HIGH"
    )
    learning_rate: Rate | tuple[Rate, Rate] = Field(
        (1e-3, 1e-1), description="step size of AdamW; a pair LOW:HIGH is searched"
    )
    weight_decay: Annotated[float, Field(ge=0)] | tuple[Rate, Rate] = Field(
        0.0, description="weight decay of AdamW; a pair is searched"
    )
    dropout: Share | tuple[Share, Share] = Field(
        0.0, description="share of layer outputs dropped; a pair is searched"
    )

    @field_validator("layers", "cells", "learning_rate", "weight_decay", "dropout")
    @classmethod
    def _ranges_ascend(cls, value: Any) -> Any:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError("must go from low to high")
        return value


class Bound(Section):
    """The alpha rule: how large a network the data may carry (see sizing.bound)."""

    rule: Literal["formula", "freedom", "strict", "off"] = Field(
        "formula", description="the reading of the alpha rule"
    )
    alpha: Rate = Field(2.0, description="samples per degree of freedom; larger: smaller networks")
    alpha_max: Rate = Field(10.0, description="how far a wide gap may raise alpha")
    alpha_min: Rate = Field(2.0, description="how far alpha may be lowered at the bound")


class Training(Section):
    """How one network is trained."""

    max_steps: int = Field(2000, ge=1, le=10_000_000, description="most optimiser steps")
    batch_size: int = Field(32, ge=1, le=1_000_000, description="windows in a step")
    patience: int = Field(10, ge=1, description="checks without gain on the inner tail")
    engine: Literal["auto", "native", "torch"] = Field(
        "auto", description="what trains the networks; auto: native for small ones on a processor"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where networks train"
    )

    @model_validator(mode="after")
    def _engine_knows_the_device(self) -> Self:
        if self.engine == "native" and self.device not in ("auto", "cpu"):
            raise ValueError(
                f"the native engine trains on the processor, not on {self.device}: choose engine"
                " auto or torch, or device auto or cpu"
            )
        return self


class Budget(Section):
    """How much work the study may cost."""

    trials: int = Field(60, ge=1, le=1_000_000, description="how many settings are tried")
    trial_timeout_s: float = Field(600.0, gt=0, description="most seconds of one trial")


class Validation(Section):
    """How a trial is scored."""

    folds: int = Field(4, ge=1, le=100, description="rolling origins")
    seeds: int = Field(5, ge=1, le=1000, description="networks per trial and fold")

    @property
    def fresh_seeds(self) -> range:
        """As many seeds that the search does not use: those of the final race's first round."""
        return range(self.seeds, 2 * self.seeds)


class Search(Section):
    """How the next trial is chosen."""

    sampler: Literal["ladder", "tpe", "gp", "random", "grid"] = Field(
        "ladder", description="what chooses the next trial: the ladder of sizes, or from Optuna"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of everything random in the study")


class Verdict(Section):
    """When a smaller network is as good as the best."""

    tolerance: float = Field(0.0, ge=0, lt=1, description="share of the score that does not matter")
    target_score: float = Field(0.0, ge=0, description="the score that would be enough; 0: none")


class Study(Part):
    """A question about a data set and everything that decides how it is answered."""

    name: str = Field("", description="what the study is called; empty: after its source")
    question: str = Field("", description="what it is to find out, in words")
    data: Data
    task: Task = Task()
    space: Space = Space()
    bound: Bound = Bound()
    training: Training = Training()
    budget: Budget = Budget()
    validation: Validation = Validation()
    search: Search = Search()
    verdict: Verdict = Verdict()

    @field_validator("name")
    @classmethod
    def _name_is_a_plain_word(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
            raise ValueError(
                "must be at most 100 letters, digits, dots, underscores and hyphens (no spaces),"
                " the first a letter or digit"
            )
        return value

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
            if isinstance(value, dict):
                found.update({f"{key}.{leaf}": v for leaf, v in value.items()})
            else:
                found[key] = value
        return found


def study_name(stem: str, fingerprint: str) -> str:
    """A name for a study without one: the file's stem and six digits of the fingerprint.

    >>> study_name("my sales", "0123456789abcdef")
    'my-sales-012345'
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "study"
    return f"{clean[:80]}-{fingerprint[:6]}"
