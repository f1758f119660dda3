"""What a study that is done recommends, read from the database: its network and its forecasts."""

from hpo.errors import UsageError
from hpo.export.making import Recommended
from hpo.search.outcome import mean_forecast
from hpo.service import results, studies
from hpo.service.database import Database
from hpo.service.preparing import no_verdict, prepared_of


def recommended(database: Database, name: str) -> Recommended:
    """The recommended network of a study with all that a model of it is made of.

    Raises UnknownStudy, UsageError for a study without an answer or with one of an earlier hpo,
    DataError for data that are not here.
    """
    stored = studies.find(database, name)
    answer = stored.answer
    if answer is None:
        raise no_verdict(name, stored.state)
    if answer.trial is None or answer.steps is None:
        raise UsageError(
            f"the answer of {name!r} is of hpo {stored.versions['hpo']}, which did not keep what a"
            " model is made of",
            remedy="run the study again, under another --name or in another --storage",
        )
    prepared = prepared_of(database, stored)
    records = results.networks_of(database, name, [answer.trial]).get(answer.trial, {})
    fresh = stored.spec.validation.fresh_seeds
    folds = (*prepared.folds, prepared.test)
    means = {f.number: mean_forecast(records, f.number, fresh) for f in folds}
    return Recommended(
        answer=answer,
        engine=stored.engine,
        prepared=prepared,
        forecasts={number: mean_OH for number, mean_OH in means.items() if mean_OH is not None},
    )
