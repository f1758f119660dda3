"""Lookback, strategy, samples and bound are settled by stated rules."""

import numpy as np
import pytest

from hpo.data.prepare import choose_lookbacks, prepare, truth
from hpo.errors import DataError, SpecError
from hpo.sizing.bound import largest_equal_cells
from tests.unit.data.panels import panel_of, study, wave

MONTHS = panel_of(wave(144, trend=0.3), season=12)


def test_a_direct_head_on_97_windows_leaves_3_cells_and_auto_is_recursive_with_27() -> None:
    direct = prepare(
        study(task__horizon=12, task__lookback=12, task__strategy="direct"), MONTHS
    ).limit
    assert (direct.samples, direct.outputs, largest_equal_cells(1, direct)) == (97, 12, 3)
    prepared = prepare(study(task__horizon=12, task__lookback=12), MONTHS)
    assert prepared.strategy == "recursive"
    assert (prepared.limit.samples, prepared.limit.outputs) == (108, 1)
    assert largest_equal_cells(1, prepared.limit) == 27
    assert "a direct head of 12 steps leaves 3 cells" in prepared.warnings[-1]


def test_auto_is_direct_where_the_bound_leaves_eight_cells() -> None:
    assert prepare(study(), MONTHS).strategy == "direct"
    assert prepare(study(task__horizon=3), MONTHS).strategy == "direct"
    off = study(task__horizon=12, task__lookback=12, bound__rule="off")
    assert prepare(off, MONTHS).strategy == "direct"


def test_a_strategy_that_is_asked_for_is_taken_without_a_warning() -> None:
    prepared = prepare(study(task__horizon=3, task__strategy="recursive"), MONTHS)
    assert (prepared.strategy, prepared.limit.outputs, prepared.warnings) == ("recursive", 1, ())


def test_samples_are_counted_at_the_largest_lookback_over_all_series() -> None:
    panel = panel_of(wave(100), wave(100), x=range(200))
    prepared = prepare(study(task__lookback=(5, 10)), panel)
    assert prepared.lookbacks == (5, 10)
    assert prepared.limit.samples == 2 * (90 - 10 - 1 + 1)
    assert prepared.limit.inputs == 2


@pytest.mark.parametrize(
    ("rows", "season", "horizon", "expected"),
    [
        (144, 12, 1, 15),  # 1.25 seasons
        (400, 12, 24, 30),  # 1.25 horizons
        (400, 4, 1, 12),  # at least 12
        (2000, 288, 1, 360),
        (400, 1, 1, 24),
        (400, 1, 40, 50),
        (50, 1, 1, 13),  # half of the first training part of 27
        (40, 12, 4, 7),  # horizon and lookback take half of 20, less what the folds need
    ],
)
def test_the_default_lookback_follows_its_rule(
    rows: int, season: int, horizon: int, expected: int
) -> None:
    panel = panel_of(wave(rows), season=season)
    asked = study(task__horizon=horizon, validation__folds=2)
    assert choose_lookbacks(asked, panel) == (expected,)


def test_short_data_still_gets_folds() -> None:
    prepared = prepare(study(bound__alpha=1.0, bound__alpha_min=1.0), panel_of(wave(24)))
    assert all(len(f.origins_O) for f in (*prepared.folds, prepared.test))


def test_far_too_short_data_is_refused() -> None:
    with pytest.raises(DataError, match="too few rows: 12"):
        prepare(study(), panel_of(wave(12)))


def test_a_bound_that_leaves_no_network_is_refused_with_the_numbers_that_could_change() -> None:
    with pytest.raises(SpecError) as refusal:
        prepare(study(bound__rule="strict", bound__alpha=3.0, task__lookback=12), MONTHS)
    said = str(refusal.value)
    for words in ("bound.rule=strict", "bound.alpha=3", "117 samples", "1 input,", "begins at 2"):
        assert words in said


def test_truth_is_what_follows_each_origin() -> None:
    prepared = prepare(study(task__horizon=3), MONTHS)
    fold = prepared.folds[1]
    origin = int(fold.origins_O[0])
    found = truth(prepared, fold)
    assert found.shape == (len(fold.origins_O), 3)
    assert found[0].tolist() == MONTHS.values_RF[origin + 1 : origin + 4, 0].tolist()


def test_warnings_of_the_panel_are_passed_on() -> None:
    panel = panel_of(wave(100), x=np.ones(100))
    assert prepare(study(), panel).warnings[0].startswith("covariates that never change")


def test_a_recursive_strategy_is_advised_only_where_it_would_leave_fewer_outputs() -> None:
    for strategy, advised in (("direct", True), ("recursive", False)):
        asked = study(
            task__horizon=12, task__strategy=strategy, bound__rule="strict", bound__alpha=9.0
        )
        with pytest.raises(SpecError) as refusal:
            prepare(asked, MONTHS)
        assert ("task.strategy=recursive" in str(refusal.value)) is advised


def test_each_fold_is_transformed_by_what_its_own_training_part_tells() -> None:
    grows = np.linspace(1, 4, 144) * np.random.default_rng(0).normal(size=144)
    prepared = prepare(study(task__transform="none"), panel_of(grows))
    parts = (*prepared.folds, prepared.test)
    assert len(prepared.transforms) == len(prepared.scaled) == len(parts)
    for fold in parts:
        end = int(fold.train_ends_S[0])
        assert prepared.transform_of(fold).scale_SF[0, 0] == pytest.approx(grows[:end].std())
        assert prepared.scaled_of(fold)[:end].std() == pytest.approx(1, rel=1e-5)
