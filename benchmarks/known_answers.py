"""Series whose answer is known, since we made them: what generates them, and how they go on.

Shapes: B stretches side by side, R rows of a stretch, F features (column 0 is forecast).
`justified` says whether a network of memory cells can do clearly better there than a straight line
through the last values: that is what such series are known for, and truth.py measures it again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from hpo.training.trainer import Shape, Weights
from hpo.training.weights import initial_weights

Floats = NDArray[np.float64]
Make = Callable[[int, int, np.random.Generator], Floats]
"""(rows, stretches, generator) -> values_BRF, each stretch begun anew and burnt in."""

BURN_IN = 1_000
FRESH_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """One generated series: `rows` of it are given to a study, all else is fresh.

    `teacher`: the cells per layer of the network that made it, empty for other processes.
    """

    name: str
    kind: str
    justified: bool
    rows: int
    make: Make
    seed: int
    teacher: tuple[int, ...] = ()

    def training(self) -> Floats:
        """values_RF of the series that a study is asked about."""
        return self._series()[: self.rows]

    def fresh(self) -> Floats:
        """values_RF of 100,000 rows of how the series goes on, which no study has seen."""
        return self._series()[self.rows :]

    @lru_cache  # noqa: B019  cases live as long as the program
    def _series(self) -> Floats:
        generator = np.random.default_rng([self.seed, 1])
        values_RF: Floats = self.make(self.rows + FRESH_ROWS, 1, generator)[0]
        return values_RF


TEACHERS = ((3,), (5,), (8,), (2, 2), (2, 4), (3,), (8,), (2, 3), (4,), (12,))
TEACHER_ROWS = (1_000, 2_000, 4_000)
NOISES = (0.3, 0.5)


SEEN = 50
"""Cases with lower numbers are those that versions of the method were tried on."""


def known_answers(teachers: int = 50, repeats: int = 5, *, first: int = SEEN) -> list[Case]:
    """So many teachers, and as many series of every other process as `repeats`, numbered on."""
    return [
        *_teacher_cases(range(first, first + teachers)),
        *_others(range(first, first + repeats)),
    ]


def _teacher_cases(numbers: range) -> Iterator[Case]:
    for number in numbers:
        cells = TEACHERS[number % len(TEACHERS)]
        rows = TEACHER_ROWS[number % len(TEACHER_ROWS)]
        noise = NOISES[number // len(TEACHERS) % len(NOISES)]
        name = f"teacher-{number:02}-{'x'.join(map(str, cells))}"
        yield Case(
            name=name,
            kind="teacher",
            justified=True,
            rows=rows,
            make=partial(_taught, cells, noise, number),
            seed=number,
            teacher=cells,
        )


PROCESSES: dict[str, tuple[bool, int, Make]] = {}
"""By kind: whether memory cells are justified, rows of a series, what makes it."""


def _process(kind: str, *, justified: bool, rows: int) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        PROCESSES[kind] = (justified, rows, make)
        return make

    return keep


def _others(numbers: range) -> Iterator[Case]:
    for place, (kind, (justified, rows, make)) in enumerate(PROCESSES.items()):
        for number in numbers:
            yield Case(
                name=f"{kind}-{number}",
                kind=kind,
                justified=justified,
                rows=rows,
                make=make,
                seed=1_000 * (place + 1) + number,
            )


# ---- teachers: y_t = head(LSTM(y_1 .. y_{t-1})) + noise


@dataclass(frozen=True)
class Teacher:
    """A random network, its outputs brought to mean 0 and standard deviation 1."""

    shape: Shape
    weights: Weights
    centre: float
    scale: float


LEAST_BENT = 1.25  # the best line's mean absolute error over that of knowing the teacher
MOST_APART = 0.1  # of the spread: how far stretches of 1,000 rows may differ
MOST_TRIED = 500
REACH = 3.0  # a teacher's weights are larger than fresh ones: else it is nearly a line


def _taught(
    cells: tuple[int, ...],
    noise: float,
    seed: int,
    rows: int,
    stretches: int,
    generator: np.random.Generator,
) -> Floats:
    return listen(find_teacher(cells, noise, seed), noise, rows, stretches, generator)


@lru_cache
def find_teacher(cells: tuple[int, ...], noise: float, seed: int) -> Teacher:
    """The first random teacher whose series a line forecasts clearly worse than the teacher.

    By the mean absolute error of least squares on the last 24 values over the noise's own. A
    teacher whose series a line explains asks no question about memory cells; one that says other
    things in other stretches cannot be learnt from one of them.
    """
    for attempt in range(MOST_TRIED):
        generator = np.random.default_rng([seed, attempt, 7])
        teacher = _random_teacher(cells, generator)
        values_BR = listen(teacher, noise, 400, 50, generator)[:, :, 0]
        bent = _line_error(values_BR) / (noise * np.sqrt(2 / np.pi))
        if bent >= LEAST_BENT and _is_steady(listen(teacher, noise, 1_000, 100, generator)):
            return teacher
    raise AssertionError(f"no teacher of {cells} bends its series enough")


def _is_steady(values_BRF: Floats) -> bool:
    """Whether all stretches have about the same mean and spread."""
    spread = float(values_BRF.std())
    means_B, spreads_B = values_BRF.mean(axis=(1, 2)), values_BRF.std(axis=(1, 2))
    return bool(means_B.std() < MOST_APART * spread and spreads_B.std() < MOST_APART * spread)


def _random_teacher(cells: tuple[int, ...], generator: np.random.Generator) -> Teacher:
    shape = Shape(inputs=1, outputs=1, cells=cells)
    weights = initial_weights(shape, generator)
    weights = {
        name: np.float32(REACH) * array if "weight" in name else array
        for name, array in weights.items()
    }
    noisy_BR = listen(Teacher(shape, weights, 0.0, 1.0), 0.0, 300, 20, generator, restless=True)
    return Teacher(shape, weights, float(noisy_BR.mean()), max(float(noisy_BR.std()), 1e-3))


def listen(
    teacher: Teacher,
    noise: float,
    rows: int,
    stretches: int,
    generator: np.random.Generator,
    *,
    restless: bool = False,
) -> Floats:
    """values_BRF of what the teacher says, with noise, and hears: its own words.

    `restless`: it hears white noise instead, and what it says is returned as it is.
    """
    hidden = [(np.zeros((stretches, c)), np.zeros((stretches, c))) for c in teacher.shape.cells]
    heard_B = np.zeros(stretches)
    said_BR = np.empty((stretches, BURN_IN + rows))
    for row in range(BURN_IN + rows):
        below_BC = heard_B[:, None]
        for layer, (h_BC, c_BC) in enumerate(hidden):
            hidden[layer] = _step(teacher.weights, layer, below_BC, h_BC, c_BC)
            below_BC = hidden[layer][0]
        out_B = below_BC @ teacher.weights["head.weight"][0]
        said_B = (out_B - teacher.centre) / teacher.scale + noise * generator.normal(size=stretches)
        said_BR[:, row] = said_B
        heard_B = generator.normal(size=stretches) if restless else said_B
    return said_BR[:, BURN_IN:, None]


def _step(
    weights: Weights, layer: int, below_BC: Floats, h_BC: Floats, c_BC: Floats
) -> tuple[Floats, Floats]:
    """One step of one LSTM layer (torch.nn.LSTM): its new hidden and cell states."""
    of = f"layers.{layer}."
    gates = (
        below_BC @ weights[of + "weight_ih_l0"].T
        + h_BC @ weights[of + "weight_hh_l0"].T
        + weights[of + "bias_ih_l0"]
    )
    i, f, g, o = np.split(gates, 4, axis=1)
    c_BC = _sigmoid(f) * c_BC + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c_BC), c_BC


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _line_error(values_BR: Floats, lags: int = 24) -> float:
    """Mean absolute error of least squares on the last values, on stretches it has not seen."""
    windows = np.lib.stride_tricks.sliding_window_view(values_BR, lags + 1, axis=1)
    half = len(values_BR) // 2
    known, fresh = (part.reshape(-1, lags + 1) for part in (windows[:half], windows[half:]))
    design = np.c_[known[:, :-1], np.ones(len(known))]
    line = np.linalg.lstsq(design, known[:, -1], rcond=None)[0]
    return float(np.abs(fresh[:, -1] - np.c_[fresh[:, :-1], np.ones(len(fresh))] @ line).mean())


# ---- processes that bend or remember: memory cells are justified


@_process("recall", justified=True, rows=3_000)
def recall(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Recall on a cue: the value that a second column had when a third one was last 1, and noise.

    Cues come once in 8 steps on average. To let a value in and to keep it are what gates are for.
    """
    value_BR = generator.normal(size=(stretches, BURN_IN + rows))
    cue_BR = (generator.uniform(size=value_BR.shape) < 1 / 8).astype(np.float64)
    cue_BR[:, 0] = 1
    kept_BR = np.maximum.accumulate(np.where(cue_BR > 0, np.arange(BURN_IN + rows), 0), axis=1)
    target_BR = np.roll(np.take_along_axis(value_BR, kept_BR, axis=1), 1, axis=1)
    target_BR = target_BR + 0.3 * generator.normal(size=target_BR.shape)
    return np.stack([target_BR, value_BR, cue_BR], axis=2)[:, BURN_IN:]


