"""A pool trains many networks at once, and what comes of each depends on its job alone."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.fitting import pool as module
from hpo.fitting.fit import Fitted
from hpo.fitting.pool import Job, OnSaved, Pool, Result, Saved, TimeLimit
from hpo.spec.candidate import Candidate
from hpo.training.engine import Engines, native_is_available
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Diverged, OutOfMemory, Shape, Stopped, Trainer
from tests.unit.search.fake_trainer import FakeTrainer, tiny_prepared

PREPARED = tiny_prepared(validation={"folds": 2, "seeds": 2})
ENGINES = ["torch", *(["native"] if native_is_available() else [])]


def job(cells: int = 2, seed: int = 0, fold: int = 0, **values: Any) -> Job:
    candidate = Candidate(
        cells=(cells,),
        learning_rate=0.01,
        weight_decay=0.0,
        dropout=0.2,
        lookback=PREPARED.lookbacks[-1],
    )
    return Job(trial=cells, fold=fold, candidate=candidate, seed=seed, **values)


def jobs() -> list[Job]:
    return [job(cells, seed, fold) for cells in (2, 5) for seed in (0, 1) for fold in (0, 1)]


def run(
    todo: list[Job],
    trainer: Trainer | Callable[[Shape], Trainer],
    *,
    threads: int = 1,
    go_on: Callable[[], bool] = lambda: True,
    on_results: Callable[[Mapping[Job, Result]], None] = lambda _: None,
    on_saved: OnSaved = lambda *_: None,
    clock: Callable[[], float] = lambda: 0.0,
) -> dict[Job, Result]:
    trainer_for = trainer if callable(trainer) else lambda _: trainer
    with closing(Pool(PREPARED, trainer_for, threads=threads, clock=clock)) as pool:
        return pool.run(todo, go_on=go_on, on_results=on_results, on_saved=on_saved)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_the_same_bit_for_bit_whatever_the_number_of_threads(engine: str) -> None:
    runs = []
    for threads in (1, 2, 4):
        todo = jobs()
        found = run(todo, Engines(engine, "cpu").trainer_for, threads=threads)
        assert list(found) == todo
        runs.append([result for result in found.values() if isinstance(result, Fitted)])
    for others in runs[1:]:
        assert len(others) == len(runs[0]) == 8
        for one, other in zip(runs[0], others, strict=True):
            np.testing.assert_array_equal(one.losses_O, other.losses_O)
            assert (one.steps, one.train_loss, one.watch_loss, one.engine) == (
                (other.steps, other.train_loss, other.watch_loss, engine)
            )
            assert all((one.weights[name] == other.weights[name]).all() for name in one.weights)


def test_two_threads_train_at_the_same_moment() -> None:
    together = threading.Barrier(2, timeout=20)
    found = run([job(2), job(3)], FakeTrainer(before=lambda _: ignore(together.wait())), threads=2)
    assert len(found) == 2


def ignore(_: object) -> None:
    """Nothing."""


@pytest.mark.parametrize("failure", [Diverged("at step 3"), OutOfMemory("no room")])
def test_a_network_that_fails_is_a_result_and_ends_nothing_else(failure: Exception) -> None:
    def refuse(shape: Shape) -> None:
        if shape.cells == (3,):
            raise failure

    results = list(run([job(2), job(3), job(4)], FakeTrainer(before=refuse)).values())
    assert results[1] is failure
    assert [type(result) for result in results[::2]] == [Fitted, Fitted]


def test_an_unexpected_error_comes_through_and_what_was_not_begun_is_not() -> None:
    def break_(shape: Shape) -> None:
        if shape.cells == (3,):
            raise ZeroDivisionError("a mistake of ours")

    trainer = FakeTrainer(before=break_)
    handed: list[Job] = []

    def on_results(new: Mapping[Job, Result]) -> None:
        handed.extend(new)

    todo = [job(2), job(3), *(job(4) for _ in range(50))]
    with pytest.raises(ZeroDivisionError):
        run(todo, trainer, on_results=on_results)
    assert handed == todo[:1], "what was trained is handed over"
    assert trainer.trained == [(Shape(inputs=1, outputs=1, cells=(2,), dropout=0.2))]


def test_an_error_in_one_network_stops_the_training_of_the_others() -> None:
    begun = threading.Event()

    class Endless(FakeTrainer):
        def train(self, shape: Shape, *rest: Any, **_: Any) -> Any:
            if shape.cells == (3,):
                assert begun.wait(20)
                raise ZeroDivisionError
            begun.set()
            on_check = rest[-1]
            while on_check(1, 1.0):
                threading.Event().wait(0.001)
            raise Stopped

    with pytest.raises(ZeroDivisionError):
        run([job(2), job(3)], Endless(), threads=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_asked_to_stop_it_drops_what_trains_and_raises(threads: int) -> None:
    trainer, answers = FakeTrainer(), iter([True, True, True, True, True])
    with pytest.raises(Stopped):
        run(jobs(), trainer, threads=threads, go_on=lambda: next(answers, False))
    assert len(trainer.trained) <= 2


def test_what_go_on_raises_comes_through() -> None:
    class Lost(Exception):
        pass

    def lose() -> bool:
        raise Lost

    trainer = FakeTrainer()
    with pytest.raises(Lost):
        run(jobs(), trainer, threads=2, go_on=lose)
    assert trainer.trained == []


def test_what_on_results_raises_comes_through_and_ends_the_rest() -> None:
    def refuse(_: Mapping[Job, Result]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(jobs(), FakeTrainer(), threads=2, on_results=refuse)


def test_every_result_is_handed_over_once() -> None:
    handed: list[Job] = []
    todo = jobs()
    run(todo, FakeTrainer(), threads=2, on_results=handed.extend)
    assert len(handed) == len(todo)
    assert set(handed) == set(todo)


def test_a_slow_network_does_not_keep_others_from_being_handed_over() -> None:
    handed = threading.Event()

    def wait_in_the_last(shape: Shape) -> None:
        if shape.cells == (9,):
            assert handed.wait(20)

    trainer = FakeTrainer(before=wait_in_the_last)
    run([job(2), job(9)], trainer, threads=2, on_results=lambda _: handed.set())
    assert len(trainer.trained) == 2


def test_the_time_limit_counts_what_the_trials_networks_trained_together() -> None:
    now = iter(np.arange(0.0, 1000.0, 1.0).tolist())  # a second between any two looks
    todo = [job(seed=seed, limit_s=10.5, spent_s=2.0) for seed in range(4)]
    results = list(run(todo, FakeTrainer(), clock=lambda: next(now)).values())
    assert [type(result) for result in results[:2]] == [Fitted, Fitted]  # of 4 s each
    assert isinstance(results[2], TimeLimit)  # at its check, after 2 + 4 + 4 + 1 s
    assert isinstance(results[3], TimeLimit)
    assert "budget.trial_timeout_s = 10.5" in str(results[3])


def test_no_job_gives_no_result() -> None:
    assert run([], FakeTrainer()) == {}


def every_step() -> TorchTrainer:
    """Torch, that asks after every step whether to go on."""
    return TorchTrainer("cpu", quiet_s=0)


def same(one: Result, other: Result) -> bool:
    assert isinstance(one, Fitted)
    assert isinstance(other, Fitted)
    return (
        one.losses_O.tobytes() == other.losses_O.tobytes()
        and all((one.weights[name] == other.weights[name]).all() for name in one.weights)
        and (one.steps, one.watch_loss) == (other.steps, other.watch_loss)
    )


def test_a_training_that_is_halted_goes_on_from_what_was_saved_to_the_same_result() -> None:
    [whole] = run([job()], every_step()).values()
    answers, saved = iter([True] * 9), list[Saved]()
    with pytest.raises(Stopped):
        run(
            [job()],
            every_step(),
            go_on=lambda: next(answers, False),
            on_saved=lambda _, half: saved.append(half),
            clock=iter(range(1000)).__next__,
        )
    [half] = saved
    assert half.wall_s > 0
    walls = []
    for saved_s in (half.wall_s, 0.0):
        again = job(saved=replace(half, wall_s=saved_s))
        [rest] = run([again], every_step(), clock=iter(range(1000)).__next__).values()
        assert isinstance(rest, Fitted)
        assert same(rest, whole)
        walls.append(rest.wall_s)
    assert walls[0] - walls[1] == half.wall_s, "the seconds before the halt count"


def test_a_long_training_is_saved_now_and_then_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 5.0)
    [whole] = run([job()], every_step()).values()
    saved: list[Saved] = []
    clock = iter(np.arange(0.0, 1000.0, 1.0).tolist())
    found = run(
        [job()],
        every_step(),
        on_saved=lambda _, half: saved.append(half),
        clock=lambda: next(clock),
    )
    assert same(found[job()], whole)
    assert len(saved) > 3
    walls = [half.wall_s for half in saved]
    assert walls == sorted(walls)


@pytest.mark.skipif(not native_is_available(), reason="there is no native engine")
def test_a_state_of_another_engine_is_not_used_and_the_training_begins_anew() -> None:
    [whole] = run([job()], TorchTrainer("cpu")).values()
    answers, saved = iter([True] * 9), list[Saved]()
    native = Engines("native", "cpu").trainer_for(Shape(inputs=1, outputs=1, cells=(2,)))
    native.quiet_s = 0.0  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        run(
            [job()],
            native,
            go_on=lambda: next(answers, False),
            on_saved=lambda _, half: saved.append(half),
        )
    [anew] = run([job(saved=saved[0])], TorchTrainer("cpu")).values()
    assert same(anew, whole)


def test_a_state_that_is_too_large_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STATE_BYTES", 100)
    answers, saved = iter([True] * 9), list[Saved]()
    with pytest.raises(Stopped):
        run(
            [job()],
            every_step(),
            go_on=lambda: next(answers, False),
            on_saved=lambda _, half: saved.append(half),
        )
    assert saved == []
