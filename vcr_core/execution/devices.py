"""What runs can train on here: the places for workers and the threads of each. Knows no torch.

A *slot* is room for one run. A machine with CUDA devices has ``slots_per_device`` on each of them;
one without has them on its CPU, at most one per core but for twins, which always fit.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

DEFAULT_SLOTS = 2
CPU = "cpu"


@dataclass(frozen=True)
class Slot:
    """Room for one run: the device's name and what the worker's environment says about it."""

    device: str
    environment: dict[str, str] = field(default_factory=dict)


def slots_per_device() -> int:
    """How many runs train at a time on one device: 2, so that twins run side by side.

    ``VCR_LAB_SLOTS`` sets another number.
    """
    chosen = os.environ.get("VCR_LAB_SLOTS", "")
    return max(1, int(chosen)) if chosen.isdigit() else DEFAULT_SLOTS


def slots() -> int:
    """How many runs train at a time on this machine."""
    return len(local_slots())


def local_slots() -> list[Slot]:
    """Every slot of this machine, neighbours on different devices, so that twins spread.

    Workers on a CUDA device see that one alone, as ``cuda:0``. Apple's GPU is one device like the
    CPU; the worker finds it.
    """
    gpus = cuda_devices()
    if not gpus:
        most = max(cores(), DEFAULT_SLOTS)
        return [Slot(CPU)] * min(slots_per_device(), most)
    rounds = range(slots_per_device())
    return [Slot(f"cuda:{gpu}", {"CUDA_VISIBLE_DEVICES": gpu}) for _ in rounds for gpu in gpus]


def threads_per_worker() -> int:
    """CPU threads of every run: cores ÷ slots. More would make twins slow each other down."""
    return max(1, cores() // slots())


def cores() -> int:
    """Cores that this process may use; a container or a batch system may give us fewer."""
    found = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        found = min(found, len(os.sched_getaffinity(0)))
    return max(1, found)


def cuda_devices() -> Sequence[str]:
    """The CUDA devices that we may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = _count_cuda_devices()
    if chosen is None:
        return [str(index) for index in range(count)]
    named = [name.strip() for name in chosen.split(",") if name.strip() and name.strip() != "-1"]
    return named[:count]


@cache
def _count_cuda_devices() -> int:
    """Asked of NVIDIA's driver itself: torch would take seconds to import.

    The driver leaves out what ``CUDA_VISIBLE_DEVICES`` hides.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


@cache
def machine() -> str:
    """What tells this machine from others: process numbers mean something on the same one only.

    Containers of one host number their processes apart, so each counts as a machine.
    """
    return f"{socket.gethostname()} {uuid.getnode():x} {_numbering()}".strip()


def _numbering() -> str:
    """The name of Linux's list of processes that we are in; "" where there is one only."""
    try:
        return Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return ""


def process_is_dead(where: str, pid: int) -> bool:
    """Whether a process of the machine ``where`` is known to be no more."""
    if where != machine():
        return False
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
