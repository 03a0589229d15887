"""What a page can ask of a worker: one frozen model a kind of question. Knows no torch.

The answer's facts and arrays are described with each question; :mod:`vcr_core.execution.answers`
has the functions that find them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from vcr_core.config import AugmentationConfig, DataConfig

View = Literal["train", "test", "augmented", "target"]
MOST_IMAGES = 200


class Question(BaseModel):
    """Base of every question. ``patience`` are the seconds in which an answer is of use."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]
    patience: ClassVar[float]

    data: DataConfig
    seed: int = 0

    @property
    def subject(self) -> str:
        """Names the images that must be in memory to answer."""
        return repr(self.data.spec(self.seed).for_reading())

    def arguments(self) -> dict[str, Any]:
        """The question as plain data, of which it can be made again."""
        return self.model_dump(mode="json")


class SamplesQuestion(Question):
    """Some images of a data set, with all their labels.

    ``view`` is what they are: ``train`` and ``test`` images, training images ``augmented`` as the
    network sees them, or the test images of a transfer ``target`` such as ``colour@noise-3``.
    ``label`` is a class of ``factor``; None takes all. Every ``page`` has others. ``changed`` says
    when files of one's own were changed last: changed files are another question.

    Answer: the facts ``total`` (how many there are), ``classes`` (names by factor), ``counts``
    (images of each class by factor); the arrays ``images`` uint8 (M, V, H, W, C) with V views of
    each, or ``points`` (M, 2), ``rows`` (M,), and ``labels/<factor>`` (M,).
    """

    kind: ClassVar[str] = "samples"
    patience: ClassVar[float] = 120.0

    augmentation: AugmentationConfig = AugmentationConfig()
    view: View = "train"
    target: str = ""
    factor: str
    label: Annotated[int, Field(ge=0)] | None = None
    page: Annotated[int, Field(ge=0, le=10**6)] = 0
    count: Annotated[int, Field(ge=1, le=MOST_IMAGES)] = 48
    changed: float = 0.0


class PredictionsQuestion(Question):
    """What an ended run's classifier and probes say of every test image.

    ``step`` is that of its newest checkpoint: another one is another question.

    Answer: the facts ``step`` and ``tasks`` (a list of ``{name, classes}``, the trained one first,
    under the name ``""``); the arrays ``predicted/<place>`` and ``truth/<place>`` (N,).
    """

    kind: ClassVar[str] = "predictions"
    patience: ClassVar[float] = 300.0

    run: str
    step: int


class ImagesQuestion(Question):
    """Test images of a run's task (``""`` is the trained one) by their places ``rows`` (M,).

    Answer: the arrays ``images`` uint8 (M, 1, H, W, C), or ``points`` (M, 2).
    """

    kind: ClassVar[str] = "test-images"
    patience: ClassVar[float] = 120.0

    run: str
    task: str
    rows: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=5000)]
