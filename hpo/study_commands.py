"""The commands that read a study: run, check, benchmark; hpo.cli loads them by name."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from hpo.cli import AnyName, Json, Out, Storage, print_json, say
from hpo.errors import UsageError
from hpo.spec.options import from_words, options

if TYPE_CHECKING:
    from hpo import events
    from hpo.data.question import Question
    from hpo.service.snapshot import Snapshot

Tell = Callable[[list[str]], None]


def _option(leaf: str) -> tuple[str, Any, None]:
    option = options()[leaf]
    default = f" [{option.default}]" if option.default else ""
    said = Parameter(help=option.help + default, negative="", metavar="VALUE")
    return leaf, Annotated[str | None, said], None


if TYPE_CHECKING:

    class StudyOptions:
        """Every value of a study, as typed; None where it was not."""

else:
    _FIELDS = [_option(leaf) for leaf in options()]
    StudyOptions = make_dataclass("StudyOptions", _FIELDS, kw_only=True)
    StudyOptions.__module__ = __name__  # cyclopts flattens only classes that are not "builtin"

Options = Annotated[StudyOptions | None, Parameter(name="*", group="Values of the study")]
Source = Annotated[str, Parameter(help="a study (.toml) or data (.csv, .parquet)")]
Quiet = Annotated[bool, Parameter(help="no progress", negative="", show_default=False)]
Count = Annotated[int, Parameter(help="worker processes on this machine", metavar="N")]
Threads = Annotated[
    int,
    Parameter(
        help="networks that each worker trains at once; 0: the cores divided by the workers",
        metavar="N",
    ),
]
IdleExit = Annotated[
    float,
    Parameter(
        help="without NAME, end after so many seconds with nothing to do; 0: never",
        metavar="SECONDS",
        validator=Number(gte=0),
    ),
]
Memory = Annotated[
    float,
    Parameter(
        help="GiB that the trainings of one worker may take; 0: its share of the machine's",
        env_var="HPO_MEMORY_GB",
        metavar="GIB",
        validator=Number(gte=0),
    ),
]
Port = Annotated[
    int,
    Parameter(
        help="of worker 0's metrics on 127.0.0.1, the next one's is next; 0: none",
        env_var="HPO_METRICS_PORT",
        metavar="PORT",
        validator=Number(gte=0, lte=65_535),
    ),
]
Seconds = Annotated[
    float,
    Parameter(
        help="begin no new trial after so many seconds; 0: no limit",
        metavar="SECONDS",
        show_default=False,
        validator=Number(gte=0),
    ),
]


def run(
    source: Source,
    /,
    *,
    options: Options = None,
    storage: Storage = "",
    workers: Count = 1,
    threads: Threads = 0,
    out: Out = ".",
    timeout: Seconds = 0.0,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Find out how many layers and cells: train, compare, and print the answer."""
    from hpo import api, screen

    aside = sys.stderr if json else sys.stdout

    def tell(lines: list[str]) -> None:
        if not quiet:
            say(lines, stream=aside)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is trained is kept
    _refuse_unwritable(out)
    question = _ask(source, options)
    tell(_opening_lines(question))
    follower = _Follower(quiet=quiet, tell=tell)
    study = api.launch_question(
        question, storage=storage, workers=workers, threads=threads, on_event=follower.hear
    )
    try:
        study.wait(timeout_s=timeout, on_event=follower.hear, on_snapshot=follower.see)
    finally:
        follower.close()
    study.report(out)
    answer = study.answer()
    if json:
        print_json(answer.model_dump(mode="json"))
    else:
        say(screen.answer_lines(answer))
    return 0


