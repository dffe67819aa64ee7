import numpy as np
import pytest
import torch

import anymae
from anymae.data.sources import open_source
from anymae.errors import BadConfig, BadInput, CheckpointError
from anymae.evaluation import FineTuned
from anymae.evaluation.finetuning.feeding import mixed
from anymae.evaluation.finetuning.network import Network, parameter_groups
from anymae.evaluation.finetuning.tuned import outputs_of
from anymae.inference import batches_of
from anymae.registry import recipe

from .tiny import Walks, walks

QUICK = {"epochs": 2, "augment": False, "precision": "fp32"}


@pytest.fixture(scope="module")
def named(digits):
    images, labels = digits
    return images[:200], np.array([f"digit {label}" for label in labels[:200]])


@pytest.fixture(scope="module")
def tuned(model, named):
    return anymae.finetune(
        model,
        named,
        validation=0.2,
        epochs=30,
        lr=4e-3,
        batch_size=32,
        drop_path=0.0,
        augment=False,
    )


def test_training_labels_are_learned(tuned, named):
    assert tuned.score(named) > 0.85
    assert tuned.history[-1]["loss"] < tuned.history[0]["loss"]
    assert tuned.history[-1]["epoch"] == 30
    assert tuned.history[-1]["validation_accuracy"] > 0.5
    assert [row["step"] for row in tuned.history] == [5 * i for i in range(1, 31)]


def test_answers_are_the_users_own_labels(tuned, named):
    answers = tuned.predict(named[0])
    assert (answers == named[1]).mean() == pytest.approx(tuned.score(named))
    shares = tuned.predict_proba(named[0])
    assert shares.shape == (200, 10)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert (np.asarray(tuned.task.classes)[shares.argmax(1)] == answers).all()


def test_a_fine_tuned_model_survives_saving(tuned, named, tmp_path):
    tuned.save(tmp_path / "tuned")
    again = FineTuned.load(tuned.save(tmp_path / "tuned"))
    np.testing.assert_array_equal(again.predict_proba(named[0]), tuned.predict_proba(named[0]))
    assert (again.history, again.config, again.task) == (tuned.history, tuned.config, tuned.task)
    assert sorted(p.name for p in (tmp_path / "tuned").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_damage_is_refused(tuned, model, tmp_path):
    with pytest.raises(CheckpointError, match="not a fine-tuned model"):
        FineTuned.load(model.save(tmp_path / "plain"))
    with pytest.raises(CheckpointError):
        FineTuned.load(tmp_path / "nothing")
    folder = tuned.save(tmp_path / "cut")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"digit 9"', '"digit 8"', 1).replace(
        '"digit 0",', "", 1))  # fmt: skip
    with pytest.raises(CheckpointError, match=r"head.*shape"):
        FineTuned.load(folder)


def test_the_model_is_not_touched(model, named):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    anymae.finetune(model, named, **QUICK)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.training
    assert model.encoder.config.drop_path == 0


def test_a_run_is_a_function_of_its_seed(model, named):
    torch.manual_seed(0)
    first = anymae.finetune(model, named, mixup=0.8, **QUICK).predict_proba(named[0])
    torch.manual_seed(1)
    again = anymae.finetune(model, named, mixup=0.8, **QUICK).predict_proba(named[0])
    other = anymae.finetune(model, named, mixup=0.8, seed=1, **QUICK).predict_proba(named[0])
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_ragged_samples_are_regressed_in_their_own_units(walker):
    samples, drift = walks(200)
    tuned = anymae.finetune(
        walker, (samples[:150], 1000 + 50 * drift[:150]), task="regression", epochs=30, lr=3e-3,
        batch_size=32, drop_path=0.0,
    )  # fmt: skip
    answers = tuned.predict(samples[150:])
    assert answers.shape == (50,)
    assert answers.dtype == np.float32
    assert np.abs(answers - 1000 - 50 * drift[150:]).mean() < 10
    assert tuned.score((samples[150:], 1000 + 50 * drift[150:])) > 0.8
    with pytest.raises(BadConfig, match="only classification has probabilities"):
        tuned.predict_proba(samples)


def test_several_numbers_a_sample(walker, tmp_path):
    samples, drift = walks(30)
    targets = np.stack([drift, 3 * drift + 1], 1)
    tuned = anymae.finetune(walker, (samples, targets), task="regression", **QUICK)
    assert tuned.predict(samples).shape == (30, 2)
    with pytest.raises(BadInput, match="another number of targets"):
        tuned.score((samples, drift))


