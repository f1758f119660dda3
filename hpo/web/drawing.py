"""How figures look, and how they become SVG inside a page, or files."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

INK, SOFT, FAINT = "#1b1f24", "#5c6670", "#d5dadf"
OURS, RIVAL, TRUTH = "#0b6e99", "#c2571a", "#1b1f24"
LAYERS = ("#0b6e99", "#7a3e9d", "#2e7d32", "#8a5a00")  # of 1, 2, 3 and more layers
MARKS = ("o", "s", "D", "^")
_ON_PAGE = {  # what a page shows in its own colours, light or dark
    INK: "--ink",
    SOFT: "--soft",
    FAINT: "--faint",
    OURS: "--ours",
    RIVAL: "--rival",
    LAYERS[1]: "--two",
    LAYERS[2]: "--three",
    LAYERS[3]: "--more",
}
WIDE_IN, NARROW_IN = 7.4, 3.7
SCREEN_DPI = 96

Draw = Callable[[Figure], None]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Inches of a figure."""

    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure that can be drawn at several widths: its name, what it shows, and how high it is.

    `alt` tells those who do not see it what it shows. `draw` is given an empty figure. `narrow` is
    its height on a phone.
    """

    name: str
    title: str
    alt: str
    draw: Draw
    height: float = 3.4
    narrow: float = 3.2

    def inline(self) -> str:
        """Two SVG elements, one for wide pages and one for phones, in the colours of the page."""
        wide = self._svg(Size(width=WIDE_IN, height=self.height), "wide")
        narrow = self._svg(Size(width=NARROW_IN, height=self.narrow), "narrow")
        return f"{wide}\n{narrow}"

    def small(self) -> str:
        """One SVG element for a card, in the colours and fonts of the page."""
        return self._svg(Size(width=NARROW_IN, height=self.narrow), "small")

    def figure(self) -> "Picture":
        """It as a figure of matplotlib: a notebook shows it, `savefig` writes it."""
        with _style(f"hpo-{self.name}", text="path"):
            figure = Picture(figsize=(WIDE_IN, self.height), layout="constrained", facecolor="w")
            self.draw(figure)
            figure.draw_without_rendering()  # while its style is in force
        return figure

    def save(self, folder: Path) -> list[Path]:
        """Write NAME.png and NAME.svg; their paths."""
        paths = [folder / f"{self.name}.{kind}" for kind in ("png", "svg")]
        size = Size(width=WIDE_IN, height=self.height)
        with _style(f"hpo-{self.name}", text="path"):
            figure = self._figure(size)
            figure.savefig(paths[0], dpi=200, facecolor="white")
            figure.savefig(paths[1], metadata={"Date": None, "Creator": None}, facecolor="white")
        return paths

    def _figure(self, size: Size) -> Figure:
        figure = Figure(figsize=(size.width, size.height), layout="constrained")
        self.draw(figure)
        return figure

    def _svg(self, size: Size, place: str) -> str:
        drawn = StringIO()
        with _style(f"hpo-{self.name}-{place}", text="none"):
            self._figure(size).savefig(
                drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
            )
        return _for_page(drawn.getvalue(), self.alt, place)


class Picture(Figure):
    """A figure that a notebook shows by itself, also where pyplot was never imported."""

    def _repr_png_(self) -> tuple[bytes, dict[str, float]]:
        """Twice as fine as it is shown, for screens that can show it."""
        drawn, (width, height) = BytesIO(), self.get_size_inches()
        self.savefig(drawn, format="png", dpi=2 * SCREEN_DPI)
        shown = {"width": float(width * SCREEN_DPI), "height": float(height * SCREEN_DPI)}
        return drawn.getvalue(), shown


@contextmanager
def _style(salt: str, *, text: str) -> Iterator[None]:
    """The same figure is the same file: `salt` makes its identifiers, which differ between figures.

    text: "none" leaves it text, in the fonts of the page; "path" draws its letters.
    """
    values: Any = {  # matplotlib types its keys one by one
        "svg.hashsalt": salt,
        "svg.fonttype": text,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.edgecolor": SOFT,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "text.parse_math": False,  # a $ in a name is a $
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.linewidth": 1.4,
        "axes.prop_cycle": cycler(color=[OURS]),  # also of what is drawn without being told to
    }
    with mpl.rc_context(values):
        yield


def _for_page(svg: str, alt: str, place: str) -> str:
    """The element alone, with its description, in the page's colours and fonts, and no set size."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<style.*?</style>", "", element, flags=re.DOTALL)  # the page has its own
    element = re.sub(r'<g id="[A-Za-z0-9_.]+">', "<g>", element)
    element = re.sub(r"\n\s*", "\n", element)
    element = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", element)
    for colour, name in _ON_PAGE.items():
        element = element.replace(colour, f"var({name})")
    opening = re.search(r'viewBox="[^"]*"', element)
    assert opening is not None, "matplotlib writes a viewBox"
    body = element[element.index(">") + 1 :]
    return (
        f'<svg class="figure {place}" role="img" aria-label="{escape(alt)}" {opening.group(0)}'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg">{body}'
    )
