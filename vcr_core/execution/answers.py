"""A worker's answers to requests: one function a kind of question."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from vcr_core import paths
from vcr_core.config import DataConfig, RunConfig, TransferConfig
from vcr_core.config.editing import as_config_error
from vcr_core.datasets import dataset_info
from vcr_core.datasets.catalog import parse_target
from vcr_core.datasets.places import whereabouts
from vcr_core.datasets.samples import Look, Sheet, class_counts, draw_sheet, sheet_of
from vcr_core.datasets.streaming import Images
from vcr_core.errors import ConfigError, DataError, VcrLabError
from vcr_core.execution.questions import (
    ImagesQuestion,
    PredictionsQuestion,
    SamplesQuestion,
)
from vcr_core.store import Answer, Store
from vcr_core.training.experiment import build_augmentation, load_data, load_tasks
from vcr_core.training.predictions import images_of_task, predict

log = logging.getLogger("vcr_lab.worker")


def answer(store: Store, request_id: int) -> None:
    """Answer a request, or write down why it cannot be answered."""
    request = store.request(request_id)
    if request is None:
        return
    try:
        found = find_answer(store, request.kind, request.arguments)
    except VcrLabError as error:
        store.fail_request(request_id, str(error))
    except (RuntimeError, MemoryError) as error:  # torch's: out of memory, a kernel that failed
        log.exception("request %s failed", request_id)
        store.fail_request(request_id, f"{type(error).__name__}: {error}")
    else:
        store.answer_request(request_id, found)


def find_answer(store: Store, kind: str, arguments: Mapping[str, Any]) -> Answer:
    """The answer to a question in plain data.

    Raises:
        ConfigError: no such kind, or arguments that it does not take.
        VcrLabError: what the computation raises.
    """
    if kind not in ANSWERS:
        raise ConfigError(f"expected a question of {', '.join(ANSWERS)}, got '{kind}'")
    try:
        return ANSWERS[kind](store, arguments)
    except ValidationError as error:
        raise as_config_error(error) from error


class _Looked(NamedTuple):
    """Images (N, C, H, W), labels (N,) and class names by factor, and how to show the images."""

    images: Images
    labels: Mapping[str, Tensor]
    classes: Mapping[str, Sequence[str]]
    look: Look


def _samples(_: Store, arguments: Mapping[str, Any]) -> Answer:
    question = SamplesQuestion.model_validate(arguments)
    require_here(question.data)
    if question.view == "target" and (other := parse_target(question.target).dataset):
        require_here(question.data.model_copy(update={"dataset": other}))
    images, labels, classes, look = _looked_at(question)
    if question.factor not in labels:
        raise ConfigError(f"expected one of {', '.join(labels)}, got '{question.factor}'")
    sheet = draw_sheet(
        images,
        labels,
        look,
        factor=question.factor,
        label=question.label,
        page=question.page,
        count=question.count,
    )
    facts = {
        "total": sheet.total,
        "size": len(images),
        "classes": {name: list(names) for name, names in classes.items()},
        "counts": {name: class_counts(of, len(classes[name])) for name, of in labels.items()},
    }
    arrays = _arrays(sheet)
    return Answer(facts, arrays | {f"labels/{name}": of for name, of in sheet.labels.items()})


def _looked_at(question: SamplesQuestion) -> _Looked:
    data = load_data(question.data, seed=question.seed)
    if question.view == "target":
        transfer = TransferConfig(targets=(question.target,), train_size=None)
        config = RunConfig.looking_at(question.data, transfer=transfer, seed=question.seed)
        (task,) = load_tasks(config, data)
        look = Look(task.mean, task.std, seed=question.seed)
        factor = question.factor
        return _Looked(
            task.test_images, {factor: task.test_labels}, {factor: task.class_names}, look
        )
    split = data.test if question.view == "test" else data.train
    look = Look(data.mean, data.std, seed=question.seed)
    if question.view == "augmented":
        varied = RunConfig(augmentation=question.augmentation)
        cpu = torch.device("cpu")
        augmentation = build_augmentation(varied, data, cpu)
        if augmentation is not None:  # training's readers crop what streams; a sheet has whole ones
            augmentation = replace(augmentation, cropped=False)
        look = replace(look, augmentation=augmentation)
    return _Looked(split.images, split.labels, data.class_names, look)


def require_here(data: DataConfig) -> None:
    """Refuse to download a data set for a look at it.

    Raises:
        DataError: it is not on this machine; says how to get it.
    """
    found = whereabouts(data.dataset, paths.data_folder())
    if found.is_here or data.folder:
        return
    info = dataset_info(data.dataset)
    how = "a run that uses it downloads it" if info.fetched else f"place {info.files} there"
    raise DataError(f"expected {info.title} in '{found.place}', it is not there: {how}")


def _predictions(store: Store, arguments: Mapping[str, Any]) -> Answer:
    question = PredictionsQuestion.model_validate(arguments)
    step, found = predict(store, question.run)
    tasks = [{"name": name, "classes": list(each.classes)} for name, each in found.items()]
    arrays = {}
    for place, each in enumerate(found.values()):
        arrays[f"predicted/{place}"] = np.asarray(each.predicted, dtype=np.int32)
        arrays[f"truth/{place}"] = np.asarray(each.truth, dtype=np.int32)
    return Answer({"step": step, "tasks": tasks}, arrays)


def _test_images(store: Store, arguments: Mapping[str, Any]) -> Answer:
    question = ImagesQuestion.model_validate(arguments)
    found = images_of_task(store.run(question.run).config, question.task)
    rows = torch.tensor(question.rows, dtype=torch.int64)
    if len(rows) and int(rows.max()) >= len(found.images):
        raise ConfigError(
            f"expected places below {len(found.images)}, the number of test images, got "
            f"{int(rows.max())}"
        )
    sheet = sheet_of(found.images, {}, Look(found.mean, found.std), rows, len(rows))
    return Answer({}, _arrays(sheet))


def _arrays(sheet: Sheet) -> dict[str, Any]:
    pictures = {"points": sheet.points} if len(sheet.points) else {"images": sheet.images}
    return {"rows": sheet.rows, **pictures}


ANSWERS: Mapping[str, Callable[[Store, Mapping[str, Any]], Answer]] = {
    SamplesQuestion.kind: _samples,
    PredictionsQuestion.kind: _predictions,
    ImagesQuestion.kind: _test_images,
}
