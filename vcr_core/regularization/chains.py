"""Chains: rows of siblings of one kind, each with at least two layers.

The blocks of a transformer, or the stages of a hierarchical network. Branches, experts and pieces
to be concatenated look like rows and are none: what runs side by side is told apart by what it
takes and gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from vcr_core.regularization.tree import (
    Part,
    width_in,
    width_out,
    without_digits,
)

MOST_HEAD_LAYERS = 3


class Uncertain(Exception):  # noqa: N818  (an answer, not an error: the caller words the error)
    """The structure allows more than one reading, or none; says why."""


@dataclass(frozen=True)
class Chain:
    """A row of modules that are, or hold, the blocks; ``count`` layers in all."""

    parent: Part
    links: tuple[Part, ...]
    count: int
    is_plain: bool = False  # a row of single layers

    @classmethod
    def of(cls, parent: Part, links: Sequence[Part], *, is_plain: bool = False) -> Chain:
        """The chain of these links."""
        return cls(parent, tuple(links), sum(link.count for link in links), is_plain)


def named(chain: Chain) -> str:
    return " … ".join((chain.links[0].name, chain.links[-1].name))


def chains_in(part: Part, final: tuple[nn.Module, ...]) -> Iterator[Chain]:
    """The outermost chains in ``part``; ``final`` is the network's last layer."""
    links = row_of(part, final)
    if links:
        yield Chain.of(part, links)
        return
    for child in part.parts:
        if not _are_experts(child, part):
            yield from chains_in(child, final)


def _are_experts(part: Part, parent: Part) -> bool:
    """Whether a sibling before ``part`` chooses among its modules: a score for each of them."""
    before = parent.parts[: parent.parts.index(part)]
    takes = {child.takes for child in part.parts}
    return isinstance(part.module, nn.ModuleList) and any(
        len(gate.layers) == 1
        and width_out(gate.layers[0]) == len(part.parts)
        and {gate.takes} == takes
        for gate in before
    )


def row_of(part: Part, final: tuple[nn.Module, ...] = ()) -> tuple[Part, ...]:
    """Its children that follow each other as links of a chain; none if they do not."""
    compounds = [
        child
        for child in part.parts
        if child.count > 1 and not is_head(child, final) and id(child.module) not in part.inner
    ]
    related = [
        child
        for child in compounds
        if any(other is not child and alike(child, other, part) for other in compounds)
    ]
    if len(related) < 2 or side_by_side(part, related):
        return ()
    if not part.is_container:
        first, last = compounds.index(related[0]), compounds.index(related[-1])
        return tuple(compounds[first : last + 1])
    weighted = [child for child in part.parts if child.count]
    if all(lists_modules(child) for child in weighted):
        return tuple(weighted)  # stages of a single layer are stages too
    return tuple(compounds)


def lists_modules(part: Part) -> bool:
    """Whether it is a list of modules that are not plain layers."""
    weighted = [child for child in part.parts if child.count]
    return part.is_container and bool(weighted) and all(child.parts for child in weighted)


def is_head(part: Part, final: tuple[nn.Module, ...]) -> bool:
    """A classifier, or an auxiliary one: ends in as many classes as the network does."""
    if not part.layers:
        return False
    classes = {width_out(layer) for layer in final if isinstance(layer, nn.Linear)}
    last = part.layers[-1]
    ends_in_classes = isinstance(last, nn.Linear) and width_out(last) in classes
    return ends_in_classes and width_out(last) != part.takes and part.count <= 2 * MOST_HEAD_LAYERS


def alike(one: Part, other: Part, parent: Part) -> bool:
    """Whether two siblings are of one kind: one class, one tree, or lists of such."""
    numbered = parent.is_container or without_digits(one.key) == without_digits(other.key)
    if one.is_container and other.is_container:
        return numbered and _hold_alike(one, other)  # else, say, an encoder and a decoder
    same = type(one.module) is type(other.module) or (
        bool(one.parts) and one.skeleton == other.skeleton
    )
    if numbered or not (same and _holds_chain(one)):
        return same
    return one.sizes != other.sizes and other.takes in one.gives  # else, say, two towers


def _holds_chain(part: Part) -> bool:
    """Whether anything in ``part`` is repeated in a row."""
    return next(chains_in(part, ()), None) is not None


def _hold_alike(one: Part, other: Part) -> bool:
    """Whether two lists have modules of one kind."""
    kinds = [
        {(type(child.module), child.skeleton) for child in part.parts if child.count}
        for part in (one, other)
    ]
    classes = [{kind[0] for kind in found} for found in kinds]
    trees = [{kind[1] for kind in found if kind[1] != hash(())} for found in kinds]
    return not classes[0].isdisjoint(classes[1]) or not trees[0].isdisjoint(trees[1])


def is_nested(part: Part) -> bool:
    return any(child.count > 1 for child in part.parts)


def side_by_side(parent: Part, links: Sequence[Part]) -> bool:
    """Whether the sizes say that the links all take the same input: heads, branches, critics.

    A module list may hold either; names alone do not tell. In a row, a link takes what the one
    before gives, or, as its siblings in a class of their own may, a concatenation of it.
    """
    if isinstance(parent.module, nn.Sequential) or len(links) < 2:
        return False
    joins = not parent.is_container
    return all(
        one.takes == other.takes and _cannot_follow_itself(one, joins=joins)
        for one, other in pairwise(links)
    )


def _cannot_follow_itself(link: Part, *, joins: bool) -> bool:
    """Whether no output of ``link`` is as wide as its input."""
    if link.takes is None or (joins and _may_concatenate(link)):
        return False
    takes = [width_in(layer) for layer in link.layers]
    gives = [width_out(layer) for layer in link.layers]
    if takes[1:] == gives[:-1]:  # one layer after the other
        return takes[0] != gives[-1]
    return takes.count(link.takes) > 1 and link.takes not in gives


def _may_concatenate(part: Part) -> bool:
    widths = [width_out(layer) or 0 for layer in part.layers]
    return max(widths) < (part.takes or 0) <= sum(widths)
