"""Storage: what is loaded is what was saved, or a CheckpointError says why not."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import anymae
from anymae import storage
from anymae.errors import CheckpointError
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.recipes.pixels import MAE, SIMMIM

from .toys import ENCODER, shaken

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 12, 3), dtype=np.uint8)


def made(recipe=MAE) -> Model:
    adapter = ImageAdapter(patch_size=4).fit(list(IMAGES))
    return shaken(Model(adapter, recipe, ENCODER))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A good model folder; tests that damage one copy it first."""
    return made().save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def refused(place: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        anymae.load(place)
    said = str(caught.value)
    assert "\n" not in said
    return said


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder


def edit(folder: Path, **fields) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return folder


# Round trips


@pytest.mark.parametrize("recipe", [MAE, SIMMIM], ids=["mae", "simmim"])
def test_a_loaded_model_is_the_saved_one(recipe, tmp_path):
    model = made(recipe)
    assert model.save(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    loaded = anymae.load(tmp_path / "a" / "b")
    assert not loaded.training
    assert loaded.config == model.config
    mine = model.state_dict()
    assert mine.keys() == loaded.state_dict().keys()
    assert all(torch.equal(mine[name], t) for name, t in loaded.state_dict().items())
    assert np.array_equal(model.embed(IMAGES), loaded.embed(IMAGES))


def test_a_folder_holds_two_plain_files(saved):
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((saved / "config.json").read_text())["format"] == 1
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_files_can_be_read_by_whoever_could_read_the_folder(saved):
    modes = {(saved / name).stat().st_mode & 0o777 for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1


def test_saving_again_replaces_the_folder(folder):
    (folder / "stray").write_text("old")
    before = tensors_of(folder)
    model = anymae.load(folder)
    model.encoder.lead.data += 1
    model.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(tensors_of(folder)["encoder.lead"], before["encoder.lead"] + 1)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model_and_no_scratch(folder, monkeypatch):
    before = tensors_of(folder)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "save_file", full)
    with pytest.raises(CheckpointError, match=r"cannot be written: .*No space left"):
        made().save(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
    assert all(torch.equal(before[name], t) for name, t in tensors_of(folder).items())


def test_saving_never_deletes_what_is_not_a_model(saved, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")  # a run has one too
    (tmp_path / "file").write_text("mine")
    model = anymae.load(saved)
    for place in (run, tmp_path, tmp_path / "file"):
        with pytest.raises(CheckpointError, match=r"it is not a model\. Choose another folder"):
            model.save(place)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["config.json", "file", "run"]
    (tmp_path / "empty").mkdir()
    assert model.save(tmp_path / "empty") == tmp_path / "empty"


def test_a_place_that_cannot_be_written_is_named(saved, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match=r"file/model: cannot be written: .*Not a directory"):
        anymae.load(saved).save(tmp_path / "file" / "model")


def test_a_model_is_found_inside_its_run(folder):
    assert anymae.load(folder.parent).width == 16
    assert anymae.load(str(folder)).width == 16


def test_a_loaded_model_does_not_need_its_file(folder):
    model = anymae.load(folder)
    before = model.embed(IMAGES)
    (folder / "model.safetensors").write_bytes(b"")
    assert np.array_equal(model.embed(IMAGES), before)


def test_loading_draws_nothing(folder):
    before = torch.get_rng_state()
    anymae.load(folder)
    assert torch.equal(torch.get_rng_state(), before)


# Damage: the weights


def test_a_missing_tensor_is_named(folder):
    tensors = tensors_of(folder)
    del tensors["decoder.mask_token"]
    said = refused(rewrite(folder, tensors))
    assert "1 missing tensors, the first 'decoder.mask_token'" in said
    assert "model.safetensors" in said


def test_an_unknown_tensor_is_named(folder):
    tensors = {**tensors_of(folder), "zzz": torch.zeros(1), "extra": torch.zeros(1)}
    assert "2 unknown tensors, the first 'extra'" in refused(rewrite(folder, tensors))


def test_a_wrong_shape_is_named(folder):
    tensors = tensors_of(folder)
    tensors["encoder.lead"] = torch.zeros(2, 16)
    said = refused(rewrite(folder, tensors))
    assert "'encoder.lead' has another shape; found (2, 16); expected (1, 16)" in said


def test_a_transposed_matrix_is_a_wrong_shape(folder):
    tensors = tensors_of(folder)
    tensors["embedding.project.weight"] = tensors["embedding.project.weight"].T.contiguous()
    assert "'embedding.project.weight' has another shape" in refused(rewrite(folder, tensors))


@pytest.mark.parametrize(
    ("dtype", "found"),
    [(torch.float16, "F16"), (torch.bfloat16, "BF16"), (torch.float64, "F64")],
    ids=str,
)
def test_a_wrong_type_is_named(folder, dtype, found):
    tensors = tensors_of(folder)
    tensors["encoder.lead"] = tensors["encoder.lead"].to(dtype)
    said = refused(rewrite(folder, tensors))
    assert f"'encoder.lead' has another type; found {found}; expected F32" in said


@pytest.mark.parametrize("kept", [0, 4, 100, -1], ids=str)
def test_a_truncated_file_is_refused(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "model.safetensors: cannot be read" in refused(folder)


def test_a_header_of_absurd_length_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    assert "cannot be read" in refused(folder)


class Trap:
    """Unpickling this would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_under_another_name_is_never_run(folder, writer):
    path, sprung = folder / "model.safetensors", folder.parent / "sprung"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Trap(sprung)))
    else:
        torch.save({"weights": Trap(sprung)}, path)
    assert "cannot be read" in refused(folder)
    assert not sprung.exists()


def test_missing_weights_are_named(folder):
    (folder / "model.safetensors").unlink()
    assert "model.safetensors: cannot be read" in refused(folder)


# Damage: the configuration


@pytest.mark.parametrize("version", [2, 10**9, None, "1", 1.5], ids=repr)
def test_an_unknown_format_is_refused(folder, version):
    said = refused(edit(folder, format=version))
    assert "unknown format version" in said
    assert "expected at most 1" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"modality": "smell"}, "unknown modality 'smell'"),
        ({"surprise": 1}, "unknown setting 'surprise'"),
        ({"adapter": {"patch_sise": 4}}, "patch_sise"),
        ({"adapter": 3}, "adapter"),
        ({"encoder": {"width": 16, "depth": 1, "heads": 3}}, "not a multiple of heads"),
        ({"recipe": None}, "recipe"),
    ],
    ids=["modality", "unknown", "option", "adapter", "encoder", "recipe"],
)
def test_a_configuration_that_is_not_ours_is_refused(folder, fields, said):
    found = refused(edit(folder, **fields))
    assert said in found
    assert "config.json" in found


def test_another_size_than_the_weights_is_refused_before_it_is_built(folder):
    config = json.loads((folder / "config.json").read_text())
    huge = {**config["encoder"], "width": 2_000_000, "heads": 2}
    assert "model.safetensors" in refused(edit(folder, encoder=huge))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "\x00\x01", "[" * 100_000], ids=lambda t: repr(t[:5])
)
def test_a_file_that_is_no_configuration_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(folder)


def test_bytes_that_are_no_text_are_refused(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00\xd8")
    assert "cannot be read as JSON" in refused(folder)


def test_a_configuration_of_absurd_size_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(storage, "JSON_LIMIT", 100)
    assert "file too large" in refused(folder)


def test_where_there_is_no_model_the_way_on_is_shown(tmp_path):
    said = refused(tmp_path)
    assert "no model here" in said
    assert "anymae resume" in said
    assert "no model here" in refused(tmp_path / "nowhere")


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "anymae resume" in refused(tmp_path / "run")


def test_the_models_file_must_be_a_folder(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x")
    assert "no model here" in refused(path)
