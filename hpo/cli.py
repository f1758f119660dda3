"""Words in, words out: the command line."""

import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from hpo.errors import HpoError
from hpo.spec.options import from_words, options

if TYPE_CHECKING:
    from hpo.api import Question, StudyHandle
    from hpo.service.status import Progress
    from hpo.spec.answer import Answer

Tell = Callable[[list[str]], None]

app = App(
    name="hpo",
    help="How many layers and memory cells does an LSTM need for your data, and does it need one?",
    version_flags=["--version"],
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


def _option(leaf: str) -> tuple[str, Any, None]:
    option = options()[leaf]
    default = f" [{option.default}]" if option.default else ""
    return leaf, Annotated[str | None, Parameter(help=option.help + default, negative="")], None


if TYPE_CHECKING:

    class StudyOptions:
        """Every value of a study, as typed; None where it was not."""

else:
    _FIELDS = [_option(leaf) for leaf in options()]
    StudyOptions = make_dataclass("StudyOptions", _FIELDS, kw_only=True)
    StudyOptions.__module__ = __name__  # cyclopts flattens only classes that are not "builtin"

Options = Annotated[StudyOptions | None, Parameter(name="*", group="Values of the study")]
Storage = Annotated[str, Parameter(help="database URL [HPO_STORAGE or sqlite:///hpo.db]")]
Json = Annotated[bool, Parameter(name="--json", help="one JSON object on stdout", negative="")]
Quiet = Annotated[bool, Parameter(help="no progress", negative="")]
Count = Annotated[int, Parameter(help="worker processes on this machine")]
Threads = Annotated[int, Parameter(help="processor threads of each worker")]
Seconds = Annotated[float, Parameter(help="begin nothing new after so many seconds; 0: never")]


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()), 2)
    except HpoError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"hpo: {message}\n")
    return code


def _say(lines: list[str], *, stream: Any = None) -> None:
    out = stream or sys.stdout
    out.writelines(f"{line}\n" for line in lines)
    out.flush()


def _print_json(value: Any) -> None:
    import json

    _say([json.dumps(value, allow_nan=False)])


@app.command
def run(
    source: str,
    /,
    *,
    options: Options = None,
    storage: Storage = "",
    workers: Count = 1,
    threads: Threads = 1,
    timeout: Seconds = 0.0,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Answer the question of a study: SOURCE is a study (.toml) or data (.csv, .parquet)."""
    from hpo import api, events, screen

    aside = sys.stderr if json else sys.stdout

    def tell(lines: list[str]) -> None:
        if not quiet:
            _say(lines, stream=aside)

    question = _ask(source, options)
    tell(_opening_lines(question))
    study = api.launch_question(
        question,
        storage=storage,
        workers=workers,
        threads=threads,
        on_event=lambda event: tell([f"Study       {events.sentence(event)}"]),
    )
    answer = _wait(study, question, timeout, quiet=quiet, tell=tell)
    if json:
        _print_json(answer.model_dump(mode="json"))
    else:
        _say(screen.answer_lines(answer))
    return 0


def _opening_lines(question: "Question") -> list[str]:
    from hpo import api, screen

    asked = question.study.question
    head = [f"Question    {asked}"] if asked else []
    return head + screen.data_lines(api.describe(question))


def _wait(
    study: "StudyHandle", question: "Question", timeout_s: float, *, quiet: bool, tell: Tell
) -> "Answer":
    from hpo import events, screen

    display = screen.ProgressDisplay(sys.stderr, question.study.budget.trials)
    told = False

    def on_progress(now: "Progress") -> None:
        nonlocal told
        if now.benchmarked and not told:
            told = True
            display.close()
            tell(screen.benchmark_lines(study.answer().benchmarks, question.study.task.metric))
        if not quiet:
            display.show(now)

    def on_event(event: events.Event) -> None:
        if isinstance(event, events.TimeLimitReached):
            display.close()
            tell([f"Study       {events.sentence(event)}"])

    try:
        return study.wait(timeout_s=timeout_s, on_progress=on_progress, on_event=on_event)
    finally:
        display.close()


def _ask(source: str, options: Any) -> "Question":
    from hpo import api

    typed = {k: v for k, v in vars(options).items() if v is not None} if options else {}
    return api.ask(source, from_words(typed), name=typed.get("name", ""))


@app.command
def check(source: str, /, *, options: Options = None, json: Json = False) -> int:
    """Read and check the study and its data; train nothing."""
    from hpo import api, screen

    facts = api.describe(_ask(source, options))
    if json:
        _print_json(facts)
    else:
        _say(screen.data_lines(facts))
    return 0


@app.command
def benchmark(source: str, /, *, options: Options = None, json: Json = False) -> int:
    """Score the classical forecasts on the study's folds and test span; train no network."""
    from hpo import api, screen

    found = api.benchmark(_ask(source, options))
    if json:
        _print_json(found)
    else:
        _say(screen.benchmark_lines(found["benchmarks"], found["metric"]))
        _say(screen.benchmark_lines(found["benchmarks_test"], found["metric"], "On test"))
        _say(screen.warning_lines(found["warnings"]))
    return 0


@app.command
def bound(
    *, samples: int, inputs: int = 1, outputs: int = 1, alpha: float = 2.0, json: Json = False
) -> int:
    """The largest equal cells for 1, 2 and 3 layers under each reading of the alpha rule."""
    from hpo.sizing.bound import table

    found = table(samples, inputs, outputs, alpha=alpha)
    if json:
        _print_json(found)
        return 0
    from hpo import screen

    _say(screen.bound_lines(found, samples, inputs, outputs, alpha))
    return 0


@app.command
def status(name: str = "", /, *, storage: Storage = "", json: Json = False) -> int:
    """The state of one study, or of all of them."""
    from hpo import api, screen

    if name:
        found = api.open_study(name, storage=storage).status()
        if json:
            _print_json(found)
        else:
            _say(screen.status_lines(found))
        return 0
    every = api.statuses(storage=storage)
    if json:
        _print_json({"studies": every})
    else:
        _say([line for found in every for line in screen.status_lines(found)] or ["no studies yet"])
    return 0


@app.command
def answer(name: str, /, *, storage: Storage = "", json: Json = False) -> int:
    """The answer of a study, or what is known before its verdict."""
    from hpo import api, screen

    found = api.open_study(name, storage=storage).answer()
    if json:
        _print_json(found.model_dump(mode="json"))
    else:
        _say(screen.answer_lines(found))
    return 0


@app.command
def delete(name: str, /, *, storage: Storage = "", json: Json = False) -> int:
    """Remove a study with all its trials."""
    from hpo import api

    api.open_study(name, storage=storage).delete()
    if json:
        _print_json({"deleted": name})
    else:
        _say([f"{name} is deleted"])
    return 0
