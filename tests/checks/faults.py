"""Adapters that break one promise each, named by the promise they break."""

import random
import threading
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import ConfigDict, PrivateAttr
from torch import Tensor, nn

from anymae.adapter import Adapter, LinearEmbedding, LinearHead
from anymae.errors import BadInput
from anymae.losses import Loss
from anymae.tokens import OBSERVED, Packed, Tokens

from .sound import FEATURES, Fields, Patchy, field, slopes

FAULTS: list[tuple[str, type[Adapter]]] = []


def breaks(promise: str):
    """Class decorator: this adapter breaks that promise, and no other."""

    def note(cls: type[Adapter]) -> type[Adapter]:
        cls.name = f"{promise.replace('_', '-')}-{len(FAULTS)}"
        FAULTS.append((promise, cls))
        return cls

    return note


def with_values(tokens: Tokens, values: Tensor) -> Tokens:
    return Tokens(values, tokens.coords, tokens.side, tokens.context, tokens.edges)


# What an adapter says of itself


@breaks("has_a_name")
class ProvidesWonders(Fields):
    provides: ClassVar[frozenset[str]] = frozenset({"wonders"})


@breaks("has_a_name")
class EndsWithoutADot(Fields):
    extensions: ClassVar[tuple[str, ...]] = ("FIELD",)


@breaks("has_a_name")
class NamesFilesItCannotRead(Patchy):
    extensions: ClassVar[tuple[str, ...]] = (".field",)


@breaks("options_are_frozen")
class Changeable(Fields):
    model_config = ConfigDict(frozen=False)


@breaks("options_are_frozen")
class TakesAnything(Fields):
    model_config = ConfigDict(extra="ignore")


@breaks("makes_tokens")
class CountsWrongly(Fields):
    @property
    def token_dim(self) -> int:
        return 5


@breaks("makes_tokens")
class PlacesWrongly(Fields):
    @property
    def coord_dim(self) -> int:
        return 3


@breaks("makes_tokens")
class ShapedWrongly(Fields):
    @property
    def token_shape(self) -> tuple[int, ...]:
        return (2, 3)


