"""A study as a notebook shows it: state, progress, the verdict, a small curve."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from hpo.errors import HpoError
from hpo.service import studies
from hpo.service.answers import answer_of
from hpo.service.database import Database
from hpo.service.status import status
from hpo.spec.answer import Answer
from hpo.spec.telling import headline, number
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web.plotting import size_curve_so_far
from hpo.web.report import ENVIRONMENT, numbers_of


def card(database: Database, name: str) -> str:
    """HTML without script, in the colours of the page around it. Raises UnknownStudy."""
    stored, told = studies.find(database, name), status(database, name)
    answer = answer_of(database, name)
    curve = size_curve_so_far(database, stored)
    is_done, is_open = answer.cells is not None, told["state"] not in studies.ENDED
    wrong = (told["error"] or "").strip().splitlines()
    return _render(
        name,
        state=told["state"],
        said=_progress(answer, told),
        trouble=wrong[-1] if wrong else "",
        headline=headline(answer) if is_done else "",
        is_open=is_open,
        ended=told["trials"]["complete"] + told["trials"]["pruned"] + told["trials"]["infeasible"],
        budget=max(told["budget"], 1),
        best="" if is_done else _best(answer, told["best"]),
        numbers=numbers_of(answer) if is_done else [],
        curve=Markup(curve.small()) if curve else "",
    )


def card_without_study(name: str, error: HpoError) -> str:
    """The card of a study that cannot be read now: why."""
    return _render(name, state="cannot be read now", trouble=str(error))


def _render(name: str, **values: Any) -> str:
    empty: dict[str, Any] = {"said": "", "headline": "", "best": "", "numbers": [], "curve": ""}
    empty |= {"trouble": "", "is_open": False, "ended": 0, "budget": 1}
    return ENVIRONMENT.get_template("card.html").render(name=name, **(empty | values))


def _progress(answer: Answer, told: Mapping[str, Any]) -> str:
    trials, most = answer.trials.ended, told["budget"]
    of = f" of at most {most:,}" if told["state"] not in studies.ENDED else ""
    said = [f"{trials:,}{of} trial{'s' * ((most if of else trials) != 1)}"]
    said.append(counted(answer.networks, "network"))
    if told["workers"]:
        said.append(counted(len(told["workers"]), "worker"))
    return ", ".join(said)


def _best(answer: Answer, best: Mapping[str, Any] | None) -> str:
    """The best network so far beside the best benchmark."""
    metric, said = METRICS[answer.metric], []
    if best is not None:
        said.append(f"best so far {size_in_words(best['cells'])}: {metric} {number(best['score'])}")
    if answer.benchmarks:
        rival = min(answer.benchmarks, key=lambda name: answer.benchmarks[name])
        said.append(f"best benchmark {benchmark_name(rival)}: {number(answer.benchmarks[rival])}")
    return "; ".join(said)
