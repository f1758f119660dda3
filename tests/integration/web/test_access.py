"""Who may see and change what."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from hpo.service import studies
from hpo.service.database import Database
from hpo.web.attempts import MOST_OF_A_CLIENT
from hpo.web.guard import Guard
from hpo.web.tokens import Tokens, tokens_in_force
from tests.integration.web.conftest import ADMIN, HERE, PAGE, VIEWER, app_on, bearer

PATHS = (
    *("/", "/workers", "/new", "/metrics", "/studies/told", "/studies/told/now"),
    *("/studies/told/report", "/studies/told/delete", "/dashboard", "/dashboard/studies/1"),
    *("/api/studies", "/api/studies/1", "/static/bundle.js", "/csv/1", "/nowhere"),
)
CHANGES = (
    *("/studies/open/pause", "/studies/open/stop", "/studies/open/cancel"),
    *("/studies/open/delete", "/new", "/new/submit"),
)
OPTUNAS_CHANGES = (
    ("DELETE", "/api/studies/1"),
    ("POST", "/api/studies"),
    ("POST", "/api/studies/1/rename"),
    ("PUT", "/api/studies/1/note"),
    ("POST", "/api/trials/1/tell"),
    ("POST", "/api/trials/1/user-attrs"),
    ("PUT", "/api/studies/1/1/note"),
    ("POST", "/api/studies/1/1/skip"),
    ("OPTIONS", "/api/studies/1"),
)


def log_in(client: FlaskClient, token: str, **more: str) -> int:
    sent = client.post("/login", data={"token": token, **more}, headers={"Origin": HERE} | PAGE)
    return sent.status_code


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_a_token(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "told" not in answer.text.replace(path, "")


@pytest.mark.parametrize("path", CHANGES)
def test_nobody_changes_anything_without_a_token(client: FlaskClient, path: str) -> None:
    assert client.post(path, headers={"Origin": HERE}).status_code == 401
    assert client.post(path, headers=bearer("a-token-that-is-wrong")).status_code == 401


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(client: FlaskClient, database: Database, path: str) -> None:
    answer = client.post(path, headers=bearer(VIEWER))
    assert answer.status_code == 403
    assert "viewer" in answer.json["error"]  # type: ignore[index]
    assert studies.state(database, "open") == "queued"


def test_a_viewer_sees_no_button(client: FlaskClient) -> None:
    assert log_in(client, VIEWER) == 303
    page = client.get("/studies/open", headers=PAGE).text
    assert "/pause" not in page
    assert "Delete" not in page
    assert "/new" not in page
    assert client.get("/new", headers=PAGE).status_code == 403


@pytest.mark.parametrize(("method", "path"), OPTUNAS_CHANGES)
@pytest.mark.parametrize("token", [ADMIN, VIEWER])
def test_optuna_dashboard_changes_nothing_for_any_role(
    client: FlaskClient, database: Database, method: str, path: str, token: str
) -> None:
    answer = client.open(path, method=method, json={}, headers=bearer(token))
    assert answer.status_code == 405
    assert studies.names(database) == ["open", "told"]


def test_logging_in_opens_the_page_that_was_asked_for_until_one_logs_out(
    client: FlaskClient,
) -> None:
    asked = client.get("/studies/told", headers=PAGE)
    assert asked.status_code == 401
    assert 'name="then" value="/studies/told"' in asked.text
    sent = client.post(
        "/login", data={"token": ADMIN, "then": "/studies/told"}, headers={"Origin": HERE}
    )
    assert (sent.status_code, sent.location) == (303, "/studies/told")
    cookie = sent.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert ADMIN not in cookie
    assert client.get("/studies/told", headers=PAGE).status_code == 200
    assert client.post("/logout", headers={"Origin": HERE}).status_code == 303
    assert client.get("/studies/told", headers=PAGE).status_code == 401


def test_logging_in_leads_to_no_change(client: FlaskClient) -> None:
    asked = client.post("/studies/open/pause", headers={"Origin": HERE} | PAGE)
    assert asked.status_code == 401
    assert 'name="then" value="/"' in asked.text


@pytest.mark.parametrize("then", ["//evil.example", "https://evil.example", "/\\evil", "/login"])
def test_logging_in_leads_to_no_other_website(client: FlaskClient, then: str) -> None:
    sent = client.post("/login", data={"token": ADMIN, "then": then}, headers={"Origin": HERE})
    assert sent.location == "/"


def test_another_website_changes_nothing_in_ones_name(
    client: FlaskClient, database: Database
) -> None:
    log_in(client, ADMIN)
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {},
    ):
        assert client.post("/studies/open/pause", headers=headers).status_code == 403
    assert studies.state(database, "open") == "queued"
    assert client.post("/studies/open/pause", headers={"Origin": HERE}).status_code == 303
    assert studies.state(database, "open") == "paused"


def test_a_bearer_needs_no_origin(client: FlaskClient, database: Database) -> None:
    headers = bearer(ADMIN) | {"Accept": "application/json"}
    answer = client.post("/studies/open/pause", headers=headers)
    assert answer.json == {"study": "open", "state": "paused"}
    assert studies.state(database, "open") == "paused"


def test_without_tokens_all_is_open_to_this_machine_and_closed_to_websites(
    local: FlaskClient, database: Database
) -> None:
    assert local.get("/", headers=PAGE).status_code == 200
    assert "Log out" not in local.get("/", headers=PAGE).text
    assert local.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert local.get("/", headers={"Host": "localhost.evil.example:8080"}).status_code == 403
    assert local.get("/", headers={"Host": "[::1]:8080"}).status_code == 200
    evil = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert local.post("/studies/open/pause", headers=evil).status_code == 403
    assert local.post("/studies/open/pause", headers=evil | bearer("x")).status_code == 403
    assert studies.state(database, "open") == "queued"
    assert local.post("/studies/open/pause", headers={"Origin": HERE}).status_code == 303


@pytest.mark.parametrize("kind", ["form", "bearer"])
def test_guessing_is_stopped_and_told_when_to_try_again(client: FlaskClient, kind: str) -> None:
    def guess(token: str) -> int:
        if kind == "form":
            return log_in(client, token)
        return client.get("/", headers=bearer(token)).status_code

    assert [guess(f"guess-{n}-of-a-token") for n in range(MOST_OF_A_CLIENT)] == [401] * 5
    assert guess(ADMIN) == 429
    sent = client.post("/login", data={"token": ADMIN}, headers={"Origin": HERE} | PAGE)
    assert 0 < int(sent.headers["Retry-After"]) <= 300
    assert "Too many failed attempts" in sent.text


def test_a_bearer_who_was_right_is_not_locked_out_by_others_of_the_same_address(
    client: FlaskClient,
) -> None:
    assert client.get("/", headers=bearer(VIEWER)).status_code == 200
    for n in range(MOST_OF_A_CLIENT):
        client.get("/", headers=bearer(f"guess-{n}-of-a-token"))
    assert client.get("/", headers=bearer(VIEWER)).status_code == 200
    assert client.get("/", headers=bearer(ADMIN)).status_code == 429


def test_a_token_that_cannot_be_read_just_now_is_no_failed_attempt(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(VIEWER, encoding="utf-8")
    names = {
        "HPO_DASHBOARD_ADMIN_TOKEN": ADMIN,
        "HPO_DASHBOARD_VIEWER_TOKEN_FILE": str(file),
    }
    with app_on(database, Guard(tokens_in_force(names))) as client:
        file.write_text("", encoding="utf-8")
        for _ in range(MOST_OF_A_CLIENT + 1):
            answer = client.get("/", headers=bearer(VIEWER))
            assert answer.status_code == 503
            assert "cannot be read just now" in answer.json["error"]  # type: ignore[index]
        assert log_in(client, ADMIN) == 303
        file.write_text(VIEWER, encoding="utf-8")
        assert client.get("/", headers=bearer(VIEWER)).status_code == 200


def test_every_answer_has_its_headers(client: FlaskClient) -> None:
    for path in ("/login", "/nowhere", "/healthz", "/studies/told", "/dashboard", "/api/studies"):
        answer = client.get(path, headers=bearer(ADMIN) | PAGE)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in answer.headers


def test_behind_tls_cookies_are_secure_and_the_proxys_word_counts(database: Database) -> None:
    guard = Guard(Tokens({"admin": ADMIN}), behind_tls=True)
    with app_on(database, guard) as client:
        _is_secure(client)


def _is_secure(client: FlaskClient) -> None:
    proxied = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "hpo.example",
        "X-Forwarded-For": "203.0.113.9",
        "Origin": "https://hpo.example",
    }
    plain = proxied | {"X-Forwarded-Proto": "http", "Origin": "http://hpo.example"}
    assert client.post("/login", data={"token": ADMIN}, headers=plain).status_code == 403
    sent = client.post("/login", data={"token": ADMIN}, headers=proxied)
    assert sent.status_code == 303
    assert sent.headers["Set-Cookie"].startswith("__Host-hpo_session=")
    assert "Secure" in sent.headers["Set-Cookie"]
    assert sent.headers["Strict-Transport-Security"].startswith("max-age=")
    for other in range(5):
        client.post("/login", data={"token": f"no-{other}"}, headers=proxied)
    elsewhere = proxied | {"X-Forwarded-For": "203.0.113.10"}
    assert client.post("/login", data={"token": ADMIN}, headers=proxied).status_code == 429
    assert client.post("/login", data={"token": ADMIN}, headers=elsewhere).status_code == 303


def test_health_needs_no_token_and_tells_nothing_else(client: FlaskClient) -> None:
    assert client.get("/healthz").text == "alive\n"
    assert client.get("/readyz").text == "ready\n"
