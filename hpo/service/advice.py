"""What the user should know or could do about where the answer stands, and how it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.data.prepare import Prepared
from hpo.service.results import Origin
from hpo.spec.answer import BoundInForce
from hpo.spec.words import counted, size_in_words
from hpo.training.engine import engine_for


@dataclass(frozen=True)
class Advice:
    """Sentences for the answer's reasons and warnings."""

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def advice(
    prepared: Prepared, cells: tuple[int, ...], bound: BoundInForce, skipped: int, closed_by: str
) -> Advice:
    """Advice when the answer sits at a limit, or when `closed_by` cut the search short."""
    reasons, warnings = [], []
    fewest, most = prepared.study.space.cells
    if bound.hit:
        reasons.append(
            f"{size_in_words(cells)} is at or next to the largest network that the bound allows"
            f" (rule {bound.rule}, alpha {bound.alpha:g}): a larger one might do better; a smaller"
            " --alpha or more data would let it."
        )
    elif fewest < most <= max(cells):  # a size that was fixed is what was asked for
        warnings.append(
            f"the answer has the most cells the space allows ({most} in a layer): widen --cells to"
            " see whether more would help"
        )
    if closed_by:
        budget = prepared.study.budget.trials
        warnings.append(
            f"the {closed_by} ended the search after {budget - skipped} of {budget} trials; the"
            " verdict is made on these"
        )
    return Advice(tuple(reasons), tuple(warnings))


def about_weights(effective: float | None, weights: int) -> tuple[str, ...]:
    """How many of the weights the data determine, where it was told.

    >>> about_weights(12.34, 91)
    ('Of its 91 weights the training data determine about 12 (effective number of parameters, Foresee and Hagan 1997): a second opinion, which decides nothing.',)
    >>> about_weights(None, 91)
    ()
    """  # noqa: E501
    if effective is None:
        return ()
    return (
        f"Of its {weights:,} weights the training data determine about {effective:,.0f} (effective"
        " number of parameters, Foresee and Hagan 1997): a second opinion, which decides nothing.",
    )


def engines_that_differ(
    policy: str, makers: Sequence[Origin], cells: Mapping[int, tuple[int, ...]]
) -> list[str]:
    """A warning when only a part of the networks was trained by the engine that was to do it.

    `cells`: of every trial, per layer.
    """
    others = [m for m in makers if m.engine != engine_for(policy, cells[m.trial])]
    strays, all_ = (sum(m.networks for m in some) for some in (others, makers))
    if not 0 < strays < all_:
        return []
    engines = " and ".join(sorted({m.engine for m in others}))
    return [
        f"{counted(strays, 'network')} of {all_:,} were trained by {engines}, against the study's"
        f" engine ({policy}): a worker had no other; networks of both can be compared"
    ]
