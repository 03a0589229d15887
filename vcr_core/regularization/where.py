"""Which layers of a model: blocks, the last one, names, or patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from vcr_core.errors import LayerNotFoundError
from vcr_core.regularization.blocks import WRAPPED, find_blocks, outermost, repeated_patterns
from vcr_core.regularization.chains import Uncertain
from vcr_core.regularization.settings import Factor

Layers = str | Sequence[str] | Callable[[str, nn.Module], bool]

MOST_CANDIDATES = 30


def resolve_layers(model: nn.Module, layers: Layers) -> tuple[str, ...]:
    """The names of the modules that ``layers`` means, in the order of the model.

    Args:
        model: any module.
        layers: ``"blocks"``, ``"last"`` (the last block), a name, an fnmatch pattern such as
            ``"layer[34].*"`` (of modules that lie inside one another it takes the outer one), a
            sequence of names and patterns, or a function that gets a name and its module and says
            whether to take it.

    Raises ``LayerNotFoundError``, with the names that there are, where nothing matches.
    """
    if layers == "blocks":
        return _blocks(model)
    if layers == "last":
        return _blocks(model)[-1:]
    if callable(layers):
        return _accepted(model, layers)
    patterns = (layers,) if isinstance(layers, str) else tuple(layers)
    if not patterns:
        raise LayerNotFoundError(f"expected at least one layer name, got none: {_choices(model)}")
    names = [name for name, _ in model.named_modules() if name]
    chosen = {name for pattern in patterns for name in _matches(model, names, pattern)}
    return tuple(name for name in names if name in chosen)


def matching_names(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Those of ``names`` that a name or pattern matches.

    Raises ``LayerNotFoundError`` for a name or pattern that matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        if not matching:
            raise LayerNotFoundError(
                f"no attached layer is called {pattern!r}: attached are {', '.join(names)}"
            )
        found |= matching
    return found


def factors_of(names: Sequence[str], factors: Mapping[str, Factor]) -> dict[str, Factor]:
    """The factor of each layer: of the last name or pattern that matches it, else 1.

    Raises ``LayerNotFoundError`` for a name or pattern that matches none of ``names``.
    """
    found: dict[str, Factor] = dict.fromkeys(names, 1.0)
    for pattern, factor in factors.items():
        found.update(dict.fromkeys(matching_names(names, [pattern]), factor))
    return found


def _accepted(model: nn.Module, accept: Callable[[str, nn.Module], bool]) -> tuple[str, ...]:
    names = tuple(name for name, module in model.named_modules() if name and accept(name, module))
    if not names:
        raise LayerNotFoundError(
            f"the function passed as layers takes no module of {type(model).__name__}: "
            f"{_choices(model)}"
        )
    return names


def _matches(model: nn.Module, names: list[str], pattern: str) -> list[str]:
    if pattern in names:
        return [pattern]
    found = outermost(name for name in names if fnmatchcase(name, pattern))
    if not found:
        raise LayerNotFoundError(
            f"no layer of {type(model).__name__} is called {pattern!r}: {_choices(model)}"
        )
    return found


def _blocks(model: nn.Module) -> tuple[str, ...]:
    prefix, inner = "", model
    while (named := getattr(inner, "block_names", None)) is None or "_orig_mod" in inner._modules:
        key = next((key for key in WRAPPED if set(inner._modules) == {key}), None)
        if key is None:
            break
        prefix, inner = f"{prefix}{key}.", inner.get_submodule(key)
    if named is not None:
        return resolve_layers(model, tuple(prefix + name for name in named))
    try:
        return find_blocks(model)
    except Uncertain as reason:
        raise LayerNotFoundError(
            f"do not know the blocks of {type(model).__name__} ({reason}): pass layers=[...] with "
            f"names or patterns, or give the model a block_names tuple; {_choices(model)}"
        ) from None


def _choices(model: nn.Module) -> str:
    """The names there are; of a large network the patterns that they follow."""
    names = [name for name, _ in model.named_modules() if name]
    patterns = repeated_patterns(model)
    if len(names) > MOST_CANDIDATES and patterns:
        return f"its repeated layers are {', '.join(patterns)}"
    names = names if len(names) <= MOST_CANDIDATES else [name for name, _ in model.named_children()]
    return f"its layers are {', '.join(names) or '(it has no sub-modules)'}"
