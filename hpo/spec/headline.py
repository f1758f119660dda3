"""The answer in one sentence: what is recommended, and whether an LSTM is needed at all."""

import math

from hpo.spec.answer import Answer
from hpo.spec.words import benchmark_name, size_in_words


def headline(answer: Answer) -> str:
    """The verdict of an answer that has a size."""
    assert answer.cells is not None
    size, best = size_in_words(answer.cells), best_name(answer)
    if answer.lstm_justified:
        return f"{size}; the LSTM beats every benchmark"
    assert answer.score is not None
    if answer.score < answer.benchmarks.get(answer.best_benchmark or "", -math.inf):
        verdict = f"not sure that an LSTM is needed: it beats {best}, but not beyond doubt"
    else:
        verdict = f"no LSTM is needed: {best} forecasts better"
    return f"{verdict}. The best LSTM would be {size}"


def best_name(answer: Answer) -> str:
    """The best benchmark as it is told."""
    return benchmark_name(answer.best_benchmark or "the benchmark")
