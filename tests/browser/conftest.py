"""A real browser before a real dashboard, with real workers behind it."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.commands import Cli
from tests.e2e.conftest import ASKED, write_sales

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ.get("HPO_SCREENSHOTS") or ROOT / "build" / "screenshots")
ADMIN, VIEWER = "admin-token-of-a-test", "viewer-token-of-a-test"
TOKENS = {"HPO_DASHBOARD_ADMIN_TOKEN": ADMIN, "HPO_DASHBOARD_VIEWER_TOKEN": VIEWER}
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
WIDTHS = {1280: 900, 390: 844}
SMALL = ("--folds", "2", "--seeds", "2", "--max-steps", "100", "--cells", "2:24")
LONG = (
    *("--folds", "2", "--seeds", "2", "--max-steps", "1000", "--cells", "8:32"),
    *("--trials", "500", "--sampler", "random", "--alpha", "1", "--rule", "off"),
)


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard in a process of its own, on the database of a `cli`."""

    cli: Cli
    url: str


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; in continuous integration it must be there."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A database with the answered study `told`."""
    folder = tmp_path_factory.mktemp("browser")
    made = Cli(folder=folder, storage=f"sqlite:///{folder / 'cli.db'}")
    csv = write_sales(folder)
    ended = made("run", csv, *ASKED, *SMALL, "--name", "told")
    assert ended.returncode == 0, ended.stderr
    return made


@pytest.fixture(scope="module")
def dashboard(cli: Cli) -> Iterator[Dashboard]:
    process = cli.start("dashboard", "--port", "0", env=TOKENS)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("dashboard on http://127.0.0.1:"), process.stderr
    yield Dashboard(cli=cli, url=line.split()[2])
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of each width; at its end nothing may have been complained of."""
    width: int = request.param
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def shoot(page: Page, name: str, *, whole: bool = True) -> None:
    """Keep a picture, and see that nothing is wider than the window."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=whole)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
