"""The report as a browser reads it: inert, self-contained, complete, the same every time."""

import re

import pytest

from anymae.config import with_overrides
from anymae.errors import AnyMAEError, BadConfig, CheckpointError
from anymae.registry import recipe
from anymae.report import write_report
from anymae.report.artifacts import save_diagnosis, save_reconstruction, save_scores

from .folders import (
    DIAGNOSIS,
    NONE,
    SCORES,
    assert_inert,
    full,
    read,
    reconstruction,
    rows,
    run_folder,
)

HOSTILE = (
    "<img src=x onerror=alert(1)> <script>alert(1)<!-- & script> \"onmouseover='alert(1)' x= "
    "'><iframe srcdoc=x> {{ 7 * 7 }} {% raw %} $\\badmath{$ _private"
)


def test_a_full_report_is_inert_and_complete(tmp_path):
    out = write_report([full(tmp_path / "run")])
    assert out == tmp_path / "run" / "report.html"
    assert_inert(out.read_text())
    page = read(out)
    for words in (
        "Is my loss good? Good: far better than a trivial guess",
        "the better of two trivial guesses scores 0.400",
        "Pretrained features are 0.200 better than raw features and 0.400 better than a random "
        "encoder, which may be chance.",
        "0.850 to 0.950",
        "It is flat.",
        "effective rank (RankMe) 12.5",
        "memorisation \N{EN DASH}",
        "mask.budget.ratio 0.75 0.75",
        "torch 2.11.0",
        "threads 2",
        "anymae pretrain DATA --config",
    ):
        assert words in page.text
    titles = [
        words for words in ("Masked loss", "Learning rate", "Throughput") if words in page.text
    ]
    assert len(titles) == 3
    assert len(page.all("img")) == 5 + 1
    assert len(page.all("source")) == 5 + 1  # each again for dark pages
    assert "This adds" not in page.text


def test_bars_stand_where_the_values_are(tmp_path):
    page = read(write_report([full(tmp_path / "run")]))
    bars = [e["style"] for e in page.all("i")]
    assert bars == ["left:0.0%;width:50.0%", "left:0.0%;width:70.0%", "left:0.0%;width:90.0%"]


def test_hostile_names_are_only_text(tmp_path):
    run = full(tmp_path / HOSTILE, validation=HOSTILE, data=HOSTILE, data_path=HOSTILE)
    words = dict.fromkeys(("metric", "raw_features", "how", "task"), HOSTILE)
    save_scores(run, "linear", SCORES | words)
    save_diagnosis(run, {"effective_rank": HOSTILE, HOSTILE: 1.0, "warnings": [HOSTILE]})
    changed = dict.fromkeys(("name", "summary", "paper", "differs"), HOSTILE)
    method = recipe("mae").model_copy(update=changed)
    other = run_folder(tmp_path / f"2 {HOSTILE}", method=method)
    for runs, least in (([run], 12), ([other], 5), ([run, other], 15)):
        out = write_report(runs, tmp_path / "out.html")
        assert_inert(out.read_text())
        assert read(out).text.count(HOSTILE) >= least


def test_what_is_missing_is_said_with_the_command_that_adds_it(tmp_path):
    page = read(write_report([run_folder(tmp_path / "my run")]))
    run = f"'{tmp_path / 'my run'}'"
    for command in (f"anymae evaluate {run} --train", f"anymae diagnose {run} DATA",
                    f"anymae reconstruct {run} DATA", f"anymae resume {run}"):  # fmt: skip
        assert command in page.text
    assert NONE not in page.text.partition("Curves")[0], "a key number without its value"


def test_the_suggested_picture_lands_in_the_report(tmp_path):
    run = run_folder(tmp_path / "run")
    page = read(write_report([run]))
    target = re.search(r"anymae reconstruct \S+ DATA -o (\S+)", page.text).group(1)
    (run / "pictures").mkdir()
    reconstruction().plot(target)
    assert len(read(write_report([run])).all("img")) == 5 + 1


def test_a_run_without_a_step_or_checkpoint(tmp_path):
    run = run_folder(tmp_path / "run", history=[])
    (run / "history.csv").unlink()
    for file in run.glob("checkpoints/*/*"):
        file.unlink()
    page = read(write_report([run]))
    assert "has logged no step yet" in page.text
    assert page.all("img") == []


def test_a_run_without_validation_is_judged_on_training(tmp_path):
    page = read(write_report([run_folder(tmp_path / "run", history=rows(validation=False))]))
    assert "On its training samples, the loss on hidden tokens is 0.240" in page.text
    assert "Validation loss" not in page.text


def test_differences_from_mae_are_marked(tmp_path):
    method = with_overrides(recipe("mae"), {"mask.budget.ratio": 0.6, "training.clip": 1.0,
                                            "training.steps": 20}, "recipe")  # fmt: skip
    page = read(write_report([run_folder(tmp_path / "run", method=method)]))
    assert "mask.budget.ratio 0.6 0.75 differs" in page.text
    assert "clip 1 \N{EN DASH} differs" in page.text
    assert "steps 20 automatic epochs automatic automatic" in page.text
    assert sum("differs" in (row.get("class") or "") for row in page.all("tr")) == 2


def test_no_command_is_promised_that_cannot_work(tmp_path):
    page = read(write_report([run_folder(tmp_path / "run", validation="given")]))
    assert "anymae pretrain " not in page.text
    assert "no command repeats it" in page.text


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    run = full(tmp_path / "run")
    first = write_report([run], tmp_path / "1.html").read_bytes()
    save_reconstruction(run, reconstruction())
    assert write_report([run], tmp_path / "2.html").read_bytes() == first


def test_results_can_be_given_along(tmp_path):
    run = run_folder(tmp_path / "run")
    scores = {"linear": SCORES, "knn": SCORES}
    page = read(write_report([run], None, scores, DIAGNOSIS, reconstruction()))
    assert "knn classification" in page.text
    assert "linear classification" in page.text
    assert "This adds" not in page.text
    with pytest.raises(BadConfig, match="several"):
        write_report([run, run], diagnosis=DIAGNOSIS)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"\x80\x04."),
        ("config.json", b"{}"),
        ("history.csv", b"step,loss\n1,many\n"),
        ("history.csv", b"loss\n1\n"),
        ("history.csv", b"step,loss\n1,2,3\n"),
        ("history.csv", b"\xff\xfe\x00"),
        ("evaluations/linear.json", b'{"content": {"kind": "scores", "name": "x"}}'),
        ("evaluations/linear.json", b'{"content": {"kind": "other"}}'),
        ("evaluations/linear.json", b"\x80\x04."),
        ("pictures/reconstruction.png", b"<svg onload=alert(1)>"),
        ("checkpoints/step-000000020/manifest.json", b"\x80\x04."),
        ("model/model.safetensors", b"\x80\x04."),
    ],
)
def test_a_damaged_file_is_named(tmp_path, file, content):
    run = run_folder(tmp_path / "run")
    (run / file).parent.mkdir(parents=True, exist_ok=True)
    (run / file).write_bytes(content)
    with pytest.raises(AnyMAEError, match=re.escape(file)):
        write_report([run])
    assert not (run / "report.html").exists()


def test_no_run_and_no_folder(tmp_path):
    with pytest.raises(BadConfig, match="no run"):
        write_report([])
    with pytest.raises(CheckpointError, match="not a run folder"):
        write_report([tmp_path / "nowhere"])


def test_an_unwritable_place_leaves_nothing_behind(tmp_path):
    run = run_folder(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_report([run], tmp_path / "file" / "report.html")
    assert not list(tmp_path.rglob(".tmp-*"))
