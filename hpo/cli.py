"""Words in, words out: the command line."""

import errno
import io
import os
import re
import sys
from typing import Annotated, Any

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from hpo.errors import HpoError, UsageError

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
LEAST = re.compile(r'Invalid value "(.+)" for (\S+)\. Must be >= (\S+)')  # as cyclopts says it

app = App(
    name="hpo",
    help="How many layers and memory cells does an LSTM need for your data, and does it need one?",
    version_flags=["--version"],
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


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
Out = Annotated[str, Parameter(help="folder for the report", metavar="DIR")]
Figures = Annotated[
    str,
    Parameter(help="write each figure there, as PNG and SVG", metavar="DIR", show_default=False),
]
Samples = Annotated[int, Parameter(help="training windows", metavar="N")]
Inputs = Annotated[int, Parameter(help="target and covariates", metavar="N")]
Outputs = Annotated[int, Parameter(help="steps that one window forecasts", metavar="N")]
Alpha = Annotated[float, Parameter(help="2 to 10 is usual", metavar="ALPHA")]


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where ± cannot be written
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(_wrong_words(error), 2)
    except HpoError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # `hpo ... | head`: no one reads on
        _drop_what_is_not_printed()
        return 1
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _drop_what_is_not_printed()
        where = f" ({error.filename})" if error.filename else ""
        return _complain(f"cannot write{where}: {error.strerror}; make room, then try again", 1)
    return code if isinstance(code, int) else 0


def _drop_what_is_not_printed() -> None:
    """Else Python tries once more when it ends, and complains in its own words."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wrong_words(error: CycloptsError) -> str:
    command = " ".join(["hpo", *(error.command_chain or ())])
    said = LEAST.sub(r"\2 \1 must be at least \3", " ".join(str(error).split()).rstrip("."))
    match error:
        case MissingArgumentError(keyword=None, argument=argument) if argument is not None:
            said = f"{argument.name} is missing"
        case MissingArgumentError(keyword=option):
            said = f"{option} needs a value"
        case UnknownCommandError(unused_tokens=[word, *_]):
            near = said.partition("Did you mean ")[2].partition("?")[0].strip('"')
            said = f"unknown command {word!r}"
            said += f"; did you mean {near!r}?" if near else ""
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
    if sys.stderr.isatty():
        say([f"hpo: {message}"], stream=sys.stderr)
    else:
        sys.stderr.write(f"hpo: {message}\n")
    return code


def say(lines: list[str], *, stream: Any = None) -> None:
    """Print lines, broken to fit the terminal."""
    from hpo import screen

    out = stream or sys.stdout
    for line in lines:
        out.writelines(f"{_emphasis(line, part, out)}\n" for part in screen.wrap([line]))
    out.flush()


def _emphasis(line: str, part: str, out: Any) -> str:
    """A part of the answer's first line is bold on a terminal that shows it."""
    if not line.startswith("ANSWER ") or not out.isatty():
        return part
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return part if is_plain else f"\x1b[1m{part}\x1b[0m"


def print_json(value: Any) -> None:
    """Print one JSON object on a line of its own."""
    import json

    sys.stdout.write(f"{json.dumps(value, allow_nan=False)}\n")
    sys.stdout.flush()


db = App(name="db", help="Look after the database.", help_format="plaintext")
app.command(db)


@db.command
def upgrade(*, storage: Storage = "", json: Json = False) -> int:
    """Bring the tables that an earlier hpo made to this version; stop the workers first."""
    from hpo import api

    before, after = api.upgrade(storage=storage)
    if json:
        print_json({"from": before, "to": after})
    else:
        say([f"tables of version {after}" + (f", upgraded from {before}" * (before != after))])
    return 0


@db.command
def prune(
    *,
    older: Annotated[str, Parameter(help="age since their end, such as 90d, 12h", metavar="AGE")],
    storage: Storage = "",
    json: Json = False,
) -> int:
    """Remove studies that ended so long ago, with all their trials."""
    from hpo import api

    names = api.prune(_seconds(older), storage=storage)
    if json:
        print_json({"pruned": names})
    else:
        say([f"{name} is deleted" for name in names] or [f"no study ended more than {older} ago"])
    return 0


UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _seconds(age: str) -> float:
    number, unit = age[:-1], age[-1:]
    if unit not in UNITS_S or not number.isdecimal():
        raise UsageError(
            f"--older {age!r} is no age", remedy="give a whole number of m, h, d or w, such as 90d"
        )
    return int(number) * UNITS_S[unit]


# Loaded when they are run: they know every value of a study, which takes time to import.
app.command(
    "hpo.study_commands:run",
    name="run",
    help="Find out how many layers and cells: train, compare, and print the answer.",
)
app.command(
    "hpo.study_commands:submit",
    name="submit",
    help="Write the study to the database, for workers anywhere to carry out; return at once.",
)
app.command(
    "hpo.study_commands:work",
    name="work",
    help="Be the workers of one study until it ends, or of all that are open.",
)
app.command(
    "hpo.study_commands:check",
    name="check",
    help="Read and check the study and its data; train nothing.",
)
app.command(
    "hpo.study_commands:benchmark",
    name="benchmark",
    help="Score the classical forecasts on the study's folds and test span; train no network.",
)

app.command(
    "hpo.model_commands:export",
    name="export",
    help="Refit the recommended network on all rows and write it to a folder to take away.",
)
app.command(
    "hpo.model_commands:predict",
    name="predict",
    help="Forecast from recent rows with a model that hpo export wrote; needs no database.",
)


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
        print_json(found)
        return 0
    from hpo import screen

    say(screen.bound_lines(found, samples, inputs, outputs, alpha))
    return 0


@app.command
def status(
    name: AnyName = "",
    /,
    *,
    storage: Storage = "",
    watch: Annotated[
        bool,
        Parameter(help="follow it until it ends", negative="", show_default=False),
    ] = False,
    json: Json = False,
) -> int:
    """The state of one study, or of all of them."""
    from hpo import api, screen

    if watch and json:
        raise UsageError("--json prints one object and ends", remedy="leave out it or --watch")
    if watch:
        from hpo.live.watching import watch as watch_until_end

        say(watch_until_end(name, storage=storage))
        return 0
    if name:
        found = api.open_study(name, storage=storage).status()
        if json:
            print_json(found)
        else:
            say(screen.status_lines(found, whole=True))
        return 0
    every = api.statuses(storage=storage)
    if json:
        print_json({"studies": every})
    else:
        say([line for found in every for line in screen.status_lines(found)] or ["no studies yet"])
    return 0


@app.command
def answer(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """The answer of a study, or what is known before its verdict."""
    from hpo import api, screen

    study = api.open_study(name, storage=storage)
    found = study.answer()
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        say(screen.answer_lines(found))
    study.refuse_no_answer()
    return 0


@app.command
def report(
    name: Name,
    /,
    *,
    storage: Storage = "",
    out: Out = ".",
    figures: Figures = "",
    json: Json = False,
) -> int:
    """Write the report of a study that is done, as one HTML page."""
    from hpo import api

    study = api.open_study(name, storage=storage)
    page = study.report(out)
    drawn = study.figures(figures) if figures else []
    if json:
        print_json({"study": name, "report": str(page), "figures": [str(path) for path in drawn]})
    else:
        say([str(path) for path in (page, *drawn)])
    return 0


@app.command
def pause(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """Begin nothing new in a study until it is resumed; what runs goes on."""
    return _change(name, "pause", "takes a pause", storage=storage, json=json)


@app.command
def resume(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """Let a paused study go on."""
    return _change(name, "resume", "goes on", storage=storage, json=json)


@app.command
def stop(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """Finish what runs of a study, then make the verdict on what there is."""
    return _change(name, "stop", "finishes what runs, then the verdict", storage=storage, json=json)


@app.command
def cancel(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """End a study now, without a verdict."""
    return _change(name, "cancel", "is cancelled", storage=storage, json=json)


def _change(name: str, verb: str, said: str, *, storage: str, json: bool) -> int:
    from hpo import api

    study = api.open_study(name, storage=storage)
    getattr(study, verb)()
    if json:
        print_json({"study": name, "state": study.status()["state"]})
    else:
        say([f"{name} {said}"])
    return 0


@app.command
def delete(name: Name, /, *, storage: Storage = "", json: Json = False) -> int:
    """Remove a study with all its trials."""
    from hpo import api

    api.open_study(name, storage=storage).delete()
    if json:
        print_json({"deleted": name})
    else:
        say([f"{name} is deleted"])
    return 0


@app.command
def dashboard(
    *,
    storage: Storage = "",
    host: Annotated[
        str, Parameter(help="to listen on; others than 127.0.0.1 need a token", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0: any that is free", metavar="PORT")] = 8080,
    behind_tls: Annotated[
        bool,
        Parameter(
            help="a proxy in front speaks HTTPS and sets X-Forwarded-For, -Proto and -Host",
            negative="",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Show studies, trials and workers in the browser; admins can also start and end studies.

    Tokens to log in with come from HPO_DASHBOARD_ADMIN_TOKEN and HPO_DASHBOARD_VIEWER_TOKEN, or
    from the files named in HPO_DASHBOARD_ADMIN_TOKEN_FILE and HPO_DASHBOARD_VIEWER_TOKEN_FILE.
    """
    from hpo import api

    return api.serve(
        storage=storage,
        host=host,
        port=port,
        behind_tls=behind_tls,
        tell=lambda line: say([line]),
    )
