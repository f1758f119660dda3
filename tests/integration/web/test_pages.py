"""What the pages show and do, on a real database and with real workers."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.exceptions import ServiceUnavailable

from hpo import api
from hpo.handle import opened
from hpo.service import deletion, studies
from hpo.service.database import Database
from hpo.service.evidence import Evidence, evidence_of
from hpo.web import kept_reports
from hpo.web.guard import Guard
from hpo.web.kept_reports import KeptReports
from hpo.web.optuna_view import note
from tests.integration.web.conftest import ADMIN, HERE, PAGE, app_on, bearer, submit
from tests.waiting import eventually

AS_ADMIN = bearer(ADMIN) | PAGE
TOML = '[data]\nsource = "{}"\ntarget = "sales"\ntime = "month"\n[budget]\ntrials = 2\n'


def now(client: FlaskClient, name: str, since: int = 0) -> dict[str, object]:
    """What the poll of a study tells."""
    answer = client.get(f"/studies/{name}/now?since={since}", headers=bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json  # type: ignore[assignment]
    return found


def test_the_first_page_lists_studies_with_their_answer_or_progress(client: FlaskClient) -> None:
    page = client.get("/", headers=AS_ADMIN).text
    assert page.index("/studies/open") < page.index("/studies/told")
    assert "0 of 3 trials" in page
    assert api_headline(page)


def api_headline(page: str) -> bool:
    return any(words in page for words in ("LSTM is needed", "LSTM beats"))


def test_a_studys_page_shows_answer_curve_and_trials(client: FlaskClient) -> None:
    page = client.get("/studies/told", headers=AS_ADMIN).text
    assert api_headline(page)
    assert '<svg class="curve"' in page
    assert page.count('<tr id="trial-') == 3
    assert "/studies/told/report" in page
    assert "/dashboard/studies/1" in page
    assert "live.js" not in page  # what has ended does not change


def test_the_report_is_there_when_the_study_is_done(client: FlaskClient) -> None:
    report = client.get("/studies/told/report", headers=AS_ADMIN)
    assert report.status_code == 200
    assert "<svg" in report.text
    assert "script-src" not in report.headers["Content-Security-Policy"]
    early = client.get("/studies/open/report", headers=AS_ADMIN)
    assert early.status_code == 409
    assert "no verdict yet" in early.text


def test_a_report_that_lacks_something_is_drawn_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evidence_of
    monkeypatch.setattr(
        kept_reports, "evidence_of", lambda *of: replace(whole(*of), missing="the file is away")
    )
    assert "the file is away" in client.get("/studies/told/report", headers=AS_ADMIN).text
    monkeypatch.setattr(kept_reports, "evidence_of", whole)
    assert "the file is away" not in client.get("/studies/told/report", headers=AS_ADMIN).text


def test_while_a_report_is_drawn_two_may_wait_and_those_that_are_kept_are_shown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, go_on, drawn = KeptReports(database), threading.Event(), list[str]()

    def slowly(of: Database, name: str) -> Evidence:
        drawn.append(name)
        assert go_on.wait(timeout=20)
        return evidence_of(of, name)

    monkeypatch.setattr(kept_reports, "evidence_of", slowly)
    with ThreadPoolExecutor(max_workers=4) as threads:
        asked = [threads.submit(reports.report_of, "told") for _ in range(4)]
        eventually(lambda: any(one.done() for one in asked), within_s=15)
        [refused] = [one for one in asked if one.done()]
        assert isinstance(refused.exception(), ServiceUnavailable)
        go_on.set()
        pages = {one.result() for one in asked if one is not refused}
    assert (len(pages), drawn) == (1, ["told"])
    go_on.clear()
    assert reports.report_of("told") in pages


def test_numbers_that_are_too_large_lead_nowhere(client: FlaskClient) -> None:
    beyond = "9" * 30
    assert client.get(f"/?page={beyond}", headers=AS_ADMIN).status_code == 200
    for path in (
        *(f"/api/studies/{beyond}", f"/api/studies/-{beyond}", f"/csv/{beyond}"),
        *(f"/api/studies/1?after={beyond}", "/api/studies/1?after=-1", "/api/studies/1?after=x"),
    ):
        assert client.get(path, headers=AS_ADMIN).status_code == 404, path
    assert client.get("/api/studies/1?after=1", headers=AS_ADMIN).status_code == 200


def test_a_deleted_study_is_forgotten_and_no_other(client: FlaskClient, database: Database) -> None:
    client.get("/studies/told", headers=AS_ADMIN)
    client.get("/studies/open", headers=AS_ADMIN)
    told, of_open = (studies.outline(database, name).optuna_id for name in ("told", "open"))
    assert {told, of_open} <= set(database.storage._studies)
    deletion.delete(database, "open")
    client.get("/studies/told", headers=AS_ADMIN)
    assert of_open not in database.storage._studies
    assert told in database.storage._studies


def test_readiness_costs_one_row(client: FlaskClient, database: Database) -> None:
    said: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *of: said.append(of[2]))
    assert client.get("/readyz").status_code == 200
    [query] = [" ".join(one.split()) for one in said if "hpo_" in one]
    assert query.startswith("SELECT hpo_study.name FROM hpo_study LIMIT")


def test_a_poll_tells_what_has_changed_while_a_worker_trains(
    client: FlaskClient, database: Database
) -> None:
    before = now(client, "open")
    assert (before["state"], before["mark"], before["rows"]) == ("queued", 0, {})
    stop = threading.Event()
    worker = threading.Thread(
        target=api.work, args=("open",), kwargs={"storage": database.url, "stop": stop}
    )
    worker.start()
    try:
        eventually(lambda: now(client, "open")["has_ended"], within_s=60)
    finally:
        stop.set()
        worker.join()
    after = now(client, "open")
    assert after["state"] == "done"
    assert after["trials"]["complete"] == 3  # type: ignore[index]
    assert list(after["rows"]) == ["0", "1", "2"]  # type: ignore[call-overload]
    assert "<svg" in after["parts"]["curve"]  # type: ignore[index]
    assert after["mark"] == 3
    assert now(client, "open", since=3)["rows"] == {}


def test_an_admin_pauses_resumes_stops_and_cancels(client: FlaskClient, database: Database) -> None:
    for verb, state in [("pause", "paused"), ("resume", "queued"), ("stop", "stopping")]:
        answer = client.post(f"/studies/open/{verb}", headers=AS_ADMIN)
        assert (answer.status_code, answer.location) == (303, "/studies/open")
        assert studies.state(database, "open") == state
    refused = client.post("/studies/open/pause", headers=AS_ADMIN)
    assert refused.status_code == 409
    assert "stopping and cannot become paused" in refused.text


@pytest.mark.parametrize(("verb", "state"), [("cancel", "cancelled"), ("delete", None)])
def test_what_cannot_be_taken_back_is_asked_about_first(
    client: FlaskClient, database: Database, verb: str, state: str | None
) -> None:
    path = f"/studies/open/{verb}"
    for asked in (client.get(path, headers=AS_ADMIN), client.post(path, headers=AS_ADMIN)):
        assert asked.status_code == 200
        assert f"{verb.capitalize()} open?" in asked.text
        assert studies.state(database, "open") == "queued"
    assert client.post(path, data={"sure": "yes"}, headers=AS_ADMIN).status_code == 303
    assert studies.state(database, "open") == state


def test_what_is_not_there_is_said_in_the_form_that_is_asked_for(client: FlaskClient) -> None:
    for path in ("/studies/none", "/studies/none/now", "/studies/none/report", "/nowhere"):
        assert client.get(path, headers=AS_ADMIN).status_code == 404
    answer = client.get("/studies/none", headers=bearer(ADMIN))
    assert answer.json == {"error": "no study 'none'"}  # no storage, no names
    assert client.post("/studies/open/explode", headers=AS_ADMIN).status_code == 404
    assert client.put("/studies/open", headers=AS_ADMIN).status_code == 405


def test_while_the_database_is_away_it_is_said(client: FlaskClient, database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE hpo_study RENAME TO elsewhere"))
    for path in ("/", "/studies/told", "/studies/told/now", "/dashboard", "/metrics"):
        answer = client.get(path, headers=AS_ADMIN)
        assert answer.status_code == 503, path
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_optuna_dashboard_shows_the_study_with_our_note_and_figure(client: FlaskClient) -> None:
    assert "Optuna Dashboard" in client.get("/dashboard/studies/1", headers=AS_ADMIN).text
    listed = client.get("/api/studies", headers=AS_ADMIN).json
    names = {s["study_name"] for s in listed["study_summaries"]}  # type: ignore[index]
    assert names == {"told", "open"}
    detail = client.get("/api/studies/1", headers=AS_ADMIN).json
    assert detail is not None
    assert detail["note"]["body"].startswith("## ")
    assert "/studies/told/report" in detail["note"]["body"]
    [figure] = detail["plotly_graph_objects"]
    drawn = json.loads(figure["graph_object"])
    assert drawn["data"][0]["name"].endswith(" layer")
    assert len(drawn["data"][0]["x"]) == len(drawn["data"][0]["y"]) > 0


def test_optuna_dashboard_runs_no_code_of_notes_and_figures(client: FlaskClient) -> None:
    assert client.get("/api/meta", headers=AS_ADMIN).json["allow_unsafe"] is False  # type: ignore[index]


def test_what_an_answer_quotes_is_text_in_its_note(database: Database) -> None:
    answer = studies.find(database, "told").answer
    assert answer is not None
    quoting = answer.model_copy(update={"reasons": ("`a` ![b](//evil) <i> $c$ 1.5",)})
    assert r"- \`a\` \!\[b\](//evil) \<i\> \$c\$ 1.5" in note(quoting)


def test_a_note_is_written_once(client: FlaskClient, database: Database, guard: Guard) -> None:
    def version() -> int:
        found = client.get("/api/studies/1", headers=AS_ADMIN).json
        return int(found["note"]["version"])  # type: ignore[index]

    first = version()
    assert version() == first
    with app_on(database, guard) as other:  # another dashboard on the same database
        other.get("/dashboard", headers=AS_ADMIN)
    assert version() == first


def test_a_study_that_takes_the_place_of_a_deleted_one_is_shown_as_it_is(
    client: FlaskClient, database: Database, tmp_path: Path
) -> None:
    client.get("/studies/told", headers=AS_ADMIN)
    client.get("/api/studies/1", headers=AS_ADMIN)
    with opened(database.url) as elsewhere:
        deletion.delete(elsewhere, "open")
        deletion.delete(elsewhere, "told")
        submit(elsewhere, "told", tmp_path)
    assert now(client, "told")["rows"] == {}
    assert client.get("/api/studies/1", headers=AS_ADMIN).json["trials"] == []  # type: ignore[index]


def upload(client: FlaskClient, toml: str, csv: bytes, name: str = "sales.csv") -> tuple[int, str]:
    files = {"study": (io.BytesIO(toml.encode()), "new.toml"), "data": (io.BytesIO(csv), name)}
    answer = client.post("/new", data=files, headers=AS_ADMIN)
    return answer.status_code, answer.text


def test_an_uploaded_study_is_checked_then_submitted(
    client: FlaskClient, database: Database, tmp_path: Path
) -> None:
    csv = (tmp_path / "sales.csv").read_bytes()
    status, page = upload(client, 'name = "new"\n' + TOML.format("sales.csv"), csv)
    assert status == 200
    assert "72 rows" in page
    assert "season of 12" in page
    assert studies.state(database, "new") is None
    key = page.partition('name="key" value="')[2].partition('"')[0]
    sent = client.post("/new/submit", data={"key": key}, headers=AS_ADMIN)
    assert (sent.status_code, sent.location) == (303, "/studies/new")
    assert studies.find(database, "new").spec.data.source == "sales.csv"
    again = client.post("/new/submit", data={"key": key}, headers=AS_ADMIN)
    assert again.status_code == 409


def test_an_upload_that_is_wrong_is_told_as_check_tells_it(
    client: FlaskClient, tmp_path: Path
) -> None:
    csv = (tmp_path / "sales.csv").read_bytes()
    for toml, said in [
        (TOML.format("/etc/passwd"), "must be the name of the uploaded data file"),
        (TOML.format("sales.csv").replace("trials = 2", "trials = 0"), "must be at least 1"),
        (TOML.format("sales.csv").replace('"sales"', '"sails"'), "sails"),
    ]:
        status, page = upload(client, toml, csv)
        assert status == 422
        assert said in page
        assert "/hpo-uploads-" not in page


def test_an_upload_that_is_too_large_is_refused(client: FlaskClient) -> None:
    form = "multipart/form-data; boundary=part"
    sent = client.post("/new", data=b"x" * (2**24 + 1), content_type=form, headers=AS_ADMIN)
    assert sent.status_code == 413
    assert "at most 16 MiB" in sent.text


def test_what_is_no_upload_is_small(client: FlaskClient) -> None:
    sent = client.post("/login", data={"token": "x" * 2**16}, headers={"Origin": HERE})
    assert sent.status_code == 413
    assert "64 KiB" in sent.json["error"]  # type: ignore[index]


def test_an_upload_of_another_study_of_the_same_name_is_refused(
    client: FlaskClient, tmp_path: Path
) -> None:
    csv = (tmp_path / "sales.csv").read_bytes()
    _, page = upload(client, 'name = "told"\n' + TOML.format("sales.csv"), csv)
    key = page.partition('name="key" value="')[2].partition('"')[0]
    sent = client.post("/new/submit", data={"key": key}, headers=AS_ADMIN)
    assert sent.status_code == 409
    assert "exists with other values" in sent.text


def test_names_and_questions_are_text_on_every_page(local: FlaskClient, database: Database) -> None:
    with database.transaction() as connection:
        spec = connection.execute(sa.text("SELECT spec FROM hpo_study WHERE name='open'")).scalar()
        asked = json.loads(str(spec)) | {"question": "<script>alert(1)</script>"}
        connection.execute(
            sa.text("UPDATE hpo_study SET spec = :spec WHERE name='open'"),
            {"spec": json.dumps(asked)},
        )
    page = local.get("/studies/open", headers=PAGE).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_metrics_count_requests_studies_trials_and_workers(client: FlaskClient) -> None:
    client.get("/studies/told", headers=AS_ADMIN)
    text = client.get("/metrics", headers=bearer(ADMIN)).text
    samples = {
        (s.name, tuple(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["hpo_studies", ("done",)] == 1
    assert samples["hpo_studies", ("queued",)] == 1
    assert samples["hpo_trials", ("complete",)] == 3
    assert samples["hpo_trials", ("open",)] == 3
    assert samples["hpo_workers", ()] == 0
    assert samples["hpo_dashboard_requests_total", ("GET", "/studies/<name>", "200")] == 1


def test_a_dashboard_without_tokens_needs_no_login_page(local: FlaskClient) -> None:
    assert local.get("/login").location == "/"
    assert local.post("/login", headers={"Origin": HERE}).location == "/"
