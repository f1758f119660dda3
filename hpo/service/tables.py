"""Our tables, beside Optuna's and never inside them.

A study's work is a row of slots: number 0 the benchmarks, 1 .. N one trial each, N + 1 the
verdict. A slot is open, taken (by the worker that holds its lease and its latest token) or ended.
"""

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()


def _study_key() -> ForeignKey:
    return ForeignKey("hpo_study.name", ondelete="CASCADE")


studies = Table(
    "hpo_study",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("optuna_id", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("spec", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("data_fingerprint", String(64), nullable=False),
    Column("versions", Text, nullable=False),
    Column("engine", String(20), nullable=False),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("closed_by", String(12)),  # what ended the search before its budget was spent
    Column("benchmark_warnings", Text),
    Column("answer", Text),
)

data = Table(  # apart from what is often read: SQLite reads a row up to the column asked for
    "hpo_data",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("parquet", LargeBinary),  # small data travel with the study
    Column("uri", Text),  # large data stay where they are
    Column("sha256", String(64)),  # of the file at the URI
)

slots = Table(
    "hpo_slot",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("state", String(10), nullable=False, default="open"),
    Column("trial", Integer),
    Column("worker", String(120)),
    Column("token", Integer, nullable=False, default=0),
    Column("expires_at", Double),
    Column("expiries", Integer, nullable=False, default=0),  # leases that ran out, taken over
    Column("crashes", Integer, nullable=False, default=0),  # training processes that died of it
    Column("outcome", String(12)),
    Column("score", Double),
    Column("reason", Text),
    Index("hpo_slot_by_state", "study", "state", "number"),
)

networks = Table(
    "hpo_network",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("seed", Integer, primary_key=True),
    Column("losses", LargeBinary, nullable=False),  # float64, little-endian, one per origin
    Column("steps", Integer, nullable=False),
    Column("train_loss", Double),
    Column("watch_loss", Double),
    Column("wall_s", Double, nullable=False),
    Column("engine", String(20), nullable=False),
    Column("device", String(60), nullable=False),
    Column("valid_loss", Double),
    Column("forecasts", LargeBinary),  # of the final race: float64, little-endian, O x H
    Column("effective_parameters", Double),  # of final refits
)

checkpoints = Table(
    "hpo_checkpoint",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("seed", Integer, primary_key=True),
    Column("wall_s", Double, nullable=False),  # of training until then
    Column("state", LargeBinary, nullable=False),  # safetensors
)

benchmarks = Table(
    "hpo_benchmark",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("place", Integer, nullable=False),  # the order in which benchmarks are told
    Column("losses", LargeBinary, nullable=False),
    Column("forecasts", LargeBinary),  # of the test span alone: as those of networks
)

workers = Table(
    "hpo_worker",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("study", String(120)),  # that it works on, if any
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(60), nullable=False),
    Column("state", String(12), nullable=False),
    Column("last_beat", Double, nullable=False),
)

failures = Table(
    "hpo_failure",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", String(120), _study_key(), nullable=False),
    Column("slot", Integer, nullable=False),
    Column("worker", String(120), nullable=False),
    Column("signature", String(64), nullable=False),  # equal errors have the same
    Column("trace", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("hpo_failure_by_signature", "study", "signature"),
)

refusals = Table(
    "hpo_refusal",
    metadata,
    Column("study", String(120), _study_key(), primary_key=True),
    Column("worker", String(120), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)
