"""The audio adapter: patches of log-mel spectrograms of recordings of any length.

Statistics are of log-mel values, so a reconstruction is a spectrogram in the data's own units;
``AudioAdapter.sound`` turns it into a waveform.

Shapes: C channels, N samples, T frames, M mel bands; a patch is p frames by q bands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, model_validator
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.errors import BadConfig, BadInput
from anymae.kernels import ragged
from anymae.kernels.segments import Segments
from anymae.limits import LIMITS
from anymae.modalities.audio.embedding import PatchEmbedding
from anymae.modalities.audio.files import EXTENSIONS, read_audio
from anymae.modalities.audio.patches import patched, unpatched
from anymae.modalities.audio.picture import draw_spectrogram
from anymae.modalities.audio.spectrogram import FrontEnd, refuse_unknown
from anymae.modalities.audio.survey import Survey, most_common
from anymae.modalities.audio.waveforms import (
    as_waveform,
    random_part,
    resampled,
    split,
    trimmed,
    uniform,
)
from anymae.parts import explain_invalid
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens


@register
class AudioAdapter(Adapter):
    """Recordings as grids of spectrogram patches, ordered by time, then band.

    A sample is a waveform (N,) or (C, N) at ``sample_rate``, or (waveform, rate). All are brought
    to ``sample_rate`` and, with ``channels="mix"``, to the mean of their channels; ``"separate"``
    makes tokens of each, with the channel as third coordinate. ``front_end`` (see ``FrontEnd``)
    measures ``n_mels`` bands between ``low`` and ``high`` Hz every ``hop_ms`` in windows of
    ``window_ms``. ``patch_size`` is (frames, bands); (p, n_mels) makes frame tokens.

    With ``trim_db`` a clip begins and ends with its first and last window that is at most so many
    decibels below its loudest. With ``top_db`` log-mel values are relative to the loudest of their
    clip, and none lies more than so many decibels below it: loudness and background disappear.
    ``mean`` and ``std`` (one number, or one a band) standardise them; with ``centre="clip"`` each
    band's mean over the clip takes the place of ``mean``, and the microphone's colour disappears.

    Fields that are None are learned from the data by ``fit``. Pretraining takes a random part of
    at most ``max_seconds`` and of a fraction U(``crop``) of the clip, plays it faster or slower by
    up to ``speed`` (0.1: U(0.9, 1.1); pitch and formants move along) and louder or softer by up to
    ``gain`` decibels.
    """

    name: ClassVar[str] = "audio"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"grid", "time"})
    pair_is_sample: ClassVar[bool] = True

    sample_rate: int | None = Field(default=None, ge=100, le=1_000_000)
    channels: Literal["mix", "separate"] = "mix"
    front_end: Literal["mel", "kaldi"] = "mel"
    n_mels: int | None = Field(default=None, gt=0, le=1024)
    window_ms: PositiveFloat = 25.0
    hop_ms: PositiveFloat = 10.0
    low: float = Field(default=20.0, ge=0)
    high: PositiveFloat | None = None
    patch_size: tuple[PositiveInt, PositiveInt] | None = None
    trim_db: PositiveFloat | None = None
    top_db: PositiveFloat | None = None
    centre: Literal["data", "clip"] = "data"
    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None
    max_seconds: PositiveFloat = 10.0
    crop: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    speed: float = Field(default=0.0, ge=0, le=0.5)
    gain: float = Field(default=0.0, ge=0)
    seconds_limit: PositiveInt = LIMITS.audio_seconds
    bytes_limit: PositiveInt = LIMITS.audio_bytes

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        """What a user or a checkpoint says must fit together."""
        if not self.crop[0] <= self.crop[1] <= 1:
            raise ValueError("crop must be (smallest, largest), at most 1")
        if self.n_mels is None:
            return self
        if self.patch_size is not None and self.n_mels % self.patch_size[1]:
            raise ValueError(f"patch_size {self.patch_size} does not divide {self.n_mels} bands")
        for field in ("mean", "std"):
            value = getattr(self, field)
            if value is not None and len(value) not in (1, self.n_mels):
                raise ValueError(f"{field} has {len(value)} numbers for {self.n_mels} bands")
        return self

    @property
    def token_shape(self) -> tuple[int, int]:
        p, q = self.fitted("patch_size")
        return p, q

    @property
    def token_dim(self) -> int:
        return math.prod(self.token_shape)

    @property
    def coord_dim(self) -> int:
        return 2 if self.channels == "mix" else 3

    def example(self, seed: int) -> tuple[np.ndarray, int]:
        """0.4 s at 8 kHz: a gliding tone with harmonics in a little noise."""
        draw = np.random.default_rng(seed)
        time = np.arange(3200) / 8000
        begin, end = draw.uniform(150, 500, size=2)
        phase = 2 * np.pi * (begin * time + (end - begin) * time**2 / 0.8)
        tone = sum(np.sin(k * phase) / k for k in (1, 2, 3)) * np.sin(np.pi * time / 0.4)
        noise = 0.01 * draw.normal(size=len(time))
        return (0.3 * tone + noise).astype(np.float32), 8000

    # -- data -------------------------------------------------------------------------------

    def read(self, file: BinaryIO, name: str) -> tuple[np.ndarray, int]:
        return read_audio(file, name, self.seconds_limit, self.bytes_limit)

    def fit(self, samples: Iterable[Any]) -> Self:
        """Without a ``sample_rate`` it is the most frequent one of the data, and the statistics
        are of the recordings that have it. Of each, at most ``max_seconds`` from its middle."""
        surveys: dict[int, Survey] = {}
        for sample in samples:
            clip, rate = self._clip(sample)
            kept = min(clip.shape[1], self._samples(self.max_seconds, rate))
            begin = (clip.shape[1] - kept) // 2
            wanted = self.sample_rate or round(rate)
            front_end = self._front_end(wanted)
            middle = self._ready(clip[:, begin : begin + kept], rate, front_end)
            survey = surveys.setdefault(wanted, Survey(front_end.bands))
            log_mel = front_end.log_mel(list(middle))
            survey.add(self._levels(log_mel, Segments.of_lengths([len(log_mel)]))[0])
        rate = most_common(surveys)
        found, bands = surveys[rate], self._front_end(rate).bands
        mean, std = found.statistics()
        learned = {
            "sample_rate": rate,
            "n_mels": bands,
            "patch_size": self.patch_size or (found.patch_frames(), math.gcd(bands, 16)),
            "mean": self.mean or mean,
            "std": self.std or std,
        }
        try:
            return type(self)(**{**self.model_dump(), **learned})
        except ValidationError as error:
            raise explain_invalid(error, "modality_options", type(self)) from None

    def augment(self, sample: Any, generator: torch.Generator) -> tuple[Tensor, float]:
        clip, rate = self._clip(sample)
        longest = min(clip.shape[1], self._samples(self.max_seconds, rate))
        length = round(longest * uniform(*self.crop, generator))
        # In steps of a hundredth: ratios of small numbers are resampled by small filters.
        speed = round(uniform(1 - self.speed, 1 + self.speed, generator), 2)
        least = math.ceil(self._samples(self.window_ms / 1000, rate) * (1 + self.speed)) + 1
        length = min(max(length, least), clip.shape[1])
        part = clip[:, random_part(clip.shape[1], length, generator)]
        louder = 10 ** (uniform(-self.gain, self.gain, generator) / 20)
        return part * louder, rate * speed if length >= least else rate

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        rate = self.fitted("sample_rate")
        front_end = self._front_end(rate)
        clips = []
        for sample in samples:
            clip, own_rate = self._clip(sample)
            clips.append(self._ready(clip.to(device), own_rate, front_end))
        waveforms = [waveform for clip in clips for waveform in clip]
        counts = Segments.of_lengths(front_end.frames(len(waveform)) for waveform in waveforms)
        channels = Segments.of_lengths(len(clip) for clip in clips)
        of_clips = Segments(counts.offsets[channels.offsets])
        levels, context = self._levels(front_end.log_mel(waveforms), of_clips)
        mean = self._per_band("mean", device)
        if self.centre == "clip":
            context["mean"] = ragged.mean(levels, of_clips)
            mean = context["mean"][of_clips.ids(device)]
        standard = (levels - mean) / self._per_band("std", device)
        values, observed, coords, of_waveforms = patched(standard, counts, self.token_shape)
        if self.channels == "separate":
            channel = channels.within(device)[of_waveforms.ids(device)]
            coords = torch.cat([coords, channel[:, None]], 1)
        segments = Segments(of_waveforms.offsets[channels.offsets])
        return Packed(values, coords, segments, {OBSERVED: observed}, context)

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        """(T, M) natural logarithms of mel power (with ``top_db``, none lower than that), or
        (C, T, M) with separate channels; NaN where values or tokens are missing."""
        bands = self.fitted("n_mels")
        standard = unpatched(
            tokens.values, tokens.side[OBSERVED], tokens.coords, self.token_shape, bands
        )
        mean = tokens.context["mean"] if self.centre == "clip" else self._per_band("mean", "cpu")
        levels = standard * self._per_band("std", "cpu") + mean
        log_mel = (levels + tokens.context.get("peak", 0.0)).numpy()
        return log_mel[0] if self.channels == "mix" else log_mel

    def sound(self, log_mel: np.ndarray | Tensor, iterations: int = 64) -> np.ndarray:
        """A waveform (N,) or (C, N) at ``sample_rate`` that has nearly this spectrogram (T, M) or
        (C, T, M), as ``untokenize`` returns it: phases by Griffin-Lim (see ``FrontEnd.sound``).
        Raises ``BadInput`` where values are missing."""
        front_end = self._front_end(self.fitted("sample_rate"))
        spectrogram = torch.as_tensor(log_mel, dtype=torch.float32)
        refuse_unknown(spectrogram, front_end.bands)
        if spectrogram.ndim == 2:
            return front_end.sound(spectrogram, iterations).numpy()
        return torch.stack([front_end.sound(one, iterations) for one in spectrogram]).numpy()

    def raw_features(self, tokens: Tokens) -> Tensor:
        """(2 M,) mean and standard deviation of each band's log-mel over time."""
        frames = torch.from_numpy(self.untokenize(tokens)).flatten(0, -2)
        return torch.cat([frames.mean(0), frames.std(0, correction=0)])

    # -- model ------------------------------------------------------------------------------

    def embed(self, width: int) -> nn.Module:
        return PatchEmbedding(self.token_shape, width)

    def draw(self, axes: Any, sample: Any) -> None:
        """Time in seconds by mel bands, low ones at the bottom, within three standard deviations;
        channels above one another; missing places are transparent."""
        mean, std = self._per_band("mean", "cpu"), self._per_band("std", "cpu")
        limits = float((mean - 3 * std).min()), float((mean + 3 * std).max())
        if self.top_db is not None:
            limits = -self.top_db * math.log(10) / 10, 0.0
            sample = sample - np.nanmax(sample)
        draw_spectrogram(axes, np.asarray(sample), self.hop_ms / 1000, limits)

    # -- details ----------------------------------------------------------------------------

    def _samples(self, seconds: float, rate: float) -> int:
        return int(seconds * rate)

    def _front_end(self, rate: int) -> FrontEnd:
        high = min(self.high or rate / 2, rate / 2)
        if self.low >= high:
            raise BadConfig("low must be below high", found=f"{self.low:g} and {high:g} Hz")
        window, hop = (self._samples(ms / 1000, rate) for ms in (self.window_ms, self.hop_ms))
        if window < 2 or not 1 <= hop <= window:
            raise BadConfig(
                "a frame needs two samples or more, and frames may not leave gaps",
                found=f"window_ms {self.window_ms:g} and hop_ms {self.hop_ms:g} at {rate} Hz",
            )
        bands = self.n_mels or (128 if rate >= 16_000 else 64)
        return FrontEnd(self.front_end, rate, bands, window, hop, self.low, high)

    def _clip(self, sample: Any) -> tuple[Tensor, float]:
        """A sample as (C, N), C 1 where channels are mixed, and its rate."""
        waveform, rate = split(sample, self.sample_rate)
        clip = as_waveform(waveform)
        return (clip.mean(0, keepdim=True) if self.channels == "mix" else clip), rate

    def _ready(self, clip: Tensor, rate: float, front_end: FrontEnd) -> Tensor:
        """A clip (C, N) of some rate as the front end takes it. Raises ``BadInput``."""
        clip = resampled(clip, rate, front_end.rate)
        if front_end.frames(clip.shape[1]) == 0:
            raise BadInput(
                "the recording is shorter than one frame",
                found=f"{clip.shape[1]} samples at {front_end.rate} Hz",
                expected=f"at least {front_end.window}",
                hint="Leave it out, or give a smaller modality_options window_ms.",
            )
        if self.trim_db is None:
            return clip
        return trimmed(clip, front_end.window, front_end.hop, self.trim_db)

    def _levels(self, log_mel: Tensor, of_clips: Segments) -> tuple[Tensor, dict[str, Tensor]]:
        """Log-mel values (T, M) as they are standardised, and what undoes it."""
        if self.top_db is None:
            return log_mel, {}
        peak = ragged.maximum(log_mel, of_clips).amax(1, keepdim=True)
        lowest = -self.top_db * math.log(10) / 10
        relative = log_mel - peak[of_clips.ids(log_mel.device)]
        return relative.clamp(min=lowest), {"peak": peak}

    def _per_band(self, field: str, device: torch.device | str) -> Tensor:
        return torch.tensor(self.fitted(field), device=device)
