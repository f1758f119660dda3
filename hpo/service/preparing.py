"""A stored study's data, read back, checked and made ready, as its workers see them."""

from hpo.data.prepare import Prepared, prepare
from hpo.errors import DataError, HpoError, StudyFailed, UsageError
from hpo.service import studies
from hpo.service.database import Database
from hpo.service.study_data import StudyData, load
from hpo.spec.study import Study


def prepared_of(database: Database, stored: studies.Stored) -> Prepared:
    """What the study's networks were trained on: its panel, folds, transforms and bound.

    Raises DataError for data that are not on this machine, or not those submitted.
    """
    return prepare_stored(
        stored.spec, studies.data_of(database, stored.name), stored.data_fingerprint
    )


def prepare_stored(study: Study, kept: StudyData, data_fingerprint: str) -> Prepared:
    """`prepared_of` for what was read from the database already."""
    from hpo.data.checking import check

    panel = check(load(kept, study.data), study.data)
    if panel.fingerprint != data_fingerprint:
        raise DataError(
            f"the data of {study.name} are not those that were submitted",
            remedy="give this machine the file that was submitted, and the versions of hpo, pandas"
            " and pyarrow that it was submitted with",
        )
    return prepare(study, panel)


def no_verdict(name: str, state: str) -> HpoError:
    """Why a study has nothing to be shown or taken away: it goes on, or ended without an answer."""
    if state in studies.ENDED:
        return StudyFailed(f"the study {name!r} is {state} and has no answer")
    return UsageError(
        f"the study {name!r} is {state} and has no verdict yet", remedy=f"see hpo status {name}"
    )
