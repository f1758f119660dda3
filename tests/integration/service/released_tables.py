"""The tables of hpo 0.1.0 as that release made them, with rows in each."""

from typing import Any

from tests.integration.service.databases import change

# As PostgreSQL is told; SQLite has other names for three of the types.
_TABLES = """
CREATE TABLE hpo_schema (
    version SERIAL NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE hpo_study (
    name VARCHAR(120) NOT NULL,
    optuna_id INTEGER NOT NULL,
    state VARCHAR(12) NOT NULL,
    spec TEXT NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    data_fingerprint VARCHAR(64) NOT NULL,
    data_parquet BYTEA NOT NULL,
    versions TEXT NOT NULL,
    engine VARCHAR(20) NOT NULL,
    error TEXT,
    failures INTEGER NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,
    ended_at DOUBLE PRECISION,
    timed_out INTEGER NOT NULL,
    benchmark_warnings TEXT,
    answer TEXT,
    PRIMARY KEY (name)
);
CREATE TABLE hpo_benchmark (
    study VARCHAR(120) NOT NULL,
    name VARCHAR(40) NOT NULL,
    fold INTEGER NOT NULL,
    place INTEGER NOT NULL,
    losses BYTEA NOT NULL,
    PRIMARY KEY (study, name, fold),
    FOREIGN KEY(study) REFERENCES hpo_study (name) ON DELETE CASCADE
);
CREATE TABLE hpo_network (
    study VARCHAR(120) NOT NULL,
    trial INTEGER NOT NULL,
    fold INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    losses BYTEA NOT NULL,
    steps INTEGER NOT NULL,
    train_loss DOUBLE PRECISION,
    watch_loss DOUBLE PRECISION,
    wall_s DOUBLE PRECISION NOT NULL,
    engine VARCHAR(20) NOT NULL,
    device VARCHAR(60) NOT NULL,
    PRIMARY KEY (study, trial, fold, seed),
    FOREIGN KEY(study) REFERENCES hpo_study (name) ON DELETE CASCADE
);
CREATE TABLE hpo_slot (
    study VARCHAR(120) NOT NULL,
    number INTEGER NOT NULL,
    kind VARCHAR(10) NOT NULL,
    state VARCHAR(10) NOT NULL,
    trial INTEGER,
    worker VARCHAR(120),
    token INTEGER NOT NULL,
    expires_at DOUBLE PRECISION,
    deaths INTEGER NOT NULL,
    outcome VARCHAR(12),
    score DOUBLE PRECISION,
    reason TEXT,
    PRIMARY KEY (study, number),
    FOREIGN KEY(study) REFERENCES hpo_study (name) ON DELETE CASCADE
);
CREATE INDEX hpo_slot_by_state ON hpo_slot (study, state, number);
CREATE TABLE hpo_worker (
    id VARCHAR(120) NOT NULL,
    study VARCHAR(120),
    host VARCHAR(120) NOT NULL,
    pid INTEGER NOT NULL,
    device VARCHAR(60) NOT NULL,
    state VARCHAR(12) NOT NULL,
    last_beat DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(study) REFERENCES hpo_study (name) ON DELETE CASCADE
);
"""

_OTHER_NAMES = {"SERIAL": "INTEGER", "DOUBLE PRECISION": "DOUBLE", "BYTEA": "BLOB"}
_ROWS: dict[str, list[dict[str, Any]]] = {
    "hpo_schema": [{"version": 1}],
    "hpo_study": [
        {
            "name": name,
            "optuna_id": place,
            "state": "done",
            "spec": "{}",
            "fingerprint": "f",
            "data_fingerprint": "d",
            "data_parquet": b"PAR1",
            "versions": "{}",
            "engine": "torch",
            "failures": 2,
            "created_at": 1.5,
            "timed_out": timed_out,
            "answer": "{}",
        }
        for place, (name, timed_out) in enumerate({"gdp": 0, "oil": 1}.items())
    ],
    "hpo_slot": [
        {
            "study": "oil",
            "number": 1,
            "kind": "trial",
            "state": "ended",
            "trial": 0,
            "token": 3,
            "deaths": 2,
            "outcome": "complete",
            "score": 0.25,
        }
    ],
    "hpo_network": [
        {
            "study": "oil",
            "trial": 0,
            "fold": 0,
            "seed": 0,
            "losses": b"01234567",
            "steps": 7,
            "wall_s": 0.5,
            "engine": "torch",
            "device": "cpu",
        }
    ],
    "hpo_benchmark": [
        {"study": "oil", "name": "naive", "fold": 0, "place": 0, "losses": b"01234567"}
    ],
    "hpo_worker": [
        {
            "id": "w",
            "study": "oil",
            "host": "h",
            "pid": 1,
            "device": "cpu",
            "state": "running",
            "last_beat": 1.0,
        }
    ],
}


def make_released_tables(url: str) -> None:
    """Make these tables beside Optuna's, with their rows."""
    text = _TABLES
    if url.startswith("sqlite"):
        for name, other in _OTHER_NAMES.items():
            text = text.replace(name, other)
    for statement in filter(str.strip, text.split(";")):
        change(url, statement)
    for table, rows in _ROWS.items():
        for row in rows:
            places = ", ".join(f":{column}" for column in row)
            change(url, f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", **row)  # noqa: S608
