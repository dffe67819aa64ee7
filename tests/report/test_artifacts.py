"""Results kept in a run folder come back as they were, or are refused."""

import json
import math

import numpy as np
import pytest

from anymae.errors import BadConfig
from anymae.report.artifacts import save_diagnosis, save_scores
from anymae.report.record import read_run

from .folders import DIAGNOSIS, HELD_OUT_TRIVIAL, SCORES, TRIVIAL, rows, run_folder


def test_scores_come_back(tmp_path):
    run = run_folder(tmp_path / "run")
    assert save_scores(run, "linear", SCORES) == run / "evaluations" / "linear.json"
    (kept,) = read_run(run).scores
    assert (kept.name, kept.metric, kept.test_samples) == ("linear", "accuracy", 397)
    assert (kept.pretrained.value, kept.pretrained.interval) == (0.9, (0.85, 0.95))
    assert kept.over_random_init.interval == (-0.1, 0.5)


def test_plain_numbers_arrays_and_gaps_are_understood(tmp_path):
    run = run_folder(tmp_path / "run")
    save_scores(run, "a", {"metric": "R2", "value": np.float32(0.5), "interval": None,
                           "raw": 0.25, "random_init": None})  # fmt: skip
    save_scores(run, "b", {"metric": "R2", "value": math.nan, "interval": (0.0, math.inf)})
    save_diagnosis(run, DIAGNOSIS | {"alpha_req": np.float64(math.inf), "spectrum": [3, 2, 1]})
    record = read_run(run)
    first, second = record.scores
    assert (first.pretrained.value, first.raw.value, first.random_init) == (0.5, 0.25, None)
    assert (second.pretrained.value, second.pretrained.interval) == (None, None)
    (diagnosis,) = record.diagnoses
    assert diagnosis.figures["alpha_req"] is None
    assert "spectrum" not in diagnosis.figures
    assert diagnosis.warnings == ("It is flat.",)


def test_saving_again_replaces(tmp_path):
    run = run_folder(tmp_path / "run")
    save_scores(run, "linear", SCORES)
    save_scores(run, "linear", SCORES | {"value": 0.1})
    (kept,) = read_run(run).scores
    assert kept.pretrained.value == 0.1
    assert [file.name for file in (run / "evaluations").iterdir()] == ["linear.json"]


@pytest.mark.parametrize("name", ["../config", "a/b", "", ".hidden", "a\nb", "x" * 101])
def test_a_name_stays_inside_the_folder(tmp_path, name):
    run = run_folder(tmp_path / "run")
    before = sorted(run.rglob("*"))
    with pytest.raises(BadConfig, match="plain file name"):
        save_scores(run, name, SCORES)
    assert sorted(run.rglob("*")) == before


def test_what_is_no_scores_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="metric"):
        save_scores(run_folder(tmp_path / "run"), "linear", {"value": 1.0})


def test_kept_files_are_plain_json(tmp_path):
    path = save_scores(run_folder(tmp_path / "run"), "linear", SCORES)
    assert json.loads(path.read_text())["content"]["raw"] == {"value": 0.7, "interval": [0.6, 0.8]}


def test_trivial_losses_are_found_again(tmp_path):
    record = read_run(run_folder(tmp_path / "run"))
    assert record.trivial() == pytest.approx(TRIVIAL, rel=1e-9)
    assert record.trivial("validation_") == pytest.approx(HELD_OUT_TRIVIAL, rel=1e-9)


def test_a_trivial_loss_of_zero_is_not_guessed(tmp_path):
    history = [row | {"explained_variance": 0.0} for row in rows(validation=False)]
    assert read_run(run_folder(tmp_path / "run", history=history)).trivial() is None


def test_a_finished_run_knows_its_parameters(tmp_path):
    from anymae.encoder import EncoderConfig
    from anymae.model import Model
    from anymae.registry import recipe
    from anymae.storage import save_model

    from .folders import ADAPTER

    run = run_folder(tmp_path / "run")
    assert read_run(run).parameters is None
    model = Model(ADAPTER, recipe("mae"), EncoderConfig(width=16, depth=1, heads=2))
    save_model(model, run / "model")
    encoder = sum(p.numel() for p in [*model.encoder.parameters(), *model.embedding.parameters()])
    assert read_run(run).parameters == (encoder, sum(p.numel() for p in model.parameters()))
    assert read_run(run).finished