def test_augmentation_draws_by_seed(small):
    samples, drift = walks(40)
    labels = (drift > 0).astype(int)
    model = anymae.Model(Walks(noise=0.5), recipe("mae"), small)
    options = {"epochs": 1, "precision": "fp32"}
    losses = [
        anymae.finetune(model, (samples, labels), augment=augment, **options).history[0]["loss"]
        for augment in (True, True, False)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_integers_of_another_set_stand_for_names(tuned, named, digits):
    assert tuned.score((named[0], digits[1][:200])) == tuned.score(named)
    with pytest.raises(BadInput, match="training data does not have; found digit 10"):
        tuned.score((named[0], np.where(named[1] == "digit 3", "digit 10", named[1])))


def test_layers_learn_at_the_published_rates(model):
    network = Network(model.adapter, model.recipe, model.encoder.config, 10, "mean")
    scale, decay = {}, {}
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in parameter_groups(network, 0.5, 0.05):
        for parameter in group["params"]:
            scale[names[id(parameter)]] = group["scale"]
            decay[names[id(parameter)]] = group["weight_decay"]
    assert set(scale) == set(dict(network.named_parameters()))
    wanted = {  # depth 2: 0.5 ** (3 - group)
        "backbone.embedding": 0.125,
        "backbone.encoder.lead": 0.125,
        "backbone.encoder.blocks.0": 0.25,
        "backbone.encoder.blocks.1": 0.5,
        "norm": 1.0,
        "head": 1.0,
    }
    for name, found in scale.items():
        assert [value for start, value in wanted.items() if name.startswith(start)] == [found]
    assert {name for name, value in decay.items() if value} == {
        name
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and name != "backbone.encoder.lead"
    }


def test_the_network_reads_tokens_before_the_final_norm(model, digits):
    network = Network(model.adapter, model.recipe, model.encoder.config, 3, "mean")
    network.start_from(model, 2e-5, seed=0)
    assert float(network.head.weight.detach().std()) == pytest.approx(1.8e-5, rel=0.3)
    source = open_source(digits[0][:4], model.adapter)
    (packed,) = batches_of(model, source)
    with torch.no_grad():
        x = model.encode(packed, taps=(1,))
        means = x.tokens(x.taps[0]).view(4, 4, -1).mean(1)
        wanted = network.head(network.norm(means))
    torch.testing.assert_close(outputs_of(network.eval(), source), wanted)


def test_the_class_token_can_be_pooled(model, named, small):
    tuned = anymae.finetune(model, named, pool="cls", **QUICK)
    assert tuned.predict(named[0]).shape == (200,)
    bare = anymae.Model(model.adapter, model.recipe, small.model_copy(update={"cls": False}))
    with pytest.raises(BadConfig, match="no class token"):
        anymae.finetune(bare, named, pool="cls", **QUICK)


def test_mixing_blends_samples_and_targets_alike(model, digits):
    (packed,) = batches_of(model, open_source(digits[0][:4], model.adapter))
    target = torch.eye(4)
    blend, blended = mixed(packed, target, 1.0, 0, 0)
    share = float(blended[0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(
        blend.values[:4], share * packed.values[:4] + (1 - share) * packed.values[12:]
    )
    torch.testing.assert_close(blended.sum(1), torch.ones(4))


def test_mixing_ragged_samples_is_refused(walker):
    samples, drift = walks(20)
    with pytest.raises(BadConfig, match="mixup=0"):
        anymae.finetune(walker, (samples, (drift > 0).astype(int)), mixup=0.5, **QUICK)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer_decy": 0.5}, "Did you mean 'layer_decay'"),
        ({"task": "classify"}, "unknown task 'classify'.*Did you mean 'classification'"),
        ({"validation": 1.5}, "between 0 and 1"),
        ({"precision": "fp8"}, "precision"),
        ({"device": "gpu7"}, "device"),
    ],
)
def test_wrong_options_are_refused(model, named, options, said):
    with pytest.raises(BadConfig, match=said):
        anymae.finetune(model, named, **{"epochs": 1, **options})


def test_missing_labels_are_asked_for(model, digits):
    with pytest.raises(BadInput, match=r"Pass \(samples, labels\)"):
        anymae.finetune(model, digits[0][:20])
