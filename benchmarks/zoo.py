"""Which layers and which axis are found, without being told, in the models of timm and torchvision.

    python benchmarks/zoo.py --out docs/results/zoo.json
    python benchmarks/zoo.py --models FILE
    python benchmarks/zoo.py --write                        docs/zoo.md from docs/results/zoo.json

Every model is built with random weights and without memory for them. The last layer is right if it
lies in what timm states as the last module of the features (``feature_info``), or in the stage that
the list of models names. The axis is right if the features are where the size stays the same when
the model runs on pictures of another size.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from regularizer import machine

from vcr_core.errors import FeatureError, LayerNotFoundError
from vcr_core.regularization.axes import Layout, layout_of, stated_sizes
from vcr_core.regularization.where import resolve_layers

ROOT = Path(__file__).parents[1]
MODELS = Path(__file__).with_name("zoo_models.txt")
RESULT = ROOT / "docs" / "results" / "zoo.json"
PAGE = ROOT / "docs" / "zoo.md"
BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"
LARGER = (2.0, 1.5, 1.25)  # the second size; the first of them that the model takes
IMAGES = 3

Shapes = dict[str, tuple[int, ...]]


class Entry(NamedTuple):
    """A line of the list: ``timm:resnet26 96``, and for torchvision the name of its last stage."""

    library: str
    name: str
    size: int
    last_stage: str | None


def entries(path: Path) -> Iterator[Entry]:
    """The models of a list."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            model, size, *stage = line.split()
            library, _, name = model.partition(":")
            stated = stage[0] if library == "torchvision" and stage else None
            yield Entry(library, name, int(size), stated)


def built(entry: Entry, size: int | None = None, *, device: str = "meta") -> nn.Module:
    """The model with random weights, for pictures of ``size`` where it has to know."""
    try:
        return _built(entry, size, device)
    except NotImplementedError:  # its constructor reads numbers
        return _built(entry, size, "cpu")


def _built(entry: Entry, size: int | None, device: str) -> nn.Module:
    with torch.device(device), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if entry.library == "timm":
            import timm

            sized = {} if size is None else {"img_size": size}
            return timm.create_model(entry.name, **sized).eval()
        from torchvision.models import get_model

        key = "image_size" if entry.name.startswith("vit") else "input_size"
        value: Any = size if key == "image_size" else (size, size)
        return get_model(entry.name, **({} if size is None else {key: value})).eval()


def shapes_of(entry: Entry, names: tuple[str, ...], size: int, *, sized: bool) -> Shapes:
    """Shapes of the outputs of the modules ``names`` on pictures of ``size``."""
    try:
        return _run(built(entry, size if sized else None), names, size)
    except NotImplementedError:  # an operation without a meta kernel, or one that reads a number
        return _run(built(entry, size if sized else None, device="cpu"), names, size)


def _run(model: nn.Module, names: tuple[str, ...], size: int) -> Shapes:
    found: Shapes = {}
    device = next(model.parameters()).device

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _args: object, output: Any) -> None:
            first = output if isinstance(output, Tensor) else output[0]
            found[name] = tuple(first.shape)

        return hook

    for name in names:
        model.get_submodule(name).register_forward_hook(note(name))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(torch.zeros(IMAGES, 3, size, size, device=device))
    return found


def two_runs(entry: Entry, names: tuple[str, ...]) -> tuple[Shapes, Shapes]:
    """The shapes at the model's size and at a larger one; the second empty if it takes none."""
    first: Shapes = {}
    for sized in (False, True):
        for times in LARGER:
            try:
                first = first or shapes_of(entry, names, entry.size, sized=False)
                return first, shapes_of(entry, names, int(entry.size * times), sized=sized)
            except (RuntimeError, AssertionError, TypeError, ValueError, AttributeError):
                continue
    return first, {}


def axis_that_stays(one: tuple[int, ...], other: tuple[int, ...]) -> int | None:
    """The one axis, of those after the first, whose size is the same for both picture sizes."""
    same = [axis for axis in range(1, len(one)) if one[axis] == other[axis]]
    return same[0] if len(one) == len(other) and len(same) == 1 else None


def looked_up(entry: Entry) -> dict[str, Any]:
    """What is found in one model, and whether it is right."""
    began = time.perf_counter()
    model = built(entry)
    row: dict[str, Any] = {"model": f"{entry.library}:{entry.name}", "size": entry.size}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            names = resolve_layers(model, "blocks")
        except LayerNotFoundError as error:
            return row | {"error": str(error).splitlines()[0]}
    row |= {
        "blocks": len(names),
        "first": names[0],
        "last": names[-1],
        "classes": dict(Counter(type(model.get_submodule(name)).__name__ for name in names)),
        "warned": bool(said),
        "seconds_to_find": round(time.perf_counter() - began, 2),
    }
    one, other = two_runs(entry, names)
    axes = _axes(model, names, one, other)
    return row | {"last_right": _last_is_right(entry, model, names[-1], one), "axes": axes}


