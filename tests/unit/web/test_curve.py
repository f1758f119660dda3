"""The error against the size, drawn."""

import xml.etree.ElementTree as ET

from hpo.web.curve import HEIGHT, WIDTH, size_curve
from tests.unit.service.test_shown import trial

SIZES = [trial(0, 2, score=0.5), trial(1, 8, score=0.4), trial(2, 2, 2, score=0.45)]


def drawn(**changed: object) -> ET.Element:
    given = {"metric": "MASE", "benchmarks": {"ridge": 0.42, "naive": 1.0}} | changed
    return ET.fromstring(size_curve(SIZES, **given))  # type: ignore[arg-type]


def test_each_number_of_layers_is_a_line_through_the_best_of_its_sizes() -> None:
    svg = drawn()
    lines = {g.get("class"): g for g in svg.iter("g")}
    assert set(lines) == {"layers-1", "layers-2"}
    assert len(lines["layers-1"].findall("circle")) == 2
    low, high = (float(c.get("cy", "")) for c in lines["layers-1"].findall("circle"))
    assert low > TOPMOST
    assert low < high  # the larger has the lower error, which is further down
    assert [t.text for t in svg.iter("title")] == [
        "2 cells: 0.5",
        "8 cells: 0.4",
        "2 + 2 cells: 0.45",
    ]


TOPMOST = 0


def test_the_best_benchmark_and_the_recommended_network_are_marked() -> None:
    svg = drawn(recommended=(2, 2))
    assert "ridge 0.42" in [text.text for text in svg.iter("text")]
    assert len([c for c in svg.iter("circle") if c.get("class") == "ring"]) == 1
    assert not [c for c in drawn().iter("circle") if c.get("class") == "ring"]


def test_one_bad_size_flattens_nothing_and_stays_in_the_picture() -> None:
    svg = ET.fromstring(size_curve([*SIZES, trial(9, 64, score=1e9)], metric="MASE", benchmarks={}))
    heights = sorted(float(c.get("cy", "")) for c in svg.iter("circle"))
    assert heights[0] >= 0
    assert heights[-1] - heights[1] > HEIGHT / 3
    assert all(0 <= float(c.get("cx", "")) <= WIDTH for c in svg.iter("circle"))


def test_one_trial_makes_a_picture_and_none_makes_none() -> None:
    assert ET.fromstring(size_curve(SIZES[:1], metric="MASE", benchmarks={})).tag.endswith("svg")
    assert size_curve([], metric="MASE", benchmarks={"ridge": 1.0}) == ""


def test_no_style_is_in_it_for_the_pages_policy_allows_none() -> None:
    assert "style=" not in size_curve(SIZES, metric="<b>", benchmarks={})
    assert "<b>" not in size_curve(SIZES, metric="<b>", benchmarks={})
