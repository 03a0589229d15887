"""Images per second: batches augmented on the device beside torchvision's DataLoader.

    python benchmarks/augmentation.py --out docs/results/augmentation.json

The same transforms at 32×32 on the same cores. The DataLoader reads CIFAR-like pictures that lie
in memory, one worker a core, workers started beforehand and kept; ours gathers rows of one tensor
and varies them. Medians over trials, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from PIL import Image
from regularizer import machine
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vcr_core.config import AugmentationConfig
from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.split import generator

SIZE, BATCH, IMAGES = 32, 512, 20_480
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
LAST = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
CASES: dict[str, tuple[AugmentationConfig, list[object]]] = {
    "shift, mirror": (
        AugmentationConfig(crop_padding=4, flip=0.5),
        [
            transforms.RandomCrop(SIZE, padding=4, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
        ],
    ),
    "crop, mirror": (
        AugmentationConfig(smallest_crop=0.2, flip=0.5),
        [
            transforms.RandomResizedCrop(SIZE, scale=(0.2, 1)),
            transforms.RandomHorizontalFlip(),
        ],
    ),
    "crop, mirror, colours, grey (SimCLR at 32×32)": (
        AugmentationConfig(smallest_crop=0.2, flip=0.5, jitter=0.5, jitter_share=0.8, grey=0.2),
        [
            transforms.RandomResizedCrop(SIZE, scale=(0.2, 1)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(0.2),
        ],
    ),
}


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Pictures in memory, as torchvision's CIFAR-10 keeps them: arrays, opened by PIL."""

    def __init__(self, pixels: torch.Tensor, transform: Callable[[object], torch.Tensor]) -> None:
        self.pixels = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), 0


def loader_epoch(loader: DataLoader[tuple[torch.Tensor, int]]) -> float:
    """Images per second of one epoch, counted from the first batch on."""
    batches = iter(loader)
    next(batches)
    started = time.perf_counter()
    count = sum(len(images) for images, _ in batches)
    return count / (time.perf_counter() - started)


def device_epoch(images: torch.Tensor, augment: Augmentation, epoch: int) -> float:
    """Images per second of one epoch on the device."""
    order = torch.randperm(len(images), generator=generator(0, f"epoch {epoch}"))
    started = time.perf_counter()
    for step, rows in enumerate(order.split(BATCH)):
        augment(images[rows.to(images.device)], generator(epoch, f"step {step}"))
    if images.is_cuda:
        torch.cuda.synchronize()
    return len(images) / (time.perf_counter() - started)


def measured(name: str, *, trials: int, workers: int, device: str) -> dict[str, object]:
    """One case, in turns; prints it and returns its row."""
    amounts, chain = CASES[name]
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (IMAGES, 3, SIZE, SIZE), dtype=torch.uint8, generator=draws)
    loader = DataLoader(
        Pictures(pixels, transforms.Compose([*chain, *LAST])),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        prefetch_factor=2,
    )
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    images = pixels.float().div_(255).sub_(mean.view(1, 3, 1, 1)).div_(std.view(1, 3, 1, 1))
    images = images.to(device)
    augment = Augmentation(amounts, mean=mean, std=std).to(torch.device(device))
    loader_epoch(loader)
    device_epoch(images, augment, 0)
    theirs, ours = [], []
    for trial in range(trials):
        theirs.append(loader_epoch(loader))
        ours.append(device_epoch(images, augment, trial + 1))
    ratio = [a / b for a, b in zip(ours, theirs, strict=True)]
    row = {
        "transforms": name,
        "trials": trials,
        "images_per_second": {"ours": spread(ours), "dataloader": spread(theirs)},
        "ours_over_dataloader": {key: round(value, 2) for key, value in spread(ratio).items()},
    }
    print(json.dumps(row, ensure_ascii=False), flush=True)
    return row


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, 2), "quartile_1": round(low, 2), "quartile_3": round(high, 2)}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [
        measured(name, trials=arguments.trials, workers=arguments.workers, device=arguments.device)
        for name in CASES
    ]
    if arguments.out:
        about = machine(arguments.device) | {
            "torchvision": torchvision.__version__,
            "loader_workers": arguments.workers,
        }
        result = {"machine": about, "size": SIZE, "batch": BATCH, "images": IMAGES, "cases": rows}
        arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
