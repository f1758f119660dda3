"""hpo: how many layers and memory cells does an LSTM need for your data, and does it need one?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.api import check, launch, open_study, run, submit, work
    from hpo.export.model import Model, load
    from hpo.forecaster import LSTMForecaster
    from hpo.handle import StudyHandle
    from hpo.spec.answer import Answer
    from hpo.spec.study import Study

__all__ = [
    "Answer",
    "LSTMForecaster",
    "Model",
    "Study",
    "StudyHandle",
    "check",
    "launch",
    "load",
    "open_study",
    "run",
    "submit",
    "work",
]
__version__ = "0.1.0"

_HOMES = {
    "Answer": "hpo.spec.answer",
    "LSTMForecaster": "hpo.forecaster",
    "Model": "hpo.export.model",
    "Study": "hpo.spec.study",
    "StudyHandle": "hpo.handle",
    "check": "hpo.api",
    "launch": "hpo.api",
    "load": "hpo.export.model",
    "open_study": "hpo.api",
    "run": "hpo.api",
    "submit": "hpo.api",
    "work": "hpo.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): `import hpo` stays cheap."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'hpo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
