"""The entries of the sets of clips: short videos (C, T, H, W). Nothing here imports torch."""

from __future__ import annotations

from vcr_core.datasets.info import DatasetInfo

MOVING_SHAPES = DatasetInfo(
    name="moving-shapes",
    title="Moving shapes (rendered)",
    description=(
        "Clips of eight small grey frames, drawn afresh for every seed: one shape slides, turns, "
        "grows or shrinks. How it moves, what moves, how fast, and which of shape and ground is "
        "the bright one are independent of each other. No single frame tells the motion."
    ),
    factors={
        "motion": ("right", "left", "clockwise", "counter-clockwise", "growing", "shrinking"),
        "shape": ("circle", "square", "triangle", "star", "cross", "heart"),
        "speed": ("slow", "fast"),
        "tone": ("bright shape", "dark shape"),
    },
    image_shape=(1, 24, 24),
    train_size=2400,
    test_size=1000,
    licence="Apache-2.0 (rendered by VCR Lab)",
    source="rendered on this machine",
    default_source="motion",
    loader="moving_shapes",
    made_here="rendered on this machine",
    options=("shortcut",),
    frames=8,
)

#: The five kinds of actions that the authors of HMDB51 sort them into.
HMDB51_KINDS = {
    "face": ("smile", "laugh", "chew", "talk"),
    "face and object": ("smoke", "eat", "drink"),
    "body": (
        *("cartwheel", "clap", "climb", "climb_stairs", "dive", "fall_floor", "flic_flac"),
        *("handstand", "jump", "pullup", "pushup", "run", "sit", "situp", "somersault"),
        *("stand", "turn", "walk", "wave"),
    ),
    "body and object": (
        *("brush_hair", "catch", "draw_sword", "dribble", "golf", "hit", "kick_ball", "pick"),
        *("pour", "push", "ride_bike", "ride_horse", "shoot_ball", "shoot_bow", "shoot_gun"),
        *("swing_baseball", "sword_exercise", "throw"),
    ),
    "people": ("fencing", "hug", "kick", "kiss", "punch", "shake_hands", "sword"),
}
HMDB51 = DatasetInfo(
    name="hmdb51",
    title="HMDB51",
    description=(
        "About 6,800 clips of 51 human actions from films and the web; 70 of each to learn from "
        "and 30 to test on, in three splits. Decoding them needs the extra: "
        "pip install 'vcr-lab[video]'."
    ),
    factors={"action": tuple(sorted(name for names in HMDB51_KINDS.values() for name in names))},
    groups={"kind": HMDB51_KINDS},
    image_shape=(3, 224, 224),
    train_size=3570,
    test_size=1530,
    licence="CC BY 4.0",
    source="Kuehne et al.: HMDB: A Large Video Database for Human Motion Recognition, 2011",
    default_source="action",
    loader="hmdb51",
    options=("image_size", "resize", "frames", "stride", "split", "workers"),
    frames=16,
    megabytes=2100,
    fetched=False,
    files=(
        "a folder of .avi files for each action, such as brush_hair/ (unpack hmdb51_org.rar, then "
        "each archive in it, with 'unrar x'), and testTrainMulti_7030_splits/ (unpack "
        "test_train_splits.rar)"
    ),
)
CLIP_SETS = (MOVING_SHAPES, HMDB51)
