"""A model is taken away and forecasts by itself, as a user does it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hpo
from hpo.errors import UsageError
from hpo.export.making import contents_of
from hpo.export.model import Model
from hpo.export.refit import refit
from hpo.handle import opened
from hpo.service.recommended import recommended
from hpo.training.engine import Engines, native_is_available
from tests.e2e.conftest import Answered, hpo_in_process

HEAVY = ("optuna", "sqlalchemy", "statsforecast", "torch", "scipy.optimize", "flask", "matplotlib")
ALONE = """
import sys
import pandas as pd
import hpo
forecast = hpo.load(sys.argv[1]).predict(pd.read_csv(sys.argv[2]))
forecast.to_csv(sys.stdout, index=False)
print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="module")
def model(answered: Answered, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "told-model"
    ended = answered("export", "told", folder, "--onnx")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines() if line[0] != " "] in (
        ["Model", "Intervals", "Use"],
        ["Model", "Intervals", "Mind", "Use"],
    )
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_csv_becomes_a_forecast_file(model: Path, answered: Answered, tmp_path: Path) -> None:
    out = tmp_path / "forecast.csv"
    ended = hpo_in_process("predict", model, answered.csv, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == ["1", "row", "of", "forecasts", "in", str(out)]
    [row] = rows_of(out.read_text())
    assert list(row) == ["month", "sales", "sales-lo-80", "sales-hi-80"]
    assert row["month"] == "2016-01-01"
    assert float(row["sales-lo-80"]) < float(row["sales"]) < float(row["sales-hi-80"])
    assert 100 < float(row["sales"]) < 250
    printed = hpo_in_process("predict", model, answered.csv)
    assert (printed.code, printed.out) == (0, out.read_text())


def test_forecasts_come_as_one_object_too(model: Path, answered: Answered) -> None:
    ended = hpo_in_process("predict", model, answered.csv, "--json", "--level", "50,80")
    assert ended.out.count("\n") == 1
    found = json.loads(ended.out)
    assert found["warnings"] == []
    [row] = found["forecast"]
    assert row["month"].startswith("2016-01-01T00:00:00")
    assert row["sales-lo-80"] < row["sales-lo-50"] < row["sales"] < row["sales-hi-50"]
    assert row == pytest.approx(
        hpo.load(model).predict(pd.read_csv(answered.csv), level=[50, 80]).iloc[0].to_dict()
        | {"month": row["month"]}
    )


def test_it_forecasts_in_a_process_without_search_database_or_torch(
    model: Path, answered: Answered, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, str(model), str(answered.csv)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("HPO_")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ended.stderr.split())
    assert "safetensors" in loaded
    needless = set(HEAVY) - (set() if native_is_available() else {"torch"})
    assert not loaded & needless
    assert ended.stdout == hpo_in_process("predict", model, answered.csv).out


def test_export_tells_what_it_wrote(answered: Answered, tmp_path: Path) -> None:
    mine = answered.copy_to(tmp_path)
    ended = mine("export", "told", tmp_path / "a" / "model", "--json")
    assert (ended.code, ended.err) == (0, "")
    told: dict[str, Any] = json.loads(ended.out)
    folder = Path(told["model"])
    assert told["study"] == "told"
    assert told["files"] == sorted(file.name for file in folder.iterdir())
    assert told["bytes"] == sum(file.stat().st_size for file in folder.iterdir()) < 100_000
    assert told["networks"] == 1
    assert 0 <= told["coverage"]["test"] <= 1
    answer = json.loads(mine("answer", "told", "--json").out)
    assert answer["model"] == str(folder)
    assert answer["cells"] == told["cells"]
    (folder / "README.md").unlink()
    folder.rename(tmp_path / "elsewhere")
    assert json.loads(mine("answer", "told", "--json").out)["model"] is None
    spoilt = hpo_in_process("predict", tmp_path / "elsewhere", answered.csv)
    assert (spoilt.code, spoilt.out) == (3, "")
    assert spoilt.err.startswith("hpo: README.md is missing (")
    assert spoilt.err.count("\n") == 1


def test_its_readme_says_what_it_is_and_how_sure(model: Path, answered: Answered) -> None:
    text = (model / "README.md").read_text(encoding="utf-8")
    answer = hpo.open_study("told", storage=answered.storage).answer()
    coverage = hpo.load(model).coverage
    assert coverage is not None
    assert coverage.test is not None
    assert f"on the test span, which no choice has seen: MASE {answer.test_score:.4g}" in text
    assert f"Intervals of 80 % held {100 * coverage.test:.0f} % of" in text
    assert "`sales-lo-80`" in text
    assert "network.onnx" in text
    assert str(model) not in text


def test_refits_before_the_test_span_forecast_what_the_study_recorded(answered: Answered) -> None:
    with opened(answered.storage, create=False) as database:
        found = recommended(database, "told")
    prepared, test = found.prepared, found.prepared.test
    ensemble = refit(
        prepared,
        test,
        found.candidate,
        seeds=found.seeds,
        steps=found.answer.steps or 0,
        trainer_for=Engines(found.engine, "cpu").trainer_for,
        threads=2,
    )
    model = Model(contents_of(found, prepared, test, ensemble))
    rows = pd.read_csv(answered.csv)
    for origin, row in enumerate(test.origins_O):
        forecast = model.predict(rows.iloc[: row + 1])
        recorded_H = found.forecasts[test.number][origin]
        np.testing.assert_allclose(forecast["sales"], recorded_H, rtol=1e-6)


def test_the_handle_exports_and_a_taken_folder_is_refused(
    answered: Answered, tmp_path: Path
) -> None:
    study = hpo.open_study("told", storage=answered.copy_to(tmp_path).storage)
    folder = study.export(tmp_path / "model")
    assert folder == tmp_path / "model"
    assert isinstance(hpo.load(folder), hpo.Model)
    with pytest.raises(UsageError, match="is not empty"):
        study.export(folder)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("export", "nothing", "x"), 2, "no study 'nothing'"),
        (("export", "told"), 2, "FOLDER is missing"),
        (("predict", "nowhere", "x.csv"), 3, "there is no such folder (nowhere)"),
        (("predict", "{model}", "nowhere.csv"), 3, "cannot read the data: No such file"),
        (("predict", "{model}", "{csv}", "--level", "most"), 2, "--level 'most' is no level"),
        (("predict", "{model}", "{csv}", "--level", "100"), 2, "level=100 must be a whole number"),
        (("predict", "{model}", "{csv}", "--out", "{model}/no/x.csv"), 2, "cannot write "),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    model: Path,
    answered: Answered,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = [word.format(model=model, csv=answered.csv) for word in words]
    ended = answered(*typed) if words[0] == "export" else hpo_in_process(*typed)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
