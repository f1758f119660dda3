"""What a live view says, how it fits a terminal, and what it says of the time that is left."""

from typing import Any

import pytest

from hpo.live.display import calm_words
from hpo.live.pace import WINDOW_S, Pace
from hpo.live.sketch import ASCII, Mark, Strokes, sketch
from hpo.live.view import MARGIN, WIDEST, view, words
from tests.unit.live.snapshots import Clock, seen, shown, snapshot


@pytest.fixture
def clock() -> Clock:
    return Clock()


def texts(columns: int, rows: int, **changed: Any) -> list[str]:
    return [str(line) for line in view(snapshot(**changed), Pace(), columns=columns, rows=rows)]


@pytest.mark.parametrize("rows", [1, 3, 8, 14, 24, 60])
@pytest.mark.parametrize("columns", [1, 10, 30, 50, 60, 80, 200])
def test_a_view_fits_every_terminal(columns: int, rows: int) -> None:
    lines = texts(columns, rows)
    assert 1 <= len(lines) <= rows
    assert all(len(line) <= max(1, min(columns - MARGIN, WIDEST)) for line in lines)


@pytest.mark.parametrize(
    ("columns", "rows", "is_drawn"),
    [(60, 24, True), (80, 16, True), (49, 24, False), (80, 11, False)],
)
def test_the_sketch_is_left_out_where_it_has_no_room(
    columns: int, rows: int, is_drawn: bool
) -> None:
    assert any(line.startswith("Sizes ") for line in texts(columns, rows)) == is_drawn


def test_the_view_of_a_search(clock: Clock) -> None:
    assert words(snapshot(12), seen(clock, 4, 8, 12)) == [
        "Study       airline: stage 2 of 4, search; 1 worker",
        "Trials      12 of at most 60 trials (12 complete)",
        "Networks    144, 48 a second",
        "Best        2 layers of 4 cells each, MASE 0.39: 12.6% higher than ridge's 0.3463",
        "Trying      1 layer of 6 cells; 1 layer of 24 cells; 2 layers of 12 cells each",
        "Time        2 s; at most 22 s left at this pace",
    ]


def test_a_better_network_than_the_benchmark_is_told_as_such() -> None:
    said = words(snapshot(benchmarks={"naive": 0.78}), Pace())
    assert said[3].endswith("MASE 0.39: 50.0% lower than naive's 0.78")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"benchmarked": False, "workers": 0}, "stage 1 of 4, benchmarks; no worker yet"),
        ({"judging": True}, "stage 3 of 4, finalists; 1 worker"),
        ({"judging": True, "tested": 3, "workers": 2}, "stage 4 of 4, test; 2 workers"),
        ({"state": "paused"}, "paused, stage 2 of 4, search; 1 worker"),
        ({"state": "cancelled"}, "cancelled"),
    ],
)
def test_every_stage_is_told(changed: dict[str, Any], said: str) -> None:
    assert words(snapshot(**changed), Pace())[0] == f"Study       airline: {said}"


def test_a_paused_study_has_no_time_left_but_a_way_out(clock: Clock) -> None:
    pace = seen(clock, 4, 8, 12)
    paused = snapshot(12, state="paused")
    pace.see(paused)
    assert words(paused, pace)[-1] == "Time        2 s; hpo resume airline lets it go on"
    assert pace.left_s(paused) is None


def test_no_time_is_told_before_two_trials_have_ended(clock: Clock) -> None:
    assert seen(clock, 0, 1).left_s(snapshot(1)) is None
    assert seen(clock, 0, 1, 2).left_s(snapshot(2)) is not None


def test_the_race_takes_at_most_its_rounds_of_seeds(clock: Clock) -> None:
    racing = snapshot(12, judging=True, raced=180)
    assert seen(clock, 4, 8, 12).left_s(racing) == pytest.approx((480 - 180) / 48)


def test_the_pace_is_that_of_late(clock: Clock) -> None:
    pace = seen(clock, 0, *[50] * 80)
    assert clock.now_s > 2 * WINDOW_S
    assert pace.networks_per_s == 0


def test_what_a_log_gets_is_one_line(clock: Clock) -> None:
    assert calm_words(snapshot(12), seen(clock, 4, 8, 12)) == (
        "12 of at most 60 trials (12 complete), 144 networks, 48/s, best 2 layers of 4 cells each,"
        " MASE 0.39: 12.6% higher than ridge's 0.3463, at most 22 s left"
    )
    assert calm_words(snapshot(12, judging=True, raced=40), Pace()) == (
        "finalists with fresh seeds: 40 networks"
    )


@pytest.mark.parametrize("score", [0.39, 0.0, -2.0])
def test_a_sketch_of_one_size_has_a_scale(score: float) -> None:
    plot = sketch(
        [Mark(1, 4, score)], benchmark=None, now=[], width=60, height=7, strokes=Strokes()
    )
    assert len(plot) == 7
    assert sum(line.count("1") for line in plot[:5]) >= 1


def test_what_is_far_worse_does_not_flatten_the_rest() -> None:
    marks = [Mark(1, 2, 90.0), Mark(1, 4, 0.4), Mark(1, 8, 0.6)]
    plot = sketch(marks, benchmark=0.5, now=[], width=60, height=9, strokes=ASCII)
    assert plot[0].strip().startswith(">1 +1"), "it stands at the upper edge"
    rows = [next(i for i, line in enumerate(plot) if line.rstrip().endswith("1"))]
    assert rows
    assert sum("1" in line[12:] for line in plot[:7]) == 3, "three errors, three heights"


def test_where_the_encoding_has_no_strokes_letters_draw() -> None:
    drawn = view(snapshot(), Pace(), columns=60, rows=24, ascii_only=True)
    assert all(str(line).isascii() for line in drawn)


def test_a_trial_without_a_size_yet_draws_nothing() -> None:
    lines = texts(80, 30, sizes=[], trying=[(2,)])
    assert not any(line.startswith(("Sizes", "Best")) for line in lines)
    assert shown(0, (2,), None).ending == "running"
