"""Everything raised is one tree, which knows its exit codes and passes between processes."""

import pickle

import pytest

from hpo import errors
from hpo.errors import HpoError

CODES = {
    "HpoError": 1,
    "UsageError": 2,
    "SpecError": 2,
    "UnknownStudy": 2,
    "StudyConflict": 2,
    "DataError": 3,
    "DatabaseError": 4,
    "DatabaseAway": 4,
    "StudyFailed": 5,
    "Interrupted": 130,
}
KINDS: list[type[HpoError]] = [k for k in vars(errors).values() if isinstance(k, type)]


def test_every_error_has_its_exit_code() -> None:
    assert {kind.__name__: kind.exit_code for kind in KINDS} == CODES


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_whole_out_of_another_process(kind: type[HpoError]) -> None:
    error = kind("no column 'y'", where="a.csv", remedy="choose one of x, z")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(back) is kind
    assert (back.problem, back.where, back.remedy) == (error.problem, error.where, error.remedy)
    assert str(back) == "no column 'y' (a.csv); choose one of x, z"


@pytest.mark.parametrize(
    ("where", "remedy", "said"),
    [
        ("", "", "broken"),
        ("a.csv", "", "broken (a.csv)"),
        ("", "mend it", "broken; mend it"),
        ("a.csv", "mend it", "broken (a.csv); mend it"),
    ],
)
def test_a_message_holds_only_the_parts_there_are(where: str, remedy: str, said: str) -> None:
    assert str(HpoError("broken", where=where, remedy=remedy)) == said
