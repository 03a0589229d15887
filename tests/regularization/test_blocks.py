"""Blocks are found by the structure that repeats, in models of any origin, or refused."""

from __future__ import annotations

import json
import re
import runpy
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vcr_core.errors import LayerNotFoundError
from vcr_core.regularization.where import resolve_layers

ZOO = Path(__file__).parents[2] / "benchmarks"

# torchvision's own, under the oldest torch
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"
)


class Parts(nn.Module):
    """A model of named parts; never called."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)


class Unit(nn.Module):
    """Two convolutions and, where the width changes, a third beside them."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(taken, given, 3), nn.BatchNorm2d(given)
        self.conv2, self.bn2 = nn.Conv2d(given, given, 3), nn.BatchNorm2d(given)
        if taken != given:
            self.skip = nn.Conv2d(taken, given, 1)


class Head(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width // heads), nn.Linear(width, width // heads)


class Stage(nn.Module):
    """Blocks, and after them, except in the last stage, a layer that halves the map."""

    def __init__(self, width: int, depth: int, *, down: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Attention(width) for _ in range(depth))
        self.downsample = nn.Linear(4 * width, 2 * width) if down else None


def mlp(width: int, given: int | None = None) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, given or width)
    )


def blocks(model: nn.Module) -> tuple[str, ...]:
    return resolve_layers(model, "blocks")


def refused(model: nn.Module) -> str:
    with pytest.raises(LayerNotFoundError) as caught:
        blocks(model)
    return str(caught.value)


def test_the_rows_of_a_hierarchical_network_are_stages_and_their_modules_the_blocks() -> None:
    stages = nn.ModuleList(
        nn.Sequential(Unit(taken, given), Unit(given, given))
        for taken, given in ((8, 8), (8, 16), (16, 32))
    )
    model = Parts(stem=nn.Conv2d(3, 8, 3), stages=stages, head=nn.Linear(32, 5))
    assert blocks(model) == tuple(f"stages.{stage}.{unit}" for stage in range(3) for unit in (0, 1))
    assert resolve_layers(model, "last") == ("stages.2.1",)


def test_a_layer_that_follows_the_blocks_of_all_stages_but_the_last_is_no_block() -> None:
    layers = nn.ModuleList(
        [Stage(16, 2, down=True), Stage(32, 1, down=True), Stage(64, 2, down=False)]
    )
    model = Parts(encoder=Parts(layers=layers), head=nn.Linear(64, 5))
    assert blocks(model) == (
        *("encoder.layers.0.blocks.0", "encoder.layers.0.blocks.1", "encoder.layers.1.blocks.0"),
        *("encoder.layers.2.blocks.0", "encoder.layers.2.blocks.1"),
    )


def test_transformers_have_their_layers_as_blocks() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
    assert blocks(encoder) == ("layers.0", "layers.1", "layers.2")
    tree = Parts(
        embeddings=nn.Embedding(50, 16),
        encoder=Parts(layer=nn.ModuleList(Attention(16) for _ in range(4))),
        pooler=nn.Linear(16, 16),
    )
    assert blocks(tree) == tuple(f"encoder.layer.{place}" for place in range(4))


def test_class_names_do_not_matter() -> None:
    classes = [type(f"Odd{place}", (Attention,), {}) for place in range(3)]
    model = Parts(rows=nn.ModuleList(made(16) for made in classes), head=nn.Linear(16, 3))
    assert blocks(model) == ("rows.0", "rows.1", "rows.2")


def test_attributes_of_one_class_are_a_row() -> None:
    model = Parts(
        stem=nn.Conv2d(3, 8, 3), first=Unit(8, 8), second=Unit(8, 16), fc=nn.Linear(16, 3)
    )
    assert blocks(model) == ("first", "second")


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "swin_t"])
def test_a_backbone_in_a_wrapper_has_the_blocks_that_it_has_alone(name: str) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        backbone = get_model(name)
        alone = blocks(backbone)
        for wrapped, prefix in (
            (Parts(backbone=backbone, head=nn.Linear(1000, 3)), "backbone."),
            (nn.Sequential(backbone, nn.Linear(1000, 3)), "0."),
            (nn.DataParallel(backbone), "module."),
            (torch.compile(backbone), "_orig_mod."),
        ):
            assert blocks(wrapped) == tuple(prefix + block for block in alone)


