"""The tree of a network's modules that have parameters, with the widths that its layers state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn
from torch.nn.parameter import UninitializedParameter

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Part:
    """A module with its place in the tree; ``parts`` are its children that have parameters."""

    name: str
    module: nn.Module
    parts: tuple[Part, ...]
    owns_layer: bool

    @property
    def key(self) -> str:
        """Its name in its parent."""
        return self.name.rpartition(".")[2]

    @cached_property
    def layers(self) -> tuple[nn.Module, ...]:
        """The modules in it, itself included, that own a weight matrix, in order."""
        own = (self.module,) if self.owns_layer else ()
        return own + tuple(layer for part in self.parts for layer in part.layers)

    @property
    def count(self) -> int:
        """How many layers it has."""
        return len(self.layers)

    @property
    def is_container(self) -> bool:
        """Whether it is a list of modules and no more."""
        return isinstance(self.module, CONTAINERS)

    @cached_property
    def skeleton(self) -> int:
        """The same for two modules with the same tree of names, whatever their classes."""
        return hash(tuple((re.sub(r"\d+", "#", part.key), part.skeleton) for part in self.parts))

    @cached_property
    def sizes(self) -> int:
        """The same for two modules whose parameters have the same names and shapes."""
        found = ((name, shape_of(p)) for name, p in self.module.named_parameters())
        return hash(tuple(found))

    @cached_property
    def inner(self) -> frozenset[int]:
        """Which modules lie deeper in it than its children; a child that is among them belongs
        to the sibling that uses it."""
        return frozenset(
            id(module)
            for part in self.parts
            for module in part.module.modules()
            if module is not part.module
        )

    @property
    def takes(self) -> int | None:
        """The width that its first layer takes."""
        return width_in(self.layers[0]) if self.layers else None

    @property
    def gives(self) -> set[int | None]:
        """The widths that its layers give."""
        return {width_out(layer) for layer in self.layers}


def width_in(layer: nn.Module) -> int | None:
    """The number of features a layer takes, where it says so."""
    return _stated(layer, ("in_features", "in_channels", "embed_dim"), axis=1)


def width_out(layer: nn.Module) -> int | None:
    """The number of features a layer gives, where it says so."""
    return _stated(layer, ("out_features", "out_channels", "embed_dim"), axis=0)


def _stated(layer: nn.Module, attributes: Sequence[str], *, axis: int) -> int | None:
    for attribute in attributes:
        value = getattr(layer, attribute, None)
        if isinstance(value, int) and value > 0:
            return value
    weight = getattr(layer, "weight", None)
    shape = shape_of(weight) if isinstance(weight, nn.Parameter) else ()
    return shape[axis] if len(shape) > 1 else None


def shape_of(parameter: nn.Parameter) -> tuple[int, ...]:
    """Its shape; () of a lazy one."""
    return () if isinstance(parameter, UninitializedParameter) else tuple(parameter.shape)


def _owns_layer(module: nn.Module) -> bool:
    """Whether a parameter of its own is a matrix; scales such as (C, 1, 1) are none."""
    return any(
        isinstance(p, UninitializedParameter) or sum(size > 1 for size in p.shape) > 1
        for p in module.parameters(recurse=False)
    )


def part_of(module: nn.Module, name: str = "") -> Part:
    """The tree of the modules that have parameters. A module used twice is in it twice."""
    children = ((key, child) for key, child in module._modules.items() if child is not None)
    parts = (part_of(child, f"{name}.{key}" if name else key) for key, child in children)
    kept = tuple(
        part for part in parts if part.owns_layer or part.parts or owns_parameters(part.module)
    )
    return Part(name, module, kept, _owns_layer(module))


def owns_parameters(module: nn.Module) -> bool:
    """Whether it has parameters that are not its children's."""
    return any(True for _ in module.parameters(recurse=False))


def walk(part: Part) -> Iterator[Part]:
    """``part`` and all parts in it, in order."""
    yield part
    for child in part.parts:
        yield from walk(child)


def lies_in(name: str, outer: str) -> bool:
    """Whether the module called ``name`` is, or is inside, the one called ``outer``."""
    return name == outer or name.startswith(f"{outer}.")


def without_digits(key: str) -> str:
    """A name with its numbers taken out: ``layer#`` of ``layer3``."""
    return re.sub(r"\d+", "#", key)
