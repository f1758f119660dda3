"""The report as a file, opened in a browser: wide, on a phone, in the dark, on paper."""

from playwright.sync_api import Page

from tests.browser.conftest import shoot
from tests.commands import Cli

COLOUR = "(element) => getComputedStyle(element).{what}"


def lightness(page: Page, selector: str, what: str) -> float:
    """The mean of red, green and blue, 0 to 255, of the first element that is seen."""
    element = page.locator(selector).locator("visible=true").first
    said: str = element.evaluate(COLOUR.format(what=what))
    return sum(float(part) for part in said.partition("(")[2].rstrip(")").split(",")[:3]) / 3


def open_report(page: Page, cli: Cli) -> None:
    page.goto((cli.folder / "told-report.html").as_uri())
    page.locator("h1").wait_for()


def test_the_report_fits_the_page_and_draws_each_figure_once(page: Page, cli: Cli) -> None:
    open_report(page, cli)
    shoot(page, "report")
    figures = page.locator("figure").count()
    seen = page.locator("svg.figure").locator("visible=true")
    assert seen.count() == figures >= 4
    is_phone = (page.viewport_size or {"width": 0})["width"] < 500
    assert page.locator("svg.narrow").locator("visible=true").count() == is_phone * figures
    for number in range(figures):
        box = seen.nth(number).bounding_box()
        assert box is not None
        assert box["height"] > 60


def test_what_stands_behind_the_figures_is_opened_by_keyboard(page: Page, cli: Cli) -> None:
    open_report(page, cli)
    behind = page.locator("details").first
    assert not behind.locator("table").is_visible()
    behind.locator("summary").focus()
    page.keyboard.press("Enter")
    assert behind.locator("table").is_visible()
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    shoot(page, "report-open")


def test_in_the_dark_the_figures_are_light_on_dark(page: Page, cli: Cli) -> None:
    page.emulate_media(color_scheme="dark")
    open_report(page, cli)
    shoot(page, "report-dark")
    assert lightness(page, "body", "backgroundColor") < 60
    assert lightness(page, "svg.figure text", "fill") > 150
    page.emulate_media(color_scheme="light")
    assert lightness(page, "body", "backgroundColor") > 200
    assert lightness(page, "svg.figure text", "fill") < 100


def test_on_paper_the_report_is_dark_on_white_and_wide(page: Page, cli: Cli) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    open_report(page, cli)
    assert lightness(page, "svg.figure text", "fill") < 100
    assert page.locator("svg.narrow").locator("visible=true").count() == 0
    assert page.pdf().startswith(b"%PDF")
