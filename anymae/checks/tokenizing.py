"""Promises about samples becoming tokens, and back."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from anymae import draws
from anymae.adapter import Adapter
from anymae.checks.case import BATCH, BrokenPromise, Case, NotAsked
from anymae.checks.comparing import difference
from anymae.checks.refusing import largest_array
from anymae.data.sources import open_source
from anymae.tokens import Packed, Tokens

ROUNDING = 1e-4
"""What float32 arithmetic in another order may change."""
WORKER_SECONDS = 60
"""How long a worker process may take for a few samples."""


def check_tokenize_is_deterministic(case: Case) -> None:
    """``tokenize`` gives the same tokens every time, without gradient, and leaves the sample as
    it was."""
    sample = case.adapter.example(0)
    first = case.fitted.tokenize(sample)
    apart = difference(case.fitted.tokenize(sample), first)
    if apart:
        raise BrokenPromise(
            "tokenizing a sample twice gives other tokens",
            found=apart,
            hint="Draw nothing, and do not write into the sample.",
        )
    for name, tensor in (("values", first.values), ("coords", first.coords), *first.side.items()):
        if tensor.requires_grad:
            raise BrokenPromise(
                "tokenize has parameters",
                found=f"{name} with gradient",
                hint="What is learned belongs into embed.",
            )


def check_examples_vary(case: Case) -> None:
    """``example(seed)`` is a function of its seed."""
    again = case.fitted.tokenize(case.adapter.example(0))
    apart = difference(again, case.tokens[0])
    if apart:
        raise BrokenPromise(
            "example(0) is not the same every time",
            found=apart,
            hint="Draw from np.random.default_rng(seed).",
        )
    if all(difference(tokens, case.tokens[0]) is None for tokens in case.tokens[1:]):
        raise BrokenPromise("all examples are the same", hint="Let the seed change the sample.")


def check_fit_completes_a_copy(case: Case) -> None:
    """``fit`` reads an iterator once, returns an adapter of the same class and leaves its own as it
    was; fitted again on the same samples, nothing changes."""
    case.ask_for("fit")
    before = case.adapter.model_dump_json()
    fitted = case.adapter.fit(iter(case.examples))
    if type(fitted) is not type(case.adapter):
        raise BrokenPromise("fit returns something else", found=type(fitted))
    if case.adapter.model_dump_json() != before:
        raise BrokenPromise(
            "fit changes the adapter itself", hint="Return self.model_copy(update=...)."
        )
    again = fitted.fit(iter(case.examples))
    apart = difference(again.tokenize(case.examples[0]), fitted.tokenize(case.examples[0]))
    if apart:
        raise BrokenPromise(
            "an adapter fitted twice makes other tokens",
            found=apart,
            hint="Keep what a field says already, and learn the others.",
        )


def check_batches_equal_samples(case: Case) -> None:
    """``batch_tokenize`` equals packing ``tokenize`` of each sample, for one sample and many."""
    case.ask_for("batch_tokenize")
    for count in (1, BATCH):
        found = case.fitted.batch_tokenize(case.examples[:count])
        apart = difference(found, Packed.of(case.tokens[:count]), ROUNDING)
        if apart:
            raise BrokenPromise(
                "batch_tokenize is not packed tokenize", where=f"{count} samples", found=apart
            )


def check_examples_are_a_data_set(case: Case) -> None:
    """A list of samples is a data set, read sample by sample; ``native`` returns None for what it
    does not know."""
    if case.fitted.native(object()) is not None:
        raise BrokenPromise(
            "native claims to know any object", hint="Return None for what is not your own."
        )
    source = open_source(list(case.examples[:BATCH]), case.fitted)
    if len(source) != BATCH:
        raise BrokenPromise(
            f"a list of {BATCH} samples is read as another number of them",
            found=len(source),
            hint="If a tuple of two is one sample, set pair_is_sample.",
        )
    for i, wanted in enumerate(case.tokens[:BATCH]):
        apart = difference(case.fitted.tokenize(source[i]), wanted)
        if apart:
            raise BrokenPromise(
                "samples in a list are read as something else",
                where=f"example({i})",
                found=apart,
                hint="If a tuple of two is one sample, set pair_is_sample.",
            )


def check_works_in_a_worker(case: Case) -> None:
    """The adapter travels to a loader's process, and makes the same tokens there."""
    try:
        ForkingPickler.dumps(case.fitted)
    except Exception as error:
        raise BrokenPromise(
            "the adapter cannot be sent to another process",
            found=f"{type(error).__name__}: {error}",
            hint="Define the class at the top of a module, and keep locks and files out of it.",
        ) from None
    elsewhere = DataLoader(
        _Tokenized(case.fitted, case.examples[:BATCH]),
        batch_size=None,
        num_workers=1,
        timeout=WORKER_SECONDS,
        generator=torch.Generator(),
    )
    here = case.fitted.batch_tokenize(case.examples[:BATCH])
    apart = difference(next(iter(elsewhere)), here, ROUNDING)
    if apart:
        raise BrokenPromise("a worker process makes other tokens", found=apart)


class _Tokenized(Dataset[Packed]):
    """One batch, made by whoever asks for it."""

    def __init__(self, adapter: Adapter, samples: list[Any]) -> None:
        self.adapter, self.samples = adapter, samples

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Packed:
        return self.adapter.batch_tokenize(self.samples)


