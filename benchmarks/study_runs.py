"""Running a whole study in this process, by one worker."""

import os
import threading

from hpo import api
from hpo.data.question import Question
from hpo.service.executor import InProcess
from hpo.service.work import Worker


def run_here(question: Question, url: str, *, threads: int) -> None:
    """Submit the study to the database and serve it until it is done, or end the program."""
    study = api.submit_question(question, storage=url)
    with api.opened(url) as database:
        Worker(
            database,
            InProcess(threads=threads),
            identity="here",
            stop=threading.Event(),
            parent=os.getppid(),
            only=study.name,
        ).run()
    if (state := study.answer().state) != "done":
        raise SystemExit(f"the study {study.name} is not done but {state}: was its worker ended?")
