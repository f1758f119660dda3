"""The sentences of a verdict: why this size, why an LSTM or not, and where the evidence is thin."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isinf, log10

from hpo.sizing.detectable import MOST_SHARE, Detectable
from hpo.sizing.gain import Gain
from hpo.sizing.race import Flags, Race
from hpo.sizing.selection import Corrected
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words

FEWEST_BLOCKS = 8
FEWEST_SEEDS = 3
FEWEST_ORIGINS = 30


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """How much the verdict rests on: independent blocks, seeds and origins, and who is missing."""

    blocks: int
    seeds: int
    origins: int
    networks_left_out: int
    benchmarks_left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """How the race and the comparison with the best benchmark ended."""

    race: Race
    tied_E: Flags
    chosen: int
    gain: Gain
    metric: str
    tolerance: float
    tie_ses: float = 1.0


def explain(contest: Contest) -> tuple[str, ...]:
    """Why this size, and why an LSTM is justified or not: two sentences for an analyst."""
    return _about_size(contest), _about_benchmark(contest)


def warn(evidence: Evidence) -> tuple[str, ...]:
    """A sentence for each way in which the evidence is thin, with what would make it thicker.

    >>> thin = dict(networks_left_out=0, benchmarks_left_out=())
    >>> warn(Evidence(blocks=12, seeds=1, origins=48, **thin))
    ('Every network has only 1 seed (3 or more tell skill from luck): raise --seeds.',)
    >>> warn(Evidence(blocks=12, seeds=3, origins=48, **thin))
    ()
    """
    found: list[str] = []
    if evidence.blocks < FEWEST_BLOCKS:
        found.append(
            f"The scores rest on only {counted(evidence.blocks, 'independent stretch')} of "
            f"forecasts ({FEWEST_BLOCKS} or more make a standard error reliable): "
            "a longer series or a shorter --horizon gives more."
        )
    if evidence.seeds < FEWEST_SEEDS:
        found.append(
            f"Every network has only {counted(evidence.seeds, 'seed')} "
            f"({FEWEST_SEEDS} or more tell skill from luck): raise --seeds."
        )
    if evidence.origins < FEWEST_ORIGINS:
        found.append(
            f"The scores rest on only {counted(evidence.origins, 'forecast origin')} "
            f"({FEWEST_ORIGINS} or more are advisable): a longer series gives more."
        )
    if evidence.networks_left_out:
        found.append(
            f"{counted(evidence.networks_left_out, 'finalist')} gave errors that are not finite "
            "numbers and cannot be chosen: lower the upper end of --learning-rate."
        )
    for name in evidence.benchmarks_left_out:
        found.append(
            f"The benchmark {benchmark_name(name)} gave errors that are not finite numbers; it is"
            " left out."
        )
    return tuple(found)


def about_choice(corrected: Corrected, score: float, metric: str) -> tuple[str, ...]:
    """What the choice among all trials, and among the benchmarks, is worth on other origins.

    >>> about_choice(Corrected(score=0.43, benchmark=0.362, entrants=60), 0.406, "mase")
    ("Corrected for the choice among 60 trials the MASE is 0.430 (0.406 as raced), the best benchmark's 0.362: what such a choice may expect of other forecasts (bootstrap, Tsamardinos et al. 2018).",)
    """  # noqa: E501
    if corrected.score is None or corrected.benchmark is None:
        return ()
    ours, raced, theirs = _numbers(0.0, corrected.score, score, corrected.benchmark)
    return (
        f"Corrected for the choice among {counted(corrected.entrants, 'trial')} the"
        f" {METRICS[metric]} is {ours} ({raced} as raced), the best benchmark's {theirs}: what such"
        " a choice may expect of other forecasts (bootstrap, Tsamardinos et al. 2018).",
    )


def power(detectable: Detectable | None, metric: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The difference that could be seen: for the reasons, and where it is large for the warnings.

    >>> power(Detectable(difference=0.012, share=0.03, by_seeds=True), "mase")[0]
    ('Differences between finalists of MASE 0.012 (3.0 % of the score) would be seen in 80 % of such races; smaller ones may go unseen.',)
    """  # noqa: E501
    if detectable is None:
        return (), ()
    size = f"{METRICS[metric]} {detectable.difference:.2g} ({100 * detectable.share:.1f} %"
    said = (
        f"Differences between finalists of {size} of the score) would be seen in 80 % of such"
        " races; smaller ones may go unseen.",
    )
    if detectable.share <= MOST_SHARE:
        return said, ()
    cause, cure = (
        ("chance in the seeds adds most to it", "raise --seeds")
        if detectable.by_seeds
        else ("the choice of origins adds most to it", "more rows or a shorter --horizon lower it")
    )
    return said, (
        f"A size that is better by less than {100 * detectable.share:.1f} % of the score may have"
        f" gone unseen (more than {100 * MOST_SHARE:g} % is a coarse verdict): {cause}; {cure}.",
    )