def check_augment_draws_from_its_generator(case: Case) -> None:
    """``augment`` is a function of the sample and the generator's state, and leaves the sample as
    it was."""
    case.ask_for("augment")
    for seed in range(3):
        sample = case.adapter.example(0)
        once, again = (
            case.fitted.tokenize(
                case.fitted.augment(sample, draws.generator("checks", "augment", seed))
            )
            for _ in range(2)
        )
        apart = difference(once, again)
        if apart:
            raise BrokenPromise(
                "augment gives two variations for one state of the generator",
                found=apart,
                hint="Draw only from the generator, and do not write into the sample.",
            )
        apart = difference(case.fitted.tokenize(sample), case.tokens[0])
        if apart:
            raise BrokenPromise("augment writes into the sample", found=apart)


def check_global_generators_are_left_alone(case: Case) -> None:
    """Nothing reads or moves the global generators of torch, numpy and Python: otherwise a run
    that is stopped and continued would not be the run that was not."""
    fitted, sample = case.fitted, case.examples[0]
    tokens, model = case.tokens[0], case.model().train()
    acts: dict[str, Callable[[], object]] = {
        "example": partial(case.adapter.example, 1),
        "fit": lambda: case.adapter.fit(iter(case.examples)),
        "tokenize": partial(fitted.tokenize, sample),
        "batch_tokenize": partial(fitted.batch_tokenize, [sample, sample]),
        "augment": partial(fitted.augment, sample, draws.generator("checks", "augment")),
        "a training step": partial(model, case.packed, case.roles(case.packed)),
    }
    if case.has_own("untokenize"):
        acts["untokenize"] = partial(fitted.untokenize, tokens)
    for name, act in acts.items():
        before = _generators()
        act()
        moved = [kind for kind, state in _generators().items() if state != before[kind]]
        if moved:
            raise BrokenPromise(
                f"{name} draws from the global generator of {', '.join(moved)}",
                hint="Draw from a generator of your own, seeded by what it is for.",
            )


def _generators() -> dict[str, Any]:
    numpy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  (it is watched, not used)
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy["key"].tolist(), numpy["pos"]),
        "Python": random.getstate(),
    }


LOSSY = 0.25
"""The share of token variance that a round trip through the data's units may lose."""


def check_untokenize_is_the_inverse(case: Case) -> None:
    """``untokenize`` gives a sample in the data's own units, which ``tokenize`` takes again.

    Where its tokens can be compared one by one, at most a quarter of their variance may be lost;
    elsewhere (as for overlapping groups of points) numbers must keep their mean and spread. An
    array of other axes than the sample's, as of a spectrogram, is not compared.
    """
    case.ask_for("untokenize")
    adapter = case.fitted
    if _is_another_array(adapter.untokenize(case.tokens[0]), case.examples[0]):
        raise NotAsked("untokenize returns an array of other axes than the sample has")
    again = [round_trip(adapter, tokens) for tokens in case.tokens[:BATCH]]
    for seed, (sample, tokens) in enumerate(again):
        where, wanted = f"example({seed})", case.tokens[seed]
        if len(tokens) == len(wanted) and torch.allclose(
            tokens.coords.double(), wanted.coords.double(), rtol=0, atol=ROUNDING
        ):
            lost = share_lost(tokens, wanted)
            if not lost <= LOSSY:
                raise BrokenPromise(
                    "tokens that went through untokenize and tokenize are not what they were",
                    where=where,
                    found=f"{lost:.0%} of their variance lost",
                    hint="Undo standardisation, order and layout, in the data's own units.",
                )
        else:
            _refuse_other_units(case.examples[seed], sample, where)


def _is_another_array(found: Any, sample: Any) -> bool:
    arrays = [array for _, array in largest_array(sample)]
    if not arrays or not isinstance(found, np.ndarray | torch.Tensor):
        return False
    return found.squeeze().ndim != arrays[0].squeeze().ndim


def round_trip(adapter: Adapter, tokens: Tokens) -> tuple[Any, Tokens]:
    """The sample that tokens stand for, and its tokens."""
    sample = adapter.untokenize(tokens)
    try:
        return sample, adapter.tokenize(sample)
    except Exception as error:
        raise BrokenPromise(
            "tokenize refuses what untokenize returns",
            found=f"{type(error).__name__}: {error}",
            hint="Return a sample such as tokenize takes.",
        ) from error


def share_lost(found: Tokens, wanted: Tokens) -> float:
    """The squared difference of values, over the variance of what was wanted."""
    spread = (wanted.values - wanted.values.mean(0)).square().sum() + 1e-12
    return float((found.values - wanted.values).square().sum() / spread)


def _refuse_other_units(sample: Any, found: Any, where: str) -> None:
    """Compare mean and spread, where both are plain arrays of numbers."""
    if not all(isinstance(x, np.ndarray | torch.Tensor) for x in (sample, found)):
        return
    ours, theirs = (np.asarray(x, dtype=np.float64) for x in (found, sample))
    scale = theirs.std() + 1e-12
    if abs(ours.mean() - theirs.mean()) > 0.25 * scale or not 0.75 < ours.std() / scale < 1.33:
        raise BrokenPromise(
            "untokenize returns numbers of another size than the sample's",
            where=where,
            found=f"mean {ours.mean():.3g}, deviation {ours.std():.3g}",
            expected=f"mean {theirs.mean():.3g}, deviation {scale:.3g}",
            hint="Undo standardisation: samples come back in the data's own units.",
        )
