"""The hub receives and gives safetensors and JSON, and nothing else; no network is needed here."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import anymae
from anymae import hub

from .toys import model


class FakeHub:
    """A hub in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []

    def HfApi(self):
        return SimpleNamespace(create_repo=lambda *a, **k: None, upload_folder=self.upload)

    def upload(self, repo_id, folder_path, allow_patterns):
        shutil.copytree(folder_path, self.folder / repo_id)
        return f"https://hub/{repo_id}"

    def snapshot_download(self, repo_id, revision, allow_patterns):
        self.asked.append((repo_id, revision, tuple(allow_patterns)))
        if not (self.folder / repo_id).exists():
            raise FileNotFoundError(repo_id)
        return str(self.folder / repo_id)


@pytest.fixture
def fake(tmp_path, monkeypatch) -> FakeHub:
    fake = FakeHub(tmp_path)
    monkeypatch.setattr(hub, "_hub", lambda: fake)
    return fake


def test_a_pushed_model_is_the_model(fake):
    from anymae.registry import modality

    adapter = modality("image")
    images = [adapter().example(i) for i in range(3)]
    original = anymae.Model(
        adapter().fit(images),
        anymae.recipes()["mae"],
        anymae.EncoderConfig(width=24, depth=1, heads=2),
    ).eval()
    assert original.push_to_hub("me/digits") == "https://hub/me/digits"
    assert {p.name for p in (fake.folder / "me" / "digits").iterdir()} == {
        "config.json", "model.safetensors"
    }  # fmt: skip
    loaded = anymae.load("me/digits", revision="v1")
    assert fake.asked == [("me/digits", "v1", ("*.safetensors", "*.json"))]
    assert np.array_equal(loaded.embed(images), original.embed(images))


def test_what_is_not_there_is_said(fake):
    with pytest.raises(anymae.CheckpointError, match="nobody/nothing"):
        anymae.load("nobody/nothing")


@pytest.mark.parametrize("place", ["/etc/x", "a/b/c", "../x", "x", "a/../b"])
def test_paths_are_not_hub_ids(place):
    assert not hub.is_hub_id(place)


def test_a_model_without_a_registered_adapter_is_not_loaded(fake):
    model().save(fake.folder / "me" / "toy")
    with pytest.raises(anymae.CheckpointError, match="unknown modality 'toy'"):
        anymae.load("me/toy")