def _refuse_unwritable(folder: str) -> None:
    """Before anything is trained."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        raise UsageError(
            f"--out {folder!r} is no folder that can be written to",
            remedy="name another one for the report",
        )


def submit(
    source: Source,
    /,
    *,
    options: Options = None,
    storage: Storage = "",
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Write the study to the database, for workers anywhere to carry out; return at once."""
    from hpo import api, events

    said: list[events.Event] = []
    study = api.submit_question(_ask(source, options), storage=storage, on_event=said.append)
    if not quiet:
        say([events.sentence(event) for event in said], stream=sys.stderr)
    if json:
        print_json({"study": study.name, "state": study.status()["state"]})
    else:
        say([study.name])
    return 0


def work(
    name: AnyName = "",
    /,
    *,
    storage: Storage = "",
    workers: Count = 1,
    threads: Threads = 0,
    idle_exit: IdleExit = 0.0,
    memory_gb: Memory = 0.0,
    metrics_port: Port = 0,
) -> int:
    """Be the workers of one study until it ends, or of all that are open.

    SIGTERM and Ctrl-C end them within seconds: what they train is kept, others go on with it.
    """
    from hpo import api
    from hpo.service.log import form_in_force, log_to
    from hpo.service.signals import Stop

    log, stop = log_to(sys.stderr, form=form_in_force()), Stop()
    study = api.open_study(name, storage=storage) if name else None
    stop.listen()
    code = api.work(
        name,
        storage=storage,
        workers=workers,
        threads=threads,
        idle_exit_s=idle_exit,
        memory_gb=memory_gb,
        metrics_port=metrics_port,
        stop=stop,
        on_event=log,
    )
    if study is not None and code == 0 and not stop.signal:
        study.refuse_no_answer()
    return 130 if stop.signal == "SIGINT" else code


def _opening_lines(question: "Question") -> list[str]:
    from hpo import screen
    from hpo.data.question import describe

    asked = question.study.question
    head = [f"Question    {asked}"] if asked else []
    return head + screen.data_lines(describe(question))


class _Follower:
    """What is told while a study runs: the benchmarks once, the rest on a display."""

    def __init__(self, *, quiet: bool, tell: Tell) -> None:
        from hpo.live.display import Display

        self.display = None if quiet else Display(sys.stderr)
        self._tell, self._has_told = tell, False

    def tell(self, lines: list[str]) -> None:
        """Print lines in the place of what is drawn."""
        self.close()
        self._tell(lines)

    def hear(self, event: "events.Event") -> None:
        """Print what happened, but for what the error that ends the run says."""
        from hpo import events

        if not isinstance(event, events.StudyInterrupted):
            self.tell([f"Study       {events.sentence(event)}"])

    def see(self, now: "Snapshot") -> None:
        """Show the study."""
        from hpo import screen

        if now.benchmarks and not self._has_told:
            self._has_told = True
            self.tell(screen.benchmark_lines(now.benchmarks, now.metric))
        if self.display is not None and now.stage != "ended":
            self.display.show(now)

    def close(self) -> None:
        """Take back what is drawn."""
        if self.display is not None:
            self.display.close()


def _ask(source: str, options: Any) -> "Question":
    from hpo.data.question import ask

    typed = {k: v for k, v in vars(options).items() if v is not None} if options else {}
    return ask(source, from_words(typed), name=typed.get("name", ""))


def check(source: Source, /, *, options: Options = None, json: Json = False) -> int:
    """Read and check the study and its data; train nothing."""
    from hpo import screen
    from hpo.data.question import describe

    facts = describe(_ask(source, options))
    if json:
        print_json(facts)
    else:
        say(screen.data_lines(facts))
    return 0


def benchmark(source: Source, /, *, options: Options = None, json: Json = False) -> int:
    """Score the classical forecasts on the study's folds and test span; train no network."""
    from hpo import screen
    from hpo.data.question import benchmark_scores

    found = benchmark_scores(_ask(source, options))
    if json:
        print_json(found)
    else:
        say(screen.benchmark_lines(found["benchmarks"], found["metric"]))
        say(screen.benchmark_lines(found["benchmarks_test"], found["metric"], "On test"))
        say(screen.warning_lines(found["warnings"]))
    return 0
