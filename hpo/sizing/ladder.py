"""The ladder: from the smallest network up, a larger one only where it pays.

A rung is a size at a setting of everything else that is tuned (learning rate first), given as the
place of each value among those that are tried. The rule is a function of what is known of rungs:
which must be known next, or how it ended. Its rate of false growth is simulated in
tests/unit/sizing/test_ladder.py.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isinf
from typing import NamedTuple

PATIENCE = 3  # widths in a row that do not pay
GROWTH = 2**0.5  # from one width to the next
TUNED_UP_TO = 4.0  # times the cells at which the setting was tuned; then it is looked at again
ORDINALS = {2: "second", 3: "third"}
WIDER = 1.1  # times the cells before, at the bound: else it is hardly another network
SCOUT = 4.0  # times the cells of the last network that paid: is there something far above?


class Rung(NamedTuple):
    """A network to be tried: its cells per layer, and the place of each tuned value."""

    cells: tuple[int, ...]
    setting: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """A rung compared with the network that it would replace.

    `gain`: how much lower its score is, in pairs, on the metric's scale, and its standard error;
    `pays`: whether that is worth the larger network.
    """

    over: Rung
    rung: Rung
    gain: float
    se: float
    pays: bool


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What is known of rungs: their scores (infinite where one could not be trained), and looks.

    `compare` is asked for (the network to replace, the larger one, all that the climb has seen).
    """

    scores: dict[Rung, float]
    compare: Callable[[Rung, Rung, Sequence[Rung]], Look]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Where the ladder stands and how far it may go.

    `settings`: how many values each tuned parameter has, in ascending order; `start`: the places
    to begin at. `layers`: fewest and most. `fewest`, `most`: cells of a layer. `fits`: whether the
    bound allows the cells per layer.
    """

    settings: tuple[int, ...]
    start: tuple[int, ...]
    layers: tuple[int, int]
    fewest: int
    most: int
    fits: Callable[[tuple[int, ...]], bool]

    def widths(self, above: int) -> list[int]:
        """The widths above this one, in steps of about sqrt(2), and last the most.

        >>> ladder = Ladder(settings=(1,), start=(0,), layers=(1, 1), fewest=2, most=40,
        ...                 fits=lambda cells: True)
        >>> ladder.widths(2)
        [3, 4, 6, 8, 11, 16, 23, 32, 40]
        """
        found, step = [], 0
        while (width := round(2 * GROWTH**step)) < self.most:
            found.append(width)
            step += 1
        return [w for w in dict.fromkeys([*found, self.most]) if w > max(above, self.fewest)]

    def fitting_widths(self, above: int, layers: int) -> list[int]:
        """Those within the bound for so many equal layers, and the largest that is, if it is wider.

        Wider by a tenth at least.

        >>> ladder = Ladder(settings=(1,), start=(0,), layers=(1, 2), fewest=2, most=64,
        ...                 fits=lambda cells: sum(cells) <= 28)
        >>> ladder.fitting_widths(8, layers=1), ladder.fitting_widths(8, layers=2)
        ([11, 16, 23, 28], [11, 14])
        """
        widths = self.widths(above)
        fitting = [w for w in widths if self.fits((w,) * layers)]
        if len(fitting) < len(widths):
            least = fitting[-1] if fitting else max(above, self.fewest)
            between = range(widths[len(fitting)] - 1, least, -1)
            widest = next((w for w in between if self.fits((w,) * layers)), least)
            if widest >= WIDER * least:
                fitting.append(widest)
        return fitting


@dataclass(frozen=True, kw_only=True)
class Climb:
    """How far the ladder was climbed on what is known.

    `wanted`: rungs that must be known before it goes on, none when it has ended; `ahead`: those
    that may be wanted next. `top`: the network that paid last. `looks`: every comparison, in order;
    `story`: why each part of the climb ended, in words. `seen`: all rungs that it rests on.
    """

    wanted: tuple[Rung, ...]
    ahead: tuple[Rung, ...]
    top: Rung
    looks: tuple[Look, ...]
    story: tuple[str, ...]
    seen: tuple[Rung, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be tried."""
        return not self.wanted


