"""Tokens of the two roles, and sessions that end with them."""

from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.web import tokens
from hpo.web.tokens import tokens_in_force

ADMIN, VIEWER = "admin-token-of-a-test", "viewer-token-of-a-test"
BOTH = {"HPO_DASHBOARD_ADMIN_TOKEN": ADMIN, "HPO_DASHBOARD_VIEWER_TOKEN": VIEWER}


def test_each_token_has_its_role_and_no_other_has_one() -> None:
    found = tokens_in_force(BOTH)
    assert [found.role_of(t) for t in (ADMIN, VIEWER)] == ["admin", "viewer"]
    assert [found.role_of(t) for t in ("", ADMIN[:-1], ADMIN + "x", "\udcff", "ä")] == [None] * 5


def test_without_tokens_none_are_asked_for() -> None:
    assert not tokens_in_force({}).are_asked_for
    assert not tokens_in_force({"HPO_DASHBOARD_ADMIN_TOKEN": ""}).are_asked_for


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HPO_DASHBOARD_ADMIN_TOKEN": "short"}, "5 characters"),
        (BOTH | {"HPO_DASHBOARD_VIEWER_TOKEN": ADMIN}, "the viewer's token is the admin's"),
        (BOTH | {"HPO_DASHBOARD_ADMIN_TOKEN_FILE": "/x"}, "both set"),
        ({"HPO_DASHBOARD_ADMIN_TOKEN_FILE": "/not/there"}, "No such file"),
    ],
)
def test_bad_tokens_are_refused_and_never_repeated(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        tokens_in_force(environment)
    assert ADMIN not in str(refused.value)
    assert refused.value.remedy or "No such file" in said


def test_a_changed_file_changes_the_token_and_ends_the_sessions_of_that_role(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{ADMIN}\n", encoding="utf-8")
    found = tokens_in_force(
        {"HPO_DASHBOARD_ADMIN_TOKEN_FILE": str(file), "HPO_DASHBOARD_VIEWER_TOKEN": VIEWER}
    )
    of_admin, of_viewer = found.session("admin"), found.session("viewer")
    assert found.role_of_session(of_admin) == "admin"
    new = tmp_path / "new"
    new.write_text("another-token-of-a-test", encoding="utf-8")
    new.rename(file)
    assert found.role_of(ADMIN) is None
    assert found.role_of("another-token-of-a-test") == "admin"
    assert found.role_of_session(of_admin) is None
    assert found.role_of_session(of_viewer) == "viewer"


def test_while_a_file_holds_no_good_token_nobody_gets_in(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(ADMIN, encoding="utf-8")
    found = tokens_in_force({"HPO_DASHBOARD_ADMIN_TOKEN_FILE": str(file)})
    session = found.session("admin")
    file.write_text("", encoding="utf-8")
    assert found.are_asked_for
    assert found.role_of("") is None
    assert found.role_of(ADMIN) is None
    assert found.role_of_session(session) is None


def test_a_session_proves_its_own_role_for_half_a_day_and_cannot_be_altered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = tokens_in_force(BOTH)
    session = found.session("viewer")
    assert found.role_of_session(session) == "viewer"
    assert found.role_of_session(session.replace(".", ".A")) is None
    assert found.role_of_session("") is None
    monkeypatch.setattr(tokens, "LONGEST_SESSION_S", -1)
    assert found.role_of_session(session) is None
