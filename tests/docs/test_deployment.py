"""What deploys is held against the code: every command, option, variable, port, user and path."""

import inspect
import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo.cli import app, dashboard
from hpo.service.supervisor import GRACE_S
from hpo.spec.toml import read_study
from hpo.web import uploads

ROOT = Path(__file__).parents[2]
PASSWORD = "a password of p@ssw0rds/"
TOKEN = "a-token-for-the-dashboard"
LIBPQ = {"PGPASSWORD"}  # read by PostgreSQL's own client library
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hpo").rglob("*.py"))
Instruction = tuple[str, str]


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """The text as docker compose reads it; KeyError where a variable must be set and is not."""

    def value(found: re.Match[str]) -> str:
        name, sign, word = found.groups()
        if sign == "-":
            return environment.get(name) or word
        if not environment.get(name):
            raise KeyError(name)
        return environment[name]

    return VARIABLE.sub(value, text)


def services(**environment: str) -> dict[str, Any]:
    """The services, with this environment around them."""
    given = {"HPO_POSTGRES_PASSWORD": PASSWORD, "HPO_DASHBOARD_ADMIN_TOKEN": TOKEN} | environment
    found: dict[str, Any] = yaml.safe_load(interpolated(COMPOSE_TEXT, given))
    return found["services"]  # type: ignore[no-any-return]


def stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions, one list for each image it builds."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = [line for line in kept.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[Instruction]] = [[]]
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found[1:]


def last(word: str) -> str:
    """What the last image's only instruction of this kind says."""
    [said] = [rest for name, rest in stages()[-1] if name == word]
    return said


def understood(words: list[str]) -> str:
    """The name of the hpo command that these words are."""
    command, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    return command.__name__


def seconds(text: str) -> float:
    """A duration of the compose file."""
    [number] = re.findall(r"^(\d+)s$", text)
    return float(number)


def is_read_by_the_code(name: str) -> bool:
    return f'"{name}"' in CODE


