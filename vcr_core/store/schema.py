"""The tables, version 4. Readers go by cursor: the ``id`` columns only grow.

runs       one row a run: what it is (config), how it is (state, step, heartbeat), what came out
metrics    one row a number: run, step, name, value
snapshots  one row a matrix or vector: run, step, layer, kind, raw little-endian float32
commands   what was asked of a run, and the step at which it was applied
positions  how far the runs of pairs are, for their twins
studies    what a sweep looks for, and what it found
leases     who may act as dispatcher
requests   what a page needs from torch (samples, predictions), and what a worker answered

Whoever writes numbers or commands of a run first locks the run's row (see ``connection.py``): ids
are then given out in the order in which a run's rows become visible, also on PostgreSQL, where
ids of different transactions may be committed in any order. So a cursor misses nothing of a run.

Times are seconds since 1970 on the writer's clock. They are shown; nothing is decided by them.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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
    false,
)

SCHEMA_VERSION = 4
APPLICATION = "vcr-lab"

BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts in 64 bits anyway

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
    Column("preset", Text, nullable=False),
    Column("config", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", Float, nullable=False, index=True),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("heartbeat_at", Float),
    Column("step", Integer, nullable=False, default=0, server_default="0"),
    Column("total_steps", Integer, nullable=False, default=0, server_default="0"),
    Column("training_seconds", Float, nullable=False, default=0.0, server_default="0"),
    Column("environment", JSON),
    Column("result", JSON),
    Column("error", Text),
    # since version 2
    Column("number", Integer, nullable=False, server_default="0", index=True),
    Column("dataset", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("owner", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),
    Column("tags", JSON, nullable=False, default=list, server_default="[]"),
    Column("parent_id", String(32), index=True),
    Column("parent_step", Integer),
    Column("study_id", String(32), index=True),
    Column("trial", Integer),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("worker", Text, nullable=False, server_default=""),
    Column("device", Text, nullable=False, server_default=""),
    Column("checkpoint_step", Integer),
    Column("checkpoint", Text),
    Column("auto_resume", Boolean, nullable=False, server_default=false()),
    Column("deleted_at", Float),
)

metrics = Table(
    "metrics",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Float),
    Index("metrics_by_run", "run_id", "id"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("layer", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("shape", JSON, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("snapshots_by_layer", "run_id", "layer", "kind", "id"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", String(16), nullable=False, default="requested", server_default="requested"),
    Column("applied_step", Integer),
    Column("reason", Text),
    # since version 2
    Column("token", Text),
    Column("source", String(16), nullable=False, server_default="person"),
    # since version 3
    Column("joint", String(32)),
    Column("offered_step", Integer),
    Index("commands_by_run", "run_id", "id"),
    Index("commands_by_token", "run_id", "token", unique=True),
)

# since version 3
positions = Table(
    "positions",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("reached", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("hears", Boolean, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("result", JSON),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Column("detail", JSON),
)

# since version 4
requests = Table(
    "requests",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("key", String(64), nullable=False, index=True),
    Column("subject", Text, nullable=False, server_default=""),
    Column("patience", Float, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("asked_at", Float, nullable=False),
    Column("answered_at", Float),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("worker", Text, nullable=False, server_default=""),
    Column("facts", JSON),
    Column("arrays", LargeBinary),
    Column("error", Text),
)
