"""Reports are drawn once, one at a time, and kept: a study that is done does not change."""

from collections import OrderedDict
from threading import Lock

from hpo.service import studies
from hpo.service.database import Database

MOST_KEPT = 8  # of a few hundred kB each


class KeptReports:
    """The reports that were asked for last."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, Lock()
        self._kept: OrderedDict[tuple[str, float], str] = OrderedDict()

    def report_of(self, name: str) -> str:
        """The whole page. Raises UnknownStudy, StudyFailed before the verdict."""
        from hpo.web.report import report_html  # loads what it draws with

        key = (name, studies.outline(self._database, name).created_at)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = report_html(self._database, name)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]
