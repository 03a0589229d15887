"""Which axis holds the features: the sizes that modules state decide, or the user is asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import FeatureError
from vcr_core.regularization.axes import Layout, StatedSizes, layout_of, stated_sizes


def found(model: nn.Module, name: str, shape: tuple[int, ...], **options: Any) -> Layout:
    return layout_of(shape, stated_sizes(model, name), layer=name, **options)


def axis(model: nn.Module, name: str, *shape: int) -> int:
    return found(model, name, shape).feature_axis


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of (N, C, H, W), as several libraries have it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def mixed(width: int) -> nn.Sequential:
    """A block of maps with linear layers inside, as in ConvNeXt."""
    return nn.Sequential(
        nn.Conv2d(width, width, 7, padding=3, groups=width),
        nn.LayerNorm(width),
        nn.Linear(width, 4 * width),
        nn.GELU(),
        nn.Linear(4 * width, width),
    )


def convolutional(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3), nn.BatchNorm2d(width), nn.ReLU())


def linear(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    )


def in_a_row(*blocks: nn.Module) -> nn.Sequential:
    return nn.Sequential(*blocks)


def test_vectors_have_their_features_last() -> None:
    assert found(in_a_row(nn.Linear(8, 4)), "0", (32, 4)) == Layout(1, 0)


def test_a_linear_layer_inside_a_block_of_maps_says_nothing_about_the_blocks_output() -> None:
    model = in_a_row(mixed(48), mixed(48))
    assert axis(model, "0", 2, 48, 14, 14) == 1
    assert axis(model, "0", 2, 14, 14, 48) == 3


def test_maps_with_channels_last_are_told_by_the_width_of_their_norm() -> None:
    model = in_a_row(linear(96), linear(96))
    assert axis(model, "1", 2, 56, 56, 96) == 3


def test_video_is_told_like_maps() -> None:
    model = in_a_row(nn.Conv3d(3, 16, 3), nn.ReLU())
    assert axis(model, "0", 2, 16, 4, 8, 8) == 1
    assert axis(in_a_row(linear(96)), "0", 2, 4, 8, 8, 96) == 4


def test_signals_have_their_channels_on_axis_1() -> None:
    model = in_a_row(nn.Conv1d(3, 16, 5), nn.ReLU(), nn.Conv1d(16, 8, 5))
    assert found(model, "1", (10, 16, 50)) == Layout(1, 0)


def test_signals_that_a_convolution_hands_on_as_tokens_have_them_last() -> None:
    model = in_a_row(nn.Sequential(nn.Conv1d(32, 64, 1), nn.ReLU(), nn.Conv1d(64, 32, 1)))
    assert axis(model, "0", 10, 50, 32) == 2


def test_equal_sizes_are_no_question_where_all_modules_are_of_one_kind() -> None:
    assert axis(in_a_row(convolutional(64), convolutional(64)), "0", 2, 64, 64, 64) == 1
    assert axis(in_a_row(linear(64), linear(64)), "1", 2, 64, 64, 64) == 3
    assert (
        axis(in_a_row(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 3, 3)), "1", 2, 64, 64, 64) == 1
    )


@pytest.mark.parametrize(
    "block",
    [
        mixed(64),
        nn.Sequential(nn.Conv2d(64, 64, 1), nn.LayerNorm(64)),
        nn.Sequential(nn.Conv2d(64, 64, 1), LayerNorm2d(64)),
    ],
)
def test_equal_sizes_are_asked_about_where_kinds_differ_or_are_unknown(block: nn.Module) -> None:
    message = r"layer '0': cannot tell which axis .*\(2, 64, 64, 64\).* pass feature_axis=1 or "
    with pytest.raises(FeatureError, match=message):
        axis(in_a_row(block, block), "0", 2, 64, 64, 64)


def test_two_stated_sizes_that_clash_are_asked_about() -> None:
    block = nn.Sequential(nn.LayerNorm(32), nn.LayerNorm(64), nn.Conv2d(64, 64, 1))
    with pytest.raises(FeatureError, match="axis"):
        axis(in_a_row(block), "0", 2, 64, 20, 32)


def test_a_norm_that_is_a_subclass_states_its_width_but_no_kind() -> None:
    model = in_a_row(nn.Sequential(LayerNorm2d(40), nn.Linear(40, 40)))
    assert axis(model, "0", 2, 40, 14, 14) == 1
    assert axis(model, "0", 2, 14, 14, 40) == 3


def test_channels_after_a_concatenation_are_stated_by_the_next_layer() -> None:
    pieces = nn.ModuleList([nn.Conv2d(24, 16, 1), nn.Conv2d(24, 32, 1)])
    model = in_a_row(pieces, nn.MaxPool2d(2), nn.Conv2d(48, 8, 1))
    assert axis(model, "0", 2, 48, 16, 16) == 1
    assert axis(model, "0", 2, 48, 32, 32) == 1  # where the map is as wide as a piece


def test_a_concatenation_that_nobody_states_is_not_taken_for_maps_turned_around() -> None:
    assert axis(in_a_row(convolutional(24)), "0", 2, 48, 24, 24) == 1


def test_patches_that_a_convolution_hands_on_with_channels_last_are_told_by_their_width() -> None:
    model = in_a_row(nn.Sequential(nn.Conv2d(3, 96, 4)), linear(96))
    assert axis(model, "0", 2, 14, 14, 96) == 3


def test_a_layer_without_sizes_of_its_own_looks_at_its_neighbours() -> None:
    model = in_a_row(nn.Linear(8, 96), nn.Identity(), nn.Dropout(), nn.Linear(96, 8))
    assert axis(model, "1", 2, 7, 7, 96) == 3
    assert axis(model, "2", 2, 96, 7, 7) == 1


def test_a_layer_between_kinds_with_equal_sizes_is_asked_about() -> None:
    model = in_a_row(nn.Conv2d(3, 64, 3), nn.Identity(), nn.LayerNorm(64), nn.Linear(64, 8))
    with pytest.raises(FeatureError, match="feature_axis="):
        axis(model, "1", 2, 64, 64, 64)


def test_scores_of_attention_are_not_taken_for_features() -> None:
    model = in_a_row(nn.Linear(64, 192), nn.Dropout(), nn.Linear(64, 64))
    with pytest.raises(FeatureError, match="axis"):
        axis(model, "1", 2, 4, 196, 196)


def test_where_nothing_states_a_size_the_convention_holds() -> None:
    model = in_a_row(nn.Identity(), nn.Identity())
    assert axis(model, "0", 4, 64, 40, 40) == 1
    assert axis(model, "0", 4, 40, 64) == 2


def test_a_lazy_module_states_nothing_yet() -> None:
    stated = stated_sizes(in_a_row(nn.LazyConv2d(16, 3), nn.LazyBatchNorm2d()), "1")
    assert stated.inner == ()
    assert stated.before == (16,)


def test_the_network_states_the_width_where_the_layer_does_not() -> None:
    model = in_a_row(nn.Sequential(nn.Conv2d(3, 8, 1), nn.LayerNorm(8), nn.PixelShuffle(2)))
    model.feature_info = [{"module": "0", "num_chs": 40}]  # type: ignore[assignment]
    assert axis(model, "0", 2, 40, 10, 12) == 1


@pytest.mark.parametrize("batch_first", [True, False])
def test_sequence_layers_state_which_axis_is_the_batch(batch_first: bool) -> None:
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first), 2, enable_nested_tensor=False
    )
    expected = Layout(2, 0 if batch_first else 1)
    for name in ("layers.0", "layers.1.linear2", "layers.0.dropout1"):
        assert found(encoder, name, (5, 12, 8), order_matters=True) == expected
    assert found(encoder, "layers.0", (8, 8, 8)) == expected


def test_a_recurrent_layer_has_its_hidden_units_last() -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(6, 5, bidirectional=True)})
    assert found(model, "rnn", (7, 3, 10)) == Layout(2, 1)


def test_an_order_stated_both_ways_is_asked_about_only_where_it_matters() -> None:
    block = nn.ModuleList(
        [nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)]
    )
    model = nn.ModuleDict({"block": block})
    assert found(model, "block", (5, 12, 8)) == Layout(2, 0)
    with pytest.raises(
        FeatureError, match=r"\(5, 12, 8\).* pass batch_first=True or batch_first=False"
    ):
        found(model, "block", (5, 12, 8), order_matters=True)
    assert found(model, "block", (5, 12, 8), order_matters=True, batch_first=False) == Layout(2, 1)


def test_a_layer_beside_a_sequence_first_encoder_is_asked_about_where_the_order_matters() -> None:
    model = nn.ModuleDict({"embed": nn.Linear(4, 8), "attention": nn.MultiheadAttention(8, 2)})
    assert found(model, "embed", (5, 12, 8)) == Layout(2, 0)
    with pytest.raises(FeatureError, match="batch_first"):
        found(model, "embed", (5, 12, 8), order_matters=True)


@pytest.mark.parametrize("given", [3, -1])
def test_the_users_word_on_the_axis_wins(given: int) -> None:
    model = in_a_row(convolutional(64))
    assert found(model, "0", (2, 64, 64, 64), feature_axis=given) == Layout(3, 0)


@pytest.mark.parametrize("given", [0, 4, -4, True])
def test_an_axis_that_the_shape_does_not_have_is_refused(given: int) -> None:
    with pytest.raises(FeatureError, match=r"layer 'x': expected feature_axis from 1 to 3, .* got"):
        layout_of((2, 8, 4, 4), StatedSizes(), layer="x", feature_axis=given)


def test_sequence_first_with_the_features_on_axis_1_leaves_no_batch_and_is_refused() -> None:
    with pytest.raises(FeatureError, match="leave no axis for the batch"):
        layout_of((2, 8, 4), StatedSizes(), layer="x", feature_axis=1, batch_first=False)


def test_shapes_without_a_feature_axis_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"shape \(N, D\), .*a feature axis"):
        layout_of((2,), StatedSizes(), layer="x")


def test_the_decision_can_be_traced_by_the_compiler() -> None:
    stated = stated_sizes(in_a_row(linear(16)), "0")

    def mean_of_features(z: Tensor) -> Tensor:
        return z.mean(layout_of(tuple(z.shape), stated, layer="0").feature_axis)

    z = torch.randn(2, 5, 5, 16)
    compiled = torch.compile(mean_of_features, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(z), z.mean(3))


@pytest.mark.parametrize(
    ("name", "layer", "size", "last"),
    [
        ("resnet18", "layer1.0", 64, False),
        ("swin_t", "features.1.0", 64, True),
        ("convnext_tiny", "features.1.0", 64, False),
        ("shufflenet_v2_x0_5", "stage2.1", 192, False),
    ],
)
def test_the_axis_whose_size_does_not_change_with_the_picture_holds_the_features(
    name: str, layer: str, size: int, last: bool
) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        model = get_model(name).eval()
    shapes: list[tuple[int, ...]] = []
    model.get_submodule(layer).register_forward_hook(lambda *a: shapes.append(tuple(a[2].shape)))
    for pixels in (size, 2 * size):
        model(torch.empty(2, 3, pixels, pixels, device="meta"))
    stays = [place for place in (1, 2, 3) if shapes[0][place] == shapes[1][place]]
    assert stays == [3 if last else 1]
    assert [axis(model, layer, *shape) for shape in shapes] == stays * 2
