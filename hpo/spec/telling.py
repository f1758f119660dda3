"""An answer in words, as the terminal, the report and the pages tell it."""

import math

from hpo.spec.answer import Answer
from hpo.spec.words import benchmark_name, size_in_words


def headline(answer: Answer) -> str:
    """The verdict in one sentence; where there is none yet, the study's state."""
    if answer.cells is None or answer.score is None:
        return f"{answer.study} is {answer.state}, no verdict yet"
    size, best = size_in_words(answer.cells), best_name(answer)
    if answer.lstm_justified:
        return f"{size}; the LSTM beats every benchmark"
    if answer.score < answer.benchmarks.get(answer.best_benchmark or "", -math.inf):
        verdict = f"not sure that an LSTM is needed: it beats {best}, but not beyond doubt"
    else:
        verdict = f"no LSTM is needed: {best} forecasts better"
    return f"{verdict}. The best LSTM would be {size}"


def best_name(answer: Answer) -> str:
    """The best benchmark by its name."""
    return benchmark_name(answer.best_benchmark or "the benchmark")


def number(value: float) -> str:
    """Four significant digits, without exponents for everyday sizes.

    >>> number(0.31249), number(12345.678), number(23.4)
    ('0.3125', '12346', '23.4')
    """
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def with_error(value: float, error: float | None) -> str:
    """A score and its standard error.

    >>> with_error(0.39949, 0.0447), with_error(0.5, None)
    ('0.3995 ± 0.045', '0.5')
    """
    return number(value) if error is None else f"{number(value)} ± {error:.2g}"


def versus(score: float, benchmark: float) -> str:
    """How much higher or lower the LSTM's error is than a benchmark's.

    Empty where the benchmark's is next to nothing: then no share says anything.

    >>> versus(0.55, 0.5), versus(0.4, 0.5), versus(1.6, 0.5), versus(0.4, 0.0)
    ('10.0% higher', '20.0% lower', '3.2 times as high', '')
    """
    if not benchmark > score / 1000:
        return ""
    share = score / benchmark - 1
    if share >= 1:
        return f"{share + 1:.2g} times as high"
    return f"{abs(share):.1%} {'higher' if share > 0 else 'lower'}"


def duration(seconds: float) -> str:
    """A length of time as people say it.

    >>> duration(42.4), duration(150), duration(7260)
    ('42 s', '2.5 min', '2 h 1 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.3g} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