class _Wanted(NamedTuple):
    now: Sequence[Rung]
    ahead: Sequence[Rung]


_Steps = Generator[_Wanted, None, Rung]


@dataclass
class _Climber:
    ladder: Ladder
    known: Trials
    top: Rung
    looks: list[Look] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    seen: list[Rung] = field(default_factory=list)

    def climb(self) -> _Steps:
        """From the first network to the last that pays."""
        fewest_layers, most_layers = self.ladder.layers
        second = (self.ladder.widths(self.ladder.fewest) or [self.ladder.fewest])[0]
        small = Rung((second,) * fewest_layers, self.ladder.start)
        if not self.ladder.fits(small.cells):
            small = self.top
        small = yield from self._tune(small, also=[self.top])
        self.top = Rung(self.top.cells, small.setting)
        yield _Wanted([self.top], [])
        yield from self._widen(small)
        for layers in range(fewest_layers + 1, most_layers + 1):
            below, looks = self.top, len(self.looks)
            yield from self._deepen()
            if self.top == below:
                layer = f"{ORDINALS.get(layers, f'{layers}th')} layer"
                tried = len(self.looks) > looks
                self.story.append(f"a {layer} does not pay" if tried else f"no {layer} fits")
                break
        return (yield from self._settle())

    def _settle(self) -> _Steps:
        """The top at its best setting, and its neighbours in size at those beside its own.

        The verdict then compares sizes each at a setting of its own, not all at that of small ones.
        """
        self.top = yield from self._tune(self.top)
        widths = [self.ladder.fewest, *self.ladder.widths(self.ladder.fewest)]
        below = [w for w in widths if w < max(self.top.cells)][-1:]
        above = [w for w in widths if w > max(self.top.cells)][:1]
        sizes = [self._as_wide(width) for width in (*below, *above)]
        around = [self.top.setting[0] + step for step in (-1, 0, 1)]
        rungs = [
            _at(Rung(cells, self.top.setting), 0, place)
            for cells in sizes
            for place in around
            if self.ladder.fits(cells) and 0 <= place < self.ladder.settings[0]
        ]
        yield _Wanted(rungs, [])
        return self.top

    def _as_wide(self, width: int) -> tuple[int, ...]:
        """The top's layers, none wider than this, or the widest as wide."""
        widest = max(self.top.cells)
        if width < widest:
            return tuple(min(c, width) for c in self.top.cells)
        return tuple(width if c == widest else c for c in self.top.cells)

    def _tune(self, rung: Rung, *, also: Sequence[Rung] = ()) -> _Steps:
        """The best setting of a size: value by value, each to better neighbours while there are."""
        for place, count in enumerate(self.ladder.settings):
            best_before = None
            while best_before != rung:
                best_before = rung
                around = [_at(rung, place, rung.setting[place] + step) for step in (-1, 1)]
                around = [r for r in around if 0 <= r.setting[place] < count]
                yield _Wanted([*also, rung, *around], [])
                rung = min([rung, *around], key=partial(self._rank, place))
        return rung

    def _rank(self, place: int, rung: Rung) -> tuple[float, int]:
        """Its score; of rungs that could not be trained the one with the lower value is first."""
        score = self.known.scores[rung]
        return score, rung.setting[place] if isinf(score) else 0

    def _widen(self, tuned: Rung) -> _Steps:
        """More cells in every layer, while some of the next few widths pays."""
        tuned_cells, has_scouted = max(tuned.cells), False
        while True:
            widths = self._wider(max(self.top.cells))
            near, far = widths[:PATIENCE], widths[PATIENCE:]
            if not near:
                self.story.append("there is no wider network within the bound and the space")
                return self.top
            lower = self._at_lower_rate(near[-1])
            yield _Wanted([*near, *lower], far[:2])
            if self._first_that_pays([*near, *lower]):
                if max(self.top.cells) >= TUNED_UP_TO * tuned_cells:
                    self.top = yield from self._tune(self.top)
                    tuned_cells = max(self.top.cells)
                continue
            if not has_scouted:
                has_scouted = True
                scout = self._scout(far)
                yield _Wanted(scout, [])
                if scout and self._look(scout[0]).pays:
                    between = [r for r in far if max(r.cells) <= max(scout[0].cells)]
                    between = [Rung(r.cells, scout[0].setting) for r in between]
                    yield _Wanted(between, [])
                    self._first_that_pays(between)
                    continue
            self.story.append(f"none of {', '.join(str(max(r.cells)) for r in near)} cells pays")
            return self.top

    def _scout(self, far: Sequence[Rung]) -> list[Rung]:
        """One network far above, at a lower rate, as wide ones need."""
        reach = SCOUT * max(self.top.cells)
        within = [r for r in far if max(r.cells) <= reach]
        return [(self._at_lower_rate(within[-1]) or within[-1:])[0]] if within else []

    def _wider(self, than: int) -> list[Rung]:
        layers = len(self.top.cells)
        widths = self.ladder.fitting_widths(than, layers)
        return [Rung((width,) * layers, self.top.setting) for width in widths]

    def _at_lower_rate(self, rung: Rung) -> list[Rung]:
        """The widest network also at the next lower rate: wide ones often need it."""
        place = rung.setting[0] - 1
        return [_at(rung, 0, place)] if place >= 0 else []

    def _deepen(self) -> _Steps:
        """One more layer on top of what paid, with few cells first."""
        below = self.top.cells
        has_grown = False
        while True:
            least = self.top.cells[-1] if has_grown else self.ladder.fewest - 1
            all_widths = [self.ladder.fewest, *self.ladder.widths(self.ladder.fewest)]
            widths = [w for w in all_widths if least < w <= max(below[-1], 2 * self.ladder.fewest)]
            near = [Rung((*below, w), self.top.setting) for w in widths[::2][:2]]
            near = [r for r in near if self.ladder.fits(r.cells)]
            if not near:
                return self.top
            yield _Wanted(near, [])
            if not self._first_that_pays(near):
                return self.top
            has_grown = True

    def _first_that_pays(self, rungs: Sequence[Rung]) -> bool:
        """Go up to the first of these that pays; False where none does."""
        for rung in rungs:
            if self._look(rung).pays:
                self.top = rung
                return True
        return False

    def _look(self, rung: Rung) -> Look:
        for before in self.looks:  # the scout, on the way to it
            if (before.over, before.rung) == (self.top, rung):
                return before
        look = self.known.compare(self.top, rung, tuple(self.seen))
        self.looks.append(look)
        return look


def _at(rung: Rung, place: int, value: int) -> Rung:
    setting = list(rung.setting)
    setting[place] = value
    return Rung(rung.cells, tuple(setting))


def climb(ladder: Ladder, known: Trials) -> Climb:
    """Climb as far as what is known allows."""
    first = Rung((ladder.fewest,) * ladder.layers[0], ladder.start)
    climber = _Climber(ladder, known, first)
    for wanted in climber.climb():
        missing = [rung for rung in dict.fromkeys(wanted.now) if rung not in known.scores]
        if missing:
            ahead = [rung for rung in wanted.ahead if rung not in known.scores]
            return _climbed(climber, missing, ahead)
        climber.seen += [rung for rung in dict.fromkeys(wanted.now) if rung not in climber.seen]
    return _climbed(climber, [], [])


def _climbed(climber: _Climber, wanted: Sequence[Rung], ahead: Sequence[Rung]) -> Climb:
    return Climb(
        wanted=tuple(wanted),
        ahead=tuple(ahead),
        top=climber.top,
        looks=tuple(climber.looks),
        story=tuple(climber.story),
        seen=tuple(climber.seen),
    )