@_process("setar", justified=True, rows=2_000)
def setar(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Threshold autoregression (Tong 1990): another line on either side of 0."""
    values_BR = generator.normal(size=(stretches, BURN_IN + rows))
    for row in range(1, BURN_IN + rows):
        before_B = values_BR[:, row - 1]
        level_B = np.where(before_B <= 0, -1.0 - 0.9 * before_B, 1.0 - 0.9 * before_B)
        values_BR[:, row] = level_B + 0.4 * values_BR[:, row]
    return values_BR[:, BURN_IN:, None]


@_process("mackey_glass", justified=True, rows=2_000)
def mackey_glass(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Mackey and Glass 1977, delay 17, every sixth unit of time, with a little noise seen."""
    every, step_s = 6, 0.5
    delay, fine = int(17 / step_s), int(every / step_s)
    steps = (BURN_IN + rows) * fine + delay
    x_BT = np.empty((stretches, steps))
    x_BT[:, : delay + 1] = 1.2 + 0.2 * generator.uniform(-1, 1, size=(stretches, 1))
    for t in range(delay, steps - 1):
        lagged_B = x_BT[:, t - delay]
        x_BT[:, t + 1] = x_BT[:, t] + step_s * (
            0.2 * lagged_B / (1 + lagged_B**10) - 0.1 * x_BT[:, t]
        )
    values_BR = x_BT[:, delay::fine][:, BURN_IN : BURN_IN + rows]
    seen_BR = values_BR + 0.02 * generator.normal(size=values_BR.shape)
    return seen_BR[:, :, None]


# ---- processes that are linear, or nothing but chance: no memory cells needed


@_process("white_noise", justified=False, rows=1_000)
def white_noise(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Nothing to learn: the mean is the best forecast."""
    return generator.normal(size=(stretches, rows, 1))


@_process("random_walk", justified=False, rows=1_000)
def random_walk(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Nothing to learn but the last value."""
    return np.cumsum(generator.normal(size=(stretches, rows, 1)), axis=1)


def _arma(
    ar: Sequence[float],
    ma: Sequence[float],
    rows: int,
    stretches: int,
    generator: np.random.Generator,
) -> Floats:
    shocks_BR = generator.normal(size=(stretches, BURN_IN + rows))
    values_BR = shocks_BR.copy()
    for row in range(max(len(ar), len(ma)), BURN_IN + rows):
        for lag, share in enumerate(ar, start=1):
            values_BR[:, row] += share * values_BR[:, row - lag]
        for lag, share in enumerate(ma, start=1):
            values_BR[:, row] += share * shocks_BR[:, row - lag]
    return values_BR[:, BURN_IN:, None]


_process("ar2", justified=False, rows=1_000)(partial(_arma, (1.6, -0.8), ()))
_process("arma", justified=False, rows=1_000)(partial(_arma, (0.7,), (0.5,)))


@_process("sinusoids", justified=False, rows=1_000)
def sinusoids(rows: int, stretches: int, generator: np.random.Generator) -> Floats:
    """Three waves of different lengths, and noise."""
    t_R = np.arange(rows)
    values_BR = 0.2 * generator.normal(size=(stretches, rows))
    for length, height in ((12.0, 1.0), (7.3, 0.6), (31.0, 0.8)):
        phase_B = generator.uniform(0, 2 * np.pi, size=(stretches, 1))
        values_BR += height * np.sin(2 * np.pi * t_R / length + phase_B)
    return values_BR[:, :, None]
