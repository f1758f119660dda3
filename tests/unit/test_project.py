"""What the project says about itself: imports, studies, data, versions, commands."""

import csv
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hpo.spec.toml import read_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.toml"))
DATA_FILES = sorted((ROOT / "studies" / "data").glob("*.csv"))
SOURCES = (ROOT / "studies" / "data" / "SOURCES.md").read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def requirements() -> list[Requirement]:
    about = project()["project"]
    listed = [*about["dependencies"], *about["optional-dependencies"]["dev"]]
    return [Requirement(words) for words in listed]


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "module",
    [
        "hpo",
        "hpo.cli",
        "hpo.study_commands",
        "hpo.model_commands",
        "hpo.export.model",
        "hpo.service.status",
        "hpo.spec.toml",
        "hpo.sizing.bound",
        "hpo.data.prepare",
        "hpo.api",
        "hpo.handle",
        "hpo.forecaster",
    ],
)
def test_torch_is_not_loaded_before_it_is_needed(module: str, tmp_path: Path) -> None:
    probe = f"import sys, {module}; print(*sorted({{'torch', 'statsforecast'}} & set(sys.modules)))"
    seen = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == []


def test_there_are_studies() -> None:
    names = {path.stem for path in STUDIES}
    assert {"airline", "gdp", "oil", "sunspots", "co2", "employment"} <= names


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_file_names_itself_its_question_and_columns_that_exist(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    assert study.question.endswith(("?", "."))
    with Path(study.data.source).open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    used = [study.data.target, study.data.time, study.data.series, *study.data.covariates]
    assert set(filter(None, used)) <= set(header)


def test_every_data_file_belongs_to_a_study() -> None:
    used = {Path(read_study(path).data.source) for path in STUDIES}
    assert used == set(DATA_FILES)


def section(name: str) -> str:
    """The part of SOURCES.md under the heading of this file."""
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", SOURCES, re.S | re.M)
    return found.group(1) if found else ""


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda p: p.name)
def test_sources_give_origin_licence_and_rows_of_a_data_file(path: Path) -> None:
    said = section(path.name)
    for part in ("- What: ", "- Origin: ", "- Publisher: ", "- Licence: "):
        assert part in said
    rows = len(path.read_text(encoding="utf-8").splitlines()) - 1
    assert f"- Rows: {rows:,}," in said


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda p: p.name)
def test_a_data_file_is_the_one_whose_checksum_sources_give(path: Path) -> None:
    assert f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`" in section(path.name)


def test_sources_name_no_file_that_is_not_there() -> None:
    assert set(re.findall(r"^## (\S+)$", SOURCES, re.M)) == {path.name for path in DATA_FILES}


def test_torch_is_pinned_without_a_build_suffix() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", pins()["torch"])


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_the_tested_versions_are_versions_that_the_package_allows(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[requirement.name.lower()])


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["install", "run", "test", "lint", "wheel", "bench", "evidence"])
def test_make_knows_a_target_and_what_to_do_for_it(target: str) -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install" in plan.stdout


def test_the_console_script_points_at_a_module_that_exists() -> None:
    module, _, function = project()["project"]["scripts"]["hpo"].partition(":")
    assert find_spec(module) is not None
    assert function == "main"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("0*.md")))
def test_a_decision_has_a_context_a_choice_and_a_price(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.M)
    assert headings == ["Context", "Decision", "Price"]
