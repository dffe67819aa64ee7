"""Tables through the whole toolkit: pretraining, features, pictures, the command line."""

import subprocess
import sys

import numpy as np
import pytest

import anymae
from anymae.errors import BadInput

SMALL = anymae.EncoderConfig(width=32, depth=1, heads=2)


def table(count=400, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=count)
    word = np.where(x > 0, "up", "down").astype(object)
    word[draw.random(count) < 0.1] = None
    return {
        "x": x,
        "y": np.where(draw.random(count) < 0.1, np.nan, 3 - 2 * x),
        "word": word,
        "side": np.where(x + 0.3 * draw.normal(size=count) > 0, "right", "left"),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return anymae.pretrain(
        table(), "tabular", size=SMALL, steps=80, batch_size=64, lr=1e-2, validation=0.2,
        modality_options={"label": "side"}, out=tmp_path_factory.mktemp("tabular") / "run",
    )  # fmt: skip


def test_pretraining_beats_the_trivial_predictors(run):
    assert run.history[-1]["validation_explained_variance"] > 0.3
    assert [column.name for column in run.model.adapter.columns] == ["x", "y", "word"]


def test_labels_named_in_the_options_reach_evaluation_and_tuning(run):
    scores = anymae.evaluate(run.model, table(seed=1), table(seed=2), protocol="linear", seeds=1)
    assert scores.value > 0.85
    tuned = anymae.finetune(run.model, table(seed=1), epochs=3, layer_decay=1.0, lr=3e-3)
    assert set(tuned.predict(table(seed=2))) == {"left", "right"}
    assert tuned.score(table(seed=2)) > 0.8


def test_mixup_is_refused_where_rows_have_gaps_and_works_where_not(run):
    from anymae.errors import BadConfig

    with pytest.raises(BadConfig, match="mixup needs samples with tokens at the same places"):
        anymae.finetune(run.model, table(seed=1), epochs=1, mixup=0.4)
    whole = {name: values[:64] for name, values in table(seed=1).items()}
    whole = {**whole, "y": whole["x"], "word": ["up", "down"] * 32}
    anymae.finetune(run.model, whole, epochs=1, mixup=0.4)


def test_a_saved_model_gives_the_same_features(run, tmp_path):
    wanted = run.model.embed(table(seed=3))
    assert wanted.shape == (400, 32)
    again = anymae.load(run.model.save(tmp_path / "model"))
    assert again.adapter == run.model.adapter
    np.testing.assert_array_equal(again.embed(table(seed=3)), wanted)


def test_features_do_not_depend_on_the_order_of_columns_or_rows(run):
    data = table(seed=3)
    wanted = run.model.embed(data)
    turned = {name: data[name][::-1] for name in reversed(data)}
    np.testing.assert_allclose(run.model.embed(turned)[::-1], wanted, atol=1e-5)


def test_other_tables_are_refused_by_name(run):
    with pytest.raises(BadInput, match="column 'z'"):
        run.model.embed({**table(), "z": np.zeros(400)})


def test_a_reconstruction_can_be_read(run, tmp_path):
    picture = run.model.reconstruct({n: v[:6] for n, v in table(seed=4).items()}, mask_ratio=0.5)
    for before, hidden, after in zip(
        picture.original, picture.masked, picture.reconstruction, strict=True
    ):
        for name, value in before.items():
            if value is None:
                assert hidden[name] is None
                assert after[name] is None
            elif hidden[name] != hidden[name]:
                assert type(after[name]) is type(value)  # said by the model
            else:
                assert hidden[name] == after[name] == value
    gone = [value != value for row in picture.masked for value in row.values()]
    assert 6 <= sum(gone) <= 12
    picture.plot(tmp_path / "rows.png")
    texts = [text.get_text() for axes in picture.plot(None, columns=1).axes for text in axes.texts]
    assert texts.count("word") == 3
    assert any(text in ("up", "down") for text in texts)


def test_wide_tables_are_drawn_in_part(run):
    from anymae.modalities.tabular.pictures import LINES
    from anymae.report.pictures import THEMES, blank

    axes = blank(1, 1, THEMES["dark"]).subplots()
    run.model.adapter.draw(axes, {f"c{i}": i for i in range(40)} | {"c1": float("nan")})
    texts = [text.get_text() for text in axes.texts]
    assert texts[-1] == f"and {40 - LINES + 1} more"
    assert len(axes.patches) == 1


def test_the_command_line_takes_tables(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = table()
    columns = {name: pa.array(values, from_pandas=True) for name, values in rows.items()}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    done = subprocess.run(
        [sys.executable, "-m", "anymae", "pretrain", str(tmp_path / "t.parquet"), "-m", "tabular",
         "--steps", "3", "--batch-size", "16", "--out", str(tmp_path / "run"), "--size", "nano",
         "--option", "label=side", "--option", "ignore=[y]", "--option", "types={x: numeric}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = anymae.load(tmp_path / "run")
    assert [column.name for column in model.adapter.columns] == ["x", "word"]
    assert model.adapter.label == "side"