def test_compiled_blocks_are_blocks() -> None:
    rows = nn.ModuleList(torch.compile(Attention(16)) for _ in range(3))
    assert blocks(Parts(rows=rows, head=nn.Linear(16, 3))) == ("rows.0", "rows.1", "rows.2")


def test_a_block_that_is_used_several_times_is_one_layer() -> None:
    block = Attention(16)
    assert blocks(Parts(rows=nn.ModuleList([block] * 4), head=nn.Linear(16, 3))) == ("rows.0",)


def test_names_that_the_model_states_win_also_inside_a_wrapper() -> None:
    model = Parts(rows=nn.ModuleList(Attention(16) for _ in range(3)), head=nn.Linear(16, 3))
    model.block_names = ("rows.1",)  # type: ignore[assignment]
    assert blocks(model) == ("rows.1",)
    assert blocks(torch.compile(model)) == ("_orig_mod.rows.1",)  # type: ignore[arg-type]
    assert blocks(nn.DataParallel(model)) == ("module.rows.1",)


def test_single_layers_in_a_row_are_blocks_where_nothing_larger_repeats() -> None:
    layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
    assert blocks(Parts(stages=layers, head=nn.Linear(8, 2))) == ("stages.0", "stages.1")


def test_of_a_sequential_inside_a_model_the_activations_are_blocks_and_the_head_is_left_out() -> (
    None
):
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    assert blocks(Parts(net=net)) == ("net.1", "net.3")
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.MaxPool2d(2))
    assert blocks(Parts(features=features, classifier=mlp(5, 2))) == ("features.1", "features.3")


def test_heads_and_experts_side_by_side_are_not_taken_for_a_row() -> None:
    heads = nn.ModuleList(Head(32, 4) for _ in range(4))
    experts = nn.ModuleList(mlp(32) for _ in range(4))
    for inner in (Parts(heads=heads), Parts(gate=nn.Linear(32, 4), experts=experts)):
        refused(Parts(embed=nn.Linear(8, 32), block=inner, head=nn.Linear(32, 2)))
    rows = nn.ModuleList(
        Parts(heads=nn.ModuleList(Head(32, 4) for _ in range(4)), mlp=mlp(32)) for _ in range(3)
    )
    assert blocks(Parts(rows=rows, head=nn.Linear(32, 2))) == ("rows.0", "rows.1", "rows.2")


def test_a_single_block_has_no_blocks_inside() -> None:
    block = Parts(attention=Attention(32), mlp=mlp(32))
    refused(Parts(embed=nn.Linear(8, 32), block=block, head=nn.Linear(32, 2)))


def test_recurrent_layers_are_refused() -> None:
    refused(nn.LSTM(4, 4, 3))
    refused(Parts(layers=nn.ModuleList([nn.LSTM(4, 4), nn.LSTM(4, 4)]), head=nn.Linear(4, 2)))


@pytest.mark.parametrize("names", [("student", "teacher"), ("encoder", "decoder"), ("q1", "q2")])
def test_two_rows_of_one_size_are_refused_with_both_named(names: tuple[str, str]) -> None:
    parts = {name: nn.ModuleList(Attention(16) for _ in range(4)) for name in names}
    if names[0] == "q1":
        refused(Parts(q1=mlp(8, 1), q2=mlp(8, 1)))
        return
    message = refused(Parts(**parts))
    assert all(f"{name}.* (4 modules, class Attention)" in message for name in names)


def test_pieces_that_are_concatenated_around_them_are_refused() -> None:
    def dense(taken: int) -> nn.Sequential:
        return nn.Sequential(
            *(
                Parts(a=nn.Conv2d(taken + 4 * place, 8, 1), b=nn.Conv2d(8, 4, 3))
                for place in range(3)
            )
        )

    message = refused(Parts(dense1=dense(8), dense2=dense(20), head=nn.Linear(32, 2)))
    assert "concatenated" in message


