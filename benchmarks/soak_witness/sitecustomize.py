"""Loaded by every Python process of the soak: sets its clock wrong and writes down what it trains.

Each process lives an hour in the past, in the future, or in the present, by chance. A worker adds
a line to the file ``SOAK_WITNESS`` when it begins with a run and when it is done with it, with the
time of the machine's monotonic clock, which all processes share.
"""

import importlib.abc
import importlib.util
import os
import sys
import time

RUNNER = "vcr_core.execution.runner"
OFFSETS = (-3600.0, 0.0, 3600.0)

_now = time.time
_offset = OFFSETS[os.getpid() % len(OFFSETS)]


def _wrong_time():
    return _now() + _offset


def _note(word, run_id):
    line = f"{word} {run_id} {os.getpid()} {time.clock_gettime(time.CLOCK_MONOTONIC)}\n"
    descriptor = os.open(os.environ["SOAK_WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class _Witness(importlib.abc.MetaPathFinder):
    """Wraps the function that carries out a run, once its module is loaded."""

    def find_spec(self, name, path, target=None):
        if name != RUNNER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute_module = spec.loader.exec_module

        def load(module):
            execute_module(module)
            execute = module.execute

            def watched(store, run_id, **options):
                _note("begin", run_id)
                try:
                    return execute(store, run_id, **options)
                finally:
                    _note("end", run_id)

            module.execute = watched

        spec.loader.exec_module = load
        return spec


if "SOAK_WITNESS" in os.environ:
    time.time = _wrong_time
    sys.meta_path.insert(0, _Witness())
