"""Takes the pictures of the documentation anew: `python docs/hooks/pictures.py`, with Chromium."""

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import hpo

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> None:
    """Answer the airline study; picture its report, and keep its figure of sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    browser = parser.parse_args().browser
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/hpo.db"
        study = hpo.launch(ROOT / "studies" / "airline.toml", storage=storage)
        study.wait()
        report = study.report(folder)
        study.figures(folder)
        IMAGES.mkdir(exist_ok=True)
        shutil.copy(Path(folder) / "size-curve.svg", IMAGES)
        picture(report.as_uri(), IMAGES / "report.png", browser=browser)


def picture(url: str, image: Path, *, browser: str) -> None:
    """The top of a page, as a window of a laptop shows it, twice as sharp."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=list(QUIET))
        window = chromium.new_page(viewport={"width": 1000, "height": 640}, device_scale_factor=2)
        window.goto(url)
        window.screenshot(path=image)
        chromium.close()


if __name__ == "__main__":
    main()