def _axes(model: nn.Module, names: tuple[str, ...], one: Shapes, other: Shapes) -> dict[str, int]:
    """How many blocks have the right axis, a wrong one, a question, or cannot be judged."""
    counts: Counter[str] = Counter()
    for name in names:
        shapes = [run[name] for run in (one, other) if name in run]
        truth = axis_that_stays(*shapes) if len(shapes) == 2 else None
        truth = _axis_stated(model, shapes) if truth is None else truth
        if truth is None:
            counts["not_judged"] += len(shapes)
            continue
        stated = stated_sizes(model, name)
        for shape in shapes:
            counts[_verdict(truth, shape, stated, name)] += 1
    return dict(counts)


def _axis_stated(model: nn.Module, shapes: list[tuple[int, ...]]) -> int | None:
    """Where the picture's size does not tell, the axis that is as wide as timm says a stage is."""
    widths = {info["num_chs"] for info in getattr(model, "feature_info", None) or ()}
    axes = {axis for shape in shapes for axis in range(1, len(shape)) if shape[axis] in widths}
    return axes.pop() if len(axes) == 1 else None


def _verdict(truth: int, shape: tuple[int, ...], stated: Any, name: str) -> str:
    try:
        found: Layout = layout_of(shape, stated, layer=name)
    except FeatureError:
        return "asks"
    return "right" if found.feature_axis == truth else "wrong"


def _last_is_right(entry: Entry, model: nn.Module, last: str, one: Shapes) -> bool | None:
    info = getattr(model, "feature_info", None)
    stage = entry.last_stage or (info[-1]["module"] if info else None)
    if stage is None:
        return None
    if stage not in dict(model.named_modules()):  # a stated name that the model does not have
        return last in one and info[-1]["num_chs"] in one[last][1:]
    return last == stage or last.startswith(f"{stage}.")


# ------------------------------------------------------------------ the page


def summary(models: list[Mapping[str, Any]]) -> str:
    """One line over all models."""
    found = [row for row in models if "blocks" in row]
    right = sum(row["last_right"] is True for row in found)
    wrong = sum(row["last_right"] is False for row in found)
    axes: Counter[str] = Counter()
    for row in found:
        axes.update(row["axes"])
    judged = axes["right"] + axes["wrong"] + axes["asks"]
    return (
        f"Of {len(models)} models the blocks of {len(found)} are found; the last one is right in "
        f"{right} and wrong in {wrong}. The other {len(models) - len(found)} are answered with an "
        f"error that lists the patterns to choose from. Of {judged} outputs of blocks (two picture "
        f"sizes each) the axis of the features is right in {axes['right']}, wrong in "
        f"{axes['wrong']}, and asked for in {axes['asks']}."
    )


def table(result: Mapping[str, Any]) -> str:
    """The models as a table, with the summary and the versions above it."""
    made = result["machine"]
    lines = [
        summary(result["models"]),
        "",
        f"timm {made['timm']}, torchvision {made['torchvision']}, torch {made['torch']}.",
        "",
        "| model | blocks | first | last | last right | axis right | asked |",
        "| --- | ---: | --- | --- | --- | ---: | ---: |",
    ]
    for row in result["models"]:
        if "blocks" not in row:
            reason = row["error"].partition("(")[2].partition("): pass")[0]
            lines.append(f"| {row['model']} | | | *error*: {reason} | | | |")
            continue
        axes = row["axes"]
        judged = sum(axes.get(verdict, 0) for verdict in ("right", "wrong", "asks"))
        right = {True: "yes", False: "**no**", None: ""}[row["last_right"]]
        lines.append(
            f"| {row['model']} | {row['blocks']} | `{row['first']}` | `{row['last']}` | {right} "
            f"| {axes.get('right', 0)} of {judged} | {axes.get('asks', 0)} |"
        )
    return "\n".join(lines)


def write_page(result: Mapping[str, Any]) -> None:
    """Put the table between the page's two markers."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(result)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Look every model up, or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write:
        write_page(json.loads(RESULT.read_text(encoding="utf-8")))
        return
    rows = []
    for entry in entries(options.models):
        rows.append(looked_up(entry))
        print(json.dumps(rows[-1]), flush=True)
    print(summary(rows))
    if options.out:
        versions = {name: version(name) for name in ("timm", "torchvision")}
        result = {"machine": machine("cpu") | versions, "models": rows}
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
