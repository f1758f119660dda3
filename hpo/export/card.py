"""The README of a model: what it is, how to use it, how good it is, in plain words."""

from hpo.data.calendar import in_words
from hpo.export.contents import Contents
from hpo.export.intervals import Coverage
from hpo.export.signature import Signature
from hpo.spec.answer import Answer
from hpo.spec.telling import headline
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words

FILES = """## Files

- `weights.safetensors`: the networks, under PyTorch's names after the number of each one's seed
- `transform.safetensors`: the season, centre and scale of each series
- `signature.json`: columns, window, calendar and networks
- `study.json`, `evidence.json`: what was asked; the whole answer, the intervals and their coverage
- `manifest.json`: the size and SHA-256 of every file
"""
ONNX_FILE = """\
- `network.onnx`: from `x` (windows, lookback, inputs) to `y` (windows, networks, outputs), both as
  the networks see them
"""
READING = """
Reading them runs no code. A folder with a changed, missing or additional file is refused.
"""
ONNX_USE = """
To forecast with `network.onnx`, scale the rows as `transform.safetensors` says (logarithm, less
the season, less the centre, divided by the scale; where the transform has `difference`, less the
window's last target). Turn every network's outputs back the same way in reverse, and take the
networks' mean last, on the target's own scale. With a recursive strategy a network has one output
and is fed its own forecasts, each network for itself.
"""


def card(contents: Contents, *, rows: int, with_onnx: bool) -> str:
    """The text, in Markdown; `rows`: that the networks were trained on."""
    signature, answer = contents.signature, contents.evidence.answer
    lines = [
        *_head(contents, rows),
        *_use(signature),
        *_needs(signature),
        *_quality(answer),
        *_intervals(contents),
        *_mind(answer),
    ]
    files = (FILES, ONNX_FILE, READING, ONNX_USE) if with_onnx else (FILES, READING)
    return "\n".join(lines) + "\n" + "".join(files)


def _head(contents: Contents, rows: int) -> list[str]:
    signature, study = contents.signature, contents.study
    series = f" of {counted(len(signature.names), 'series')}" if signature.series else ""
    return [
        f"# {study.name}: a forecast of {signature.target}",
        "",
        *([f"> {study.question}", ""] if study.question else []),
        f"{counted(len(contents.weights), 'LSTM network')} of {size_in_words(signature.cells)}, the"
        " size that the study recommends. Their mean is the forecast.",
        f"They were trained on all {counted(rows, 'row')}{series}, for"
        f" {counted(signature.steps, 'step')} each.",
        "",
    ]


def _use(signature: Signature) -> list[str]:
    target = signature.target
    ahead = "row" if signature.horizon == 1 else f"{signature.horizon} rows"
    after = "each series' last" if signature.series else "the last"
    return [
        "## Use",
        "",
        "```bash",
        "hpo predict THIS_FOLDER recent.csv --out forecast.csv",
        "```",
        "",
        "```python",
        "import hpo",
        "",
        'hpo.load("THIS_FOLDER").predict(frame, level=80)',
        "```",
        "",
        f"What comes back: the next {ahead} after {after} known `{target}`. The forecast is in the"
        f" column of that name, the prediction interval in `{target}-lo-80` and `{target}-hi-80`.",
        "",
    ]


def _needs(signature: Signature) -> list[str]:
    columns = [c for c in (signature.time, signature.series) if c]
    columns += [signature.target, *signature.covariates]
    calendar, of_each = signature.calendar, " of every series" if signature.series else ""
    rows = f"the last {counted(signature.lookback, 'row')} or more{of_each}"
    apart = f", one every {in_words(calendar.step)}" if calendar.step else ", in their order"
    lines = [
        "## What it needs",
        "",
        f"- the column{'s' * (len(columns) > 1)} {', '.join(f'`{c}`' for c in columns)}",
        f"- {rows}{apart}",
    ]
    if calendar.kind.startswith("datetime"):
        lines.append("- times as dates; times with a zone are turned into UTC")
    if signature.series:
        lines.append("- only series that it was trained on")
    if signature.covariates:
        lines.append("- covariates up to the last known target; later ones are not used")
    if "deseasonalise" in signature.transform:
        lines.append(f"- {_season(signature)}")
    return [*lines, ""]


def _season(signature: Signature) -> str:
    if signature.calendar.step:
        return (
            f"right times: they say where in the season of {signature.season} rows a row stands"
            " (counted from the first training row), so the rows may begin anywhere"
        )
    return (
        f"a first row in the phase of the first training row, in the season of {signature.season}"
        " rows: without times at a regular step nothing else tells the phase. Give all rows from"
        " the first training row on, or begin whole seasons after it"
    )


def _quality(answer: Answer) -> list[str]:
    measure, best = METRICS.get(answer.metric, answer.metric), answer.best_benchmark or ""
    lines = ["## How good it is", ""]
    if answer.lstm_justified is False:
        lines += [f"**Mind what the study found**: {headline(answer)}.", ""]
    for where, score, benchmarks in (
        ("on the folds", answer.score, answer.benchmarks),
        ("on the test span, which no choice has seen", answer.test_score, answer.benchmarks_test),
    ):
        if score is not None:
            beside = (
                f"; {benchmark_name(best)} {benchmarks[best]:.4g}" if best in benchmarks else ""
            )
            lines.append(f"- {where}: {measure} {score:.4g}{beside}")
    return [
        *lines,
        "",
        "These are scores of networks that had not seen the rows they were scored on. Those in this"
        " folder have learnt from all rows: no row is left to score them.",
        "",
    ]


def _intervals(contents: Contents) -> list[str]:
    intervals = contents.evidence.intervals
    lines = ["## Prediction intervals", ""]
    if intervals is None:
        return [*lines, *contents.evidence.warnings, ""]
    return [
        *lines,
        coverage_in_words(intervals.coverage),
        "",
        f"They rest on {counted(intervals.errors, 'error')} of each step ahead, on rows that the"
        " networks of the folds had not seen (split conformal prediction, Lei et al. 2018), and"
        " hold where the future is like those rows. Levels up to"
        f" {max(intervals.half_widths)} % can be asked for.",
        "",
    ]


def coverage_in_words(coverage: Coverage) -> str:
    """What intervals held, in a sentence.

    >>> coverage_in_words(Coverage(level=80, folds=0.824, test=0.73, test_values=15))
    "Intervals of 80 % held 73 % of 15 forecasts of the test span, and 82 % of the folds'."
    """
    parts = []
    if coverage.test is not None:
        values = counted(coverage.test_values, "forecast")
        parts.append(f"{100 * coverage.test:.0f} % of {values} of the test span")
    if coverage.folds is not None:
        parts.append(f"{100 * coverage.folds:.0f} % of the folds'")
    held = f"held {', and '.join(parts)}" if parts else "could not be tried"
    return f"Intervals of {coverage.level} % {held}."


def _mind(answer: Answer) -> list[str]:
    if not answer.warnings:
        return []
    return ["## What to mind", "", *(f"- {warning}" for warning in answer.warnings), ""]
