"""Superclasses from a list of the user's, as BREEDS makes them for ImageNet's classes.

A line a class: ``n02123045, domestic cat``. Empty lines and lines that begin with # do not count.
Classes that the list leaves out are left out of the data set too. Lists that come with VCR Lab,
in ``superclasses/``, go by their names: ``living-17`` for ImageNet.
Source: Santurkar, Tsipras, Madry, "BREEDS", arXiv 2008.04859.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vcr_core.errors import DataError

FIELD = "data.hierarchy"
LISTS = Path(__file__).parent / "superclasses"


def read_hierarchy(path: str | Path) -> dict[str, str]:
    """The superclass of every listed class; ``path`` may be the name of a list of ours.

    Raises:
        DataError: no such file, a line without a comma, a class listed twice, one superclass only.
    """
    ours = {place.stem: place for place in sorted(LISTS.glob("*.txt"))}
    place = ours.get(str(path), Path(path).expanduser())
    if not place.is_file():
        raise DataError(
            f"expected a file with a list of superclasses, or one of {', '.join(ours)}; '{path}' "
            "is neither",
            field=FIELD,
        )
    found: dict[str, str] = {}
    for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, comma, superclass = (part.strip() for part in line.partition(","))
        if not (comma and name and superclass):
            raise DataError(
                f"expected 'class, superclass' in line {number} of '{path}', got '{line.strip()}'",
                field=FIELD,
            )
        if name in found:
            raise DataError(
                f"expected every class once in '{path}', got '{name}' twice", field=FIELD
            )
        found[name] = superclass
    if len(set(found.values())) < 2:
        raise DataError(
            f"expected at least two superclasses in '{path}', got {len(set(found.values()))}",
            field=FIELD,
        )
    return found


def superclass_labels(
    labels: Tensor, names: tuple[str, ...], superclasses: dict[str, str]
) -> tuple[Tensor, Tensor]:
    """Rows (M,) whose class (N,) is listed, and their superclass (M,), counted as first named.

    Raises:
        DataError: a listed class that the data set does not have.
    """
    unknown = [name for name in superclasses if name not in names]
    if unknown:
        raise DataError(
            f"expected classes of the data set ({', '.join(names[:5])}, …), the list has "
            f"'{unknown[0]}'",
            field=FIELD,
        )
    groups = tuple(dict.fromkeys(superclasses.values()))
    group_of = torch.tensor(
        [groups.index(superclasses[name]) if name in superclasses else -1 for name in names]
    )[labels]
    rows = (group_of >= 0).nonzero().flatten()
    return rows, group_of[rows]
