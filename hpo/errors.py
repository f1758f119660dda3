"""Everything hpo raises: one tree, each kind with the exit code of the command line."""


class HpoError(Exception):
    """A mistake or a mishap with one clear message: what, where, and what would be right.

    The parts stay on the exception as data: `problem`, `where` (a file and line, a column and
    row, a database; may be empty) and `remedy` (what would be right; may be empty).
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.where = where
        self.remedy = remedy
        place = f" ({where})" if where else ""
        way_out = f"; {remedy}" if remedy else ""
        super().__init__(f"{problem}{place}{way_out}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.where, self.remedy)


def _rebuild(kind: type[HpoError], problem: str, where: str, remedy: str) -> HpoError:
    return kind(problem, where=where, remedy=remedy)


class UsageError(HpoError):
    """Wrong words on the command line, or a wrong or unknown study."""

    exit_code = 2


class SpecError(UsageError):
    """A study's values are wrong: an unknown key, a value out of its range, broken TOML."""


class UnknownStudy(UsageError):
    """No study of this name is in the database."""


class StudyConflict(UsageError):
    """The name is taken by a study of other values or other data."""


class DataError(HpoError):
    """Data (or a model bundle) that cannot be used."""

    exit_code = 3


class DatabaseError(HpoError):
    """No usable database."""

    exit_code = 4


class DatabaseAway(DatabaseError):
    """No usable database now; it may pass by itself: unreachable, restarting, locked, too busy."""


class StudyFailed(HpoError):
    """The study ended without an answer."""

    exit_code = 5


class Interrupted(HpoError):
    """Stopped by the user; the state is saved."""

    exit_code = 130
