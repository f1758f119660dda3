"""Running a whole study in this process, by one worker."""

import os

from hpo import api
from hpo.data.load import to_parquet
from hpo.service import studies, worker
from hpo.training.engine import resolve_engine


def run_here(question: api.Question, url: str, *, threads: int) -> None:
    """Submit the study to the database and serve it until it has ended."""
    study = question.study
    with api.opened(url) as database:
        studies.submit(
            database,
            study,
            data_parquet=to_parquet(question.frame),
            data_fingerprint=question.prepared.panel.fingerprint,
            engine=resolve_engine(study.training.engine, study.training.device),
        )
    worker.work(url, study.name, threads=threads, parent=os.getppid())