def is_sent(path: str) -> bool:
    """Whether the path in this checkout is part of what docker builds from."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        prefix = pattern.removeprefix("**/")
        parts = [path, *map(str, Path(path).parents)]
        names = [Path(part).name for part in parts] if prefix != pattern else parts
        if line and not line.startswith("#") and any(fnmatch(name, prefix) for name in names):
            sent = line.startswith("!")
    return sent


def test_without_a_password_nothing_starts() -> None:
    with pytest.raises(KeyError, match="HPO_POSTGRES_PASSWORD"):
        services(HPO_POSTGRES_PASSWORD="")


def test_without_a_token_no_dashboard_starts() -> None:
    with pytest.raises(KeyError, match="HPO_DASHBOARD_ADMIN_TOKEN"):
        services(HPO_DASHBOARD_ADMIN_TOKEN="")


def test_all_secrets_come_from_the_environment() -> None:
    empty = json.dumps(yaml.safe_load(COMPOSE_TEXT))
    required = re.findall(r"\$\{(\w+):\?", COMPOSE_TEXT)
    assert set(required) == {"HPO_POSTGRES_PASSWORD", "HPO_DASHBOARD_ADMIN_TOKEN"}
    for value in re.findall(r'PASSWORD": "([^"]*)"', empty):
        assert value.startswith("${HPO_POSTGRES_PASSWORD:?")
    assert not re.search(r"://[^/\s]*:[^/\s]*@", COMPOSE_TEXT)  # no URL holds a password


def test_the_worker_and_the_database_agree_on_user_database_password_and_address() -> None:
    worker, database = services()["worker"], services()["postgres"]
    made = database["environment"]
    user, name = made["POSTGRES_USER"], made["POSTGRES_DB"]
    assert worker["environment"]["HPO_STORAGE"] == f"postgresql://{user}@postgres:5432/{name}"
    assert worker["environment"]["PGPASSWORD"] == made["POSTGRES_PASSWORD"] == PASSWORD
    assert {f"--username={user}", f"--dbname={name}"} <= set(database["healthcheck"]["test"])
    assert "pg_isready" in database["healthcheck"]["test"]
    assert worker["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_every_variable_of_the_worker_is_read_by_the_code() -> None:
    assert services()["worker"]["environment"].keys() - LIBPQ
    for name in services()["worker"]["environment"].keys() - LIBPQ:
        assert is_read_by_the_code(name), name


def test_every_variable_of_the_image_is_read_by_the_code() -> None:
    names = re.findall(r"(\w+)=", last("ENV"))
    assert [name for name in names if name.startswith("HPO_")]
    for name in names:
        assert not name.startswith("HPO_") or is_read_by_the_code(name), name


def test_the_worker_is_a_command_that_hpo_understands() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["hpo"]
    assert understood(json.loads(last("CMD"))) == "work"
    assert understood(services()["worker"]["command"]) == "work"
    assert understood(services(WORKER_THREADS="3")["worker"]["command"]) == "work"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "hpo" in scripts["scripts"]


def test_every_command_in_the_comments_is_understood_and_its_study_is_there() -> None:
    said = re.findall(r"^#\s+docker compose (.*?) *(?:#.*)?$", COMPOSE_TEXT, re.M)
    runs = [shlex.split(line)[3:] for line in said if line.startswith("run --rm worker ")]
    assert {understood(words) for words in runs} == {"submit", "status"}
    folder = services()["worker"]["volumes"][0].split(":")[0]
    for words in runs:
        path = ROOT / folder / words[1]
        assert read_study(path.with_suffix(".toml")).name == path.stem
    assert [line for line in said if re.fullmatch(r"up -d --scale worker=\d+", line)]


def test_the_dashboard_is_a_command_that_hpo_understands_with_variables_that_it_reads() -> None:
    service = services()["dashboard"]
    assert understood(service["command"]) == "dashboard"
    for name in service["environment"].keys() - LIBPQ:
        assert is_read_by_the_code(name), name
    worker = services()["worker"]
    for name in ("HPO_STORAGE", "PGPASSWORD"):
        assert service["environment"][name] == worker["environment"][name]
    assert service["environment"]["HPO_DASHBOARD_ADMIN_TOKEN"] == TOKEN
    assert service["image"] == worker["image"]
    assert service["depends_on"] == worker["depends_on"]


def test_the_dashboard_is_reached_from_this_machine_alone_and_asked_whether_it_is_ready() -> None:
    service = services()["dashboard"]
    [published] = service["ports"]
    port = inspect.signature(dashboard).parameters["port"].default
    assert published == f"127.0.0.1:8080:{port}"
    assert services(DASHBOARD_PORT="9000")["dashboard"]["ports"] == [f"127.0.0.1:9000:{port}"]
    probe = service["healthcheck"]["test"][-1]
    assert f"127.0.0.1:{port}/readyz" in probe
    compile(probe, "healthcheck", "exec")
    assert service["healthcheck"]["test"][:3] == ["CMD", "python", "-c"]


@pytest.mark.parametrize("name", ["worker", "dashboard"])
def test_a_service_may_do_no_more_than_it_needs(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [place.partition(":")[0] for place in service["tmpfs"]] == ["/tmp"]


def test_what_is_uploaded_fits_and_cannot_fill_the_machine() -> None:
    service = services()["dashboard"]
    [size] = re.findall(r"^/tmp:size=(\d+)m$", service["tmpfs"][0])
    assert int(size) * 2**20 > 2 * uploads.MOST_KEPT * uploads.MOST_BYTES
    assert service["mem_limit"] == "2g"


def test_a_worker_is_given_longer_to_end_than_it_takes() -> None:
    assert seconds(services()["worker"]["stop_grace_period"]) > 2 * GRACE_S
    assert last("STOPSIGNAL") == "SIGTERM"


def test_as_many_workers_as_one_likes_can_run_side_by_side() -> None:
    worker = services()["worker"]
    assert worker.keys().isdisjoint({"container_name", "ports", "hostname"})
    assert worker["restart"] == "unless-stopped"
    assert all(":ro" in volume for volume in worker["volumes"])


def test_the_database_keeps_its_data_and_is_reached_from_this_machine_at_most() -> None:
    database = services()["postgres"]
    assert database["volumes"] == ["database:/var/lib/postgresql"]
    assert "database" in yaml.safe_load(COMPOSE_TEXT)["volumes"]
    assert "ports" not in database
    for published in re.findall(r"ports:\s*\[(.*?)\]", COMPOSE_TEXT):
        assert published.startswith('"127.0.0.1:')


def test_the_data_folder_of_the_worker_is_where_it_is_mounted() -> None:
    worker = services()["worker"]
    [volume] = worker["volumes"]
    assert volume.split(":")[1] == worker["environment"]["HPO_DATA_DIR"] == last("WORKDIR")


def test_the_image_does_not_run_as_root_and_ships_no_compiler() -> None:
    assert int(last("USER")) > 0
    assert f"--uid {last('USER')} " in last("RUN")
    assert "gcc" in json.dumps(stages()[0])
    assert "gcc" not in json.dumps(stages()[1:])
    assert last("HEALTHCHECK") == "NONE"


def test_all_stages_stand_on_one_python_that_hpo_allows() -> None:
    images = {rest.split()[0] for stage in stages() for word, rest in stage if word == "FROM"}
    assert images == {"python:${PYTHON}-slim"}
    [version] = re.findall(r"^ARG PYTHON=3\.(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert int(version) >= 11


def test_torch_is_the_one_for_processors_unless_asked_for() -> None:
    default = "https://download.pytorch.org/whl/cpu"
    assert ("ARG", f"TORCH_INDEX={default}") in stages()[1]
    assert services()["worker"]["build"]["args"] == {"TORCH_INDEX": default}
    runs = [rest for word, rest in stages()[1] if word == "RUN" and "pip install" in rest]
    assert [bool("TORCH_INDEX" in run) for run in runs] == [True, False]
    assert all("--constraint /tmp/constraints.txt" in run for run in runs)


def test_the_build_makes_the_wheel_from_what_is_sent_to_it() -> None:
    assert ("RUN", "make wheel") in stages()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    sources = project["tool"]["setuptools"]["ext-modules"][0]["sources"]
    about = project["project"]
    needed = ["Makefile", "constraints.txt", "pyproject.toml", about["readme"]]
    for path in [*needed, *about["license-files"], *sources, "hpo/__init__.py"]:
        assert (ROOT / path).exists()
        assert is_sent(path), path


@pytest.mark.parametrize(
    "path",
    ["hpo.db", ".env", "studies/data/oil.csv", ".git/config", "hpo/training/_native.abi3.so"],
)
def test_databases_data_and_secrets_are_not_sent_to_the_build(path: str) -> None:
    assert not is_sent(path)
