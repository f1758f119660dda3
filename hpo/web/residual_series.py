"""The residuals of the recommended network, one step ahead and in time order, and their checks."""

from dataclasses import dataclass

import numpy as np

from hpo.data.forecast import scaled_errors
from hpo.service.evidence import Evidence
from hpo.sizing.residuals import Checks, Floats, check


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Of a panel those of its `series` with the most origins; on the scale that networks see."""

    series: str
    checks: Checks | None


def residuals_of(evidence: Evidence) -> Residuals | None:
    """Truth less forecast, from the folds and the test span; None where no forecasts were kept."""
    shown = [*evidence.folds, *([evidence.test] if evidence.test else [])]
    if not shown or evidence.prepared is None:
        return None
    series_O = np.concatenate([s.fold.series_O for s in shown])
    series = int(np.bincount(series_O).argmax())
    mine_O = series_O == series
    errors = [scaled_errors(evidence.prepared, s.fold, s.network_OH)[:, 0] for s in shown]
    residuals_O = np.concatenate(errors)[mine_O]
    forecast_O: Floats = np.concatenate([s.network_OH[:, 0] for s in shown])[mine_O]
    return Residuals(
        series=evidence.prepared.panel.names[series], checks=check(residuals_O, forecast_O)
    )
