"""Bring a store of an older version up to :data:`schema.SCHEMA_VERSION`, in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, Table, Text, inspect, select, update
from sqlalchemy.schema import CreateColumn

from vcr_core.store import schema

WIDER_IDS = ("metrics", "snapshots", "commands")


def migrate(connection: Connection, version: int) -> None:
    """Apply every step from ``version`` on; rows are kept as they are."""
    if version < 2:
        _to_version_2(connection)
    if version < 3:
        _to_version_3(connection)
    connection.execute(
        update(schema.about)
        .where(schema.about.c.key == "version")
        .values(value=str(schema.SCHEMA_VERSION))
    )


def _to_version_2(connection: Connection) -> None:
    """Owners, tags, forks, studies, attempts, checkpoints; 64-bit ids; commands by token."""
    for table in (schema.runs, schema.commands):
        _add_missing_columns(connection, table)
    if connection.dialect.name == "postgresql":
        _widen(connection)
    schema.metadata.create_all(connection, checkfirst=True)
    for table in (schema.runs, schema.commands):
        _add_missing_indexes(connection, table)
    _number_runs(connection)


def _to_version_3(connection: Connection) -> None:
    """What is asked of both twins at once; how far they are."""
    _add_missing_columns(connection, schema.commands)
    schema.metadata.create_all(connection, checkfirst=True)


def _add_missing_columns(connection: Connection, table: Table) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in present:
            words = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {words}")


def _add_missing_indexes(connection: Connection, table: Table) -> None:
    present = {index["name"] for index in inspect(connection).get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in present:
            index.create(connection)


def _widen(connection: Connection) -> None:
    """64-bit ids and texts without a limit; SQLite has both from the start."""
    for name in WIDER_IDS:
        connection.exec_driver_sql(f"ALTER TABLE {name} ALTER COLUMN id TYPE BIGINT")
        connection.exec_driver_sql(f"ALTER SEQUENCE {name}_id_seq AS BIGINT")
    for table in schema.metadata.sorted_tables:
        if not inspect(connection).has_table(table.name):
            continue
        for column in table.columns:
            if isinstance(column.type, Text):
                connection.exec_driver_sql(
                    f"ALTER TABLE {table.name} ALTER COLUMN {column.name} TYPE TEXT"
                )


def _number_runs(connection: Connection) -> None:
    """Number the runs in the order in which they were made, and say what each one learns."""
    runs = schema.runs
    rows = connection.execute(select(runs.c.id, runs.c.config).order_by(runs.c.created_at)).all()
    for number, row in enumerate(rows, start=1):
        data = row.config.get("data", {})
        connection.execute(
            update(runs)
            .where(runs.c.id == row.id)
            .values(
                number=number,
                dataset=str(data.get("dataset", "")),
                source=str(data.get("source", "")),
            )
        )