@breaks("makes_tokens")
class Double(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return with_values(tokens, tokens.values.double())


@breaks("makes_tokens")
class ShowsHoles(Patchy):
    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return with_values(tokens, torch.where(tokens.side[OBSERVED], tokens.values, float("nan")))


@breaks("makes_tokens")
class ObservesWholeTokens(Patchy):
    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        whole = {OBSERVED: tokens.side[OBSERVED].all(1, keepdim=True)}
        return Tokens(tokens.values, tokens.coords, whole)


@breaks("makes_tokens")
class ProvidesEdgesItHasNot(Fields):
    provides: ClassVar[frozenset[str]] = frozenset({"edges"})


@breaks("makes_tokens")
class Crashes(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        raise KeyError("oops")


@breaks("survives_json")
class KeepsAnArray(Fields):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    weights: Any = None

    def fit(self, samples):
        return super().fit(samples).model_copy(update={"weights": np.ones(3)})


@breaks("survives_json")
class KeepsWhatItLearnedToItself(Fields):
    _offset: float = PrivateAttr(default=0.0)

    def fit(self, samples):
        fitted = super().fit(samples)
        fitted._offset = 1.0
        return fitted

    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return with_values(tokens, tokens.values + self._offset)


# Samples to tokens and back


@breaks("examples_vary")
class OneExample(Fields):
    def example(self, seed: int) -> Any:
        return slopes(0)


@breaks("examples_vary")
class ExamplesOfTheMoment(Fields):
    def example(self, seed: int) -> Any:
        return slopes(seed) + np.random.default_rng().normal()


@breaks("tokenize_is_deterministic")
class Noisy(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return with_values(tokens, tokens.values + np.random.default_rng().normal() / 1e4)


@breaks("tokenize_is_deterministic")
class WritesIntoTheSample(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        if isinstance(sample, np.ndarray):
            sample += 1
        return tokens


@breaks("fit_completes_a_copy")
class FitsItself(Fields):
    def fit(self, samples):
        fitted = super().fit(samples)
        object.__setattr__(self, "mean", fitted.mean)
        return fitted


@breaks("fit_completes_a_copy")
class FitsAnew(Fields):
    """Forgets what it learned before."""

    def fit(self, samples):
        fitted = Fields.fit(self, samples)
        grown = tuple(2 * s for s in fitted.std or ())
        return fitted.model_copy(update={"std": grown})


@breaks("batches_equal_samples")
class BatchesTogether(Fields):
    def batch_tokenize(self, samples, device="cpu"):
        packed = super().batch_tokenize(samples, device)
        return Packed(packed.values - packed.values.mean(0), packed.coords, packed.segments)


class Pairs(Fields):
    """Samples are (field, label-like number) tuples."""

    name: ClassVar[str] = "pairs"
    pair_is_sample: ClassVar[bool] = True

    def example(self, seed: int) -> Any:
        return (slopes(seed), seed)

    def fit(self, samples):
        return super().fit(sample[0] for sample in samples)

    def tokenize(self, sample: Any) -> Tokens:
        if not isinstance(sample, tuple):
            raise BadInput("not a pair", found=type(sample).__name__)
        return super().tokenize(sample[0])

    def untokenize(self, tokens: Tokens) -> Any:
        return (super().untokenize(tokens), 0)

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        return (super().augment(sample[0], generator), sample[1])

    def draw(self, axes: Any, sample: Any) -> None:
        super().draw(axes, sample[0])


@breaks("examples_are_a_data_set")
class ClaimsEverything(Fields):
    def native(self, dataset: Any) -> Any:
        return dataset if isinstance(dataset, list) else []


@breaks("works_in_a_worker")
class HoldsALock(Fields):
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


@breaks("works_in_a_worker")
class KnowsItsProcess(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        from torch.utils.data import get_worker_info

        tokens = super().tokenize(sample)
        return with_values(tokens, tokens.values + (get_worker_info() is not None))


@breaks("augment_draws_from_its_generator")
class AugmentsByChance(Fields):
    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        return field(sample) + np.float32(np.random.default_rng().normal())


@breaks("augment_draws_from_its_generator")
class AugmentsInPlace(Fields):
    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        sample[0] = 3
        return sample


@breaks("global_generators_are_left_alone")
class DrawsFromPython(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        random.random()
        return super().tokenize(sample)


@breaks("global_generators_are_left_alone")
class SeedsNumpy(Fields):
    def example(self, seed: int) -> Any:
        np.random.seed(seed)  # noqa: NPY002
        return super().example(seed)


class Dropping(LinearEmbedding):
    """Draws from torch's global generator, and counts the same for every sample."""

    def forward(self, visible: Packed) -> Tensor:
        if self.training:
            torch.rand(1)
        return super().forward(visible)


@breaks("global_generators_are_left_alone")
class DrawsInTraining(Fields):
    def embed(self, width: int) -> nn.Module:
        return Dropping(FEATURES, width)


@breaks("untokenize_is_the_inverse")
class ForgetsTheUnits(Fields):
    def untokenize(self, tokens: Tokens) -> Any:
        mean, std = self._scale()
        return super().untokenize(with_values(tokens, (tokens.values - mean) / std))


@breaks("untokenize_is_the_inverse")
class ReturnsAnotherThing(Fields):
    def untokenize(self, tokens: Tokens) -> Any:
        return {"field": super().untokenize(tokens)}

    def draw(self, axes: Any, sample: Any) -> None:
        super().draw(axes, sample["field"])


class ReturnsASpectrum(Fields):
    """Breaks nothing: what it returns is another kind of array, and cannot be compared."""

    name: ClassVar[str] = "spectrum"

    def untokenize(self, tokens: Tokens) -> Any:
        return super().untokenize(tokens).mean(-1)

    def draw(self, axes: Any, sample: Any) -> None:
        axes.imshow(sample)


# Bad input


@breaks("refuses_bad_samples")
class LeavesItToTorch(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        if sample is None:
            return torch.as_tensor(sample)
        return super().tokenize(sample)


@breaks("refuses_bad_samples")
class FillsWithZeros(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        if isinstance(sample, np.ndarray) and sample.ndim == 3:
            sample = np.nan_to_num(sample, posinf=0)
        return super().tokenize(sample)


@breaks("refuses_bad_samples")
class TakesAnyAxes(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        if isinstance(sample, np.ndarray) and sample.ndim > 3:
            sample = sample.reshape(sample.shape[-3:])
        return super().tokenize(sample)


@breaks("refuses_bad_samples")
class TakesNothing(Fields):
    def tokenize(self, sample: Any) -> Tokens:
        if isinstance(sample, np.ndarray) and not sample.size:
            return Tokens(torch.zeros(0, FEATURES), torch.zeros(0, 2))
        return super().tokenize(sample)


@breaks("refuses_bad_files")
class ReadsAnyFile(Fields):
    def read(self, file, name):
        return np.frombuffer(file.read()[:4], np.float32)


@breaks("refuses_bad_files")
class TakesEmptyFiles(Fields):
    def read(self, file, name):
        content = file.read()
        if content:
            raise BadInput("not a field", where=name)
        return slopes(0)


# Leaks


@breaks("coordinates_do_not_carry_the_answer")
class PlacesByValue(Fields):
    """A third coordinate is the second number of the token."""

    @property
    def coord_dim(self) -> int:
        return 3

    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        coords = torch.cat([tokens.coords.float(), tokens.values[:, 1:2]], 1)
        return Tokens(tokens.values, coords)

    def untokenize(self, tokens: Tokens) -> Any:
        return super().untokenize(Tokens(tokens.values, tokens.coords[:, :2].long()))


@breaks("coordinates_do_not_carry_the_answer")
class PlacesByACurve(PlacesByValue):
    """The same, bent: a line cannot follow it, neighbours can."""

    def tokenize(self, sample: Any) -> Tokens:
        tokens = Fields.tokenize(self, sample)
        bent = torch.sin(1.2 * tokens.values[:, 1:2])
        return Tokens(tokens.values, torch.cat([tokens.values[:, 1:2] ** 3, bent], 1))

    @property
    def coord_dim(self) -> int:
        return 2

    untokenize = Adapter.untokenize


class Clouds(Adapter):
    """Samples are (32, 2) points along a curve; a token is four of them, at their centre."""

    name: ClassVar[str] = "clouds"
    relative: ClassVar[bool] = True

    @property
    def token_dim(self) -> int:
        return 8

    @property
    def coord_dim(self) -> int:
        return 2

    def example(self, seed: int) -> Any:
        draw = np.random.default_rng(seed)
        return np.cumsum(draw.normal(size=2) + draw.normal(size=(32, 2)), 0).astype(np.float32)

    def tokenize(self, sample: Any) -> Tokens:
        array = np.asarray(sample)
        if array.dtype.kind != "f" or array.shape != (32, 2) or not np.isfinite(array).all():
            raise BadInput("not a cloud", found=array.shape, expected="(32, 2)")
        points = torch.tensor(array).view(8, 4, 2)
        centres = points.mean(1)
        shown = points - centres[:, None] if self.relative else points
        return Tokens(shown.flatten(1), centres)


@breaks("coordinates_do_not_carry_the_answer")
class CloudsWithoutAnOrigin(Clouds):
    """Points that are not relative to their centre, which is known."""

    relative: ClassVar[bool] = False


class Overlapping(Fields):
    """A token holds its cell and the next one."""

    @property
    def token_dim(self) -> int:
        return 2 * FEATURES

    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return with_values(tokens, torch.cat([tokens.values, tokens.values.roll(-1, 0)], 1))

    def untokenize(self, tokens: Tokens) -> Any:
        return super().untokenize(with_values(tokens, tokens.values[:, :FEATURES]))


breaks("visible_tokens_hold_nothing_hidden")(Overlapping)


class ReadsContext(LinearEmbedding):
    def forward(self, visible: Packed) -> Tensor:
        owners = visible.segments.ids(visible.device)
        return super().forward(visible) + visible.context["sum"][owners]


@breaks("hidden_content_is_not_read")
class TellsTheSum(Fields):
    """What belongs to the whole sample reaches the embedding."""

    def tokenize(self, sample: Any) -> Tokens:
        tokens = super().tokenize(sample)
        return Tokens(tokens.values, tokens.coords, context={"sum": tokens.values.sum()[None]})

    def embed(self, width: int) -> nn.Module:
        return ReadsContext(FEATURES, width)


class ShowsAll(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * FEATURES, width)

    def forward(self, visible: Packed) -> Tensor:
        return self.project(torch.cat([visible.values, visible.side[OBSERVED].float()], 1))


@breaks("unobserved_numbers_are_not_shown")
class EmbedsFillers(Patchy):
    def embed(self, width: int) -> nn.Module:
        return ShowsAll(width)


@breaks("unobserved_numbers_are_not_shown")
class ScoresFillers(Patchy):
    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        return loss.per_token(prediction, target + asked.values - target.detach())


# In the model


class BatchNormed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(FEATURES, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, visible: Packed) -> Tensor:
        return self.norm(self.project(visible.values))


@breaks("batch_mates_do_not_matter")
class NormsOverTheBatch(Fields):
    def embed(self, width: int) -> nn.Module:
        return BatchNormed(width)


class Counting(LinearEmbedding):
    def forward(self, visible: Packed) -> Tensor:
        place = visible.segments.within(visible.device)[:, None]
        return super().forward(visible) * (1 + torch.sin(place.float()))


@breaks("token_order_does_not_matter")
class CountsTokens(Fields):
    def embed(self, width: int) -> nn.Module:
        return Counting(FEATURES, width)


class Spread(LinearEmbedding):
    """Divides by the spread of a sample's visible tokens."""

    def forward(self, visible: Packed) -> Tensor:
        parts = visible.values.split(visible.segments.lengths.tolist())
        scaled = [part / (part.std(0, correction=0) + (len(part) > 1)) for part in parts]
        return self.project(torch.cat(scaled))


@breaks("single_tokens_work")
class DividesBySpread(Fields):
    def embed(self, width: int) -> nn.Module:
        return Spread(FEATURES, width)


class Idle(LinearEmbedding):
    def __init__(self, token_dim: int, width: int) -> None:
        super().__init__(token_dim, width)
        self.never_used = nn.Parameter(torch.zeros(3))


@breaks("gradients_reach_every_parameter")
class HasAnIdleWeight(Fields):
    def embed(self, width: int) -> nn.Module:
        return Idle(FEATURES, width)


class CutOff(LinearHead):
    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        return super().forward(x.detach(), coords)


@breaks("gradients_reach_every_parameter")
class CutsGradients(Fields):
    def head(self, width: int, out: int) -> nn.Module:
        return CutOff(width, out)


@breaks("loss_prefers_the_truth")
class LovesErrors(Fields):
    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        return 1 / (1 + loss.per_token(prediction, target))


@breaks("loss_prefers_the_truth")
class OneHeadForAll(Fields):
    """A prediction of one number is spread over all: nothing crashes, and nothing is right."""

    def head(self, width: int, out: int) -> nn.Module:
        return LinearHead(width, 1)


@breaks("every_recipe_fits")
class MisnamesASetting(Fields):
    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"mask.ratoi": 0.5} if recipe == "simmim" else {}


class Scaled(LinearEmbedding):
    made = 0

    def __init__(self, token_dim: int, width: int) -> None:
        super().__init__(token_dim, width)
        Scaled.made += 1
        self.scale = 1.0 + Scaled.made

    def forward(self, visible: Packed) -> Tensor:
        return super().forward(visible) * self.scale


@breaks("every_recipe_fits")
class KnowsNoNumbersBeforeFit(Fields):
    def numbers(self, recipe: str) -> dict[str, Any]:
        self._scale()
        return {}


@breaks("survives_saving")
class HasAWeightThatIsNotSaved(Fields):
    def embed(self, width: int) -> nn.Module:
        return Scaled(FEATURES, width)


@breaks("raw_features_are_vectors")
class RawFeaturesOfAnyLength(Fields):
    def raw_features(self, tokens: Tokens) -> Tensor:
        return tokens.values.flatten()


@breaks("draws_pictures")
class DrawsNoHoles(Fields):
    def draw(self, axes: Any, sample: Any) -> None:
        if np.isnan(sample).any():
            raise ValueError("cannot draw NaN")
        super().draw(axes, sample)


@breaks("draws_pictures")
class DrawsNothing(Fields):
    def draw(self, axes: Any, sample: Any) -> None:
        pass


class Blind(LinearEmbedding):
    """Shows nothing of the values."""

    def forward(self, visible: Packed) -> Tensor:
        return super().forward(visible) * 1e-9


class SeesNothing(Fields):
    """Keeps every promise but one: it cannot learn."""

    name: ClassVar[str] = "sees-nothing"

    def embed(self, width: int) -> nn.Module:
        return Blind(FEATURES, width)
