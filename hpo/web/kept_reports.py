"""Reports are drawn once, one at a time, and kept: a study that is done does not change."""

from collections import OrderedDict
from threading import BoundedSemaphore, Lock

from werkzeug.exceptions import ServiceUnavailable

from hpo.service import studies
from hpo.service.database import Database
from hpo.service.evidence import evidence_of

MOST_KEPT = 8  # of a few hundred kB each
MOST_WAITING = 2  # while one is drawn: other threads are left for other pages
RETRY_S = 5
Key = tuple[str, float]


class KeptReports:
    """The reports that were asked for last."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock, self._drawing = database, Lock(), Lock()
        self._places = BoundedSemaphore(1 + MOST_WAITING)
        self._kept: OrderedDict[Key, str] = OrderedDict()

    def report_of(self, name: str) -> str:
        """The whole page.

        Raises what `evidence_of` does, ServiceUnavailable while many wait.
        """
        key = (name, studies.outline(self._database, name).created_at)
        if page := self._find(key):
            return page
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable(
                "Other reports are being drawn; try again in some seconds.", retry_after=RETRY_S
            )
        try:
            with self._drawing:
                return self._find(key) or self._draw(key)
        finally:
            self._places.release()

    def _find(self, key: Key) -> str | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _draw(self, key: Key) -> str:
        from hpo.web.report import render  # loads what it draws with

        evidence = evidence_of(self._database, key[0])
        page = render(evidence)
        if not evidence.missing:  # what is missing may come back
            with self._lock:
                self._kept[key] = page
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return page
