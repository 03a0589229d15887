"""A device for tests that is always behind the host, as a GPU is.

    with lagging_device() as device:
        model.to(device.name) ...
    device.waits        # every place where the host would have stood still
    device.staged       # copies to the device that were not made from pinned memory

Its tensors hold real numbers, computed on the CPU, and they refuse to meet tensors of the CPU. It
is written down

    read    where numbers come to the host while it waits: ``.item()``, ``.cpu()``, ``bool()``
    send    where numbers go to the device while the host waits, ``torch.tensor(…, device=…)`` too
    shape   where an operation has to look at numbers: how large its result is, or whether it failed
    event   where the host waits for an event

A copy to pinned memory that the host does not wait for holds *no* sensible number (NaN, or the
lowest integer) until an event recorded after it has been found ready or waited for, or until the
host has waited for something else. An event is ready once the device, ``lag`` operations behind,
has come as far. Pinned memory that is written to while a copy from it is under way is an error.

What it cannot show: how long anything takes, several streams, and kernels that differ from the
CPU's.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "lagging"
LAG = 200
CPU = torch.device("cpu")
TORCH = str(Path(torch.__file__).parent)
#: What a CUDA device cannot do without telling the host a number or two.
LOOKS = {
    "_linalg_check_errors": "failure",
    "_linalg_eigh": "failure",
    "_linalg_svd": "failure",
    "_linalg_solve_ex": "failure",
    "_unique2": "size",
    "bincount": "size",
    "equal": "answer",
    "is_nonzero": "answer",
    "linalg_pinv": "failure",
    "masked_select": "size",
    "nonzero": "size",
    "unique_consecutive": "size",
    "unique_dim": "size",
}
#: Products in half precision under autocast, as on the CPU.
HALVED = (
    "addbmm",
    "addmm",
    "baddbmm",
    "bmm",
    "conv1d",
    "conv2d",
    "conv3d",
    "linear",
    "matmul",
    "mm",
    "scaled_dot_product_attention",
)
#: Losses and the like in float32 under autocast, as on the CPU.
WIDENED = ("cross_entropy_loss", "grid_sampler", "mse_loss")


class Wait(NamedTuple):
    """The host stood still: why, for which operation, and the line that asked for it."""

    kind: str
    operation: str
    place: str


class Coming(NamedTuple):
    """A copy to the host that nobody waited for."""

    issued: int
    host: Tensor
    numbers: Tensor


class Going(NamedTuple):
    """A copy from pinned memory that nobody waited for."""

    issued: int
    host: Tensor
    version: int


class Device:
    """The device's queue, and what is written down of it."""

    name = NAME

    def __init__(self, lag: int, *, strict: bool = True) -> None:
        self.lag, self.strict = lag, strict
        self.waits: list[Wait] = []
        self.staged: list[Wait] = []
        self.issued = 0
        self.finished = 0
        self._coming: deque[Coming] = deque()
        self._going: deque[Going] = deque()
        self._pinned: dict[int, Tensor] = {}

    def places(self, *kinds: str) -> list[str]:
        """Where the host waited, for these reasons or any."""
        return [f"{w.kind} {w.place}" for w in self.waits if not kinds or w.kind in kinds]

    def forget(self) -> None:
        """Begin a new page."""
        self.waits.clear()
        self.staged.clear()

    def issue(self) -> int:
        """One more operation in the queue."""
        self.issued += 1
        self.finished = max(self.finished, self.issued - self.lag)
        if not self.strict:
            self.finish(self.finished)
        while self._going and self._going[0].issued <= self.finished:
            self._going.popleft()
        for copy in self._going:
            if copy.host._version != copy.version:
                raise RuntimeError(f"pinned memory changed while it was copied, {_place()}")
        return self.issued

    def wait(self, kind: str, operation: str) -> None:
        """The host waits until the queue is empty."""
        self.waits.append(Wait(kind, operation, _place()))
        self.finish(self.issued)

    def finish(self, issued: int) -> None:
        """Everything up to here is done, and the host knows it."""
        self.finished = max(self.finished, issued)
        while self._coming and self._coming[0].issued <= issued:
            copy = self._coming.popleft()
            copy.host.copy_(copy.numbers)

    def comes(self, host: Tensor, numbers: Tensor) -> None:
        """A copy to the host is under way: until it is there, the host sees nonsense."""
        self._coming.append(Coming(self.issue(), host, numbers.clone()))
        if self.strict:
            host.copy_(_nonsense(host))

    def goes(self, host: Tensor, operation: str, *, blocking: bool) -> None:
        """A copy to the device begins."""
        issued = self.issue()
        if blocking:
            self.wait("send", operation)
        elif self.is_pinned(host):
            self._going.append(Going(issued, host, host._version))
        else:
            self.staged.append(Wait("staged", operation, _place()))

    def pin(self, tensor: Tensor) -> Tensor:
        """Say that a tensor's memory is pinned."""
        self._pinned[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def is_pinned(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._pinned


class Event:
    """Recorded in the device's queue."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._issued = device.issue()

    def query(self) -> bool:
        ready = self._issued <= self._device.finished
        if ready:
            self._device.finish(self._issued)
        return ready

    def synchronize(self) -> None:
        self._device.waits.append(Wait("event", "synchronize", _place()))
        self._device.finish(self._issued)


class Stream:
    """The only one."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def record_event(self) -> Event:
        return Event(self._device)

    def is_capturing(self) -> bool:
        return False


class Lagging(Tensor):
    """A tensor on the device; ``numbers`` lie on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> Lagging:
        made: Lagging = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(NAME, 0),
        )
        made.numbers = numbers
        return made

    def __repr__(self, **_: Any) -> str:
        return f"Lagging({self.numbers!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees what has no tensor of the device among its arguments: tensors being made there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


_present: list[Device] = []


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation, on the device or beside it."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    ours = [x for x in tensors if isinstance(x, Lagging)]
    wanted = kwargs.get("device")
    there = _is_ours(wanted)
    if not ours and not there:
        return _on_host(func, args, kwargs)
    device, name = _present[-1], func._schema.name.removeprefix("aten::")
    if name == "_to_copy" and wanted is not None:
        return _moved(device, func, args, kwargs)
    if name == "copy_" and len(ours) < 2:
        return _copied(device, *args)
    if name in ("index", "index_put_"):
        _send_places(device, name, args[1])
    else:
        _require_one_place(name, tensors)
    _look(device, name, args)
    device.issue()
    inner_args, inner_kwargs = tree_map(_bare, (args, kwargs))
    if there:
        inner_kwargs["device"] = CPU
    inner_kwargs.pop("pin_memory", None)
    known = {id(x.numbers): x for x in ours}
    return tree_map(lambda x: _wrapped(x, known), func(*inner_args, **inner_kwargs))


def _on_host(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    pinned = kwargs.get("pin_memory")
    made = func(*args, **(kwargs | {"pin_memory": False} if pinned else kwargs))
    return _present[-1].pin(made) if pinned else made


def _moved(device: Device, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """``.to(device)``, to or from the device, or to another type on it."""
    source, blocking = args[0], not kwargs.get("non_blocking")
    leaves = isinstance(source, Lagging) and not _is_ours(kwargs["device"])
    made = func(_bare(source), **(kwargs | {"device": CPU, "non_blocking": False}))
    if not isinstance(source, Lagging):
        device.goes(source, "to", blocking=blocking)
    elif not leaves:
        device.issue()
    elif blocking:
        device.wait("read", "to")
    else:
        device.comes(device.pin(made), made)
    return made if leaves else Lagging(made)


def _copied(device: Device, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """``target.copy_(source)`` between the device and the host."""
    if isinstance(target, Lagging):
        target.numbers.copy_(source)
        device.goes(source, "copy_", blocking=not non_blocking)
    elif non_blocking and device.is_pinned(target):
        device.comes(target, _bare(source).to(target.dtype))
    else:
        device.wait("read", "copy_")
        target.copy_(_bare(source))
    return target


def _send_places(device: Device, name: str, places: Any) -> None:
    """Indices may lie on the host: torch sends them after, and waits."""
    if any(isinstance(x, Tensor) and not isinstance(x, Lagging) for x in places):
        device.wait("send", f"{name} by places on the host")


def _require_one_place(name: str, tensors: list[Tensor]) -> None:
    """Numbers of the CPU may take part, larger tensors may not."""
    for tensor in tensors:
        if not isinstance(tensor, Lagging) and tensor.dim() > 0:
            raise RuntimeError(
                f"expected all tensors on {NAME}:0, {name} got one of {tuple(tensor.shape)} "
                f"on {tensor.device}"
            )


def _look(device: Device, name: str, args: Any) -> None:
    """Write down where an operation has to know a number."""
    if name == "_local_scalar_dense":
        device.wait("read", "item")
    elif name in LOOKS:
        device.wait("shape", f"{name} ({LOOKS[name]})")
    elif name in ("index", "index_put_"):
        masks = [x for x in args[1] if x is not None and x.dtype in (torch.bool, torch.uint8)]
        if masks:
            device.wait("shape", f"{name} by a mask")


def _bare(x: Any) -> Any:
    return x.numbers if isinstance(x, Lagging) else x


def _wrapped(x: Any, known: dict[int, Lagging]) -> Any:
    if not isinstance(x, Tensor):
        return x
    return known[id(x)] if id(x) in known else Lagging(x)


def _nonsense(like: Tensor) -> Tensor:
    """What uninitialised memory might hold."""
    if like.is_floating_point():
        return torch.full_like(like, torch.nan)
    if like.dtype == torch.bool:
        return ~like
    return torch.full_like(like, torch.iinfo(like.dtype).min)


def _is_ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _place() -> str:
    """The line outside torch that asked for what happens now."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(TORCH) and frame.filename != __file__:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "backward"


class _Module:
    """What torch asks of ``torch.lagging``; there is none outside ``lagging_device``."""

    def is_available(self) -> bool:
        return bool(_present)

    def is_initialized(self) -> bool:
        return bool(_present)

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def manual_seed_all(self, seed: int) -> None:
        """The device draws from the CPU's generators."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


@cache
def announce() -> tuple[torch.library.Library, ...]:
    """Tell torch of the device, once in a process, and of what autocast does there.

    Before the first backward of the process: then torch counts the devices for which it needs a
    thread.
    """
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    others = torch.library.Library("_", "IMPL")
    others.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    autocast = torch.library.Library("aten", "IMPL")
    for name in HALVED + WIDENED:
        operation = getattr(torch.ops.aten, name).default
        cast = _cast(operation, lower=name in HALVED)
        autocast.impl(name, cast, "AutocastPrivateUse1")
    return others, autocast


def _cast(operation: Any, *, lower: bool) -> Callable[..., Any]:
    """An operation on tensors of autocast's type, or on none below float32."""

    def cast(x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.dtype == torch.float64:
            return x
        return x.to(torch.get_autocast_dtype(NAME) if lower else torch.float32)

    def apply(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(NAME, enabled=False):
            args, kwargs = tree_map(cast, (args, kwargs))
            return operation(*args, **kwargs)

    return apply


@contextmanager
def lagging_device(*, lag: int = LAG, strict: bool = True) -> Iterator[Device]:
    """The device, ``lag`` operations behind the host.

    Where it is not ``strict``, memory on the host holds what it held until a copy has come.
    """
    announce()
    device = Device(lag, strict=strict)
    _present.append(device)
    try:
        with ExitStack() as stack:
            for where, name, replacement in _replacements(device):
                stack.enter_context(mock.patch.object(where, name, replacement))
            stack.enter_context(_Mode())
            yield device
    finally:
        _present.pop()


def _replacements(device: Device) -> list[tuple[Any, str, Any]]:
    """What torch decides in C++ before any operation is seen."""
    generator, new_tensor, tolist = torch.Generator, torch.Tensor.new_tensor, torch.Tensor.tolist
    tensor, as_tensor = torch.tensor, torch.as_tensor

    class Chance(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, generator)

    class Generator(metaclass=Chance):
        def __new__(cls, device: Any = "cpu") -> Any:
            return generator("cpu" if _is_ours(device) else device)

    def from_host(make: Any) -> Any:
        def made(*args: Any, device: Any = None, **options: Any) -> Any:
            there = _is_ours(device)
            found = make(*args, device=None if there else device, **options)
            return found.to(device) if there else found

        return made

    def made_like(self: Tensor, data: Any, **options: Any) -> Tensor:
        if not isinstance(self, Lagging):
            return new_tensor(self, data, **options)
        return torch.tensor(data, dtype=options.pop("dtype", self.dtype), device=self.device)

    return [
        (torch, "Generator", Generator),
        (torch, "tensor", from_host(tensor)),
        (torch, "as_tensor", from_host(as_tensor)),
        (torch.Tensor, "new_tensor", made_like),
        (torch.Tensor, "tolist", lambda self: tolist(self.cpu())),
        (torch.Tensor, "pin_memory", lambda self: device.pin(self.clone())),
        (torch.accelerator, "current_stream", lambda _=None: Stream(device)),
    ]
