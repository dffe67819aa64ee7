"""Ordinary user code, type-checked by mypy and pyright in strict mode and never run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, assert_type

import numpy as np
import torch
from numpy.typing import NDArray

import anymae

Floats = NDArray[np.float32]

images = np.zeros((100, 32, 32, 3), dtype=np.uint8)
labels = np.zeros(100, dtype=np.int64)


def pretrain_with_defaults() -> anymae.Model:
    run = anymae.pretrain(images, modality="image")
    assert_type(run.path, Path)
    assert_type(run.report(), Path)
    losses: list[float] = [row["loss"] for row in run.history]
    print(losses)
    return run.model


def pretrain_with_everything(
    adapter: anymae.Adapter, recipe: anymae.Recipe, overrides: dict[str, Any]
) -> None:
    anymae.pretrain(
        images,
        modality=adapter,
        recipe=recipe,
        size=anymae.EncoderConfig(width=192, depth=6, heads=3),
        steps=100,
        batch_size=64,
        lr=1e-3,
        mask_ratio=0.75,
        validation=0.1,
        out=Path("runs/mine"),
        resume="must",
        seed=1,
        device="cuda",
        precision="bf16",
        devices=2,
        nodes=1,
        strategy="auto",
        modality_options={"patch_size": 4},
        **overrides,
    )


def pretrain_on_many_kinds(paths: list[str], folder: Path) -> None:
    for dataset in (
        paths,
        folder,
        [images[0], images[1]],
        (images, labels),
        torch.zeros(8, 3, 8, 8),
    ):
        anymae.pretrain(dataset, modality="image", epochs=1.5, batch_tokens=4096, out=None)


def keep_and_load(model: anymae.Model, folder: Path) -> anymae.Model:
    model.save(folder)
    module: torch.nn.Module = anymae.load("runs/mine")
    print(module.training)
    return anymae.load(folder)


def describe(model: anymae.Model) -> None:
    assert_type(model.width, int)
    assert_type(model.recipe, anymae.Recipe)
    text: str = model.config.model_dump_json()
    print(text, model.modality)


def embed(model: anymae.Model, pool: Literal["cls", "mean", "max"]) -> Floats:
    rows: Floats = model.embed(images)
    tokens: list[Floats] = model.embed(images, pool=None)
    print(tokens)
    return rows + model.embed(images, pool=pool, layer=-2, batch_size=32)


def reconstruct(model: anymae.Model) -> None:
    picture = model.reconstruct(images, mask_ratio=0.9, seed=3)
    print(picture.original, picture.masked, picture.reconstruction)
    picture.plot("picture.png")


def evaluate(model: anymae.Model) -> float:
    scores = anymae.evaluate(model, (images, labels), test=(images, labels), protocol="knn")
    assert_type(scores.metric, str)
    low, high = scores.interval
    print(low + high, scores.raw, scores.random_init, dict(scores))
    return scores.value + anymae.evaluate(model, images, labels=labels).value


def diagnose(model: anymae.Model) -> None:
    print(anymae.diagnose(model, images))


def finetune(model: anymae.Model) -> float:
    tuned = anymae.finetune(
        model, (images, labels), validation=(images, labels), task="classification", epochs=5
    )
    tuned.save("tuned")
    print(tuned.predict(images), tuned.history)
    return float(tuned.score((images, labels)))


def look_around() -> Iterator[str]:
    for name, adapter in anymae.modalities().items():
        assert_type(adapter, type[anymae.Adapter])
        yield name
    for name, recipe in anymae.recipes().items():
        assert_type(recipe.year, int)
        yield f"{name}: {recipe.paper}"
    yield anymae.__version__


@anymae.register
class Steps(anymae.Adapter):
    """A modality of one's own."""

    name: ClassVar[str] = "steps"
    width: int = 4

    @property
    def token_dim(self) -> int:
        return self.width

    @property
    def coord_dim(self) -> int:
        return 1

    def tokenize(self, sample: Any) -> anymae.Tokens:
        values = torch.as_tensor(sample, dtype=torch.float32).reshape(-1, self.width)
        return anymae.Tokens(values, torch.arange(len(values)).float()[:, None])

    def example(self, seed: int) -> Any:
        return np.random.default_rng(seed).normal(size=32)


def check_it() -> None:
    report = anymae.check_adapter(Steps, skip=["learns"])
    broken: tuple[str, ...] = report.broken
    print(report, broken, anymae.check_adapter("steps", only={"makes_tokens"}))
    anymae.check_adapter(Steps(width=8))


def make_and_pack() -> anymae.Packed:
    adapter = Steps(width=8)
    tokens = adapter.tokenize(adapter.example(0))
    packed = anymae.Packed.of([tokens, tokens])
    assert_type(packed.offsets, torch.Tensor)
    assert_type(packed.split(), list[anymae.Tokens])
    return packed.to("cuda")


def meet_errors() -> int:
    try:
        anymae.load("nowhere")
    except anymae.BadInput as error:
        as_builtin: ValueError = error
        print(as_builtin)
    except (anymae.BadConfig, anymae.IncompatibleRecipe, anymae.CheckpointError) as error:
        print(error)
    except anymae.Diverged:
        return 3
    except anymae.AnyMAEError as error:
        return error.status
    return 0
