"""What an installation holds, and what one without a compiler does."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY, write_sales

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT))
    for folder in ("templates", "assets")
    for path in (ROOT / "hpo" / "web" / folder).rglob("*")
    if path.is_file()
}
WITHOUT_CODE = {"hpo/py.typed", "hpo/training/_native.pyi"} | PAGES
COMPILED = "hpo/training/_native.abi3.so"


def modules() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / "hpo").rglob("*.py")}


def package_files(installed: Distribution) -> set[str]:
    """What lies in the package, and was not made by running it."""
    files: Iterable[Path] = map(Path, installed.files or ())
    return {str(f) for f in files if f.parts[0] == "hpo" and f.suffix != ".pyc"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which hpo was installed where every call of the compiler fails.

    Its dependencies are those of the tests' own environment.
    """
    folder = tmp_path_factory.mktemp("bare")
    source, environment = folder / "source", folder / "environment"
    shutil.copytree(ROOT / "hpo", source / "hpo", ignore=shutil.ignore_patterns("*.so"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    venv.create(environment)
    dependencies = packages(environment) / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install"),
            *("--quiet", "--no-index", "--no-deps", "--no-build-isolation", source),
        ],
        env={**os.environ, "CC": "/bin/false", "PYTHONPATH": ""},
        check=True,
    )
    return environment


def packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))


def test_without_a_compiler_all_is_installed_but_the_compiled_module(bare: Path) -> None:
    (about,) = packages(bare).glob("hpo-*.dist-info")
    assert package_files(Distribution.at(about)) == modules() | WITHOUT_CODE


def test_without_a_compiler_torch_answers_and_it_is_said_once_how_to_get_the_native_engine(
    bare: Path, cli: Cli
) -> None:
    def hpo(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [bare / "bin" / "hpo", *words],
            cwd=cli.folder,
            env=cli.environment({"PYTHONPATH": ""}),
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )

    ran = hpo("run", write_sales(cli.folder), *ASKED, *TINY, "--name", "bare")
    told = " ".join(f"{ran.stdout} {ran.stderr}".split())
    assert told.count("no native engine") == 1
    assert told.count("install a C compiler") == 1
    answer = json.loads(hpo("answer", "bare", "--json").stdout)
    assert (answer["state"], answer["engine"]) == ("done", "torch")


@pytest.mark.skipif("CI" not in os.environ, reason="the wheel is installed in CI alone")
class TestWheel:
    """The wheel that continuous integration has installed."""

    def test_it_holds_every_module_the_compiled_one_and_nothing_else(self) -> None:
        assert package_files(distribution("hpo")) == {*modules(), *WITHOUT_CODE, COMPILED}

    def test_it_is_of_this_checkout(self) -> None:
        installed = distribution("hpo")
        for name in modules():
            assert installed.locate_file(name).read_text() == (ROOT / name).read_text()

    def test_it_is_for_python_3_11_and_all_later_ones(self) -> None:
        assert "Tag: cp311-abi3-" in str(distribution("hpo").read_text("WHEEL"))
