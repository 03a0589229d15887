"""The tables. One writer per run; readers go by cursor (the ``id`` columns only grow).

runs       one row a run: what it is (config), how it is (state, step, heartbeat), what came out
metrics    one row a number: run, step, name, value
snapshots  one row a matrix or vector: run, step, layer, kind, raw little-endian float32
commands   what a person asked of a run, and the step at which it was applied
leases     who may act as dispatcher
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1
APPLICATION = "vcr-lab"

metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("pair_id", String(32), index=True),
    Column("role", String(16), nullable=False),
    Column("preset", String(80), nullable=False),
    Column("config", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", Float, nullable=False, index=True),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("heartbeat_at", Float),
    Column("step", Integer, nullable=False, default=0),
    Column("total_steps", Integer, nullable=False, default=0),
    Column("training_seconds", Float, nullable=False, default=0.0),
    Column("environment", JSON),
    Column("result", JSON),
    Column("error", Text),
)

metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("name", String(120), nullable=False),
    Column("value", Float),
    Index("metrics_by_run", "run_id", "id"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("layer", String(120), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("shape", JSON, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("snapshots_by_layer", "run_id", "layer", "kind", "id"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", String(16), nullable=False, default="requested"),
    Column("applied_step", Integer),
    Column("reason", Text),
    Index("commands_by_run", "run_id", "id"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(80), nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Column("detail", JSON),
)
