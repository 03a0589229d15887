"""A real PostgreSQL server for tests: its own folder, a free port on loopback, gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    import pwd

PASSWORD = "correct horse/battery@staple"
START_SECONDS = 30.0


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, newest version first; None where not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


class PostgresServer:
    """Runs under an account that is not root, which PostgreSQL refuses."""

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        """Start one. Only a ``durable`` one waits for the disk, as a real one does."""
        self._programs = programs
        self._durable = durable
        self._account: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="vcr-lab-postgres-"))
        if os.geteuid() == 0:
            user = _unprivileged()
            self._account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._create()
        self.start()

    def _create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ["-D", str(self.folder / "data"), "-U", "lab", "-A", "scram-sha-256", "-E", "UTF8"]
        words += ["--no-sync", "--locale=C", f"--pwfile={secret}"]
        done = subprocess.run(
            [str(self._programs / "initdb"), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._account,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start and wait until it answers."""
        fsync = "fsync=on" if self._durable else "fsync=off"
        options = ["-D", str(self.folder / "data"), "-p", str(self.port), "-c", fsync]
        options += [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self.folder}",
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._account,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        engine = create_engine(self.url("postgres"))
        try:
            engine.connect().close()
        except OperationalError:
            return False
        finally:
            engine.dispose()
        return True

    def stop(self) -> None:
        """End it without waiting for clients: they find their connections cut."""
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def url(self, database: str) -> str:
        """The address of a database, as a person writes it."""
        password = PASSWORD.replace("@", "%40").replace("/", "%2F").replace(" ", "%20")
        address = f"postgresql+psycopg://lab:{password}@127.0.0.1:{self.port}/{database}"
        return address

    def new_database(self) -> str:
        """The address of a fresh, empty database."""
        name = f"lab_{uuid.uuid4().hex[:12]}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    import pwd  # Windows has none

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("expected an account that is not root, found neither postgres nor nobody")
