"""Where a study's model and report were written is told with its answer."""

from pathlib import Path

from hpo.service.answers import answer_of, note_place
from tests.integration.service.stage import opened, submit, worker


def test_places_are_told_while_they_are_there(database_url: str, tmp_path: Path) -> None:
    model, report = tmp_path / "model", tmp_path / "report.html"
    model.mkdir()
    report.touch()
    with opened(database_url) as database:
        submit(database)
        note_place(database, "tiny", "model", model)
        worker(database).run()
        before = answer_of(database, "tiny")
        note_place(database, "tiny", "model", model)
        note_place(database, "tiny", "report", report)
        found = answer_of(database, "tiny")
        report.unlink()
        without_report = answer_of(database, "tiny")
    assert (before.model, before.report) == (None, None), "there was no verdict yet"
    assert found == before.model_copy(update={"model": str(model), "report": str(report)})
    assert without_report == before.model_copy(update={"model": str(model)})
