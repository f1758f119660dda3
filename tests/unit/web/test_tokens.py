"""Tokens of the two roles, and sessions that end with them."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.web import tokens
from hpo.web.tokens import session, tokens_in_force

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
    of_admin, of_viewer = session("admin", ADMIN), session("viewer", VIEWER)
    assert found.role_of_session(of_admin) == "admin"
    new = tmp_path / "new"
    new.write_text("another-token-of-a-test", encoding="utf-8")
    new.rename(file)
    assert found.role_of(ADMIN) is None
    assert found.role_of("another-token-of-a-test") == "admin"
    assert found.role_of_session(of_admin) is None
    assert found.role_of_session(of_viewer) == "viewer"


def test_while_a_file_holds_no_good_token_its_role_alone_stays_out(tmp_path: Path) -> None:
    file, told = tmp_path / "token", list[str]()
    file.write_text(VIEWER, encoding="utf-8")
    found = tokens_in_force(
        {"HPO_DASHBOARD_ADMIN_TOKEN": ADMIN, "HPO_DASHBOARD_VIEWER_TOKEN_FILE": str(file)}
    )
    found = replace(found, tell=told.append)
    for _ in range(2):
        told.clear()
        file.write_text("", encoding="utf-8")
        for token in ("", VIEWER, VIEWER):
            with pytest.raises(UsageError, match="the viewer's token has 0 characters"):
                found.role_of(token)
        assert found.role_of(ADMIN) == "admin"
        assert found.role_of_session(session("admin", ADMIN)) == "admin"
        assert found.role_of_session(session("viewer", VIEWER)) is None
        assert len(told) == 1, "the reason is told once"
        file.write_text(VIEWER, encoding="utf-8")
        assert found.role_of(VIEWER) == "viewer"


def test_a_token_that_both_roles_have_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(VIEWER, encoding="utf-8")
    found = tokens_in_force(
        {"HPO_DASHBOARD_ADMIN_TOKEN_FILE": str(file), "HPO_DASHBOARD_VIEWER_TOKEN": f" {VIEWER}x\n"}
    )
    assert found.role_of(f"{VIEWER}x") == "viewer"
    file.write_text(f"{VIEWER}x", encoding="utf-8")
    with pytest.raises(UsageError, match="the viewer's token is the admin's"):
        found.role_of(f"{VIEWER}x")


def test_a_session_proves_its_own_role_for_half_a_day_and_cannot_be_altered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = tokens_in_force(BOTH)
    proof = session("viewer", VIEWER)
    assert found.role_of_session(proof) == "viewer"
    assert found.role_of_session(proof.replace(".", ".A")) is None
    assert found.role_of_session("") is None
    monkeypatch.setattr(tokens, "LONGEST_SESSION_S", -1)
    assert found.role_of_session(proof) is None
