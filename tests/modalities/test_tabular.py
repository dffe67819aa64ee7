"""The tabular adapter: any row becomes tokens and comes back as it was."""

import datetime
import math

import numpy as np
import pytest
import torch

from anymae.errors import BadConfig, BadInput
from anymae.losses import SquaredLoss
from anymae.modalities.tabular.adapter import TabularAdapter
from anymae.modalities.tabular.columns import OTHER
from anymae.tokens import OBSERVED, Packed, Tokens

NOON = datetime.datetime(2024, 2, 29, 12, 30, 15)


def rows(count=60, seed=0):
    """Rows with every kind of column, some cells missing."""
    draw = np.random.default_rng(seed)
    made = []
    for i in range(count):
        row = {
            "age": int(draw.integers(18, 80)),
            "pay": float(draw.lognormal(10, 1)),
            "job": str(draw.choice(["clerk", "smith", "cook"])),
            "flag": bool(draw.random() < 0.5),
            "seen": NOON + datetime.timedelta(hours=int(draw.integers(1000))),
            "level": int(draw.integers(1, 4)),
        }
        made.append({k: v if draw.random() < 0.85 or i < 2 else None for k, v in row.items()})
    return made


def fitted(samples=None, **options):
    return TabularAdapter(**options).fit(rows() if samples is None else samples)


