"""A figure of a study by its name, as far as the study has come."""

from hpo.errors import StudyFailed, UsageError
from hpo.service import studies
from hpo.service.answers import answer_of
from hpo.service.database import Database
from hpo.service.evidence import evidence_of
from hpo.service.shown import best_of_sizes, shown_trials
from hpo.web.drawing import Drawn, Picture
from hpo.web.figures import figures
from hpo.web.residual_series import residuals_of
from hpo.web.size_curve import curve_so_far

SIZE_CURVE = "size-curve"


def plot(database: Database, name: str, figure: str) -> Picture:
    """The figure of this name, drawn. Raises as `StudyHandle.plot` tells."""
    stored = studies.find(database, name)
    there = _figures(database, stored)
    if figure in there:
        return there[figure].figure()
    if figure == SIZE_CURVE:
        raise StudyFailed(
            f"the study {name!r} is {stored.state} and has no complete trial to draw yet",
            remedy=f"see hpo status {name}",
        )
    listed = ", ".join(there) or "none yet"
    soon = "" if stored.answer else f"; the others come with the verdict, it is {stored.state}"
    raise UsageError(
        f"there is no figure {figure!r} of {name!r}", remedy=f"there are: {listed}{soon}"
    )


def _figures(database: Database, stored: studies.Stored) -> dict[str, Drawn]:
    """With the verdict those of the report, before it the size curve of what is known."""
    drawn: dict[str, Drawn] = {}
    if stored.answer is not None:
        evidence = evidence_of(database, stored.name)
        drawn = figures(evidence, residuals_of(evidence))
    if SIZE_CURVE not in drawn and (so_far := size_curve_so_far(database, stored)):
        drawn = {SIZE_CURVE: so_far, **drawn}
    return drawn


def size_curve_so_far(database: Database, stored: studies.Stored) -> Drawn | None:
    """From trials and benchmarks alone, without the study's data; None before the first trial."""
    answer = answer_of(database, stored.name)
    sizes = best_of_sizes(shown_trials(database, stored))
    return curve_so_far(sizes, answer.benchmarks, answer.metric, chosen=answer.cells or ())
