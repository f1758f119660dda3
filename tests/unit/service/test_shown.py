"""What is shown of trials."""

from hpo.service.shown import Ending, TrialShown, best_of_sizes


def trial(number: int, *cells: int, score: float | None, ending: Ending = "complete") -> TrialShown:
    return TrialShown(
        number=number,
        ending=ending,
        cells=cells,
        weights=10,
        learning_rate=0.01,
        weight_decay=0.0,
        dropout=0.0,
        lookback=None,
        alpha=2.0,
        most_cells=None,
        score=score,
        reason="",
        worker="",
    )


def test_of_each_size_the_best_complete_trial_is_shown_in_the_order_of_sizes() -> None:
    trials = [
        trial(0, 8, score=0.5),
        trial(1, 2, 2, score=0.6),
        trial(2, 8, score=0.4),
        trial(3, 8, score=0.4),
        trial(4, 4, score=0.7),
        trial(5, 4, score=0.1, ending="pruned"),
        trial(6, 16, score=None, ending="infeasible"),
        trial(7, 32, score=None, ending="running"),
    ]
    assert [one.number for one in best_of_sizes(trials)] == [4, 2, 1]
    assert best_of_sizes([]) == []
