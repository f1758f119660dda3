"""What people read in the terminal: data, bound, benchmarks, states and the answer, as lines."""

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.spec.answer import Answer, TrialCounts
from hpo.spec.storage import DEFAULT_STORAGE, storage_in_force
from hpo.spec.telling import best_name, duration, headline, number, versus, with_error
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words

ENDINGS = ("complete", "pruned", "infeasible", "failed")
WIDEST = 100  # columns, from which on lines are hard to read
LABEL = re.compile(r"[A-Z][A-Za-z ]{1,9} {2,}(?=\S)")
INDENT = 12  # columns of a label


def wrap(lines: Sequence[str]) -> list[str]:
    """The lines broken at words to fit the terminal; what is broken hangs under its beginning."""
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    return [part for line in lines for part in break_line(line, width)]


def break_line(line: str, width: int) -> list[str]:
    """The line broken at words into parts of at most `width` columns, where its words allow it."""
    if len(line) <= width:
        return [line]
    label = LABEL.match(line)
    is_labelled = label is not None and label.end() == INDENT
    indent = INDENT if is_labelled else 4
    return textwrap.wrap(
        line,
        max(width, 3 * INDENT),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def data_lines(facts: Mapping[str, Any]) -> list[str]:
    """What `hpo check` found: the data, how they are looked at, how large a network they carry."""
    season = f"season of {facts['season']}" if facts["season"] > 1 else "no season"
    several = f" in {facts['series']:,} series" if facts["series"] > 1 else ""
    lookback = " or ".join(str(n) for n in facts["lookback"])
    lines = [
        f"Data        {facts['rows']:,} rows{several}, {season}",
        f"Windows     {lookback} steps in, {facts['outputs']} out ({facts['strategy']});"
        f" transform {facts['transform']}",
        f"Judged on   {sum(facts['origins']):,} forecasts of {facts['folds']} folds;"
        f" the last {facts['test_origins']:,} forecasts are kept for the test",
        f"Bound       {_bound_words(facts)}",
    ]
    return lines + warning_lines(facts["warnings"])


def _bound_words(facts: Mapping[str, Any]) -> str:
    bound, samples = facts["bound"], facts["samples"]
    if bound["rule"] == "off":
        return f"off; {samples:,} training windows"
    most = ", ".join(_most_cells(n, c) for n, c in bound["cells"].items() if c is not None)
    inputs, outputs = facts["inputs"], facts["outputs"]
    return (
        f"{samples:,} training windows carry at most {most} (rule {bound['rule']},"
        f" {counted(inputs, 'input')}, {counted(outputs, 'output')}, alpha {bound['alpha']:g})"
    )


def _most_cells(layers: str, cells: int) -> str:
    if layers == "1":
        return f"{counted(cells, 'cell')} in 1 layer"
    return f"{cells:,} in each of {layers}"


def warning_lines(warnings: Sequence[str]) -> list[str]:
    """One line for each warning."""
    return [f"Note        {warning}" for warning in warnings]


def benchmark_lines(
    scores: Mapping[str, float], metric: str, title: str = "Benchmarks"
) -> list[str]:
    """The benchmarks' scores, the best one marked."""
    best = min(scores, key=lambda name: scores[name])
    told = [
        f"{benchmark_name(name)} {number(value)}{' (best)' if name == best else ''}"
        for name, value in scores.items()
    ]
    return [f"{title:<11} {METRICS[metric]}: {', '.join(told)}"]


def bound_lines(
    found: Mapping[str, Any], samples: int, inputs: int, outputs: int, alpha: float
) -> list[str]:
    """The table of `hpo bound`: the largest equal cells per number of layers, by rule."""
    head = (
        f"{counted(samples, 'sample')}, {counted(inputs, 'input')},"
        f" {counted(outputs, 'output')}, alpha {alpha:g}"
    )
    lines = [f"Most cells in each layer ({head})", "  layers      1      2      3"]
    for rule, cells in found["rules"].items():
        told = "".join(f"{'-' if c is None else c:>7}" for c in cells.values())
        lines.append(f"  {rule:<9}{told}")
    return [*lines, f"Degrees of freedom of the data: {found['degrees_of_freedom']:,}"]


def answer_lines(answer: Answer) -> list[str]:
    """The answer as a person reads it: the verdict first."""
    if answer.layers is None or answer.cells is None:
        return _open_lines(answer)
    lines = ["", f"ANSWER      {headline(answer)}", ""]
    lines += _figures(answer)
    lines += ["", "Why"]
    lines += [f"  - {reason}" for reason in answer.reasons]
    if answer.warnings:
        lines += ["", "Keep in mind"]
        lines += [f"  - {warning}" for warning in answer.warnings]
    return [*lines, "", *_where_lines(answer)]


def _figures(answer: Answer) -> list[str]:
    metric = METRICS[answer.metric]
    assert answer.best_benchmark is not None
    assert answer.score is not None
    on_folds = answer.benchmarks[answer.best_benchmark]
    best = best_name(answer)
    lines = [f"Size        {size_in_words(answer.cells or ())}, {answer.weights:,} weights"]
    if answer.cells_tied is not None:
        low, high = answer.cells_tied
        size = f"networks of {low:,} to {high:,} cells in all layers together"
        lines.append(f"As good     {size if low < high else 'no other size'}")
    if answer.layers_probability is not None:
        shares = ", ".join(f"{n} in {p:.0%}" for n, p in answer.layers_probability.items())
        lines.append(
            f"Layers      how often each number wins when the forecasts are drawn anew: {shares}"
        )
    naive = " (1 = the seasonal naive forecast)" if answer.metric == "mase" else ""
    return [
        *lines,
        f"On folds    {metric} {with_error(answer.score, answer.score_se)};"
        f" {best} {number(on_folds)}{_beside(answer.score, on_folds)}{naive}",
        f"On test     {_on_test(answer, metric, best)}",
        f"Training    learning rate {answer.learning_rate:.3g}, {answer.steps:,} steps,"
        f" lookback {answer.lookback}, {answer.strategy}, transform {answer.transform}",
        f"Effort      {trials_in_words(answer.trials)};"
        f" {answer.networks:,} networks on {answer.device};"
        f" {duration(answer.wall_s or 0)} from start to verdict",
    ]


def _on_test(answer: Answer, metric: str, best: str) -> str:
    if answer.test_score is None:
        return "no network could be trained on all rows before the test span"
    ours = f"{metric} {with_error(answer.test_score, answer.test_se)}"
    theirs = answer.benchmarks_test.get(answer.best_benchmark or "")
    if theirs is not None:
        ours += f"; {best} {number(theirs)}{_beside(answer.test_score, theirs)}"
    return f"{ours}; {counted(answer.test_origins or 0, 'forecast')} never used before"


def _beside(score: float, benchmark: float) -> str:
    said = versus(score, benchmark)
    return f", the LSTM's error is {said}" if said else ""


def _where_lines(answer: Answer) -> list[str]:
    report = [f"Report      {answer.report}"] if answer.report else []
    return [
        *report,
        f"Stored      as {answer.study} in {answer.storage}",
        f"Read again  {command_again('answer', answer.study, answer.storage or '')}",
        f"Take away   {command_again('export', answer.study, answer.storage or '', 'DIR')}",
    ]


def command_again(verb: str, study: str, shown: str, *more: str) -> str:
    """The command on a study of the database that is shown so."""
    return " ".join(["hpo", verb, study, *more]) + _storage_option(shown)


def _storage_option(shown: str) -> str:
    """The option that finds the database again, where it is not the default in force."""
    if shown == storage_in_force() == DEFAULT_STORAGE:
        return ""
    if ":***@" in shown:  # the password is not for the screen
        return " --storage URL"
    return f" --storage '{shown}'"


def _open_lines(answer: Answer) -> list[str]:
    lines = [
        f"{answer.study} is {answer.state}: {trials_in_words(answer.trials)}"
        f" and {counted(answer.networks, 'network')} so far, no verdict yet"
    ]
    return lines + (benchmark_lines(answer.benchmarks, answer.metric) if answer.benchmarks else [])


def trials_in_words(counts: TrialCounts, *, of: int | None = None, at_most: bool = False) -> str:
    """How many trials have ended and how, `of` a budget that may be `at_most` so many.

    >>> trials_in_words(TrialCounts(complete=3, pruned=1), of=60, at_most=True)
    '4 of at most 60 trials (3 complete, 1 pruned)'
    """
    how = [f"{n:,} {k}" for k in ENDINGS if (n := getattr(counts, k))]
    within = f" of {'at most ' * at_most}{of:,}" if of is not None else ""
    each = f" ({', '.join(how)})" if how else ""
    trials = "trial" if (of or counts.ended) == 1 else "trials"
    return f"{counts.ended:,}{within} {trials}{each}"


def status_lines(status: Mapping[str, Any], *, whole: bool = False) -> list[str]:
    """One study's state in a line or two; the `whole` of what went wrong, or its last line."""
    trials, best, at_work = status["trials"], status["best"], len(status["workers"])
    ended = trials_in_words(TrialCounts(**{k: trials[k] for k in ENDINGS}), of=status["budget"])
    line = f"{status['study']}  {status['state']}  {ended}"
    if trials["running"] or at_work:
        line += f", {trials['running']} running, {counted(at_work, 'worker')}"
    if best is not None:
        line += f"; best so far {size_in_words(tuple(best['cells']))}: {number(best['score'])}"
    wrong = (status["error"] or "").strip().splitlines()
    return [line, *(f"  {said}" for said in (wrong if whole else wrong[-1:]))]
