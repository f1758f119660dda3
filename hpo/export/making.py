"""A model is made of what a study recommends: refitted on every row, and written with its evidence.

Shapes: O origins, H horizon.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hpo.data import calendar
from hpo.data.folds import Fold
from hpo.data.panel import Panel
from hpo.data.prepare import Prepared, with_all_rows
from hpo.export import bundle, onnx_file
from hpo.export.card import card
from hpo.export.contents import Contents, Evidence, to_files
from hpo.export.intervals import make_intervals
from hpo.export.refit import Ensemble, refit, steps_for
from hpo.export.signature import Calendar, Signature, as_json_times
from hpo.spec.answer import Answer
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Shape, Trainer

NO_INTERVALS = (
    "there are no prediction intervals: the study kept too few forecasts of its folds to measure"
    " errors by (fewer than 4, or an earlier hpo ran it)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recommended:
    """What a study that is done says of the network to take away.

    `engine`: the study's policy. `forecasts`: by the number of a fold (the test span's is the last)
    the mean forecast of as many seeds as the model will have (float64, O x H), on the target's own
    scale; without folds whose forecasts were not kept.
    """

    answer: Answer
    engine: str
    prepared: Prepared
    forecasts: Mapping[int, npt.NDArray[np.float64]]

    @property
    def candidate(self) -> Candidate:
        """The network of the answer."""
        answer = self.answer
        kept = ("cells", "learning_rate", "weight_decay", "dropout", "lookback")
        return Candidate.model_validate({key: getattr(answer, key) for key in kept})

    @property
    def seeds(self) -> range:
        """Of the networks that are taken away: those of the final race's first round."""
        return self.prepared.study.validation.fresh_seeds


def make(
    recommended: Recommended,
    folder: Path,
    *,
    trainer_for: Callable[[Shape], Trainer],
    threads: int,
    with_onnx: bool = False,
) -> None:
    """Refit the recommended network on all rows and write it, with all it needs, to a new folder.

    Raises UsageError where something is in the folder's way, or ONNX is asked for and not
    installed; StudyFailed where no network can be trained.
    """
    bundle.refuse_taken(folder)
    if with_onnx:
        onnx_file.refuse_missing()
    answer, candidate = recommended.answer, recommended.candidate
    prepared, whole = with_all_rows(recommended.prepared)
    steps = steps_for(prepared, whole, candidate.lookback, test_steps=answer.steps or 1)
    ensemble = refit(
        prepared,
        whole,
        candidate,
        seeds=recommended.seeds,
        steps=steps,
        trainer_for=trainer_for,
        threads=threads,
    )
    contents = contents_of(recommended, prepared, whole, ensemble)
    files = to_files(contents)
    if with_onnx:
        files[bundle.ONNX] = onnx_file.checked(contents)
    files[bundle.README] = card(
        contents, rows=len(prepared.panel.values_RF), with_onnx=with_onnx
    ).encode()
    bundle.write(folder, files, version("hpo"))


def contents_of(
    recommended: Recommended, prepared: Prepared, fold: Fold, ensemble: Ensemble
) -> Contents:
    """The model of networks that were trained on the training part of a fold of `prepared`."""
    study, answer = prepared.study, recommended.answer
    data = study.data.model_copy(update={"source": Path(study.data.source).name})
    test = prepared.test.number
    intervals = make_intervals(
        prepared,
        {number: f for number, f in recommended.forecasts.items() if number != test},
        recommended.forecasts.get(test),
    )
    transform, starts_S = prepared.transform_of(fold), prepared.panel.starts_S[:-1]
    return Contents(
        study=study.model_copy(update={"data": data}),
        signature=_signature(recommended, prepared, ensemble),
        evidence=Evidence(
            answer=answer.model_copy(update={"model": None, "report": None, "storage": None}),
            intervals=intervals,
            warnings=(*ensemble.warnings, *(() if intervals else (NO_INTERVALS,))),
        ),
        transform=transform.for_series(np.arange(len(starts_S)), np.zeros_like(starts_S)),
        weights=ensemble.weights,
    )


def _signature(recommended: Recommended, prepared: Prepared, ensemble: Ensemble) -> Signature:
    study, panel, candidate = prepared.study, prepared.panel, recommended.candidate
    return Signature(
        target=study.data.target,
        time=study.data.time,
        series=study.data.series,
        covariates=panel.columns[1:],
        names=panel.names,
        calendar=_calendar(panel, study.data.time),
        season=prepared.season,
        lookback=candidate.lookback,
        horizon=study.task.horizon,
        strategy=prepared.strategy,
        transform=prepared.transform_steps,
        cells=candidate.cells,
        inputs=prepared.limit.inputs,
        outputs=prepared.limit.outputs,
        seeds=tuple(ensemble.weights),
        steps=ensemble.steps,
        engine=recommended.engine,
    )


def _calendar(panel: Panel, time: str) -> Calendar:
    kind = str(panel.times_R.dtype)
    in_index = not time and panel.times_R.dtype.kind != "i"
    if not time and not in_index:
        return Calendar(kind="", firsts=())
    step = calendar.find_step(panel.times_R, panel.starts_S) if panel.frequency else None
    return Calendar.model_validate(
        {
            "kind": kind,
            "firsts": as_json_times(panel.times_R[panel.starts_S[:-1]]),
            "in_index": in_index,
            "frequency": panel.frequency,
            "unit": step.unit if step else None,
            "size": step.size if step else None,
        }
    )