def test_the_error_lists_patterns_that_can_be_passed() -> None:
    model = Parts(
        student=nn.ModuleList(Attention(16) for _ in range(12)),
        teacher=nn.ModuleList(Attention(16) for _ in range(12)),
    )
    listed = re.findall(r"([\w.*]+) \((\d+) modules, class \w+\)", refused(model))
    assert ("student.*", "12") in listed
    for pattern, count in listed:
        assert len(resolve_layers(model, pattern)) == int(count)


def test_of_modules_inside_each_other_a_pattern_takes_the_outer_one() -> None:
    model = Parts(rows=nn.ModuleList(Attention(16) for _ in range(3)), head=nn.Linear(16, 3))
    assert resolve_layers(model, "rows.*") == ("rows.0", "rows.1", "rows.2")
    assert resolve_layers(model, "*.qkv") == ("rows.0.qkv", "rows.1.qkv", "rows.2.qkv")


def test_stages_that_follow_the_last_block_are_warned_of_and_heads_are_not() -> None:
    rows = nn.ModuleList(Attention(16) for _ in range(6))
    tail = nn.ModuleList(Attention(16) for _ in range(2))
    with pytest.warns(UserWarning, match=r"after rows\.5, the last block, Parts has tail"):
        found = blocks(Parts(rows=rows, tail=tail, head=nn.Linear(16, 3)))
    assert found == tuple(f"rows.{place}" for place in range(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        blocks(Parts(rows=rows, norm=nn.LayerNorm(16), projector=mlp(16), head=nn.Linear(16, 3)))


def test_where_the_network_states_that_its_features_end_the_blocks_end() -> None:
    rows = nn.ModuleList(Attention(16) for _ in range(4))
    model = Parts(rows=rows, head=nn.Linear(16, 3))
    model.feature_info = [{"module": "rows.2", "num_chs": 16}]  # type: ignore[assignment]
    with pytest.warns(UserWarning, match=r"rows\.3"):
        assert resolve_layers(model, "last") == ("rows.2",)


def test_no_block_lies_inside_another_and_all_are_in_the_order_of_the_model() -> None:
    from torchvision.models import get_model

    for name in ("mobilenet_v3_small", "efficientnet_b0", "maxvit_t", "googlenet"):
        options = {"init_weights": False} if name == "googlenet" else {}
        with torch.device("meta"):
            model = get_model(name, **options)
        found = blocks(model)
        order = [module for module, _ in model.named_modules()]
        assert [order.index(block) for block in found] == sorted(map(order.index, found))
        assert not any(fnmatchcase(a, f"{b}.*") for a in found for b in found)


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("test_vit", 6, "blocks.5"),
        ("test_convnext", 9, "stages.3.blocks.1"),
        ("test_resnet", 4, "layer4.0"),
        ("swin_tiny_patch4_window7_224", 12, "layers.3.blocks.1"),
        ("mobilenetv3_small_050", 12, "blocks.5.0"),
    ],
)
def test_blocks_of_timms_models(name: str, count: int, last: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        found = blocks(timm.create_model(name))
    assert (len(found), found[-1]) == (count, last)


def test_the_zoos_page_says_what_its_result_file_says() -> None:
    zoo: dict[str, Any] = runpy.run_path(str(ZOO / "zoo.py"))
    result = json.loads(zoo["RESULT"].read_text(encoding="utf-8"))
    assert zoo["table"](result) in zoo["PAGE"].read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_model_of_the_zoo_is_right_or_answered_with_patterns() -> None:
    pytest.importorskip("timm")
    zoo: dict[str, Any] = runpy.run_path(str(ZOO / "zoo.py"))
    rows = [zoo["looked_up"](entry) for entry in zoo["entries"](ZOO / "zoo_models.txt")]
    for row in rows:
        if "error" in row:
            assert "its repeated layers are" in row["error"], row
        else:
            assert row["last_right"] is True, row
            assert "wrong" not in row["axes"], row
    assert sum("blocks" in row for row in rows) > 0.9 * len(rows)
