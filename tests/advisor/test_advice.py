"""Advice follows what happened nearby; far from everything there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vcr_core.advisor import advise
from vcr_core.advisor.advice import SENTENCES, Advice
from vcr_core.advisor.neighbours import COMPARED
from vcr_core.advisor.table import KnownSetting, Table, load_table, read_table
from vcr_core.errors import ConfigError

SKILL = load_table().skill


def setting(rank: float, gain: float, *, sure: float = 0.01) -> KnownSetting:
    return KnownSetting(
        name=f"rank {rank}",
        family="digits, MLP",
        network="mlp",
        measured=dict.fromkeys(COMPARED, 0.5) | {"effective_rank": rank, "dimensions": 128.0},
        gain=gain,
        low=gain - sure,
        high=gain + sure,
        source_gain=0.0,
        weights=(1.0, 10.0),
    )


#: Collapsed baselines gain, rich ones do not; between them it went both ways.
TABLE = Table(
    (
        *(setting(2 + i / 10, 0.08) for i in range(12)),
        *(setting(16 + i / 10, 0.08 if i % 2 else 0.0) for i in range(12)),
        *(setting(60 + i, 0.0) for i in range(12)),
    ),
    SKILL,
)


def advice(rank: float, network: str = "mlp") -> Advice:
    return advise(setting(rank, 0).measured, network=network, table=TABLE)


@pytest.mark.parametrize(
    ("rank", "answer"), [(2.5, "likely"), (16.5, "unclear"), (65, "unlikely"), (5000, "unknown")]
)
def test_the_answer_is_that_of_settings_like_it(rank: float, answer: str) -> None:
    assert advice(rank).answer == answer


def test_only_likely_help_names_weights_to_start_with() -> None:
    assert advice(2.5).weights == (1.0, 10.0)
    assert all(advice(rank).weights is None for rank in (16.5, 65, 5000))


def test_the_words_carry_the_counts_and_the_uncertainty() -> None:
    words = " ".join(sentence.text() for sentence in advice(2.5).sentences)
    assert "In 10 of the 10" in words
    assert "about 2 of 128" in words or "about 2.5 of 128" in words or "about 3 of 128" in words
    assert f"{SKILL.right} times" in words


def test_the_unknown_names_no_neighbours() -> None:
    told = advice(5000)
    assert told.neighbours == ()
    assert SENTENCES["unknown"] in [sentence.template for sentence in told.sentences]


def test_a_network_that_was_never_measured_is_said() -> None:
    assert SENTENCES["network"] in [s.template for s in advice(2.5, "vgg11").sentences]
    assert SENTENCES["network"] not in [s.template for s in advice(2.5).sentences]


def test_a_measured_setting_finds_itself() -> None:
    table = load_table()
    known = table.settings[0]
    told = advise(known.measured, network=known.network, table=table)
    assert told.neighbours[0] == known


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ConfigError, match="effective_rank"):
        advise({"height": 3.0}, network="mlp", table=TABLE)


def test_a_table_survives_its_file() -> None:
    import json

    assert read_table(json.loads(TABLE.to_json())) == TABLE
    assert replace(TABLE) == TABLE


def test_the_rank_is_said_with_the_images_it_is_from_where_they_are_known() -> None:
    measured = dict(setting(16.5, 0).measured)
    states = [
        sentence.template.format(**sentence.values)
        for known in (measured, measured | {"samples": 1500})
        for sentence in advise(known, network="mlp", table=TABLE).sentences[:1]
    ]
    assert states == [
        "Its features use about 16 of 128 directions.",
        "Its features use about 16 of 128 directions, as far as 1,500 images show.",
    ]
