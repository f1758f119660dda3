"""What the runbook says is held against the code: commands, metrics, queries, events, times."""

import re
import shlex
import socket
import sqlite3
import urllib.request
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hpo import api, events
from hpo.cli import app
from hpo.handle import opened
from hpo.service import batch, claims, failures, metrics, study_data, supervisor, work
from hpo.spec.answer import State
from hpo.web import attempts, tokens
from tests.unit.search.fake_trainer import tiny_frame

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```", RUNBOOK, re.DOTALL | re.MULTILINE)
LINES = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
COMMANDS = [words for line in LINES if (words := shlex.split(line, comments=True))]
QUERIES = [" ".join(text.split()) for kind, text in BLOCKS if kind == "sql"]
[RULES] = [yaml.safe_load(text)["groups"][0]["rules"] for kind, text in BLOCKS if kind == "yaml"]
HEADINGS = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
INLINE = [shlex.split(words) for words in re.findall(r"`(hpo(?: [^`]+)?)`", RUNBOOK)]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
COMPOSE = {"exec", "stop", "up", "run", "build", "logs"}
PROMQL = {
    *("time", "max", "increase", "rate", "sum", "by", "le", "histogram_quantile", "and", "m"),
    *("up", "job", "hpo"),
}


def hpo_words(words: list[str]) -> list[str] | None:
    """The words for hpo in a command line, if it has any."""
    if words[0] == "hpo":
        return words[1:]
    run = ["docker", "compose", "run", "--rm", "worker"]
    return words[len(run) :] if words[: len(run)] == run else None


HPO = [said for words in COMMANDS if (said := hpo_words(words))]
HPO_INLINE = [words[1:] for words in INLINE if words[1:]]


@pytest.mark.parametrize("words", HPO, ids=" ".join)
def test_every_hpo_command_is_understood(words: list[str]) -> None:
    command, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert command.__name__.rstrip("_") in words


@pytest.mark.parametrize("words", HPO_INLINE, ids=" ".join)
def test_every_hpo_command_in_the_text_is_one(words: list[str]) -> None:
    whole = (
        words if len(words) > 1 or words[0] in ("work", "status", "dashboard") else [*words, "oil"]
    )
    app.parse_args(whole, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"(?<![\w-])--[a-z-]+ \d+\b", RUNBOOK))))
def test_every_option_with_a_number_is_one_of_work(option: str) -> None:
    app.parse_args(["work", *option.split()], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] != "hpo"], ids=" ".join)
def test_every_other_command_names_a_service_that_is_there(words: list[str]) -> None:
    if words[0] == "sqlite3":
        return  # it is run below
    assert words[:2] == ["docker", "compose"]
    assert words[2] in COMPOSE
    named = {word.partition("=")[0] for word in words} & SERVICES.keys()
    assert len(named) == 1
    if words[2] == "exec":
        user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
        assert f"--username={user}" in words


def test_the_backup_of_a_database_in_use_is_whole(tmp_path: Path) -> None:
    [words] = [words for words in COMMANDS if words[0] == "sqlite3"]
    url = f"sqlite:///{tmp_path / 'hpo.db'}"
    api.submit(tiny_frame(), storage=url, name="tiny", target="y")
    command, target = words[2].split()
    assert command == ".backup"  # sqlite3's command line does it like this:
    used, copy = sqlite3.connect(tmp_path / "hpo.db"), sqlite3.connect(tmp_path / target)
    with opened(url):
        used.backup(copy)
    used.close()
    copy.close()
    copied = f"sqlite:///{tmp_path / target}"
    with opened(copied, create=False) as restored, restored.transaction() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM hpo_study")).scalar_one() == 1


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_answered(query: str, database_url: str) -> None:
    with opened(database_url) as database, database.transaction() as connection:
        assert connection.execute(sa.text(query)).all() == []


def served() -> set[str]:
    """The names of what a worker serves, fetched as Prometheus fetches them."""
    with socket.create_server((metrics.HOST, 0)) as probe:
        port = probe.getsockname()[1]
    told = metrics.Metrics()
    told.hear(events.WorkerStarted("node-3", 4711, "sqlite:///hpo.db"))
    told.serve(port)
    try:
        with urllib.request.urlopen(f"http://{metrics.HOST}:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        told.close()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {sample.name for sample in samples}


def test_every_metric_is_served_by_workers() -> None:
    named = set(re.findall(r"\bhpo_worker_\w+", RUNBOOK))
    assert len(named) > 10
    assert named <= served()


def test_every_metric_is_in_the_runbook() -> None:
    bare = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in served()}
    missing = {name for name in bare if name not in RUNBOOK}
    assert missing == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_well_formed_and_says_what_to_do(rule: dict[str, Any]) -> None:
    words = set(re.findall(r"[a-z_]+", rule["expr"]))
    assert {word for word in words if not word.startswith("hpo_worker_")} <= PROMQL
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert not rule.keys() - {"alert", "expr", "for", "annotations"}
    for heading in re.findall(r"see ([^.]+)\.", rule["annotations"]["do"]):
        assert heading in HEADINGS


def test_every_event_named_is_one_and_every_warning_is_named() -> None:
    section = RUNBOOK.partition("## Logs")[2]
    named = set(re.findall(r"`([A-Z]\w+)`", section))
    assert named <= {name for name in dir(events) if name[0].isupper()}
    warnings = {kind.__name__ for kind in events.Warned.__subclasses__()}
    assert warnings - {"NativeEngineMissing"} <= named
    for row in re.findall(r"^\| `.*\| (.+) \|$", section, re.MULTILINE):
        assert row in HEADINGS


def test_what_is_said_of_the_dashboard_is_so() -> None:
    section = RUNBOOK.partition("## The dashboard")[2].partition("\n## ")[0]
    assert f"at least {tokens.SHORTEST} characters" in section
    assert (attempts.MOST_OF_A_CLIENT, attempts.WINDOW_S) == (5, 300)
    code = (ROOT / "hpo" / "web" / "request_metrics.py").read_text(encoding="utf-8")
    for name in re.findall(r"`(hpo_\w+)`", section):
        assert f'"{name}"' in code


def test_every_state_is_explained() -> None:
    section = RUNBOOK.partition("## States of a study")[2].partition("```")[0]
    told = re.findall(r"^\| (\w+) \|", section, re.MULTILINE)
    assert set(told) - {"state"} == set(get_args(State))


def test_the_numbers_said_are_those_of_the_code() -> None:
    assert (claims.LEASE_S, supervisor.GRACE_S) == (10, 10)
    assert (failures.MOST_EQUAL, batch.MOST_CRASHES, work.MOST_FAILURES) == (3, 3, 5)
    assert work.REFUSES_FOR_S == 60
    assert study_data.MOST_STORED_BYTES == 32 * 2**20


def test_every_variable_is_read_by_the_code_or_by_the_compose_file() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hpo").rglob("*.py"))
    for name in set(re.findall(r"`(HPO_[A-Z_]+)", RUNBOOK)):
        assert f'"{name}"' in code, name
    assert "${DATA_FOLDER:" in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
