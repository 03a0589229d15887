"""The entries of the data sets that torchvision reads. Nothing here imports torch."""

from __future__ import annotations

from vcr_core.datasets.info import DatasetInfo

GREY_28, COLOUR_32, COLOUR_96, RESIZED = (1, 28, 28), (3, 32, 32), (3, 96, 96), (3, 224, 224)
OF_PICTURES = ("image_size", "resize", "workers")

CIFAR10_NAMES = (
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
STL10_NAMES = (
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
CIFAR100_NAMES = tuple(sorted(name for members in CIFAR100_COARSE.values() for name in members))
TEN_DIGITS = tuple(str(digit) for digit in range(10))
PARITY = {"even": TEN_DIGITS[::2], "odd": TEN_DIGITS[1::2]}
HIGH = {"0 to 4": TEN_DIGITS[:5], "5 to 9": TEN_DIGITS[5:]}
#: EMNIST "balanced": digits, capitals, and the small letters that do not look like capitals.
EMNIST_NAMES = (*TEN_DIGITS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abdefghnqrt")
EMNIST_KIND = {"digit": TEN_DIGITS, "letter": EMNIST_NAMES[10:]}

MNIST = DatasetInfo(
    name="mnist",
    title="MNIST",
    description="70,000 handwritten digits, 28 by 28 pixels, grey.",
    factors={"digit": TEN_DIGITS},
    groups={"parity": PARITY, "high": HIGH},
    image_shape=GREY_28,
    train_size=60_000,
    test_size=10_000,
    licence="CC BY-SA 3.0",
    source="LeCun, Cortes, Burges: The MNIST database of handwritten digits",
    default_source="parity",
    loader="torchvision_sets",
    files="MNIST/raw/train-images-idx3-ubyte and its three fellows",
    megabytes=12,
)
KMNIST = DatasetInfo(
    name="kmnist",
    title="Kuzushiji-MNIST",
    description="70,000 handwritten Japanese characters in 10 classes, 28 by 28 pixels, grey.",
    factors={"character": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")},
    image_shape=GREY_28,
    train_size=60_000,
    test_size=10_000,
    licence="CC BY-SA 4.0",
    source="Clanuwat et al.: Deep Learning for Classical Japanese Literature, arXiv 1812.01718",
    default_source="character",
    loader="torchvision_sets",
    files="KMNIST/raw/train-images-idx3-ubyte and its three fellows",
    megabytes=21,
)
EMNIST = DatasetInfo(
    name="emnist",
    title="EMNIST (balanced)",
    description="131,600 handwritten digits and letters in 47 classes, 28 by 28 pixels, grey.",
    factors={"character": EMNIST_NAMES},
    groups={"kind": EMNIST_KIND},
    image_shape=GREY_28,
    train_size=112_800,
    test_size=18_800,
    licence="public domain (NIST Special Database 19)",
    source="Cohen et al.: EMNIST, arXiv 1702.05373",
    default_source="kind",
    loader="torchvision_sets",
    files="EMNIST/raw/emnist-balanced-train-images-idx3-ubyte and its three fellows",
    megabytes=562,
)
USPS = DatasetInfo(
    name="usps",
    title="USPS digits",
    description=(
        "9,298 handwritten digits from the envelopes of US mail, 16 by 16 pixels, grey: the same "
        "classes as MNIST's in another hand and scan."
    ),
    factors={"digit": TEN_DIGITS},
    groups={"parity": PARITY, "high": HIGH},
    image_shape=(1, 16, 16),
    train_size=7291,
    test_size=2007,
    licence="none stated; made for research",
    source="Hull: A Database for Handwritten Text Recognition Research, 1994",
    default_source="parity",
    loader="torchvision_sets",
    files="usps.bz2 and usps.t.bz2",
    megabytes=8,
)
SVHN = DatasetInfo(
    name="svhn",
    title="Street View House Numbers",
    description="99,289 photographs of digits in house numbers, 32 by 32 pixels.",
    factors={"digit": TEN_DIGITS},
    groups={"parity": PARITY},
    image_shape=COLOUR_32,
    train_size=73_257,
    test_size=26_032,
    licence="non-commercial use only",
    source="Netzer et al.: Reading Digits in Natural Images, 2011",
    default_source="parity",
    loader="torchvision_sets",
    files="train_32x32.mat and test_32x32.mat",
    megabytes=246,
)
CIFAR10 = DatasetInfo(
    name="cifar10",
    title="CIFAR-10",
    description="60,000 photographs of 10 kinds of animals and vehicles, 32 by 32 pixels.",
    factors={"object": CIFAR10_NAMES},
    groups={"coarse": CIFAR10_COARSE, "kind": CIFAR10_KIND},
    image_shape=COLOUR_32,
    train_size=50_000,
    test_size=10_000,
    licence="none stated; made for research",
    source="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    default_source="object",
    loader="torchvision_sets",
    files="cifar-10-batches-py/ (from cifar-10-python.tar.gz)",
    megabytes=170,
)
CIFAR100 = DatasetInfo(
    name="cifar100",
    title="CIFAR-100",
    description="60,000 photographs in 100 classes and 20 superclasses, 32 by 32 pixels.",
    factors={"object": CIFAR100_NAMES},
    groups={"coarse": CIFAR100_COARSE},
    image_shape=COLOUR_32,
    train_size=50_000,
    test_size=10_000,
    licence="none stated; made for research",
    source="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    default_source="coarse",
    loader="torchvision_sets",
    files="cifar-100-python/ (from cifar-100-python.tar.gz)",
    megabytes=169,
)
STL10 = DatasetInfo(
    name="stl10",
    title="STL-10",
    description="13,000 labelled photographs in 10 classes, 96 by 96 pixels.",
    factors={"object": STL10_NAMES},
    groups={"kind": STL10_KIND},
    image_shape=COLOUR_96,
    train_size=5000,
    test_size=8000,
    licence="none stated; pictures from ImageNet",
    source="Coates, Lee, Ng: An Analysis of Single-Layer Networks, 2011",
    default_source="object",
    loader="torchvision_sets",
    files="stl10_binary/ (from stl10_binary.tar.gz)",
    megabytes=2640,
)
FLOWERS = DatasetInfo(
    name="flowers102",
    title="Flowers-102",
    description="8,189 photographs of 102 flowers; 20 of each to learn from.",
    factors={"flower": ()},
    counts={"flower": 102},
    image_shape=RESIZED,
    train_size=2040,
    test_size=6149,
    licence="none stated; made for research",
    source="Nilsback, Zisserman: Automated Flower Classification, 2008",
    default_source="flower",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="flowers-102/ with jpg/, imagelabels.mat and setid.mat",
    megabytes=345,
)
DTD = DatasetInfo(
    name="dtd",
    title="Describable Textures",
    description="5,640 photographs of 47 textures; the first of its ten splits.",
    factors={"texture": ()},
    counts={"texture": 47},
    image_shape=RESIZED,
    train_size=3760,
    test_size=1880,
    licence="made for research",
    source="Cimpoi et al.: Describing Textures in the Wild, arXiv 1311.3618",
    default_source="texture",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="dtd/dtd/ with images/ and labels/",
    megabytes=625,
)
PETS = DatasetInfo(
    name="pets",
    title="Oxford-IIIT Pets",
    description="7,349 photographs of 37 breeds of cats and dogs.",
    factors={"breed": (), "animal": ("cat", "dog")},
    counts={"breed": 37},
    image_shape=RESIZED,
    train_size=3680,
    test_size=3669,
    licence="CC BY-SA 4.0",
    source="Parkhi et al.: Cats and Dogs, 2012",
    default_source="animal",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="oxford-iiit-pet/ with images/ and annotations/",
    megabytes=811,
)
FOOD = DatasetInfo(
    name="food101",
    title="Food-101",
    description="101,000 photographs of 101 dishes.",
    factors={"dish": ()},
    counts={"dish": 101},
    image_shape=RESIZED,
    train_size=75_750,
    test_size=25_250,
    licence="none stated; pictures from Foodspotting",
    source="Bossard, Guillaumin, Van Gool: Food-101, 2014",
    default_source="dish",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="food-101/ with images/ and meta/",
    megabytes=4997,
)
CARS = DatasetInfo(
    name="cars",
    title="Stanford Cars",
    description="16,185 photographs of 196 models of cars. No longer to be had from its authors.",
    factors={"model": ()},
    counts={"model": 196},
    image_shape=RESIZED,
    train_size=8144,
    test_size=8041,
    licence="made for research; pictures belong to their owners",
    source="Krause et al.: 3D Object Representations for Fine-Grained Categorization, 2013",
    default_source="model",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files=(
        "stanford_cars/ with cars_train/, cars_test/, cars_test_annos_withlabels.mat and "
        "devkit/ (torchvision can no longer fetch them: their first address is gone)"
    ),
    megabytes=1960,
    fetched=False,
)
AIRCRAFT = DatasetInfo(
    name="aircraft",
    title="FGVC-Aircraft",
    description="10,000 photographs of aircraft: 100 variants, 70 families, 30 manufacturers.",
    factors={"variant": (), "family": (), "manufacturer": ()},
    counts={"variant": 100, "family": 70, "manufacturer": 30},
    image_shape=RESIZED,
    train_size=6667,
    test_size=3333,
    licence="non-commercial research only",
    source="Maji et al.: Fine-Grained Visual Classification of Aircraft, arXiv 1306.5151",
    default_source="manufacturer",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="fgvc-aircraft-2013b/data/ with images/ and its lists",
    megabytes=2754,
)
PLACES = DatasetInfo(
    name="places365",
    title="Places365",
    description="1.8 million photographs of 365 scenes, the small version of 256 pixels.",
    factors={"scene": ()},
    counts={"scene": 365},
    image_shape=RESIZED,
    train_size=1_803_460,
    test_size=36_500,
    licence="non-commercial research and education only",
    source="Zhou et al.: Places: A 10 Million Image Database, 2017",
    default_source="scene",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files=(
        "places365_train_standard.txt, places365_val.txt, categories_places365.txt, "
        "data_256_standard/ and val_256/"
    ),
    megabytes=25_000,
    fetched=False,
)
INATURALIST = DatasetInfo(
    name="inaturalist",
    title="iNaturalist 2018",
    description="437,513 photographs of 8,142 species; a tenth of each is held out.",
    factors={"species": (), "group": ()},
    counts={"species": 8142, "group": 14},
    image_shape=RESIZED,
    train_size=393_762,
    test_size=43_751,
    licence="non-commercial; each photograph has its own",
    source="Van Horn et al.: The iNaturalist Species Classification Dataset, arXiv 1707.06642",
    default_source="species",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files="2018/ with a folder for every group and in it one for every species",
    megabytes=120_000,
    fetched=False,
)
IMAGENET = DatasetInfo(
    name="imagenet",
    title="ImageNet-1k",
    description="1.28 million photographs in 1,000 classes.",
    factors={"class": ()},
    counts={"class": 1000},
    image_shape=RESIZED,
    train_size=1_281_167,
    test_size=50_000,
    licence="non-commercial research and education only",
    source="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, arXiv 1409.0575",
    default_source="class",
    loader="torchvision_sets",
    options=OF_PICTURES,
    files=(
        "train/ and val/ with one sub-folder a class, or ILSVRC2012_img_train.tar, "
        "ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz"
    ),
    megabytes=155_000,
    fetched=False,
)
KNOWN_SETS = (
    *(MNIST, KMNIST, EMNIST, USPS, SVHN, CIFAR10, CIFAR100, STL10, FLOWERS, DTD, PETS, FOOD),
    *(CARS, AIRCRAFT, PLACES, INATURALIST, IMAGENET),
)
