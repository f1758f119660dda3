"""What an answer stands on beside the trials: data, choices with their reasons, origin."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.calendar import UNITS
from hpo.data.prepare import (
    LOOKBACK_WITHOUT_SEASON,
    SEASONS_IN_LOOKBACK,
    SHORTEST_LOOKBACK,
    Prepared,
)
from hpo.data.question import FRAME
from hpo.service.evidence import Evidence
from hpo.spec.answer import Answer
from hpo.spec.options import as_words, options
from hpo.spec.study import Study
from hpo.spec.telling import duration, number
from hpo.spec.words import METRICS, counted, size_in_words
from hpo.web.tables import Table


def profile(prepared: Prepared) -> Table:
    """The data as they were checked."""
    panel = prepared.panel
    target_R = panel.values_RF[panel.known_R, 0]
    low, middle, high = np.quantile(target_R, (0, 0.5, 1))
    missing = int((~panel.known_R).sum())
    rows = [
        ("rows", f"{len(panel.values_RF):,}"),
        ("target", panel.columns[0]),
        ("its values", f"{number(low)} to {number(high)}, median {number(middle)}"),
        ("time", f"{_time(panel.times_R.min())} to {_time(panel.times_R.max())}"),
        ("step", _STEPS.get(panel.frequency, panel.frequency) or "rows in order"),
        ("season", _season(prepared)),
        ("missing target values", f"{missing:,} (filled to be looked back at, never scored)"
         if missing else "none"),
    ]  # fmt: skip
    if len(panel.names) > 1:
        lengths = panel.lengths_S
        rows.insert(
            1, ("series", f"{len(panel.names):,}, of {lengths.min():,} to {lengths.max():,} rows")
        )
    if len(panel.columns) > 1:
        rows.insert(3, ("covariates", ", ".join(panel.columns[1:])))
    return Table(columns=("", ""), rows=rows)


def choices(evidence: Evidence) -> Table:
    """What was decided, and why."""
    answer, spec, prepared = evidence.answer, evidence.spec, evidence.prepared
    given = _given(spec)
    rows: list[tuple[str, str, str]] = [
        ("rule of the bound", spec.bound.rule, given("bound.rule", _WHY["rule"])),
        ("alpha", f"{answer.alpha:g}", _why_alpha(answer)),
        ("strategy", answer.strategy or "", _why_strategy(evidence)),
        ("lookback", counted(answer.lookback or 0, "step"), _why_lookback(spec, answer)),
        (
            "transform",
            (answer.transform or "").replace("+", " + "),
            given("task.transform", "by tests on the first training part, undone before scoring"),
        ),
        ("learning rate", f"{answer.learning_rate:.3g}", _why_rate(spec)),
        (
            "training steps",
            f"{answer.steps:,}",
            "where the inner tail stopped them: their median, for the rows before the test span",
        ),
        ("search", spec.search.sampler, given("search.sampler", _WHY["search"])),
        ("folds", str(spec.validation.folds), given("validation.folds")),
        ("seeds", str(spec.validation.seeds), given("validation.seeds", _WHY["seeds"])),
        ("measure", METRICS[answer.metric], given("task.metric", _WHY["measure"])),
        (
            "tolerance",
            f"{spec.verdict.tolerance:g}",
            given("verdict.tolerance", _WHY["tolerance"]),
        ),
    ]  # fmt: skip
    if prepared is not None:
        season = given(
            "data.season", "found from the time column" if spec.data.time else "no time column"
        )
        rows.insert(2, ("season", _season(prepared), season))
        test = given("data.test", "the larger of two horizons and a tenth of the rows")
        rows.insert(3, ("test span", counted(len(prepared.test.origins_O), "forecast"), test))
    return Table(columns=("choice", "value", "why"), rows=rows)


def origin(evidence: Evidence) -> Table:
    """Where the answer is from: seeds, versions, machine."""
    answer = evidence.answer
    versions = ", ".join(f"{name} {version}" for name, version in answer.versions.items())
    return Table(
        columns=("", ""),
        rows=[
            ("seed", str(answer.seed)),
            ("study's fingerprint", answer.fingerprint),
            ("trained by", f"engine {answer.engine}, on {answer.device}"),
            ("networks", f"{answer.networks:,} in {duration(answer.wall_s or 0)}"),
            ("versions", versions),
            ("database", answer.storage or ""),
        ],
    )


def command(spec: Study) -> str:
    """The command that asks the same again, of a frame the call in Python."""
    words = as_words(spec)
    if spec.data.source != FRAME:
        return shlex.join(["hpo", "run", _near(spec.data.source), *words])
    known = {option.key: leaf for leaf, option in options().items()}
    plain = Study.model_validate({"data": {"source": FRAME, "target": "-"}}).flat()
    asked = {known[k]: v for k, v in spec.flat().items() if k in known and v != plain[k]}
    return f"hpo.run(frame, {', '.join(f'{leaf}={value!r}' for leaf, value in asked.items())})"


def _near(source: str) -> str:
    """A path as it is called from here."""
    path = Path(source)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else source


LOOKBACK_SOURCE = "Hewamalage et al. 2021"
_STEPS = UNITS | {"min": "minute", "s": "second"}
_WHY = {
    "rule": "by default the alpha rule counts cells",
    "search": "by default from the smallest network up, while larger ones pay",
    "seeds": "by default, so that sizes are told apart from chance",
    "measure": "by default: 1 is the seasonal naive forecast",
    "tolerance": "by default one standard error alone makes two networks equal",
}


def _season(prepared: Prepared) -> str:
    return counted(prepared.season, "step") if prepared.season > 1 else "none"


def _time(time: Any) -> str:
    """A time, without the hours where it has none."""
    return str(time).removesuffix("T00:00:00")


def _given(spec: Study) -> Callable[..., str]:
    """Whether a value was asked for, or stands as it is by default."""
    plain = Study.model_validate({"data": {"source": "-", "target": "-"}}).flat()
    asked = spec.flat()

    def given(key: str, otherwise: str = "the default") -> str:
        return "asked for" if asked[key] != plain[key] else otherwise

    return given


def _why_alpha(answer: Answer) -> str:
    if answer.bound is None or answer.bound.rule == "off":
        return "not in force: nothing is bounded"
    if not answer.alpha_path:
        return "as it was: nothing moved it"
    last = answer.alpha_path[-1]
    return f"the best network tried is {size_in_words(last.cells)}: {last.reason}"


def _why_strategy(evidence: Evidence) -> str:
    if evidence.spec.task.strategy != "auto":
        return "asked for"
    if evidence.spec.task.horizon == 1:
        return "one step ahead needs no other"
    if evidence.spec.bound.rule == "off":
        return "nothing bounds its cells"
    said = [w for w in evidence.answer.warnings if w.startswith("the strategy is")]
    return said[0] if said else "the bound leaves it cells enough"


def _why_lookback(spec: Study, answer: Answer) -> str:
    if isinstance(spec.task.lookback, tuple):
        return "the best of those asked for"
    if spec.task.lookback:
        return "asked for"
    if int(answer.task.get("season", 1)) > 1:
        rule = f"{SEASONS_IN_LOOKBACK:g} times the longer of season and horizon"
        return f"{rule}, at least {SHORTEST_LOOKBACK}, less where rows are few ({LOOKBACK_SOURCE})"
    rule = f"without a season the longer of {LOOKBACK_WITHOUT_SEASON}"
    return f"{rule} and {SEASONS_IN_LOOKBACK:g} horizons, less where rows are few"


def _why_rate(spec: Study) -> str:
    rate = spec.space.learning_rate
    if isinstance(rate, tuple):
        return f"the best that was tried between {rate[0]:g} and {rate[1]:g}"
    return "asked for"
