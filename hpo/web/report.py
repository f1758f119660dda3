"""The report of a study that is done: one page that needs nothing else; its figures as files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hpo.errors import UsageError
from hpo.service.answers import note_place
from hpo.service.database import Database
from hpo.service.evidence import Evidence, evidence_of
from hpo.spec.answer import Answer
from hpo.spec.telling import best_name, headline, number, versus, with_error
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web import background, tables
from hpo.web.figures import figures
from hpo.web.forecast_figure import MOST_STEPS, series_shown
from hpo.web.residual_series import residuals_of


@dataclass(frozen=True, kw_only=True)
class Number:
    """One of the three numbers beside the verdict."""

    what: str
    value: str
    said: str


def report_html(database: Database, name: str) -> str:
    """The report of a study that is done, as one HTML page without script.

    Raises UnknownStudy, UsageError before its verdict, StudyFailed where it ended without one.
    """
    return render(evidence_of(database, name))


def write_report(database: Database, name: str, folder: Path) -> Path:
    """Write NAME-report.html into the folder, made if need be; its absolute path, which is noted.

    Raises UsageError where that cannot be, and what `report_html` raises.
    """
    page = report_html(database, name)
    path = folder.resolve() / f"{name}-report.html"
    with _writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    note_place(database, name, "report", path)
    return path


def write_figures(database: Database, name: str, folder: Path) -> list[Path]:
    """Write each figure of the report as PNG and SVG; their absolute paths. Raises as above."""
    evidence = evidence_of(database, name)
    made = figures(evidence, residuals_of(evidence))
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return [path for figure in made.values() for path in figure.save(folder.resolve())]


def render(evidence: Evidence) -> str:
    """The page of this evidence."""
    answer, residuals = evidence.answer, residuals_of(evidence)
    drawn = figures(evidence, residuals)
    style, _, _ = ENVIRONMENT.loader.get_source(ENVIRONMENT, "report.css")  # type: ignore[union-attr]
    return ENVIRONMENT.get_template("report.html").render(
        answer=answer,
        question=evidence.spec.question,
        headline=headline(answer),
        numbers=numbers_of(answer),
        missing=evidence.missing,
        css=Markup(style),
        version=version("hpo"),
        figures={name: Markup(figure.inline()) for name, figure in drawn.items()},
        bound=_bound(answer),
        test=_test(answer),
        test_caption=_test_caption(evidence),
        trials_said=_trials(answer, evidence.spec.budget.trials),
        profile=background.profile(evidence.prepared) if evidence.prepared else None,
        choices=background.choices(evidence),
        origin=background.origin(evidence),
        command=background.command(evidence.spec),
        ended_early_by=evidence.closed_by,
        residuals=tables.residual_checks(residuals) if residuals else None,
        **_tables(evidence),
    )


def _tables(evidence: Evidence) -> dict[str, tables.Table]:
    answer = evidence.answer
    return {
        "sizes": tables.sizes(evidence),
        "finalists": tables.finalists(evidence),
        "competitors": tables.competitors(answer),
        "alpha_path": tables.alpha_path(answer),
        "ladder": tables.ladder(answer),
        "ended_early": tables.ended_early(evidence),
        "trials": tables.trials(evidence),
    }


ENVIRONMENT = Environment(
    loader=PackageLoader("hpo.web"), autoescape=True, undefined=StrictUndefined
)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write there: {error.strerror}", where=str(place), remedy="name another folder"
        ) from error


def numbers_of(answer: Answer) -> list[Number]:
    """Of a study that is done: size, error on the folds, error on the test span."""
    low, high = answer.cells_tied or (0, 0)
    tied = f"; as good: from {low:,} to {high:,} cells in all" if low < high else ""
    cells = "×".join(f"{c:,}" for c in answer.cells or ())
    size = Number(
        what=counted(answer.layers or 0, "layer"),
        value=counted(answer.cells[0], "cell") if answer.layers == 1 and answer.cells else cells,
        said=f"{counted(answer.weights or 0, 'weight')}{tied}",
    )
    metric, best = METRICS[answer.metric], answer.best_benchmark or ""
    assert answer.score is not None, "a study that is done has a score"
    folds = Number(
        what=f"{metric} on the folds",
        value=number(answer.score),
        said=_beside(answer, answer.score, answer.benchmarks.get(best)),
    )
    test = Number(
        what=f"{metric} on the test span",
        value="none" if answer.test_score is None else number(answer.test_score),
        said=_beside(answer, answer.test_score, answer.benchmarks_test.get(best)),
    )
    return [size, folds, test]


def _beside(answer: Answer, score: float | None, benchmark: float | None) -> str:
    if score is None:
        return "no network could be trained on all rows before it"
    if benchmark is None:
        return ""
    more = f": the LSTM's is {said}" if (said := versus(score, benchmark)) else ""
    return f"{best_name(answer)} has {number(benchmark)}{more}"


def _bound(answer: Answer) -> str:
    bound = answer.bound
    if bound is None or bound.rule == "off":
        return "No bound: the space of the study alone limits the networks."
    most = "" if bound.max_cells is None else f" one layer of at most {bound.max_cells:,} cells"
    hit = (
        "The recommended network is at the bound"
        if bound.hit
        else "The recommended network is inside"
    )
    stayed = f" {_kept(answer)}." * (len(answer.alpha_path) < 2)
    return (
        f"Rule {bound.rule} at alpha {bound.alpha:g}: {counted(bound.samples, 'training window')},"
        f" {counted(bound.inputs, 'input')} and {counted(bound.outputs, 'output')} carry{most}."
        f" {hit}.{stayed}"
    )


def _kept(answer: Answer) -> str:
    if not answer.alpha_path:
        return f"Alpha stayed at {answer.alpha:g}"
    last = answer.alpha_path[-1]
    size = size_in_words(last.cells)
    return f"At alpha {answer.alpha:g} the best network tried is {size}: {last.reason}"


def _test(answer: Answer) -> str:
    if answer.test_score is None:
        return "No network could be trained on all rows before the test span."
    ours = f"{METRICS[answer.metric]} {with_error(answer.test_score, answer.test_se)}"
    return (
        f"The recommended network, {size_in_words(answer.cells or ())}, was trained anew on all"
        " rows before the test span, once for each seed; the mean of these networks forecast it"
        f" once, after the verdict: {ours} over"
        f" {counted(answer.test_origins or 0, 'forecast')}. The test span reports and never"
        " decides."
    )


def _test_caption(evidence: Evidence) -> str:
    rival = benchmark_name(evidence.answer.best_benchmark or "")
    horizon = evidence.spec.task.horizon
    which = "one step ahead" if horizon == 1 else f"{horizon} steps ahead, that do not overlap"
    more = ""
    if evidence.test is not None and evidence.prepared is not None:
        shown, among = len(series_shown(evidence.test)), len(evidence.prepared.panel.names)
        if among > shown:
            more = f" {shown} of {among} series, from the best forecast to the worst."
        more += f" At most the last {MOST_STEPS} steps are drawn."
    return (
        f"The truth, and forecasts {which}: the mean of the networks' seeds beside {rival}.{more}"
    )


def _trials(answer: Answer, budget: int) -> str:
    counts = answer.trials.model_dump()
    how = ", ".join(f"{count:,} {ending}" for ending, count in counts.items() if count)
    return f"{answer.trials.ended:,} of {counted(budget, 'trial')} were used: {how}."
