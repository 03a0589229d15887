"""HMDB51 from real, tiny videos: which frames, which parts, which split, and what is refused."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from video_files import ACTIONS, LISTS, write_hmdb51, write_video

from vcr_core.datasets import DATASETS, Dataset, load, transfer_tasks
from vcr_core.datasets.samples import STRIP, Look, sheet_of
from vcr_core.datasets.split import in_memory
from vcr_core.datasets.streaming import StreamedImages
from vcr_core.datasets.videos import MiddleClip, decode
from vcr_core.errors import ConfigError, DataError, VcrLabError

ENTRY = DATASETS["hmdb51"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hmdb51(tmp_path_factory.mktemp("cache") / "hmdb51")


def clips(root: Path, **changes: Any) -> Dataset:
    options = {"frames": 4, "stride": 3, "image_size": 16} | changes
    return load("hmdb51", cache_folder=root.parent, **options)


def levels(clip: Tensor) -> list[float]:
    """The mean grey of every frame of a clip (3, T, S, S)."""
    return [float(frame.float().mean()) for frame in clip.unbind(1)]


def test_there_are_51_actions_of_five_kinds() -> None:
    assert len(set(ENTRY.factors["action"])) == 51
    assert len(ENTRY.factors["kind"]) == 5
    assert ENTRY.kind == "clips"


def test_the_middle_clip_takes_every_third_frame_around_the_middle(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 20)
    clip = MiddleClip(16, frames=4, stride=3)(tmp_path / "a.avi")
    assert clip.shape == (3, 4, 16, 16)
    # 20 frames, the clip spans 10 of them: it begins at frame 5
    assert levels(clip) == pytest.approx([50, 80, 110, 140], abs=4)


def test_a_random_clip_begins_anywhere_and_cuts_all_frames_alike(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 20)
    middle = MiddleClip(16, frames=4, stride=3)
    begins = {
        round(levels(middle.random_part(1.0)(tmp_path / "a.avi", (0, n)))[0] / 10)
        for n in range(60)
    }
    assert begins == set(range(11))
    part = middle.random_part(0.3, 8)
    first, again = (part(tmp_path / "a.avi", (5, 5)) for _ in range(2))
    assert first.shape == (3, 4, 8, 8)
    assert torch.equal(first, again)


def test_a_crop_shows_the_same_place_in_every_frame(tmp_path: Path) -> None:
    """Of a picture that stands still, every frame of a random part is the same."""
    import av

    draws = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    with av.open(str(tmp_path / "still.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr24"
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draws, format="rgb24")))
        container.mux(stream.encode())
    part = MiddleClip(16, frames=3, stride=1).random_part(0.2)
    shown = [part(tmp_path / "still.avi", (0, n)) for n in range(2)]
    for clip in shown:
        assert torch.equal(clip[:, :1].expand_as(clip), clip)
    assert not torch.equal(shown[0], shown[1])


def test_a_video_shorter_than_a_clip_begins_again(tmp_path: Path) -> None:
    write_video(tmp_path / "short.avi", 3)
    clip = MiddleClip(16, frames=5, stride=1)(tmp_path / "short.avi")
    assert levels(clip) == pytest.approx([0, 10, 20, 0, 10], abs=4)


def test_lists_say_which_clips_train_and_which_test(root: Path) -> None:
    data = clips(root)
    assert isinstance(data.train.images, StreamedImages)
    assert data.train.images.shape == (18, 3, 4, 16, 16)
    assert data.test.images.shape == (9, 3, 4, 16, 16)
    actions = ENTRY.factors["action"]
    assert {actions[label] for label in data.train.labels["action"].tolist()} == set(ACTIONS)
    kinds = ENTRY.factors["kind"]
    assert {kinds[label] for label in data.test.labels["kind"].tolist()} == {"body", "face"}
    swapped = clips(root, split=2)
    assert (len(swapped.train), len(swapped.test)) == (18, 9)
    # the file with the darkest frames is a training clip of split 1 and a test clip of split 2
    assert data.train.images[torch.tensor([0])].mean() < data.train.images[torch.tensor([5])].mean()
    with pytest.raises(DataError, match=r"\*_test_split3\.txt"):
        clips(root, split=3)


def test_streamed_clips_are_standardised_and_read_by_workers_as_by_the_process(root: Path) -> None:
    here, workers = in_memory(clips(root).train.images), clips(root, workers=1).train.images
    assert here.mean().abs() < 1e-4
    assert here.std() == pytest.approx(1, abs=0.01)
    assert torch.equal(torch.cat(list(workers.parts(4))), here)


def test_a_sheet_shows_strips_of_frames(root: Path) -> None:
    data = clips(root)
    sheet = sheet_of(data.test.images, {}, Look(data.mean, data.std), torch.arange(2), 2)
    assert sheet.images.shape == (2, 1, 16, STRIP * 16, 3)
    frames = sheet.images[0, 0].reshape(16, STRIP, 16, 3).mean(axis=(0, 2, 3))
    assert list(frames) == sorted(frames)  # from its first to its last
    assert frames[-1] - frames[0] == pytest.approx(90, abs=6)


def test_clips_of_one_set_are_probed_with_a_network_of_another(root: Path) -> None:
    moving = load("moving-shapes", train_size=20, test_size=20, cache_folder=root.parent)
    (task,) = transfer_tasks(moving, ("hmdb51:action",))
    assert task.train_images.shape == (18, 1, 8, 24, 24)


# ------------------------------------------------------------------------------ what is refused


def test_data_that_are_not_there_say_how_to_place_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"HMDB51 in '.*hmdb51', it is not there.*unrar x"):
        load("hmdb51", cache_folder=tmp_path)
    with pytest.raises(DataError, match=r"data\.folder: expected HMDB51 in '.*nowhere'"):
        load("hmdb51", cache_folder=tmp_path, folder=tmp_path / "nowhere")


def spoilt(tmp_path: Path) -> Path:
    return write_hmdb51(tmp_path / "hmdb51", train=2, test=1)


def test_lists_without_folders_and_folders_without_lists_are_said(tmp_path: Path) -> None:
    root = spoilt(tmp_path)
    (root / "walk").mkdir()
    with pytest.raises(DataError, match="'walk' lacks its list"):
        clips(root)
    (root / "walk").rename(root / "dancing")
    with pytest.raises(DataError, match=r"lists of the 51 actions.*'dancing'"):
        clips(root)
    (root / "dancing").rmdir()
    (root / LISTS / "clap_test_split1.txt").rename(root / LISTS / "walk_test_split1.txt")
    with pytest.raises(DataError, match="'clap' lacks its list"):
        clips(root)


def test_a_missing_video_and_a_broken_list_are_named(tmp_path: Path) -> None:
    root = spoilt(tmp_path)
    gone = next((root / "jump").glob("jump*.avi"))
    gone.unlink()
    with pytest.raises(DataError, match=r"1 are not there, first '.*jump #"):
        clips(root)
    (root / LISTS / "jump_test_split1.txt").write_text("a.avi 1\nb.avi 7\n")
    with pytest.raises(DataError, match=r"line 2 of '.*jump_test_split1\.txt', got 'b\.avi 7'"):
        clips(root)


@pytest.mark.parametrize("damage", ["no video", "cut short", "empty"])
def test_a_broken_video_is_named_wherever_it_is_read(tmp_path: Path, damage: str) -> None:
    root = spoilt(tmp_path)
    video = root / "smile" / "smile #1 (of one).avi"
    whole = video.read_bytes()
    pieces = {"no video": b"<html>", "cut short": whole[: len(whole) // 2], "empty": b""}
    video.write_bytes(pieces[damage])
    with pytest.raises(DataError, match=r"expected a whole video.*smile #1 \(of one\)\.avi"):
        decode(video)
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"smile #1 \(of one\)\.avi"):
            clips(root, workers=workers, seed=workers)


def test_without_pyav_it_is_said_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("vcr_core.datasets.videos.import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'vcr-lab\[video\]'"):
        clips(root, seed=77)
    assert importlib.import_module("av")


def test_more_clips_than_there_are_and_a_sound_without_pictures(root: Path, tmp_path: Path) -> None:
    with pytest.raises(VcrLabError, match=r"data\.train_size: expected between 1 and 18"):
        clips(root, train_size=19)
    import av

    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(DataError, match=r"no moving picture.*place it again"):
        decode(tmp_path / "sound.wav")
