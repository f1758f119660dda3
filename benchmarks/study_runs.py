"""Running a whole study in this process, by one worker."""

import os
import tempfile
import threading

from hpo import api
from hpo.data.question import Question
from hpo.handle import opened
from hpo.service.executor import InProcess
from hpo.service.work import Worker
from hpo.spec.answer import Answer


def answer_of(question: Question, *, threads: int) -> Answer:
    """The answer of a study that is run with a database of its own, which is then thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        return run_here(question, f"sqlite:///{folder}/study.db", threads=threads)


def run_here(question: Question, url: str, *, threads: int) -> Answer:
    """Submit the study to the database and serve it until it is done, or end the program."""
    study = api.submit_question(question, storage=url)
    with opened(url) as database:
        Worker(
            database,
            InProcess(threads=threads),
            identity="here",
            stop=threading.Event(),
            parent=os.getppid(),
            only=study.name,
        ).run()
    answer = study.answer()
    if answer.state != "done":
        raise SystemExit(f"the study {study.name} is {answer.state}: was its worker ended?")
    return answer
