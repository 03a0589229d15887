"""HMDB51: short videos of human actions, as its authors lay them out, in three splits.

    <root>/<action>/*.avi
    <root>/testTrainMulti_7030_splits/<action>_test_split<1, 2 or 3>.txt

A line of a list is a file's name and 1 (to train on), 2 (to test on) or 0 (neither). Fewer actions
than 51 may be there, as long as folders and lists agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from vcr_core.datasets.clip_sets import HMDB51
from vcr_core.datasets.downloads import is_there, reason
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, random_rows, with_groups
from vcr_core.datasets.streaming import StreamedImages
from vcr_core.datasets.torchvision_sets import assembled
from vcr_core.datasets.videos import MiddleClip, require_decoder
from vcr_core.errors import DataError

LISTS = "testTrainMulti_7030_splits"
TRAIN, TEST, NEITHER = "1", "2", "0"
#: Clips that mean and std are measured on.
MEASURED = 64


class Listed(NamedTuple):
    """The videos of one part and their actions, places in ``HMDB51.factors["action"]``."""

    videos: list[Path]
    actions: list[int]


def load(spec: DataSpec) -> Dataset:
    """The clips (N, 3, T, S, S) of a split, decoded when they are needed.

    Looked for in ``folder``, or else in ``cache_folder``/hmdb51.

    Raises:
        DataError: not there, or folders and lists that do not fit each other; says what was looked
            for, where, and how to place the files.
        ConfigError: more clips asked for than there are, or nothing to decode them with.
    """
    root = spec.folder or spec.downloads / HMDB51.name
    listed = read_split(root, spec.split, field="data.folder" if spec.folder else "")
    require_decoder()
    cut = MiddleClip(spec.image_size, spec.frames, spec.stride, spec.resize)
    parts = []
    sizes = {"data.train_size": spec.train_size, "data.test_size": spec.test_size}
    for part, (field, size) in zip(listed, sizes.items(), strict=True):
        rows = torch.arange(len(part.videos))
        if size is not None:
            rows = rows[random_rows(len(rows), size, spec.seed, field=field)]
        videos = [(video,) for video in part.videos]
        clips = StreamedImages(videos, rows, middle=cut, workers=spec.workers)
        parts.append(Split(clips, with_groups(HMDB51, torch.tensor(part.actions)[rows])))
    train, test = parts
    return assembled(spec, train, test, dict(HMDB51.factors), measured=MEASURED)


def read_split(root: Path, split: int, *, field: str = "") -> tuple[Listed, Listed]:
    """The training and the test videos that the lists of ``split`` name, all of them there.

    Raises:
        DataError: see :func:`load`.
    """
    how = f"place {HMDB51.files} in '{root}', or name the folder that holds them in data.folder"
    if not is_there(root):
        raise DataError(
            f"expected {HMDB51.title} in '{root}', it is not there, and its archives cannot be "
            f"fetched and unpacked here: {how}",
            field=field,
        )
    lists = {
        path.name.removesuffix(f"_test_split{split}.txt"): path
        for path in sorted((root / LISTS).glob(f"*_test_split{split}.txt"))
    }
    if not lists:
        raise DataError(
            f"expected the lists '*_test_split{split}.txt' in '{root / LISTS}', found none: {how}",
            field=field,
        )
    _check_actions(root, lists, how, field)
    parts = (Listed([], []), Listed([], []))
    for action, path in lists.items():
        for name, use in _lines(path):
            if use != NEITHER:
                part = parts[0 if use == TRAIN else 1]
                part.videos.append(root / action / name)
                part.actions.append(HMDB51.factors["action"].index(action))
    missing = [video for part in parts for video in part.videos if not video.is_file()]
    if missing:
        raise DataError(
            f"expected all videos that the lists of split {split} name, {len(missing)} are not "
            f"there, first '{missing[0]}': unpack the archive of that action again",
            field=field,
        )
    return parts


def _check_actions(root: Path, lists: Mapping[str, Path], how: str, field: str) -> None:
    """See that every folder is an action with a list, and every list has a folder."""
    folders = {path.name for path in root.iterdir() if path.is_dir() and path.name != LISTS}
    strange = sorted((folders | set(lists)) - set(HMDB51.factors["action"]))
    if strange:
        raise DataError(
            f"expected folders and lists of the 51 actions of {HMDB51.title} in '{root}', got "
            f"'{strange[0]}': {how}",
            field=field,
        )
    lonely = sorted(folders ^ set(lists))
    if lonely:
        lacks = "its list" if lonely[0] in folders else "its folder"
        raise DataError(
            f"expected a folder of videos and a list for every action in '{root}', "
            f"'{lonely[0]}' lacks {lacks} ({len(lonely)} such): {how}",
            field=field,
        )


def _lines(path: Path) -> list[tuple[str, str]]:
    """Names of files, and what each is for."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"expected a list of videos in '{path}', which cannot be read ({reason(error)}): "
            "unpack test_train_splits.rar again"
        ) from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, use = line.strip().rpartition(" ")
        if use and (not name or use not in (TRAIN, TEST, NEITHER)):
            raise DataError(
                f"expected a file's name and 0, 1 or 2 in line {number} of '{path}', got "
                f"'{line.strip()}': unpack test_train_splits.rar again"
            )
        if use:
            found.append((name.strip(), use))
    return found
