"""Which axis of a layer's output holds the features, and which the samples of the batch.

    (N, D)                                  vectors
    (N, T, D), (T, N, D) or (N, C, L)       tokens; tokens, sequence first; signals
    (N, C, H, W) or (N, H, W, C)            maps, channels first or last
    (N, C, T, H, W) or (N, T, H, W, C)      video

The shape alone does not tell. What tells is the sizes that the layer's modules state: a norm its
``normalized_shape`` or ``num_features``, a convolution or a linear layer the widths it takes and
gives. Which of axis 1 and the last axis has such a size is the answer. Kinds of modules count only
where sizes do not decide, and only if all of the layer's are of one kind: a linear layer inside a
block of maps says nothing about the block's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from vcr_core.errors import FeatureError
from vcr_core.regularization.tree import CONTAINERS

LAST = -1  # kind: features on the last axis
ANY_MAP = 0  # kind: features on axis 1, whatever the number of dimensions
UNKNOWN = -2  # kind: of a norm that may be of either
# other kinds are the number of dimensions for which the features are on axis 1

KINDS: tuple[tuple[type[nn.Module], int], ...] = (
    (nn.Conv1d, 3),
    (nn.ConvTranspose1d, 3),
    (nn.BatchNorm1d, 3),
    (nn.InstanceNorm1d, 3),
    (nn.Conv2d, 4),
    (nn.ConvTranspose2d, 4),
    (nn.BatchNorm2d, 4),
    (nn.InstanceNorm2d, 4),
    (nn.Conv3d, 5),
    (nn.ConvTranspose3d, 5),
    (nn.BatchNorm3d, 5),
    (nn.InstanceNorm3d, 5),
    (nn.GroupNorm, ANY_MAP),
    (nn.Linear, LAST),
    (nn.Bilinear, LAST),
    (nn.Embedding, LAST),
    (nn.MultiheadAttention, LAST),
    (nn.RNNBase, LAST),
)
EXACT_LAST = (nn.LayerNorm, nn.RMSNorm)  # subclasses of these normalise maps as well
SEQUENCE_LAYERS = (
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
)
STATING_ORDER = (nn.MultiheadAttention, nn.RNNBase)
FLATTENING = (nn.Flatten, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


class StatedSizes(NamedTuple):
    """What a layer and its surroundings state about widths; numbers only, made once.

    ``out``       widths of its output: of its own norms, of its last layer, or by its attributes
    ``inner``     every width stated inside it
    ``kinds``     of the modules that state them: ``LAST``, ``ANY_MAP``, ``UNKNOWN``, or the number
                  of dimensions for which the features are on axis 1
    ``before``    what the nearest layer before it gives, with ``before_kinds``
    ``after``     what the nearest layer after it takes, with ``after_kinds``
    ``network``   widths of stages that the network states
    ``orders``    the values of ``batch_first`` inside it
    ``outer_orders``  those of the nearest module around it that states any, if it states none
    ``in_sequence``   whether the order that is stated is sure to be that of the output: of a
                      sequence layer of torch, or of a part of one
    ``channels_first``  its own word on maps, if it has an attribute of that name
    ``is_row``        whether it is a plain layer, a row of them, or a sequence layer of torch:
                      nothing in it can turn the features around unseen
    """

    out: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()
    kinds: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    before_kinds: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    after_kinds: tuple[int, ...] = ()
    network: tuple[int, ...] = ()
    orders: tuple[bool, ...] = ()
    outer_orders: tuple[bool, ...] = ()
    in_sequence: bool = False
    channels_first: bool | None = None
    is_row: bool = True


NOTHING_STATED = StatedSizes()


class Layout(NamedTuple):
    """``feature_axis`` from the front, at least 1; ``batch_axis`` 0, or 1 for (T, N, D)."""

    feature_axis: int
    batch_axis: int


class _Widths(NamedTuple):
    takes: int | None
    gives: int | None
    kind: int | None
    is_norm: bool


# ------------------------------------------------------------------ what modules state


def stated_sizes(model: nn.Module, name: str) -> StatedSizes:
    """What the module called ``name`` in ``model``, and what is around it, state about widths."""
    module = model.get_submodule(name)
    found = list(_stating(module))
    before, after = _neighbour(model, name, after=False), _neighbour(model, name, after=True)
    orders = _orders(module)
    outer, in_sequence = ((), _keeps_order(module)) if orders else _outer_orders(model, name)
    return StatedSizes(
        out=_out_widths(module, found),
        inner=_unique(width for each in found for width in (each.takes, each.gives)),
        kinds=_unique(each.kind for each in found),
        before=_unique([before.gives] if before else []),
        before_kinds=_unique([before.kind] if before else []),
        after=_unique([after.takes] if after else []),
        after_kinds=_unique([after.kind] if after else []),
        network=_network_widths(model, name),
        orders=orders,
        outer_orders=outer,
        in_sequence=in_sequence,
        channels_first=getattr(module, "channels_first", None),
        is_row=_is_row(module),
    )


def _unique(values: Iterator[int | None] | list[int | None]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _stating(module: nn.Module) -> Iterator[_Widths]:
    """The statements of the modules in ``module``, itself included, in order."""
    for inner in module.modules():
        widths = _widths(inner)
        if widths is not None:
            yield widths


def _widths(module: nn.Module) -> _Widths | None:
    """What one module states, if it is a layer or a norm; ``None`` of a width not known yet."""
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention, nn.Embedding)):
        return _widths_of_sequence(module)
    if any(True for child in module.children() for _ in child.parameters()):
        return None
    for taken, given in (("in_features", "out_features"), ("in_channels", "out_channels")):
        if hasattr(module, taken) and hasattr(module, given):
            takes, gives = _width(getattr(module, taken)), _width(getattr(module, given))
            return _Widths(takes, gives, _kind(module), False)
    for stated in ("normalized_shape", "num_features", "num_channels"):
        if hasattr(module, stated):
            width = _width(getattr(module, stated))
            kind = _kind(module)
            return _Widths(width, width, UNKNOWN if kind is None else kind, True)
    return None


def _widths_of_sequence(module: nn.RNNBase | nn.MultiheadAttention | nn.Embedding) -> _Widths:
    if isinstance(module, nn.Embedding):
        return _Widths(None, _width(module.embedding_dim), LAST, False)
    if isinstance(module, nn.MultiheadAttention):
        return _Widths(_width(module.embed_dim), _width(module.embed_dim), LAST, False)
    directions = 2 if module.bidirectional else 1
    given = (module.proj_size or module.hidden_size) * directions
    return _Widths(_width(module.input_size), _width(given), LAST, False)


def _width(value: object) -> int | None:
    """A stated size as a width: above 1, and known (of a lazy module it is 0)."""
    if isinstance(value, (tuple, list)):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, int) and value > 1 else None


def _kind(module: nn.Module) -> int | None:
    if type(module) in EXACT_LAST:
        return LAST
    return next((kind for cls, kind in KINDS if isinstance(module, cls)), None)


def _out_widths(module: nn.Module, found: list[_Widths]) -> tuple[int, ...]:
    """The widths that the output may have: stated by the module itself, its norms, its end."""
    norms = [_widths(child) for child in module.children()]
    stated = [_width(getattr(module, name, None)) for name in ("out_features", "out_channels")]
    last = [each.gives for each in found[-1:]]
    return _unique(stated + [norm.gives for norm in norms if norm and norm.is_norm] + last)


def _neighbour(model: nn.Module, name: str, *, after: bool) -> _Widths | None:
    """The nearest statement before or after the module ``name`` in the order of the tree."""
    keys = name.split(".") if name else []
    for depth in range(len(keys) - 1, -1, -1):
        parent = model.get_submodule(".".join(keys[:depth]))
        names = list(parent._modules)
        place = names.index(keys[depth])
        siblings = names[place + 1 :] if after else names[:place][::-1]
        for sibling in (parent._modules[key] for key in siblings):
            if sibling is None:
                continue
            if after and isinstance(sibling, FLATTENING):
                return None
            found = list(_stating(sibling))
            if found:
                return found[0] if after else found[-1]
    return None


def _network_widths(model: nn.Module, name: str) -> tuple[int, ...]:
    """The widths of its stages that the network around ``name`` states."""
    keys = name.split(".")
    found: list[int | None] = []
    for depth in range(len(keys)):
        part = model.get_submodule(".".join(keys[:depth]))
        info = getattr(part, "feature_info", None)
        info = getattr(info, "info", info)
        stages = info if isinstance(info, (list, tuple)) else ()
        found += [_width(stage.get("num_chs")) for stage in stages if isinstance(stage, dict)]
        if any(True for _ in part.children()):
            found.append(_width(getattr(part, "num_features", None)))
    return _unique(found)


def _orders(module: nn.Module) -> tuple[bool, ...]:
    return tuple(dict.fromkeys(_walk_orders(module)))


def _walk_orders(module: nn.Module) -> Iterator[bool]:
    """The values of ``batch_first`` in ``module``; of siblings of one class the first speaks."""
    order = module.__dict__.get("batch_first")
    if isinstance(order, bool):
        yield order
    seen: set[type[nn.Module]] = set()
    for child in module.children():
        if type(child) not in seen or isinstance(child, STATING_ORDER + CONTAINERS):
            seen.add(type(child))
            yield from _walk_orders(child)


def _outer_orders(model: nn.Module, name: str) -> tuple[tuple[bool, ...], bool]:
    keys = name.split(".")
    for depth in range(len(keys) - 1, -1, -1):
        parent = model.get_submodule(".".join(keys[:depth]))
        orders = _orders(parent)
        if orders:
            return orders, isinstance(parent, SEQUENCE_LAYERS)
    return (), False


def _is_row(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential):
        return all(_is_row(child) for child in module)
    return isinstance(module, SEQUENCE_LAYERS) or not any(True for _ in module.children())


def _keeps_order(module: nn.Module) -> bool:
    """Whether its output has the order that it states: a layer of torch, or a row of them."""
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        return all(_keeps_order(child) for child in module if list(child.parameters()))
    return isinstance(module, (*SEQUENCE_LAYERS, nn.MultiheadAttention, nn.RNNBase))


# ------------------------------------------------------------------ the decision


def layout_of(
    shape: tuple[int, ...],
    stated: StatedSizes,
    *,
    layer: str,
    feature_axis: int | None = None,
    batch_first: bool | None = None,
    order_matters: bool = False,
) -> Layout:
    """Which axis of an output of ``shape`` holds the features, and which the batch.

    Args:
        shape: of the output, 2 to 5 dimensions.
        stated: what ``stated_sizes`` found for the layer.
        layer: its name, for the error.
        feature_axis: the user's word on the axis, from the front or (negative) from the back.
        batch_first: the user's word on (N, T, D) against (T, N, D).
        order_matters: whether the answer depends on which axis is the batch: a class token is
            taken, or tokens are averaged.

    Raises ``FeatureError`` where the stated sizes do not decide, and for a ``feature_axis`` that
    the shape does not have.
    """
    if not 2 <= len(shape) <= 5:
        raise FeatureError(
            f"layer {layer!r}: expected features of shape (N, D), (N, T, D) or (N, C, H, W), "
            f"got {tuple(shape)}: attach to a layer whose output has a feature axis"
        )
    given = None if feature_axis is None else _checked(feature_axis, shape, layer)
    if len(shape) != 3:
        return Layout(_axis(shape, stated, layer) if given is None else given, 0)
    axis = given
    if axis is None:  # whoever says batch_first speaks of tokens
        axis = _axis(shape, stated, layer) if batch_first is None else 2
    if axis == 1:
        if given is not None and batch_first is False:
            raise FeatureError(
                f"layer {layer!r}: got feature_axis={feature_axis} and batch_first=False for shape "
                f"{tuple(shape)}, which leave no axis for the batch: expected one of the two"
            )
        return Layout(1, 0)
    return Layout(2, int(_sequence_first(shape, stated, layer, batch_first, order_matters)))


def _checked(feature_axis: int, shape: tuple[int, ...], layer: str) -> int:
    axis = feature_axis + len(shape) if feature_axis < 0 else feature_axis
    if isinstance(feature_axis, bool) or not 1 <= axis < len(shape):
        raise FeatureError(
            f"layer {layer!r}: expected feature_axis from 1 to {len(shape) - 1}, or negative to "
            f"count from the back, for shape {tuple(shape)}, got {feature_axis}: "
            "axis 0 is the batch"
        )
    return axis


def _sequence_first(
    shape: tuple[int, ...],
    stated: StatedSizes,
    layer: str,
    batch_first: bool | None,
    order_matters: bool,
) -> bool:
    """Whether an output of three dimensions is (T, N, D)."""
    if batch_first is not None:
        return not batch_first
    orders = stated.orders or stated.outer_orders
    if stated.in_sequence and len(orders) == 1:
        return not orders[0]
    if order_matters and False in orders:  # a module of one's own may turn its input around
        raise FeatureError(
            f"layer {layer!r}: output of shape {tuple(shape)} may be (N, T, D) or (T, N, D): "
            "modules in or around it say batch_first=False, and what it does itself it does not "
            "state: pass batch_first=True or batch_first=False"
        )
    return False


def _axis(shape: tuple[int, ...], stated: StatedSizes, layer: str) -> int:
    """Axis 1 or the last: by kind where all modules are of one, else by the stated sizes."""
    last = len(shape) - 1
    if last == 1:
        return 1
    if last > 2 and stated.channels_first is not None:
        return 1 if stated.channels_first else last
    own = _common_axis(stated.kinds, last)
    if own is None or ((own != 1 or last == 2) and _may_turn(shape, stated)):
        axis = _by_size(shape, stated)
    else:
        axis = _by_kind(shape, stated, own)
    if axis is None and not _have_kinds(stated.kinds, last):
        axis = _by_neighbours(shape, stated)
    if axis is None and not (stated.inner or stated.before or stated.after):
        axis = last if last == 2 else 1  # nothing states anything: the convention
    if axis is None:
        raise FeatureError(
            f"layer {layer!r}: cannot tell which axis of its output of shape {tuple(shape)} holds "
            f"the features: its modules state the widths {_listed(stated)}: pass "
            f"{_choices(shape, stated)}"
        )
    return axis


def _choices(shape: tuple[int, ...], stated: StatedSizes) -> str:
    """The axes in question: those with a stated size, or else the first and the last."""
    sizes = stated.out + stated.inner + stated.before + stated.after
    axes = [axis for axis in range(1, len(shape)) if shape[axis] in sizes]
    if len(axes) < 2:
        axes = [1, len(shape) - 1]
    return " or ".join(f"feature_axis={axis}" for axis in axes)


def _by_size(shape: tuple[int, ...], stated: StatedSizes) -> int | None:
    """The axis whose size is stated; ``None`` where both are, or neither.

    What the layer says of its output comes before what is inside it, and that before what is
    around it. Modules of other dimensions than the output's had it reshaped around them: then the
    features may lie on any axis, and a stated size on one between is in doubt as well.
    """
    last = len(shape) - 1
    reshaped = bool(stated.kinds) and not _have_kinds(stated.kinds, last)
    around = stated.before + stated.after
    tiers = (stated.out, stated.inner, stated.after) if stated.inner else (around,)
    for sizes in (*tiers, stated.network):
        on_first, on_last = shape[1] in sizes, shape[last] in sizes
        if on_first and on_last and sizes is not stated.inner:
            return None
        if reshaped and any(size in sizes for size in shape[2:last]):
            return None
        axis = 1 if on_first else last
        if on_first != on_last and not _looks_like(shape, last + 1 - axis):
            return axis
    return None


def _may_turn(shape: tuple[int, ...], stated: StatedSizes) -> bool:
    """Whether a block may turn its features around inside, and its sizes do not tell.

    Linear layers, norms and attention in a network of maps are often put between two transpositions
    (and so are convolutions and norms of signals among tokens); convolutions of maps hardly ever.
    """
    widths = stated.out + stated.inner
    return not stated.is_row and shape[1] in widths and shape[-1] in widths


def _by_kind(shape: tuple[int, ...], stated: StatedSizes, axis: int) -> int | None:
    """The axis of the kind that all the layer's modules are of, unless the sizes say otherwise.

    A concatenation has a width that nobody states, and then the size of the other axis may be one
    that is stated by chance. So the layer is taken to turn its output around only where the
    shape or the next layer says so too.
    """
    last = len(shape) - 1
    other = last + 1 - axis
    if shape[1] == shape[last]:
        before = _common_axis(stated.before_kinds, last)
        return axis if before in (None, axis) or last == 2 else None
    if shape[other] not in stated.out:
        stated_at_all = shape[axis] in stated.inner + stated.after + stated.network
        return axis if axis == 1 or stated_at_all else None
    if shape[axis] in stated.out:
        return axis
    supported = shape[axis] in stated.inner + stated.after
    wanted_next = _common_axis(stated.after_kinds, last) == other and shape[other] in stated.after
    if _looks_like(shape, other) or (not supported and (last == 2 or wanted_next)):
        return other
    return axis if supported or _looks_like(shape, axis) else None


def _by_neighbours(shape: tuple[int, ...], stated: StatedSizes) -> int | None:
    """For a layer without a kind of its own, where sizes do not tell: the kind of its neighbours.

    Outputs that nobody states the size of may be maps between convolutions (a ReLU that is used
    several times), but between linear layers they may as well be scores of attention.
    """
    last = len(shape) - 1
    unclear = stated.after and not _have_kinds(stated.after_kinds, last)
    if unclear or not _have_kinds(stated.before_kinds, last):
        return None
    axis = _common_axis(stated.before_kinds + stated.after_kinds, last)
    if shape[1] == shape[last]:
        around = stated.before + stated.after + stated.inner
        return axis if shape[1] in around else None
    sizes = stated.inner + stated.before + stated.after
    named = shape[1] in sizes or shape[last] in sizes
    return 1 if axis == 1 and last > 2 and not named and not _looks_like(shape, last) else None


def _have_kinds(kinds: tuple[int, ...], last: int) -> bool:
    """Whether any of the kinds says something about outputs of this many dimensions."""
    return any(kind in (LAST, ANY_MAP, last + 1) for kind in kinds)


def _common_axis(kinds: tuple[int, ...], last: int) -> int | None:
    """The axis on which all of these kinds have the features; ``None`` where they differ."""
    axes = [last if kind == LAST else 1 for kind in kinds if kind in (LAST, ANY_MAP, last + 1)]
    unknown = UNKNOWN in kinds and last > 2  # norms of tokens have no other variety
    return axes[0] if axes and not unknown and min(axes) == max(axes) else None


def _looks_like(shape: tuple[int, ...], axis: int) -> bool:
    """Whether the maps are square if the features are on ``axis``, and only then."""
    first, last = shape[-3] == shape[-2], shape[-2] == shape[-1]
    if len(shape) != 4 or first == last:
        return False
    return last if axis == 1 else first


def _listed(stated: StatedSizes) -> str:
    sizes = stated.inner or (stated.before + stated.after)
    return ", ".join(str(size) for size in sorted(set(sizes))[:8])