def close(found, wanted):
    """Equal, numbers and times to the rounding of a float32 of the column's spread."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert type(found[name]) is type(value), name
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-3)
        elif isinstance(value, datetime.datetime):
            assert abs((found[name] - value).total_seconds()) < 5
        else:
            assert found[name] == value, name


# Tokens and back


@pytest.mark.parametrize("numbers_as", ["standard", "quantile"])
def test_rows_come_back_as_they_were(numbers_as):
    samples = rows()
    adapter = fitted(samples, numbers_as=numbers_as)
    for sample in samples:
        if any(value is not None for value in sample.values()):
            close(adapter.untokenize(adapter.tokenize(sample)), sample)


def test_a_cell_is_a_token_and_a_missing_one_is_none():
    adapter = fitted()
    tokens = adapter.tokenize({"age": 40, "job": "smith", "pay": None, "flag": float("nan")})
    assert tokens.coords.tolist() == [[0], [2]]
    assert adapter.token_dim == 4
    age = adapter.columns[0]
    assert float(tokens.values[0, 0]) == pytest.approx((40 - age.mean) / age.std, rel=1e-5)
    assert tokens.values[0, 1:].tolist() == [0, 0, 0]
    assert tokens.values[1].tolist() == [0, 0, 1, 0]  # clerk, cook, smith, others
    assert tokens.side[OBSERVED].tolist() == [[True, False, False, False], [True] * 4]
    assert tokens.side["choice"].tolist() == [False, True]


@pytest.mark.parametrize("numbers_as", ["standard", "quantile"])
def test_numbers_have_mean_zero_and_deviation_one(numbers_as):
    samples = [{"pay": float(x)} for x in np.random.default_rng(0).lognormal(10, 2, 500)]
    adapter = fitted(samples, numbers_as=numbers_as)
    values = adapter.batch_tokenize(samples).values[:, 0]
    assert float(values.mean()) == pytest.approx(0, abs=1e-4)
    assert float(values.std(correction=0)) == pytest.approx(1, abs=1e-3)
    # Normal scores have no long tail; standardised numbers keep theirs.
    assert (float(values.max()) < 4) == (numbers_as == "quantile")


def test_normal_scores_rise_with_the_number_beyond_what_was_seen():
    adapter = fitted([{"x": float(x**3)} for x in range(200)], numbers_as="quantile")
    asked = [-100.0, 0.0, 10.0, 1e5, 7e6, 9e6]
    values = adapter.batch_tokenize([{"x": x} for x in asked]).values[:, 0]
    assert bool((values.diff() > 0).all())
    found = [adapter.untokenize(adapter.tokenize({"x": x}))["x"] for x in asked]
    np.testing.assert_allclose(found, asked, rtol=1e-3, atol=1)


def test_an_unseen_category_is_another():
    adapter = fitted()
    tokens = adapter.tokenize({"job": "astronaut", "age": 30})
    assert tokens.values[1].tolist() == [0, 0, 0, 1]
    assert adapter.untokenize(tokens)["job"] == OTHER


def test_rare_categories_count_as_one():
    samples = [{"city": f"c{i % 7}"} for i in range(70)] + [{"city": "rare"}]
    adapter = fitted(samples, max_categories=7)
    assert adapter.columns[0].categories == tuple(f"c{i}" for i in range(7))
    rare, unseen = (adapter.tokenize({"city": name}).values for name in ("rare", "unseen"))
    assert torch.equal(rare, unseen)
    assert adapter.token_dim == 8
    tokens = adapter.batch_tokenize([{"city": "c1"}])
    said = adapter.as_content(torch.arange(8.0)[None], tokens)
    assert int(said.argmax()) == 7  # others were there, so they may be an answer


def test_hidden_cells_come_back_as_nan_and_missing_ones_as_none():
    adapter = fitted()
    tokens = adapter.tokenize({"age": 40, "job": "smith"})
    values = tokens.values.clone()
    values[1] = float("nan")
    row = adapter.untokenize(Tokens(values, tokens.coords, tokens.side))
    assert row["age"] == 40
    assert math.isnan(row["job"])
    assert row["pay"] is None


# Batches


def test_a_batch_equals_its_samples():
    samples = [row for row in rows(40, seed=3) if any(v is not None for v in row.values())]
    adapter = fitted()
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    assert torch.equal(packed.values, wanted.values)
    assert torch.equal(packed.coords, wanted.coords)
    assert packed.offsets.tolist() == wanted.offsets.tolist()
    for name in (OBSERVED, "choice"):
        assert torch.equal(packed.side[name], wanted.side[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.gpu
def test_a_batch_is_the_same_on_a_gpu():
    adapter, samples = fitted(), rows(40, seed=3)
    here, there = adapter.batch_tokenize(samples), adapter.batch_tokenize(samples, "cuda")
    assert there.values.device.type == "cuda"
    assert torch.equal(here.values, there.values.cpu())


def test_an_empty_row_is_refused():
    adapter = fitted()
    with pytest.raises(BadInput, match="every cell is missing"):
        adapter.batch_tokenize([{"age": 3}, {"age": None, "job": ""}])


def test_what_is_not_a_row_is_refused():
    with pytest.raises(BadInput, match="not a row of a table; found str"):
        fitted().tokenize("age")
    with pytest.raises(BadConfig, match="does not know its columns yet"):
        TabularAdapter().tokenize({"age": 3})


# Layers


def embedded(adapter, samples, module):
    packed = adapter.batch_tokenize(samples)
    return module(packed)


def test_a_number_is_embedded_on_a_line_between_knots():
    adapter = fitted([{"x": float(x), "c": "ab"[x % 2]} for x in range(11)], bins=64)
    module = adapter.embed(8)
    ends = embedded(adapter, [{"x": 3.0}, {"x": 4.0}], module)
    between = embedded(adapter, [{"x": 3.25}], module)
    torch.testing.assert_close(between[0], ends[0] * 0.75 + ends[1] * 0.25, rtol=0, atol=1e-4)
    beyond = embedded(adapter, [{"x": 10.0}, {"x": 1e6}, {"x": 0.0}, {"x": -5.0}], module)
    torch.testing.assert_close(beyond[0], beyond[1])
    torch.testing.assert_close(beyond[2], beyond[3])


def test_the_embedding_is_a_linear_map_of_the_piecewise_linear_encoding():
    samples = [{"x": float(x)} for x in np.random.default_rng(0).normal(size=300)]
    adapter = fitted(samples, bins=5)
    module = adapter.embed(4)
    knots = np.array(adapter.columns[0].knots)
    x = np.array([sample["x"] for sample in samples])
    encoding = ((x[:, None] - knots[:-1]) / np.diff(knots)).clip(0, 1)
    wanted = module.steps[0, 0] + torch.from_numpy(encoding).float() @ module.steps[0, 1:]
    torch.testing.assert_close(embedded(adapter, samples, module), wanted, rtol=1e-4, atol=1e-5)


def test_columns_have_vectors_of_their_own():
    adapter = fitted([{"a": c, "b": c, "x": i, "y": i} for i in range(40) for c in "uv"])
    module = adapter.embed(8)
    found = embedded(adapter, [{"a": "u", "b": "u", "x": 7, "y": 7}], module)
    assert len(torch.unique(found, dim=0)) == 4
    assert embedded(adapter, [{"a": "w"}], module).abs().max() == 0  # nothing is known of it


def test_mixed_categories_are_embedded_in_proportion():
    adapter = fitted()
    module = adapter.embed(8)
    packed = adapter.batch_tokenize([{"job": "cook"}, {"job": "smith"}])
    mixed = packed.values.clone()
    mixed[0] = torch.lerp(packed.values[1], packed.values[0], 0.7)
    apart = module(packed)
    found = module(Packed(mixed, packed.coords, packed.segments, packed.side))
    torch.testing.assert_close(found[0], torch.lerp(apart[1], apart[0], 0.7))


@pytest.mark.parametrize("only", ["numbers", "words", "both"])
def test_gradients_reach_every_parameter(only):
    samples = [{"x": float(i % 13), "c": "abc"[i % 3]} for i in range(60)]
    drop = {"numbers": "c", "words": "x"}.get(only)
    samples = [{k: v for k, v in sample.items() if k != drop} for sample in samples]
    adapter = fitted(samples)
    embed, head = adapter.embed(8), adapter.head(8, adapter.token_dim)
    packed = adapter.batch_tokenize(samples)
    adapter.content_loss(
        SquaredLoss(), head(embed(packed), packed.coords), packed.values, packed
    ).sum().backward()
    for module in (embed, head):
        for name, parameter in module.named_parameters():
            assert float(parameter.grad.abs().sum()) > 0, name


def test_the_head_answers_each_column_in_its_own_slots():
    adapter = fitted()
    packed = adapter.batch_tokenize(rows(20))
    head = adapter.head(8, adapter.token_dim)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    answer = head(torch.randn(len(packed.values), 8), packed.coords)
    assert bool((answer[~packed.side[OBSERVED]] == 0).all())
    assert bool((answer[packed.side[OBSERVED]] != 0).all())


# Losses


def test_categories_are_scored_by_cross_entropy_and_numbers_by_the_loss():
    adapter = fitted()
    asked = adapter.batch_tokenize([{"age": 40, "job": "cook", "flag": True}])
    prediction = torch.tensor([[1.0, 9, 9, 9], [0.5, 2.0, -1.0, 0.0], [0.1, 0.2, 0.3, 9.0]])
    found = adapter.content_loss(SquaredLoss(), prediction, asked.values, asked)
    job = -torch.log_softmax(prediction[1], 0)[1]
    flag = -torch.log_softmax(prediction[2, :3], 0)[1]  # two categories and others: three slots
    age = (1.0 - asked.values[0, 0]) ** 2
    torch.testing.assert_close(found, torch.stack([age, job, flag]))


def test_content_and_prediction_are_inverse():
    adapter = fitted()
    asked = adapter.batch_tokenize([{"age": 40, "job": "cook", "flag": True}])
    prediction = torch.tensor([[1.0, 0, 0, 0], [0.5, 2.0, -1.0, 0.0], [0.1, 0.2, 0.3, 7.0]])
    content = adapter.as_content(prediction, asked)
    assert content[0].tolist() == [1, 0, 0, 0]
    torch.testing.assert_close(content[1:].sum(1), torch.ones(2))
    assert content[:, 3].tolist() == [0, 0, 0]  # nothing but clerks, cooks and smiths was seen
    assert content[2, 2] == 0
    again = adapter.as_content(adapter.as_prediction(content, asked), asked)
    torch.testing.assert_close(again, content)


def test_a_category_that_never_was_costs_much_but_not_everything():
    adapter = fitted()
    asked = adapter.batch_tokenize([{"job": "cook"}])
    said = adapter.as_prediction(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), asked)
    cost = adapter.content_loss(SquaredLoss(), said, asked.values, asked)
    assert 5 < float(cost[0]) < 20


# Raw features, JSON


def test_raw_features_are_numbers_one_hots_and_what_is_there():
    adapter = fitted()
    features = adapter.raw_features(adapter.tokenize({"age": 40, "job": "cook"}))
    slots = [column.slots for column in adapter.columns]
    assert len(features) == sum(slots) + len(slots)
    age = adapter.columns[0]
    assert float(features[0]) == pytest.approx((40 - age.mean) / age.std, rel=1e-5)
    assert features[slots[0] + slots[1] :][: slots[2]].tolist() == [0, 1, 0, 0]
    assert features[sum(slots) :].tolist() == [1, 0, 1, 0, 0, 0]


def test_an_adapter_survives_json():
    adapter = fitted(numbers_as="quantile", types={"level": "numeric"}, label="flag")
    again = TabularAdapter.model_validate_json(adapter.model_dump_json())
    assert again == adapter
    sample = rows()[0]
    assert torch.equal(again.tokenize(sample).values, adapter.tokenize(sample).values)


def test_examples_can_be_learned_from():
    adapter = TabularAdapter()
    samples = [adapter.example(seed) for seed in range(200)]
    adapter = adapter.fit(samples)
    assert len(adapter.batch_tokenize(samples)) == 200
    assert {c.name: c.kind for c in adapter.columns} == {
        "age": "numeric", "income": "numeric", "plan": "categorical", "city": "categorical",
        "active": "categorical",
    }  # fmt: skip
