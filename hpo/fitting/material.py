"""What networks of one study share: samples and batch orders, each made once.

Shapes: N windows, S optimiser steps, B windows in a batch.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.data.windows import split_tail, window_starts
from hpo.fitting.schedule import batch_order
from hpo.training.trainer import Samples

MOST_WATCHED = 2048  # windows of the inner tail that are looked at in a check, evenly thinned
MOST_KEPT_BYTES = 2**28  # of batch orders, all together

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One fold at one lookback: `inner` trains, `tail` watches (None: no one), `seen` is thinned.

    `seen` are the windows of `inner` on which a trained network's loss is counted.
    """

    inner: Samples
    tail: Samples | None
    seen: Samples


class Material:
    """The parts and batch orders of a study, made when first asked for and kept.

    Threads may ask at once: two that ask for the same the first time both make it, and it is equal.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._parts: dict[tuple[int, int, bool], Part] = {}
        self._orders: dict[tuple[int, ...], Ints] = {}

    def part(self, fold: Fold, lookback: int, *, watched: bool) -> Part:
        """The samples of the fold's training part; with an inner tail if `watched`."""
        key = (fold.number, lookback, watched)
        if key not in self._parts:
            self._parts[key] = _make_part(self.prepared, fold, lookback, watched=watched)
        return self._parts[key]

    def scored(self, fold: Fold, lookback: int) -> Samples:
        """The windows that end with the fold's origins: a loss is counted after the training."""
        starts_O = fold.origins_O - lookback + 1
        return replace(self.part(fold, lookback, watched=False).inner, starts_N=starts_O)

    def order(self, fold: Fold, seed: int, *, windows: int, steps: int) -> Ints:
        """order_SB of the networks of this fold and seed, whatever their size.

        Networks of different sizes see the same batches: their differences owe nothing to these.
        """
        key = (fold.number, seed, windows, steps)
        if key in self._orders:
            return self._orders[key]
        study = self.prepared.study
        order_SB = batch_order(
            windows,
            min(study.training.batch_size, windows),
            steps,
            np.random.default_rng([study.search.seed, fold.number, seed]),
        )
        if order_SB.nbytes * self._most_orders() <= MOST_KEPT_BYTES:
            self._orders[key] = order_SB
        return order_SB

    def _most_orders(self) -> int:
        validation = self.prepared.study.validation
        return 2 * validation.seeds * (validation.folds + 1) * len(self.prepared.lookbacks)


def window_count(prepared: Prepared, fold: Fold, lookback: int, *, watched: bool) -> int:
    """How many windows a network trains on in this fold, with or without an inner tail."""
    return len(_starts(prepared, fold, lookback, watched=watched)[0])


def _make_part(prepared: Prepared, fold: Fold, lookback: int, *, watched: bool) -> Part:
    inner_N, tail_M = _starts(prepared, fold, lookback, watched=watched)
    inner = Samples(
        values_RF=prepared.scaled_of(fold),
        starts_N=inner_N,
        lookback=lookback,
        outputs=prepared.limit.outputs,
        anchored=prepared.transform_of(fold).anchored,
    )
    return Part(
        inner=inner,
        tail=replace(inner, starts_N=_thin(tail_M)) if watched else None,
        seen=replace(inner, starts_N=_thin(inner_N)),
    )


def _starts(prepared: Prepared, fold: Fold, lookback: int, *, watched: bool) -> tuple[Ints, Ints]:
    reach = {"lookback": lookback, "horizon": prepared.limit.outputs}
    if watched:
        return split_tail(prepared.panel, fold.train_ends_S, **reach)
    return window_starts(prepared.panel, fold.train_ends_S, **reach), np.empty(0, dtype=np.int64)


def _thin(starts_N: Ints) -> Ints:
    if len(starts_N) <= MOST_WATCHED:
        return starts_N
    return starts_N[np.linspace(0, len(starts_N) - 1, MOST_WATCHED).astype(np.int64)]
