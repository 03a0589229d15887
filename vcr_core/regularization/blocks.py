"""The repeated structure of a network: which modules are its blocks, whatever they are called.

A *layer* here is a module that owns a weight matrix (or filters). A *chain* is a row of siblings
of one kind, each with at least two layers: the blocks of a transformer, or the stages of a
hierarchical network. A *stage* is a link of a chain that is itself little more than a chain; its
links are the blocks. Only sizes, order and containers are looked at, so the meta device will do.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

from torch import nn

from vcr_core.regularization.chains import (
    Chain,
    Uncertain,
    alike,
    chains_in,
    is_head,
    is_nested,
    lists_modules,
    named,
    row_of,
    side_by_side,
)
from vcr_core.regularization.tree import (
    Part,
    lies_in,
    owns_parameters,
    part_of,
    shape_of,
    walk,
    width_in,
    width_out,
    without_digits,
)

WRAPPED = ("_orig_mod", "module")  # where torch.compile and data parallelism keep the model
MOST_HEAD_LAYERS = 3  # more layers than that after the last block are no head any more
MOST_PATTERNS = 8


def find_blocks(model: nn.Module) -> tuple[str, ...]:
    """The names of the blocks of ``model``, in its order; none lies inside another.

    Warns (``UserWarning``) where stages that are not among the blocks follow the last one. Raises
    ``Uncertain``, with the reason, where the structure has no single reading.
    """
    root = part_of(model)
    found = _unique(_blocks_of(_trunk(root)))
    blocks = _as_stated(root, found)
    _warn_of_tail(root, blocks, left_out=found[len(blocks) :])
    return tuple(block.name for block in blocks)


def _unique(blocks: Sequence[Part]) -> tuple[Part, ...]:
    """A module that is used several times is one layer, under its first name."""
    first = {id(block.module): block for block in reversed(blocks)}
    return tuple(block for block in blocks if first[id(block.module)] is block)


def _trunk(root: Part) -> Chain:
    """The chain that the others, if any, are small beside."""
    chains = list(chains_in(root, root.layers[-1:]))
    flat = (
        []
        if any(chain.parent is not root or _holds_stages(chain) for chain in chains)
        else (_root_groups(root))
    )
    chains = flat or chains or list(_plain_chains(root))
    if not chains:
        raise Uncertain("nothing in it is repeated in a row")
    stated = [chain for chain in chains if _is_stated(root, chain)]
    chains = stated if len(stated) == 1 else chains
    main = max(chains, key=lambda chain: chain.count)
    heads = sum(part.count for part in root.parts if is_head(part, root.layers[-1:]))
    rest = root.count - main.count - (heads if heads < root.count else 0)
    if rest > 2 * main.count or (main.is_plain and rest >= main.count):
        raise Uncertain(f"{named(main)} are repeated, but are a small part of it")
    for other in chains:
        if other is not main and 2 * other.count > main.count:
            raise Uncertain(
                f"{named(main)} and {named(other)} are repeated side by side, "
                "and either may be meant"
            )
    return main


def _is_stated(root: Part, chain: Chain) -> bool:
    """Whether the network says that its features end within ``chain``."""
    stated = _stated_end(root, chain.links[-1].name)
    return stated is not None and any(lies_in(stated.name, link.name) for link in chain.links)


# ------------------------------------------------------------------ stages


def _holds_stages(chain: Chain) -> bool:
    return bool(_inside(chain.links[-1])) and not _repeats_exactly(chain.links)


def _blocks_of(chain: Chain) -> tuple[Part, ...]:
    """The blocks of a chain: its links, or the links of those of them that are stages."""
    links = chain.links
    if any(isinstance(link.module, nn.ModuleList) and not _uniform(link) for link in links):
        raise Uncertain(
            f"{links[0].name} … {links[-1].name} are lists of different modules, never called "
            "themselves"
        )
    if _repeats_exactly(links):
        _require_one_stream(links[0])
        return tuple(block for link in links for block in _branches(link) or (link,))
    insides = [_inside(link) for link in links]
    stages = [found for found in insides if found]
    if not stages:
        return links
    for found in stages:
        if _grows(found):
            raise Uncertain(
                f"{found[0].name} … {found[-1].name} give pieces that are concatenated around them"
            )
    if not _ends_its_stage(insides[-1], links[-1]) or 2 * len(stages) < len(links):
        raise Uncertain(
            f"{links[0].name} … {links[-1].name} or, inside them, {stages[0][0].name} and its "
            "like may be meant"
        )
    blocks = tuple(
        block
        for link, found in zip(links, insides, strict=True)
        if found or not _is_stem(link, links)
        for block in (found or _at_the_place_of(stages[-1], links[-1], link) or (link,))
    )
    if any(_branches(block) for block in blocks):
        raise Uncertain(f"{blocks[-1].name} and its like hold several branches at once")
    return blocks


def _uniform(part: Part) -> bool:
    """Whether all compound modules of a list are of one kind."""
    compounds = [child for child in part.parts if child.count > 1]
    return all(alike(one, other, part) for one, other in pairwise(compounds))


def _at_the_place_of(blocks: Sequence[Part], stage: Part, other: Part) -> tuple[Part, ...]:
    """The blocks of the stage ``other``, found where those of a sister ``stage`` are."""
    if type(stage.module) is not type(other.module):
        return ()
    places = {without_digits(block.name.removeprefix(stage.name)) for block in blocks}
    return tuple(
        part
        for part in walk(other)
        if part.count and without_digits(part.name.removeprefix(other.name)) in places
    )


def _branches(block: Part) -> tuple[Part, ...]:
    """The blocks in the parallel branches of ``block``: lists of blocks, of widths of their own."""
    for part in block.parts:
        lists = [child for child in part.parts if is_nested(child)]
        if not isinstance(part.module, nn.ModuleList) or len(lists) != len(part.parts) or not lists:
            continue
        apart = all(other.takes not in one.gives for one, other in pairwise(lists))
        if len(lists) > 1 and apart and all(child.is_container for child in lists):
            return tuple(inner for child in lists for inner in child.parts if inner.count > 1)
    return ()


def _require_one_stream(block: Part) -> None:
    """Raise ``Uncertain`` for a block with pairs of norms of two widths: it carries two tensors
    along, and the first that it returns need not be the features."""
    norms = Counter(
        shape_of(scale)
        for part in block.parts
        if not part.count
        and isinstance(scale := getattr(part.module, "weight", None), nn.Parameter)
        if hasattr(part.module, "normalized_shape")
    )
    streams = [shape for shape, times in norms.items() if times > 1]
    if len(streams) > 1:
        widths = " and ".join(str(shape[-1]) for shape in streams)
        raise Uncertain(f"{block.name} and its like carry streams of {widths} features")


def _repeats_exactly(links: Sequence[Part]) -> bool:
    """Whether most links are copies of their neighbour: then they are blocks, not stages."""
    pairs = list(pairwise(links))
    copies = sum(one.sizes == other.sizes and not one.is_container for one, other in pairs)
    return 2 * copies > len(pairs)


def _is_stem(link: Part, links: Sequence[Part]) -> bool:
    return link is links[0] and link.is_container and not lists_modules(link)


def _inside(link: Part) -> tuple[Part, ...]:
    """The links of the chain that makes up most of ``link``, if one does."""
    link = _unwrapped(link)
    if link.is_container:
        found = _elements(link, single=True)
    else:
        lists = [part for part in link.parts if part.is_container and _elements(part)]
        found = _elements(lists[-1]) if lists else _numbered_row(link)
    return found if 2 * sum(part.count for part in found) > link.count else ()


def _unwrapped(part: Part) -> Part:
    while len(part.parts) == 1 and part.parts[0].key in WRAPPED and not part.owns_layer:
        part = part.parts[0]
    return part


def _elements(part: Part, *, single: bool = False) -> tuple[Part, ...]:
    """The blocks in a list of modules; plain layers before them are left out."""
    found = tuple(child for child in part.parts if child.count > 1)
    if single and not found:
        found = tuple(child for child in part.parts if child.count and child.parts)
    if found and isinstance(part.module, nn.ModuleList) and side_by_side(part, found):
        return ()
    after = part.parts[part.parts.index(found[-1]) + 1 :] if found else ()
    return () if any(child.count for child in after) else found


def _numbered_row(part: Part) -> tuple[Part, ...]:
    """Children b1, b2, … of one stem that follow each other."""
    compounds = [child for child in part.parts if child.count > 1]
    stems = {without_digits(child.key) for child in compounds}
    row = row_of(part)
    if len(stems) != 1 or len(row) != len(compounds):
        return ()
    linked = all(other.takes in one.gives for one, other in pairwise(row))
    return row if linked else ()


def _grows(links: Sequence[Part]) -> bool:
    """Whether each link takes more than the one before though all give the same: pieces that
    are concatenated around them, so that no link gives the whole."""
    takes = [link.takes or 0 for link in links]
    gives = {width_out(link.layers[-1]) for link in links}
    rises = all(one < other for one, other in pairwise(takes))
    return len(links) > 2 and rises and len(gives) == 1


def _ends_its_stage(blocks: tuple[Part, ...], stage: Part) -> bool:
    """Whether no layer follows the blocks within their stage.

    A layer that widens to what the first block takes comes before it, wherever it is defined.
    """
    if not blocks:
        return False
    places = [place for place, layer in enumerate(stage.layers) if layer is blocks[-1].layers[-1]]
    return all(
        (width_in(layer) or 0) < (width_out(layer) or 0) == blocks[0].takes
        for layer in stage.layers[places[-1] + 1 :]
    )


# ------------------------------------------------------------------ layers in a row


def _plain_chains(root: Part) -> Iterator[Chain]:
    """Rows of single layers, where nothing larger is repeated."""
    for part in walk(root):
        inner = tuple(child for child in part.parts if child.count)
        is_all = part.count == root.count
        if not _is_flat(part) or (is_head(part, root.layers[-1:]) and not is_all):
            continue
        if any(isinstance(child.module, nn.RNNBase) for child in inner):
            continue
        if not isinstance(part.module, nn.Sequential):
            if not side_by_side(part, inner):
                yield Chain.of(part, inner, is_plain=True)
        elif all(child.parts for child in inner):
            yield Chain.of(part, inner, is_plain=True)
        else:
            keep_last = part.layers[-1] is not root.layers[-1]
            yield Chain(part, tuple(_groups(part, keep_last=keep_last)), part.count, is_plain=True)


def _root_groups(root: Part) -> list[Chain]:
    """Of an ``nn.Sequential`` of layers and blocks all of them, but not the head."""
    recurrent = any(isinstance(part.module, nn.RNNBase) for part in root.parts)
    if not isinstance(root.module, nn.Sequential) or recurrent:
        return []
    links = tuple(_groups(root, keep_last=False))
    return [Chain(root, links, root.count)] if links else []


def _is_flat(part: Part) -> bool:
    inner = [child for child in part.parts if child.count]
    return part.is_container and len(inner) > 1 and all(child.count == 1 for child in inner)


def _groups(part: Part, *, keep_last: bool) -> Iterator[Part]:
    """Of ``Linear, ReLU, Linear, ReLU, Linear`` the modules that end a group: the activations."""
    weighted = {child.key for child in part.parts if child.count}
    end: Part | None = None
    for key, child in part.module._modules.items():
        if child is None:
            continue
        starts = key in weighted
        if starts and end is not None:
            yield end
        if starts or (end is not None and not isinstance(child, (nn.Dropout, nn.Flatten))):
            end = part_of(child, f"{part.name}.{key}" if part.name else key)
    if keep_last and end is not None:
        yield end


# ------------------------------------------------------------------ the network's own word


def _as_stated(root: Part, blocks: tuple[Part, ...]) -> tuple[Part, ...]:
    """The blocks up to where the network itself says that its features end (``feature_info``)."""
    stated = _stated_end(root, blocks[-1].name)
    if stated is None:
        return blocks
    inside = [block for block in blocks if lies_in(block.name, stated.name)]
    around = [block for block in blocks if lies_in(stated.name, block.name)]
    if inside or around:
        return blocks[: blocks.index((inside or around)[-1]) + 1]
    names = [name for name, _ in root.module.named_modules(remove_duplicate=False)]
    between = names[names.index(blocks[-1].name) + 1 : names.index(stated.name)]
    owners = {part.name for part in walk(root) if part.owns_layer}
    skipped = [name for name in between if name in owners and not lies_in(name, blocks[-1].name)]
    follows = names.index(blocks[-1].name) < names.index(stated.name)
    if not follows or skipped or stated.count > 1:
        raise Uncertain(
            f"its repeated structure ends at {blocks[-1].name}, but it states that its features "
            f"end at {stated.name}"
        )
    if not stated.parts and not owns_parameters(stated.module):
        return (*blocks[:-1], stated)  # the same features, at the place that the network states
    return (*blocks, stated)


def _stated_end(root: Part, block: str) -> Part | None:
    """The last module of the ``feature_info`` of the network that ``block`` belongs to."""
    modules = dict(root.module.named_modules(remove_duplicate=False))
    keys = block.split(".")
    for depth in range(len(keys)):
        prefix = ".".join(keys[:depth])
        info = getattr(modules[prefix], "feature_info", None)
        last = _last_entry(getattr(info, "info", info))
        if last is not None:
            name = f"{prefix}.{last}" if prefix else last
            return part_of(modules[name], name) if name in modules else None
    return None


def _last_entry(info: object) -> str | None:
    if not isinstance(info, Sequence) or not info or not isinstance(info[-1], Mapping):
        return None
    name = info[-1].get("module")
    return name if isinstance(name, str) and name else None


def _warn_of_tail(root: Part, blocks: Sequence[Part], *, left_out: Sequence[Part]) -> None:
    """Warn where more than a head follows the last block."""
    last, modules = blocks[-1], [block.module for block in blocks]
    path = [part for part in walk(root) if lies_in(last.name, part.name) or part is root]
    later: list[Part] = []
    for part in path:
        if part.name == last.name:
            break
        keys = [child.name for child in part.parts]
        here = next((key for key in keys if lies_in(last.name, key)), None)
        if here is not None:
            later += part.parts[keys.index(here) + 1 :]
    later = [part for part in later if all(part.module is not module for module in modules)]
    stages = [
        part.name
        for part in later
        if not _may_be_head(part, root, last) or any(lies_in(x.name, part.name) for x in left_out)
    ]
    if stages:
        warnings.warn(
            f"after {last.name}, the last block, {type(root.module).__name__} has "
            f"{', '.join(stages)}, which are not among its blocks: if they belong to the features, "
            "pass their names in layers=[...]",
            UserWarning,
            stacklevel=5,
        )


def _may_be_head(part: Part, root: Part, block: Part) -> bool:
    """Whether ``part`` has fewer layers than a block, is a classifier, or a few linear layers."""
    most = min(MOST_HEAD_LAYERS, max(block.count - 1, 1)) if block.count else MOST_HEAD_LAYERS
    if part.count <= most or is_head(part, root.layers[-1:]):
        return True
    is_row = isinstance(part.module, nn.Sequential)
    return _is_flat(part) and (
        not is_row or all(isinstance(layer, nn.Linear) for layer in part.layers)
    )


# ------------------------------------------------------------------ patterns to choose from


def repeated_patterns(model: nn.Module) -> list[str]:
    """What is repeated in ``model``, as patterns to pass: ``blocks.* (12 modules, class Foo)``.

    The outermost and largest first; parts of a pattern's modules are left out two levels down.
    """
    compounds = {part.name: part for part in walk(part_of(model)) if part.name and part.parts}
    groups = Counter(re.sub(r"\d+", "*", name) for name in compounds if re.search(r"\d", name))
    described: list[str] = []
    names = [name for name, _ in model.named_modules() if name]
    for pattern, size in sorted(groups.items(), key=lambda item: (item[0].count("."), -item[1])):
        if size < 2 or len(described) == MOST_PATTERNS:
            continue
        matching = outermost(name for name in names if fnmatchcase(name, pattern))
        classes = Counter(type(model.get_submodule(name)).__name__ for name in matching)
        described.append(f"{pattern} ({len(matching)} modules, class {' or '.join(classes)})")
    return described


def outermost(names: Iterator[str]) -> list[str]:
    """Those names, in the order of the model, that lie inside none of the others."""
    kept: list[str] = []
    for name in names:
        if not kept or not lies_in(name, kept[-1]):
            kept.append(name)
    return kept
