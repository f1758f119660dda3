"""The verdict: the smallest network that is as good as the best, and whether it beats a benchmark.

Shapes: E entrants, S seeds of an entrant, O origins, B bootstrap replicates, K benchmarks. Losses
are per origin and lower is better; for rmse they are squared errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo.errors import DataError, StudyFailed
from hpo.sizing.detectable import Detectable, detectable_difference
from hpo.sizing.gain import gain_over_best
from hpo.sizing.metric import score
from hpo.sizing.race import Entrant, Flags, Race, finite, run_race, score_race
from hpo.sizing.reasons import FEWEST_BLOCKS, FEWEST_SEEDS, Contest, Evidence, explain, power, warn
from hpo.sizing.resampling import Floats, Origins, block_count, bootstrap_means

__all__ = ["Entrant", "Judgement", "best_per_size", "judge", "pick_finalists", "tied_range"]

FINALIST_SES = 2.0

MOST_FINALISTS = 6


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What finalists and benchmarks show; tuples hold one item per finalist.

    `best` and `chosen` are indices of finalists; `score` is the chosen one's. `differences` are to
    the best, on the metric's scale, `difference_ses` their standard errors (both infinite where a
    loss is not a finite number). `gain` is the best benchmark's score less the chosen network's,
    `gain_low` its one-sided 95 % lower limit. `layers_probability` is None where blocks or seeds
    are too few to tell, `detectable` where the chosen one raced alone.
    """

    best: int
    chosen: int
    tied: tuple[bool, ...]
    score: float
    score_se: float
    differences: tuple[float, ...]
    difference_ses: tuple[float, ...]
    layers_probability: dict[str, float] | None
    benchmark_scores: dict[str, float]
    best_benchmark: str
    gain: float
    gain_se: float
    gain_low: float
    lstm_justified: bool
    detectable: Detectable | None
    blocks: int
    seeds: int
    warnings: tuple[str, ...]
    reasons: tuple[str, ...]


def judge(
    finalists: Sequence[Entrant],
    benchmarks: Mapping[str, Floats],
    origins: Origins,
    *,
    metric: str,
    tolerance: float,
    layers_range: tuple[int, int],
    rng: np.random.Generator,
    tie_ses: float = 1.0,
) -> Judgement:
    """Choose among finalists trained with fresh seeds, and compare with benchmarks' loss_O.

    best: the lowest score, of losses averaged over seeds. Tied with it: a paired difference of at
    most max(one standard error, tolerance * best score), the one-standard-error rule (Breiman et
    al. 1984) on differences; `tie_ses` standard errors in a race of several rounds, in which
    finalists may have different numbers of seeds. A standard error joins the block bootstrap over
    origins with the variance between seeds over their number. chosen: the tied one with the fewest
    weights.
    lstm_justified: the lower limit of its gain, which allows for the choice among the finalists,
    is above tolerance * the best benchmark's score.

    Raises StudyFailed where no finalist, DataError where no benchmark has finite losses.
    """
    able, known = _able(finalists), _known(benchmarks)
    entrants = [finalists[i] for i in able]
    seed_rows = [row_O for e in entrants for row_O in e.losses_SO]
    means_B = bootstrap_means(origins, [*seed_rows, *known.values()], rng=rng)
    cuts = np.cumsum([len(e.losses_SO) for e in entrants])
    *means_EBS, means_BK = np.split(means_B, cuts, axis=1)
    race = score_race(entrants, np.stack([m.mean(axis=1) for m in means_EBS], axis=1), metric)
    evidence = Evidence(
        blocks=block_count(origins),
        seeds=min(len(e.losses_SO) for e in entrants),
        origins=origins.fold_O.size,
        networks_left_out=len(finalists) - len(able),
        benchmarks_left_out=tuple(name for name in benchmarks if name not in known),
    )
    scores = {name: float(score(loss_O.mean(), metric)) for name, loss_O in known.items()}
    tied_E = race.tied_with(race.best, tolerance, ses=tie_ses)
    chosen = race.smallest(tied_E)
    gain = gain_over_best(race, chosen, scores, score(means_BK, metric), origins, rng=rng)
    contest = Contest(
        race=race,
        tied_E=tied_E,
        chosen=chosen,
        gain=gain,
        metric=metric,
        tolerance=tolerance,
        tie_ses=tie_ses,
    )
    probability = (
        _layers_probability(contest, means_EBS, layers_range, rng)
        if evidence.blocks >= FEWEST_BLOCKS and evidence.seeds >= FEWEST_SEEDS
        else None
    )
    return _sum_up(contest, evidence, scores, probability, able)