def _about_size(contest: Contest) -> str:
    race, chosen = contest.race, contest.chosen
    name = size_in_words(race.entrants[chosen].cells)
    finalists = counted(len(race.entrants), "finalist")
    if chosen != race.best:
        return _as_good(contest, name, finalists)
    smaller = race.by_size()[: race.by_size().index(chosen)]
    if smaller:
        return _needed(contest, name, finalists, smaller)
    score = _numbers(race.se(chosen), race.scores_E[chosen])[0]
    place = (
        "the only finalist" if len(race.entrants) == 1 else f"the smallest and best of {finalists}"
    )
    return f"{name} is {place}: {METRICS[contest.metric]} {score}."


def _as_good(contest: Contest, name: str, finalists: str) -> str:
    race, chosen, best = contest.race, contest.chosen, contest.race.best
    behind, se = race.behind(best)[chosen], race.ses_to(best)[chosen]
    ours, theirs, gap, error = _numbers(se, race.scores_E[chosen], race.scores_E[best], behind, se)
    if behind <= se:
        margin = f"its standard error of {error}"
    elif behind <= contest.tie_ses * se:
        margin = f"{contest.tie_ses:g} times its standard error of {error}"
    else:
        margin = f"the tolerance of {100 * contest.tolerance:.3g} % of the score"
    return (
        f"{name} is as good as the best of {finalists} "
        f"({size_in_words(race.entrants[best].cells)}): {METRICS[contest.metric]} {ours} against "
        f"{theirs}, a difference of {gap} that is within {margin}."
    )


def _needed(contest: Contest, name: str, finalists: str, smaller: Sequence[int]) -> str:
    race, chosen = contest.race, contest.chosen
    rival = min(smaller, key=lambda e: float(race.scores_E[e]))
    se = race.ses_to(chosen)[rival]
    scores = race.scores_E[chosen], race.scores_E[rival], race.behind(chosen)[rival]
    ours, theirs, gap, error = _numbers(se, *scores, se)
    return (
        f"{name} is the best of {finalists} ({METRICS[contest.metric]} {ours}), and no smaller one "
        f"is as good: {size_in_words(race.entrants[rival].cells)} has {theirs}, worse by {gap} ± "
        f"{error}."
    )


def _about_benchmark(contest: Contest) -> str:
    gain = contest.gain
    rival = f"the best benchmark ({benchmark_name(gain.benchmark)})"
    if gain.value <= 0:
        return _not_better(contest, rival)
    share = 100 / gain.benchmark_score
    words = f"{gain.value * share:.1f} % ± {gain.se * share:.1f} %"
    need = f"the tolerance of {100 * contest.tolerance:.3g} %" if contest.tolerance else "zero"
    limit = f"the lower limit of this gain (95 % confidence), {gain.low * share:.1f} %,"
    if gain.exceeds(contest.tolerance):
        return f"The LSTM beats {rival} by {words}: even {limit} is above {need}."
    doubt = f"It is not certain that the LSTM beats {rival}: it gains {words}"
    if isinf(gain.low):
        return f"{doubt} on a single stretch of forecasts, which cannot show how far that is luck."
    return f"{doubt}, and {limit} is not above {need}."


def _not_better(contest: Contest, rival: str) -> str:
    scores_E, gain = contest.race.scores_E, contest.gain
    none = scores_E.min() >= gain.benchmark_score
    start = f"No LSTM beats {rival}" if none else f"This LSTM does not beat {rival}"
    ours, theirs = _numbers(gain.se, scores_E[contest.chosen], gain.benchmark_score)
    return f"{start}: {METRICS[contest.metric]} {ours} against {theirs}."


def _numbers(se: float, score: float, *others: float) -> list[str]:
    """A score, and what stands beside it, with three digits of it and one of its standard error.

    >>> _numbers(0.0061, 0.31234, 0.009), _numbers(40.0, 1234.5), _numbers(0.0, 0.5)
    (['0.312', '0.009'], ['1234'], ['0.500'])
    """
    places = min(max(_decimals(abs(score), 3), _decimals(se, 1)), 8)
    return [f"{value:.{places}f}" for value in (score, *others)]


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - floor(log10(value))) if value > 0 else 0
