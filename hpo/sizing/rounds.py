"""Further rounds of the race: which finalists more seeds could still put on the other side.

Shapes: E entrants.
"""

import numpy as np

from hpo.sizing.race import Flags, Race
from hpo.sizing.resampling import Floats
from hpo.spec.words import counted, size_in_words

MOST_ROUNDS = 3  # after the first
TIE_SES = 1.25  # of a paired difference, in a race of more than one round: see `undecided`
CLEAR_SES = 2.0  # of seed noise: as far from the margin a tie or a loss counts as settled
SMALL_SHARE = 0.1  # of the variance over origins, below which seeds matter no more


def undecided(race: Race, tolerance: float) -> list[int]:
    """The entrants to be trained with further seeds, in the race's order; empty: it is decided.

    An entrant is as good as the best, or not, by its paired difference and a margin that more
    seeds bring down to max(SE over origins, tolerance * best score); they cannot lower the
    variance over origins. Its side is open while the difference is within two standard errors of
    seed noise of that margin, unless the noise is small: at most a tenth of the variance over
    origins, or two of its standard errors within the tolerance. Sides of entrants with more
    weights than one that is clearly as good do not change what is recommended: they are left as
    they are. With an open side the best is open too, to which it is compared.

    The noise of one entrant is told by few seeds: it counts as no smaller than the mean of all.
    Where all have one seed nothing tells it, and nothing is open.

    A standard error that shrinks with every round would part equally good networks more often (of
    six, the smallest would be chosen in 51 to 62 % of studies, 56 to 62 % before): in a race of
    further rounds a tie reaches to 1.25 standard errors, which gives 64 to 73 %. Of a size that is
    needed, and of which seeds hide the need, 64 to 88 % of studies then find it, 35 to 66 % before
    (simulated; the tests repeat it).
    """
    if all(len(entrant.losses_SO) < 2 for entrant in race.entrants):
        return []
    open_E = _open_sides(race, tolerance)
    clearly_E = race.tied_with(race.best, tolerance) & ~open_E
    sizes = race.by_size()
    open_E[sizes[sizes.index(race.smallest(clearly_E)) :]] = False
    open_E[race.best] = open_E.any()
    return [int(e) for e in np.flatnonzero(open_E)]


def about_rounds(race: Race, tolerance: float, *, closed_by: str) -> tuple[str, ...]:
    """A sentence on the seeds of the race and on what they leave open, where there is any to say.

    `closed_by`: what ended the search before its budget was spent, and so left no further rounds.
    """
    seeds = sorted({len(entrant.losses_SO) for entrant in race.entrants})
    close = [e for e in undecided(race, tolerance) if e != race.best]
    said = []
    if len(seeds) > 1:
        said.append(
            f"the finalists raced with {seeds[0]} to {seeds[-1]} fresh seeds, more where they could"
            " decide"
        )
    if close:
        cut = f", and the {closed_by} left no more rounds" if closed_by else ""
        name, others = size_in_words(race.entrants[close[0]].cells), len(close) - 1
        who = f"{name} is" if not others else f"{name} and {counted(others, 'other')} are"
        said.append(
            f"whether {who} as good as the best is a close call that more seeds (--seeds) could"
            f" turn{cut}"
        )
    sentence = "; ".join(said)
    return (f"{sentence[0].upper()}{sentence[1:]}.",) if said else ()


def _open_sides(race: Race, tolerance: float) -> Flags:
    seed_sd_E, origin_sd_E = _spreads(race)
    tolerated = tolerance * float(race.scores_E[race.best])
    margins_E = np.maximum(origin_sd_E, tolerated)
    near_E = np.abs(race.behind(race.best) - margins_E) < CLEAR_SES * seed_sd_E
    small_E = (seed_sd_E**2 <= SMALL_SHARE * origin_sd_E**2) | (CLEAR_SES * seed_sd_E < tolerated)
    open_E: Flags = near_E & ~small_E
    open_E[race.best] = False
    return open_E


def _spreads(race: Race) -> tuple[Floats, Floats]:
    """Standard deviations of the paired differences to the best: of seeds, and over origins."""
    seeds_E = np.array([len(entrant.losses_SO) for entrant in race.entrants])
    per_seed = float((race.seed_var_E * seeds_E)[seeds_E > 1].mean())
    seed_var_E = np.maximum(race.seed_var_E, per_seed / seeds_E)
    behind_BE = race.scores_BE - race.scores_BE[:, [race.best]]
    return np.sqrt(seed_var_E + seed_var_E[race.best]), behind_BE.std(axis=0)
