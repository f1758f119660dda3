"""A worker of this project whose trainings are sleeps, and which counts what it does.

`python benchmarks/service_worker.py STUDY TRIALS`, with the database in HPO_STORAGE and the seconds
of a training in SERVICE_TRAINING_S. It is the worker of `hpo work` but for what its child does in
place of training; it ends where the verdict would begin.
"""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from counting import Counts

from hpo import events
from hpo.fitting.pool import Job
from hpo.service import training_process, trials
from hpo.service.database import open_database
from hpo.service.training_process import TrainingProcess
from hpo.service.work import Worker, new_identity


class Watched(TrainingProcess):
    """Tells when the first training of newly taken trials begins."""

    counts: Counts
    is_new = False

    def train(self, jobs: Sequence[Job], **handlers: Any) -> None:
        """See `Executor.train`."""
        if self.is_new:
            self.is_new = False
            self.counts.start_training()
        super().train(jobs, **handlers)


def work(url: str, study: str, trials_: int) -> Counts:
    """Serve the study until none of its trials is left."""
    executor, stop, counts = Watched(threads=1), threading.Event(), Counts()
    executor.counts = counts

    def hear(event: events.Event) -> None:
        match event:
            case events.TrialsTaken(slots=(verdict,)) if verdict > trials_:
                stop.set()
            case events.TrialsTaken(claim_s=claim_s):
                executor.is_new = True
                counts.claims_s.append(claim_s)
            case events.StudyTaken():
                counts.begin()
            case events.NetworksTrained(training_s=training_s):
                counts.training_s += training_s
            case events.TrialEnded():
                counts.end_trial()

    database = open_database(url, create=False)
    try:
        Worker(
            database,
            executor,
            identity=new_identity(),
            stop=stop,
            parent=os.getppid(),
            only=study,
            hear=hear,
        ).run()
    finally:
        executor.close()
        database.close()
    return counts


def main() -> int:
    """Work as the command line says, then tell what it took."""
    study, count = sys.argv[1:]
    trials.quiet()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where the child is found
    with patch.object(training_process, "CHILD", "service_child"):
        work(os.environ["HPO_STORAGE"], study, int(count)).tell()
    return 0


if __name__ == "__main__":
    sys.exit(main())
