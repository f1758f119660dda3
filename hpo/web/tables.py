"""The tables behind a report's figures: sizes, finalists, benchmarks, alpha, residuals, trials."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo.service.evidence import Evidence
from hpo.sizing.residuals import LEVEL
from hpo.spec.answer import Answer, GapMeasured
from hpo.spec.telling import number, with_error
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web.residual_series import Residuals

MOST_TRIALS = 1_000  # rows


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under their columns; `numbers` are the columns that hold numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    note: str = ""


def sizes(evidence: Evidence) -> Table:
    """The best trial of every size that was tried."""
    rows = [
        (
            _cells(s.cells), f"{s.cells_in_all:,}", f"{s.weights:,}", number(s.score),
            f"{s.behind_se:.2g}", number(s.train_loss), number(s.valid_loss),
            "" if s.fits else "outside",
        )
        for s in evidence.sizes
    ]  # fmt: skip
    return Table(
        columns=(
            "cells per layer", "cells", "weights", METRICS[evidence.answer.metric],
            "s.e. to the best", "training loss", "validation loss", "bound",
        ),
        rows=rows,
        numbers=frozenset(range(1, 7)),
        note="The best trial of each size, with the seeds of the search. The standard error is that"
        " of the paired difference to the best size. Losses are on the scale that was trained on.",
    )  # fmt: skip


def finalists(evidence: Evidence) -> Table:
    """The race that the verdict rests on."""
    chosen = evidence.answer.trial
    rows = [
        (
            _cells(f.cells), f"{f.weights:,}", str(f.seeds), number(f.score), number(f.behind),
            f"{f.behind_se:.2g}",
            "recommended" if f.trial == chosen else "yes" if f.is_tied else "no",
        )
        for f in evidence.finalists
    ]  # fmt: skip
    return Table(
        columns=(
            "cells per layer", "weights", "fresh seeds", METRICS[evidence.answer.metric],
            "behind the best", "s.e.", "as good",
        ),
        rows=rows,
        numbers=frozenset(range(1, 6)),
        note="Networks with seeds that the search had not seen, compared forecast by forecast.",
    )  # fmt: skip


def competitors(answer: Answer) -> Table:
    """The network and the benchmarks, on the folds and on the test span."""
    rows = [
        (
            f"LSTM, {size_in_words(answer.cells or ())}",
            with_error(answer.score or np.nan, answer.score_se),
            "" if answer.test_score is None else with_error(answer.test_score, answer.test_se),
        )
    ]
    for name, score in sorted(answer.benchmarks.items(), key=lambda item: item[1]):
        on_test = answer.benchmarks_test.get(name)
        rows.append(
            (benchmark_name(name), number(score), "" if on_test is None else number(on_test))
        )
    metric = METRICS[answer.metric]
    return Table(
        columns=("", f"{metric} on the folds", f"{metric} on the test span"),
        rows=rows,
        numbers=frozenset({1, 2}),
        note="Of the LSTM the mean error of single networks on the folds, and on the test span the"
        " error of the mean forecast of its seeds.",
    )


def alpha_path(answer: Answer) -> Table:
    """The phases of the search."""
    return Table(
        columns=("alpha", _bounded(answer), "best network", "score", "gap", "expected", "then"),
        rows=[
            (
                f"{p.alpha:g}", f"{p.bound:,}", _cells(p.cells), number(p.score), _gap(p.gap),
                "" if p.gap is None or p.gap.expected is None else f"{p.gap.expected:.2f}",
                p.reason,
            )
            for p in answer.alpha_path
        ],
        numbers=frozenset({0, 1, 3, 4, 5}),
        note="The gap is validation over training error, its 95 % lower limit in brackets;"
        " expected is that of a linear network of as many weights.",
    )  # fmt: skip


def _bounded(answer: Answer) -> str:
    """What the bound counts."""
    rule = answer.bound.rule if answer.bound else "formula"
    return "most cells" if rule == "formula" else "most weights"


def ladder(answer: Answer) -> Table:
    """Every look of the ladder at a larger network."""
    return Table(
        columns=("network", "beside", "learning rate", "gain", "s.e.", "pays"),
        rows=[
            (
                _cells(look.cells), _cells(look.over), f"{look.learning_rate:.3g}",
                "not trained" if look.gain is None else number(look.gain),
                "" if look.se is None else f"{look.se:.2g}", "yes" if look.pays else "no",
            )
            for look in answer.ladder
        ],
        numbers=frozenset({2, 3, 4}),
        note="The gain is how much lower the larger network's error is, in pairs.",
    )  # fmt: skip


def residual_checks(residuals: Residuals) -> Table | None:
    """What the residuals show; None of too few."""
    found = residuals.checks
    if found is None:
        return None

    def said(p: float, wrong: str, right: str) -> tuple[str, str]:
        return f"{p:.2g}", wrong if p < LEVEL else right

    side = "low" if found.mean > 0 else "high"
    tests = (
        ("mean", *said(found.bias, f"forecasts are too {side} on average", "no bias to be seen")),
        (
            f"memory over {counted(found.lags, 'lag')}",
            *said(
                found.memory, "autocorrelated: there is more to be learnt", "like chance"
            ),
        ),
        (
            "spread against level",
            *said(found.spread, "errors change with the level", "even"),
        ),
    )  # fmt: skip
    of = f" of series {residuals.series!r}" if residuals.series else ""
    return Table(
        columns=("check", "p-value", "finding"),
        rows=tests,
        numbers=frozenset({1}),
        note=f"Of {counted(found.count, 'forecast')} one step ahead{of}, from the folds and the"
        " test span. Mean: Newey and West 1987; memory: Ljung and Box 1978; spread: Spearman's rank"
        " correlation of the errors' sizes with the forecasts. On the scale that networks"
        f" see. Below {LEVEL:g} it is hardly chance.",
    )


def ended_early(evidence: Evidence) -> Table:
    """The trials without a score to compare, by the reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    told: dict[str, str] = {}  # the first of those that differ in their numbers alone
    for trial in evidence.trials:
        if trial.ending in ("pruned", "infeasible", "failed"):
            reason = trial.reason or "no reason is known"
            reason = told.setdefault(re.sub(r"[\d.e+]+", "0", reason), reason)
            groups.setdefault((trial.ending, reason), []).append(_cells(trial.cells))
    return Table(
        columns=("ended", "trials", "reason", "networks"),
        rows=[
            (ending, str(len(networks)), reason, _some(networks))
            for (ending, reason), networks in groups.items()
        ],
        numbers=frozenset({1}),
    )


def trials(evidence: Evidence) -> Table:
    """Every trial, at most a thousand."""
    told = evidence.trials[:MOST_TRIALS]
    left = len(evidence.trials) - len(told)
    rows = [
        (
            str(t.number), _cells(t.cells), f"{t.weights:,}", f"{t.learning_rate:.3g}",
            f"{t.alpha:g}", "" if t.score is None else number(t.score), t.ending,
        )
        for t in told
    ]  # fmt: skip
    return Table(
        columns=("trial", "cells", "weights", "learning rate", "alpha", "score", "ended"),
        rows=rows,
        numbers=frozenset({0, 2, 3, 4, 5}),
        note=f"{left:,} more are in the database." if left else "",
    )


def _cells(cells: Sequence[int]) -> str:
    return "×".join(map(str, cells))


def _some(networks: Sequence[str]) -> str:
    shown = list(dict.fromkeys(networks))
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _gap(gap: GapMeasured | None) -> str:
    return "" if gap is None else f"{gap.ratio:.2f} ({gap.low:.2f})"
