"""Words in, words out: the command line."""

import os
import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.validators import Number

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
Name = Annotated[str, Parameter(help="of a study in the database")]
AnyName = Annotated[str, Parameter(help="of a study; all of them if left out", show_default=False)]
Storage = Annotated[
    str,
    Parameter(
        help="database [HPO_STORAGE, else sqlite:///hpo.db]", metavar="URL", show_default=False
    ),
]
Json = Annotated[
    bool,
    Parameter(name="--json", help="one JSON object on stdout", negative="", show_default=False),
]
Quiet = Annotated[bool, Parameter(help="no progress", negative="", show_default=False)]
Count = Annotated[int, Parameter(help="worker processes on this machine", metavar="N")]
Threads = Annotated[int, Parameter(help="processor threads of each worker", metavar="N")]
Seconds = Annotated[
    float,
    Parameter(
        help="begin no new trial after so many seconds; 0: no limit",
        metavar="SECONDS",
        show_default=False,
        validator=Number(gte=0),
    ),
]
Samples = Annotated[int, Parameter(help="training windows", metavar="N")]
Inputs = Annotated[int, Parameter(help="target and covariates", metavar="N")]
Outputs = Annotated[int, Parameter(help="steps that one window forecasts", metavar="N")]
Alpha = Annotated[float, Parameter(help="2 to 10 is usual", metavar="ALPHA")]


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(_wrong_words(error), 2)
    except HpoError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # `hpo ... | head`: no one reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _wrong_words(error: CycloptsError) -> str:
    command = " ".join(["hpo", *(error.command_chain or ())])
    said = " ".join(str(error).split()).rstrip(".")
    match error:
        case MissingArgumentError(keyword=None, argument=argument) if argument is not None:
            said = f"{argument.name} is missing"
        case MissingArgumentError(keyword=option):
            said = f"{option} needs a value"
        case RepeatArgumentError(token=token):
            said = f"{token.keyword} is given twice"
        case UnusedCliTokensError(unused_tokens=words):
            said = f"one word too many: {' '.join(words or [])!r}"
        case UnknownOptionError(token=token):
            near = said.partition("Did you mean ")[2]
            said = f"unknown option {token.keyword or token.value}"
            said += f"; did you mean {near}" if near else ""
        case CoercionError(argument=argument, token=token) if argument and token:
            kind = {int: "a whole number", float: "a number"}.get(argument.hint, "true or false")
            said = f"{argument.name} {token.value!r} must be {kind}"
    return said if said.endswith("?") else f"{said}; see {command} --help"


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"hpo: {message}\n")
    return code


def _say(lines: list[str], *, stream: Any = None) -> None:
    from hpo import screen

    out = stream or sys.stdout
    out.writelines(f"{line}\n" for line in screen.wrap(lines))
    out.flush()


def _print_json(value: Any) -> None:
    import json

    sys.stdout.write(f"{json.dumps(value, allow_nan=False)}\n")
    sys.stdout.flush()


@app.command
def run(
    source: Source,
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
    """Find out how many layers and cells: train, compare, and print the answer."""
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
def check(source: Source, /, *, options: Options = None, json: Json = False) -> int:
    """Read and check the study and its data; train nothing."""
    from hpo import api, screen

    facts = api.describe(_ask(source, options))
    if json:
        _print_json(facts)
    else:
        _say(screen.data_lines(facts))
    return 0


@app.command
def benchmark(source: Source, /, *, options: Options = None, json: Json = False) -> int:
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
    *,
    samples: Samples,
    inputs: Inputs = 1,
    outputs: Outputs = 1,
    alpha: Alpha = 2.0,
    json: Json = False,
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
def status(name: AnyName = "", /, *, storage: Storage = "", json: Json = False) -> int:
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
def answer(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """The answer of a study, or what is known before its verdict."""
    from hpo import api, screen

    found = api.open_study(name, storage=storage).answer()
    if json:
        _print_json(found.model_dump(mode="json"))
    else:
        _say(screen.answer_lines(found))
    return 0


@app.command
def delete(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """Remove a study with all its trials."""
    from hpo import api

    api.open_study(name, storage=storage).delete()
    if json:
        _print_json({"deleted": name})
    else:
        _say([f"{name} is deleted"])
    return 0