def tied_range(
    entrants: Sequence[Entrant],
    reference: Entrant,
    origins: Origins,
    *,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Fewest and most cells in all layers among entrants that are as good as the reference.

    As good: behind it by at most max(one standard error, tolerance * its score). The reference
    itself counts; entrants with losses that are not finite do not.
    """
    able = [reference, *(entrants[i] for i in finite(entrants))]
    race = run_race(able, origins, metric=metric, rng=rng)
    tied_E = race.tied_with(0, tolerance)
    totals = [sum(e.cells) for e, is_tied in zip(able, tied_E, strict=True) if is_tied]
    return min(totals), max(totals)


def pick_finalists(
    entrants: Sequence[Entrant],
    origins: Origins,
    *,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
    most: int = MOST_FINALISTS,
) -> list[int]:
    """Indices of the entrants worth a race with fresh seeds, the best first, then by weights.

    Of each size (cells per layer) only its best trial enters. In this order, until `most` are
    found: the best; the smallest that is as good; the best of each number of layers; networks
    that no smaller one beats, spread evenly over the sizes. All are within two standard errors
    (or the tolerance) of the best. Empty where no entrant has finite losses.
    """
    able = best_per_size(entrants)
    if not able:
        return []
    race = run_race([entrants[i] for i in able], origins, metric=metric, rng=rng)
    near_E = race.tied_with(race.best, tolerance, ses=FINALIST_SES)
    smallest = race.smallest(race.tied_with(race.best, tolerance))
    picked = list(dict.fromkeys([race.best, smallest, *_best_per_layers(race, near_E)]))[:most]
    frontier = [e for e in _frontier(race) if near_E[e] and e not in picked]
    picked += _spread(frontier, most - len(picked))
    rank = {e: place for place, e in enumerate(race.by_size())}
    return [able[e] for e in (race.best, *sorted(set(picked) - {race.best}, key=rank.__getitem__))]


def _able(finalists: Sequence[Entrant]) -> list[int]:
    able = finite(finalists)
    if not able:
        raise StudyFailed(
            "no finalist has a finite error", remedy="lower the upper end of space.learning_rate"
        )
    return able


def _known(benchmarks: Mapping[str, Floats]) -> dict[str, Floats]:
    known = {name: loss_O for name, loss_O in benchmarks.items() if np.isfinite(loss_O).all()}
    if not known:
        raise DataError("no benchmark has a finite error", remedy="check the target's values")
    return known


def _layers_probability(
    contest: Contest,
    means_EBS: Sequence[Floats],
    layers_range: tuple[int, int],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Share of replicates, over origins and seeds, whose smallest tied network has L layers."""
    race, tolerance, ses = contest.race, contest.tolerance, contest.tie_ses
    scores_BE = np.stack([score(_other_seeds(m, rng), contest.metric) for m in means_EBS], axis=1)
    margins_EE = np.stack(
        [race.margins_to(e, tolerance, ses=ses) for e in range(len(race.entrants))]
    )
    best_B = scores_BE.argmin(axis=1)
    behind_BE = scores_BE - scores_BE.min(axis=1, keepdims=True)
    by_size = race.by_size()
    tied_BE = (behind_BE <= margins_EE[best_B])[:, by_size]
    layers_E = np.array([len(race.entrants[e].cells) for e in by_size])
    layers_B = layers_E[tied_BE.argmax(axis=1)]
    fewest, most = layers_range
    return {str(n): float((layers_B == n).mean()) for n in range(fewest, most + 1)}


def _other_seeds(means_BS: Floats, rng: np.random.Generator) -> Floats:
    """Means over seeds drawn anew in every replicate, one fewer than there are (McCarthy 1969)."""
    replicates, seeds = means_BS.shape
    drawn_BS = rng.integers(seeds, size=(replicates, max(seeds - 1, 1)))
    mean_B: Floats = np.take_along_axis(means_BS, drawn_BS, axis=1).mean(axis=1)
    return mean_B


def _sum_up(
    contest: Contest,
    evidence: Evidence,
    scores: dict[str, float],
    probability: dict[str, float] | None,
    able: Sequence[int],
) -> Judgement:
    """The judgement in terms of all finalists, of whom the able ones raced."""
    race, count = contest.race, len(able) + evidence.networks_left_out
    tied_F, spread_F = np.zeros(count, dtype=bool), np.full((2, count), np.inf)
    tied_F[able] = contest.tied_E
    spread_F[:, able] = race.behind(race.best), race.ses_to(race.best)
    detectable = detectable_difference(race, contest.chosen)
    told, doubts = power(detectable, contest.metric)
    return Judgement(
        best=able[race.best],
        chosen=able[contest.chosen],
        tied=tuple(tied_F.tolist()),
        score=float(race.scores_E[contest.chosen]),
        score_se=race.se(contest.chosen),
        differences=tuple(spread_F[0].tolist()),
        difference_ses=tuple(spread_F[1].tolist()),
        layers_probability=probability,
        benchmark_scores=scores,
        best_benchmark=contest.gain.benchmark,
        gain=contest.gain.value,
        gain_se=contest.gain.se,
        gain_low=contest.gain.low,
        lstm_justified=contest.gain.exceeds(contest.tolerance),
        detectable=detectable,
        blocks=evidence.blocks,
        seeds=evidence.seeds,
        warnings=(*warn(evidence), *doubts),
        reasons=(*explain(contest), *told),
    )


def best_per_size(entrants: Sequence[Entrant]) -> list[int]:
    """The trial with the lowest mean loss of each cells per layer; only finite losses."""
    order = sorted(finite(entrants), key=lambda i: float(entrants[i].losses_SO.mean()))
    first: dict[tuple[int, ...], int] = {}
    for i in order:
        first.setdefault(entrants[i].cells, i)
    return list(first.values())


def _best_per_layers(race: Race, near_E: Flags) -> list[int]:
    """The best entrant of each number of layers, where it is near the best of all."""
    first: dict[int, int] = {}
    for e in np.argsort(race.scores_E):
        if near_E[e]:
            first.setdefault(len(race.entrants[e].cells), int(e))
    return list(first.values())


def _frontier(race: Race) -> list[int]:
    """From the smallest up, the entrants that are better than every smaller one."""
    found: list[int] = []
    for e in race.by_size():
        if not found or race.scores_E[e] < race.scores_E[found[-1]]:
            found.append(e)
    return found


def _spread(items: Sequence[int], most: int) -> list[int]:
    """At most `most` items, evenly spaced, both ends among them.

    >>> _spread([1, 2, 3, 4, 5], 3), _spread([1, 2], 3), _spread([1, 2], 0)
    ([1, 3, 5], [1, 2], [])
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, most)]
