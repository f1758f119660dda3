"""A worker process: its options, its signals, its log and metrics, and how it ends."""

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from hpo import events
from hpo.errors import HpoError, UsageError
from hpo.service import studies, trials
from hpo.service.database import Database, open_database, without_password
from hpo.service.log import form_in_force, log_to
from hpo.service.metrics import Metrics
from hpo.service.patience import PATIENCE_S, Patience
from hpo.service.signals import Stop
from hpo.service.training_process import TrainingProcess
from hpo.service.work import Refused, Withdrawn, Worker, new_identity
from hpo.spec.storage import STORAGE


def work(options: argparse.Namespace, log: events.Hear) -> None:
    """Work as the options say, until the end; the log says what that was.

    Raises HpoError, Withdrawn, Refused.
    """
    identity, stop, metrics = new_identity(), Stop(), Metrics()
    stop.listen()

    def hear(event: events.Event) -> None:
        log(event)
        metrics.hear(event)

    trials.quiet()
    memory_bytes = options.memory_gb * 2**30 or math.inf
    try:
        metrics.serve(options.metrics_port)
        with (
            closing(metrics),
            closing(
                TrainingProcess(threads=options.threads, memory_bytes=memory_bytes)
            ) as executor,
            _opened(options, identity, stop, hear) as database,
        ):
            hear(events.WorkerStarted(identity, os.getpid(), without_password(database.url)))
            Worker(
                database,
                executor,
                identity=identity,
                stop=stop,
                parent=options.parent,
                only=options.only,
                idle_exit_s=options.idle_exit,
                hear=hear,
                on_beat=lambda: metrics.beat(time.time()),
            ).run()
        told_to = stop.signal or "its parent is gone"
        hear(events.WorkerEnded(identity, told_to if stop.is_set() else "nothing left to do"))
    except (Withdrawn, Refused, HpoError) as error:
        hear(events.WorkerWithdrew(identity, str(error)))
        raise


@contextmanager
def _opened(
    options: argparse.Namespace, identity: str, stop: Stop, hear: events.Hear
) -> Iterator[Database]:
    """The database, with patience once it has answered. Raises DatabaseError, UnknownStudy."""
    database = open_database(os.environ[STORAGE], create=not options.only)
    patience = Patience(
        longest_s=PATIENCE_S,
        is_over=stop.is_set,
        on_away=lambda error: hear(events.DatabaseWentAway(identity, str(error))),
        on_back=lambda after_s: hear(events.DatabaseCameBack(identity, after_s)),
    )
    try:
        if options.only:
            studies.find(database, options.only)
        yield replace(database, patience=patience)
    finally:
        database.close()


def main() -> int:
    """`python -m hpo.service.worker --parent PID ...`, with the database in HPO_STORAGE."""
    parser = argparse.ArgumentParser(prog="python -m hpo.service.worker")
    parser.add_argument("--only", default="", help="the study to work on; all if left out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="ends with this process")
    parser.add_argument("--idle-exit", type=float, default=0.0)
    parser.add_argument("--memory-gb", type=float, default=0.0)
    parser.add_argument("--metrics-port", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="log warnings only")
    options = parser.parse_args()
    try:
        form = form_in_force()
    except UsageError as error:
        sys.stderr.write(f"worker: {error}\n")
        return error.exit_code
    try:
        work(options, log_to(sys.stderr, form=form, least="warning" if options.quiet else "info"))
    except Refused as refused:
        return refused.error.exit_code
    except Withdrawn:
        return 1
    except HpoError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
