"""The dashboard as people use it: with a browser, at a desk and on a phone."""

import re
import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ADMIN, LONG, VIEWER, Dashboard, shoot
from tests.e2e.conftest import ASKED

SLOW_MS = 60_000


@pytest.fixture
def moving(dashboard: Dashboard) -> Iterator[str]:
    """A long study that a worker trains."""
    cli = dashboard.cli
    words = ("submit", cli.folder / "sales.csv", *ASKED, *LONG, "--name", "moving")
    assert cli(*words).returncode == 0
    worker = cli.start("work", "moving")
    yield "moving"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert cli("delete", "moving").returncode == 0


def log_in(page: Page, dashboard: Dashboard, token: str) -> None:
    """By the keyboard: the field has the focus."""
    page.goto(f"{dashboard.url}/login")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{dashboard.url}/")


def press(page: Page, name: str) -> None:
    """Reach what has this name by the Tab key alone, and press Enter."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate("document.activeElement.innerText || ''")
        if name in str(found):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "what has the focus must be seen"
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{name!r} is not reached by the keyboard")


def ended_trials(page: Page) -> int:
    """How many trials the page says are over."""
    return int(page.locator("#progress strong").inner_text())


def test_a_study_is_watched_paused_and_resumed_by_keyboard(
    page: Page, dashboard: Dashboard, moving: str
) -> None:
    page.goto(f"{dashboard.url}/login")
    shoot(page, "login")
    log_in(page, dashboard, ADMIN)
    shoot(page, "studies")
    press(page, moving)
    page.wait_for_url(f"{dashboard.url}/studies/{moving}")
    expect(page.locator("#curve svg")).to_be_visible(timeout=SLOW_MS)
    before = ended_trials(page)
    expect(page.locator("#progress strong")).not_to_have_text(str(before), timeout=SLOW_MS)
    assert ended_trials(page) > before  # without a reload
    expect(page.locator("#workers")).to_contain_text("trial", timeout=SLOW_MS)
    shoot(page, "moving")
    press(page, "Pause")
    expect(page.locator("#state")).to_contain_text("paused", timeout=SLOW_MS)
    shoot(page, "paused")
    status = dashboard.cli("status", moving, "--json").stdout
    assert '"paused"' in status
    press(page, "Resume")
    expect(page.locator("#state")).to_contain_text("running", timeout=SLOW_MS)
    page.goto(f"{dashboard.url}/workers")
    expect(page.locator("#list")).to_contain_text("moving")
    shoot(page, "workers")


def test_the_answer_the_report_and_optunas_view_are_read(page: Page, dashboard: Dashboard) -> None:
    log_in(page, dashboard, VIEWER)
    press(page, "told")
    expect(page.locator("#answer h2")).to_contain_text("LSTM")
    shoot(page, "answer")
    press(page, "Read the report")
    page.wait_for_url(f"{dashboard.url}/studies/told/report", timeout=SLOW_MS)
    expect(page.locator("svg:visible").first).to_be_visible(timeout=SLOW_MS)
    shoot(page, "report")
    page.go_back()
    press(page, "optuna-dashboard's view")
    page.wait_for_url(re.compile("/dashboard/studies/"))
    expect(page.get_by_text("Hyperparameter Importance").first).to_be_visible(timeout=SLOW_MS)
    page.goto(page.url + "/note")
    expect(
        page.get_by_text("The best LSTM would be").or_(page.get_by_text("Why")).first
    ).to_be_visible(timeout=SLOW_MS)


def test_a_viewer_sees_no_way_to_change_and_is_refused(page: Page, dashboard: Dashboard) -> None:
    log_in(page, dashboard, VIEWER)
    page.goto(f"{dashboard.url}/studies/told")
    assert page.locator("#actions").inner_text().strip() == ""
    refused = page.request.post(
        f"{dashboard.url}/studies/told/delete",
        form={"sure": "yes"},
        headers={"Origin": dashboard.url},
    )
    assert refused.status == 403
    nobody = page.context.browser
    assert nobody is not None
    stranger = nobody.new_context()
    assert stranger.request.get(f"{dashboard.url}/studies/told").status == 401
    assert stranger.request.get(f"{dashboard.url}/api/studies").status == 401
    stranger.close()


def test_a_study_is_uploaded_and_deleted_again(page: Page, dashboard: Dashboard) -> None:
    study = dashboard.cli.folder / "uploaded.toml"
    study.write_text(
        'name = "uploaded"\nquestion = "How large?"\n[data]\nsource = "sales.csv"\n'
        'target = "sales"\ntime = "month"\n',
        encoding="utf-8",
    )
    log_in(page, dashboard, ADMIN)
    page.goto(f"{dashboard.url}/new")
    shoot(page, "new")
    page.set_input_files("#study", study)
    page.set_input_files("#data", dashboard.cli.folder / "sales.csv")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("main")).to_contain_text("72 rows", timeout=SLOW_MS)
    shoot(page, "checked")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(f"{dashboard.url}/studies/uploaded", timeout=SLOW_MS)
    expect(page.locator("#state")).to_contain_text("queued")
    press(page, "Delete")
    page.wait_for_url(f"{dashboard.url}/studies/uploaded/delete")
    shoot(page, "delete")
    press(page, "Delete the study")
    page.wait_for_url(f"{dashboard.url}/")
    assert page.get_by_text("uploaded").count() == 0


def test_pages_tell_the_same_without_script(browser: Browser, dashboard: Dashboard) -> None:
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{dashboard.url}/login")
    page.fill("#token", ADMIN)
    page.click("button")
    page.click("text=told")
    assert page.locator("#curve svg").count() == 1
    page.screenshot(path=str(dashboard.cli.folder / "dark.png"))
    context.close()


def test_a_page_says_that_it_is_not_up_to_date_until_it_is_again(
    browser: Browser, dashboard: Dashboard
) -> None:
    context = browser.new_context()
    page = context.new_page()
    log_in(page, dashboard, ADMIN)
    context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text(
        "Not up to date: the dashboard does not answer.", timeout=SLOW_MS
    )
    context.set_offline(False)
    expect(page.get_by_role("status")).to_be_empty(timeout=SLOW_MS)
    context.close()


def test_trials_older_than_those_shown_stay_left_out(page: Page, dashboard: Dashboard) -> None:
    log_in(page, dashboard, ADMIN)
    shown = page.evaluate(
        """() => {
          const table = document.body.appendChild(document.createElement("table"));
          const body = table.createTBody();
          for (const number of [7, 3, 10, 9, 10]) {
            showTrial(body, number, `<tr id="trial-${number}"><td>once more</td></tr>`);
          }
          return [...body.rows].map((row) => row.id);
        }"""
    )
    assert shown == ["trial-10", "trial-7"]


def test_what_is_wrong_with_the_words_is_said_in_one_line(dashboard: Dashboard) -> None:
    port = dashboard.url.rpartition(":")[2]
    for words, env, said in (
        (("--port", port), {}, "cannot listen on 127.0.0.1"),
        (("--host", "0.0.0.0"), {}, "without a token"),
        (("--behind-tls",), {}, "--behind-tls needs a token"),
        ((), {"HPO_DASHBOARD_ADMIN_TOKEN": "short"}, "5 characters"),
    ):
        ended = dashboard.cli("dashboard", *words, env=env)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stdout == ""


def test_ctrl_c_ends_it(dashboard: Dashboard) -> None:
    process = dashboard.cli.start("dashboard", "--port", "0")
    assert process.stdout is not None
    assert "everyone on this machine is an admin" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert isinstance(process, subprocess.Popen)
