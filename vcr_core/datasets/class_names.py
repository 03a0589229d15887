"""Class names and the coarser classes made from them. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
CIFAR10_COARSE = {
    "craft": ("airplane", "ship"),
    "road vehicle": ("automobile", "truck"),
    "small animal": ("bird", "frog"),
    "pet": ("cat", "dog"),
    "hoofed animal": ("deer", "horse"),
}
CIFAR10_KIND = {
    "animal": ("bird", "cat", "deer", "dog", "frog", "horse"),
    "vehicle": ("airplane", "automobile", "ship", "truck"),
}
STL10 = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)
STL10_KIND = {
    "animal": ("bird", "cat", "deer", "dog", "horse", "monkey"),
    "vehicle": ("airplane", "car", "ship", "truck"),
}
#: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, in file order.
CIFAR100_COARSE = {
    "aquatic mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit and vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household electrical devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large man-made outdoor things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large natural outdoor scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large omnivores and herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium-sized mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles 1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles 2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
CIFAR100 = tuple(sorted(name for members in CIFAR100_COARSE.values() for name in members))
DIGITS = tuple(str(digit) for digit in range(10))
PARITY = {"even": DIGITS[::2], "odd": DIGITS[1::2]}
HIGH = {"0 to 4": DIGITS[:5], "5 to 9": DIGITS[5:]}
KMNIST = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
#: EMNIST "balanced": digits, capitals, and the small letters that do not look like capitals.
EMNIST = (*DIGITS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abdefghnqrt")
EMNIST_KIND = {"digit": DIGITS, "letter": EMNIST[10:]}


def coarser(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """For every class of ``names``, the place of its group among ``groups``."""
    group_of = {name: place for place, members in enumerate(groups.values()) for name in members}
    return tuple(group_of[name] for name in names)
