"""What a person looks at in Python: figures by name, frames, the card of a study."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpo.errors import DataError, StudyFailed, UsageError
from hpo.handle import StudyHandle
from hpo.service import results
from hpo.service.database import Database
from hpo.spec.answer import Answer
from hpo.training.trainer import Shape
from hpo.web.card import card_without_study
from tests.integration.service.stage import change, opened, submit, worker
from tests.integration.service.test_final_race import SeedyTrainer, raced, study, to_the_verdict
from tests.unit.search.fake_trainer import FakeTrainer


class Seen(NamedTuple):
    """A study in a database of its own."""

    handle: StudyHandle
    answer: Answer


@pytest.fixture
def done(sqlite_url: str) -> Seen:
    answer = raced(sqlite_url, SeedyTrainer(noise=5.0))
    return Seen(StudyHandle("tiny", sqlite_url, None), answer)


@pytest.fixture
def open_study(sqlite_url: str) -> StudyHandle:
    """Its trials have ended, its verdict is still to be made."""
    with opened(sqlite_url) as database:
        submit(database, study())
        to_the_verdict(database, SeedyTrainer(noise=5.0))
    return StudyHandle("tiny", sqlite_url, None)


@pytest.fixture
def queued(sqlite_url: str) -> StudyHandle:
    with opened(sqlite_url) as database:
        submit(database, study())
    return StudyHandle("tiny", sqlite_url, None)


@contextmanager
def of(handle: StudyHandle) -> Iterator[Database]:
    with opened(handle.storage, create=False) as database:
        yield database


def labels(figure: Figure) -> str:
    """Every text of the figure."""
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    names = [axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    return " ".join([*texts, *names, *(word for words in legends for word in words)])


def test_a_figure_is_matplotlibs_and_can_be_saved(done: Seen, tmp_path: Path) -> None:
    figure = done.handle.plot()
    assert isinstance(figure, Figure)
    assert "recommended" in labels(figure)
    assert "finalist, fresh seeds" in labels(figure)
    figure.savefig(tmp_path / "curve.png")
    figure.savefig(tmp_path / "curve.svg")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_notebook_shows_a_figure_twice_as_fine_as_it_is_large(done: Seen) -> None:
    figure = done.handle.plot()
    png, shown = figure._repr_png_()  # type: ignore[attr-defined]
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (int(2 * shown["width"]), int(2 * shown["height"]))


def test_every_figure_of_the_report_has_its_name(done: Seen, tmp_path: Path) -> None:
    names = {path.stem for path in done.handle.figures(tmp_path)}
    assert {"size-curve", "fit-and-forecast", "test-span"} <= names
    for name in names:
        assert done.handle.plot(name).axes


def test_a_name_that_is_none_is_refused_with_those_that_are(done: Seen) -> None:
    with pytest.raises(UsageError, match="no figure 'curve' of 'tiny'; there are: size-curve, "):
        done.handle.plot("curve")


def test_before_the_verdict_the_size_curve_shows_what_is_known(open_study: StudyHandle) -> None:
    said = labels(open_study.plot())
    assert "best so far" in said
    assert "MASE on the folds" in said
    with pytest.raises(UsageError, match="there are: size-curve; the others come with the verdict"):
        open_study.plot("test-span")


def test_before_the_first_trial_there_is_nothing_to_draw(queued: StudyHandle) -> None:
    with pytest.raises(StudyFailed, match="is queued and has no complete trial to draw yet"):
        queued.plot()


def test_without_its_data_the_size_curve_is_drawn_from_the_trials(done: Seen) -> None:
    change(
        done.handle.storage,
        "UPDATE hpo_data SET parquet = NULL, uri = 'file:///nowhere/sales.csv', sha256 = 'x'",
    )
    assert "recommended" in labels(done.handle.plot())
    assert done.handle.answer_frame()["score_se"].notna().sum() == 1, "the network's own"


def test_the_frame_of_the_answer_has_the_network_and_every_benchmark(done: Seen) -> None:
    frame, answer = done.handle.answer_frame(), done.answer
    assert list(frame["score"]) == sorted(frame["score"])
    assert frame.attrs == {"study": "tiny", "state": "done", "metric": answer.metric}
    by_name = frame.set_index("competitor")
    assert set(by_name.index) == {"lstm", *answer.benchmarks}
    ours, best = by_name.loc["lstm"], by_name.loc[answer.best_benchmark or ""]
    assert (ours["cells"], ours["weights"]) == (answer.cells, answer.weights)
    assert (ours["score"], ours["score_se"]) == (answer.score, answer.score_se)
    assert (ours["test_score"], ours["test_se"]) == (answer.test_score, answer.test_se)
    assert ours["ratio"] == pytest.approx(ours["score"] / best["score"])
    assert (best["ratio"], best["test_ratio"]) == (1, 1)


def test_the_standard_errors_of_benchmarks_are_of_the_size_of_their_losses(done: Seen) -> None:
    frame = done.handle.answer_frame().set_index("competitor")
    with of(done.handle) as database:
        losses = results.benchmarks_of(database, "tiny")
    for name, per_fold in losses.items():
        loss_O = np.concatenate(per_fold[:-1])
        rough = loss_O.std() / np.sqrt(len(loss_O))
        assert rough / 3 < frame.loc[name, "score_se"] < 3 * rough
        assert float(frame.loc[name, "test_se"]) > 0  # type: ignore[arg-type]


def test_before_the_verdict_the_frame_has_the_benchmarks_alone(open_study: StudyHandle) -> None:
    frame = open_study.answer_frame()
    assert "lstm" not in set(frame["competitor"])
    assert len(frame) >= 5
    assert frame["test_score"].isna().all()


def test_the_frame_of_trials_tells_each_by_its_number(done: Seen) -> None:
    frame = done.handle.trials_frame()
    assert list(frame["number"]) == list(range(done.answer.trials.ended))
    assert set(frame["state"]) <= {"complete", "pruned", "infeasible"}
    chosen = frame.loc[done.answer.trial]
    assert (chosen["cells"], chosen["weights"]) == (done.answer.cells, done.answer.weights)
    assert chosen["learning_rate"] == done.answer.learning_rate
    assert chosen["lookback"] == done.answer.lookback
    assert (frame["cells"].map(sum) == frame["cells_total"]).all()
    assert (frame["cells"].map(len) == frame["layers"]).all()
    assert frame["worker"].all()


def test_frames_of_a_study_that_has_not_begun_have_the_same_columns(queued: StudyHandle) -> None:
    frame = queued.trials_frame()
    assert frame.empty
    assert frame.dtypes["score"] == np.float64
    assert frame.dtypes["lookback"] == pd.Int64Dtype()
    assert queued.answer_frame().empty


def test_trials_that_a_cancelled_study_left_are_failed(queued: StudyHandle) -> None:
    seen: list[str] = []

    def look_and_cancel(_: Shape) -> None:
        if not seen:
            seen.extend(queued.trials_frame()["state"])
            queued.cancel()

    with of(queued) as database:
        worker(database, FakeTrainer(before=look_and_cancel)).run()
    assert set(seen) == {"running"}
    assert list(queued.trials_frame()["state"]) == ["failed"] * len(seen)


def test_the_card_of_a_study_that_is_done_tells_the_verdict_and_three_numbers(done: Seen) -> None:
    html = done.handle._repr_html_()
    assert f"{done.answer.score:.4g}" in html
    assert f"{done.answer.weights:,} weights" in html
    assert "The best LSTM would be" in html or "beats every benchmark" in html
    assert 'role="img"' in html
    assert "<progress" not in html
    assert not re.search(r"<script|<style|https?://(?!www\.w3\.org)", html)
    assert not re.search(r"(?:fill|stroke): #", html), "in the colours of the page"


def test_the_card_of_an_open_study_tells_how_far_it_is(open_study: StudyHandle) -> None:
    html = open_study._repr_html_()
    assert re.search(r'<progress value="\d+" max="\d+"', html)
    assert re.search(r"best so far \d layers? of .*: MASE \d", html)
    assert "best benchmark" in html


def test_the_card_of_a_failed_study_tells_why_with_no_markup_of_others(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, study())
        worker(database, FakeTrainer()).run()
    change(sqlite_url, "UPDATE hpo_study SET state = 'failed', answer = NULL, error = '<b>boo</b>'")
    html = StudyHandle("tiny", sqlite_url, None)._repr_html_()
    assert "&lt;b&gt;boo&lt;/b&gt;" in html
    assert "<b>" not in html + card_without_study("<b>", DataError("<b>"))


@pytest.mark.parametrize(
    "storage", ["sqlite:///{folder}/none.db", "postgresql://ann:secret@127.0.0.1:9/hpo"]
)
def test_a_card_never_fails_and_tells_that_the_database_is_away(
    storage: str, tmp_path: Path
) -> None:
    html = StudyHandle("tiny", storage.format(folder=tmp_path), None)._repr_html_()
    assert "<strong>tiny</strong>" in html
    assert "cannot be read now" in html
    assert "secret" not in html


def test_the_card_of_a_study_that_was_deleted_says_so(done: Seen) -> None:
    done.handle.delete()
    assert "no study &#39;tiny&#39;" in done.handle._repr_html_()
