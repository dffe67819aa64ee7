"""Method: tokenizer -> mask -> encode -> decode, for every modality and recipe.

Only seen tokens are embedded and encoded, only asked tokens are predicted, and targets are built
for asked tokens only: what nobody reads is not computed.

Shapes: B samples, T tokens, S seen, A asked, D width, F numbers a token, P coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.corruption import Input
from anymae.decoders import Question, Whole
from anymae.encoder import Encoder, EncoderConfig, Latents
from anymae.errors import BadConfig
from anymae.goals import Answer, Goal, Term
from anymae.initialise import initialise, seeded
from anymae.kernels.segments import Segments
from anymae.masks import Roles
from anymae.recipe import Recipe
from anymae.targets import Difficulty, Scene, Target
from anymae.teachers import TeacherNet, encode
from anymae.tokens import Edges, Packed
from anymae.views import look_once, one_of_each


@dataclass(frozen=True)
class Output:
    """One forward pass: ``loss`` is the *sum* over the A asked tokens, ``count`` is A;
    ``prediction`` and ``target`` are (A, F). In training, ``also`` are the terms of further goals,
    and ``observed`` is what goals that go on learning their targets found in the batch, by number
    (the main goal is 0): sums over tokens, for ``Method.learn``."""

    loss: Tensor
    count: int
    prediction: Tensor
    target: Tensor
    also: tuple[Term, ...] = ()
    observed: Mapping[int, Tensor] = field(default_factory=dict)


class Method(nn.Module):
    """A recipe at work on one modality: what a training step computes.

    Built from an adapter, a recipe and an encoder configuration with weights drawn from ``seed``.
    Raises ``IncompatibleRecipe`` if the three do not fit.
    """

    def __init__(
        self, adapter: Adapter, recipe: Recipe, encoder: EncoderConfig, *, seed: int = 0
    ) -> None:
        super().__init__()
        recipe.check(adapter, encoder)
        looker = recipe.teacher.looker(adapter, encoder)
        self.adapter = adapter
        self.recipe = recipe
        with seeded(seed, "weights"):
            self.embedding = adapter.embed(encoder.width)
            self.position = adapter.place(recipe.position, encoder.width)
            self.corruption = recipe.corruption.build(encoder.width)
            self.encoder = Encoder(encoder, adapter.edge_dim)
            place = partial(adapter.place, recipe.position)
            self.decoder = recipe.decoder.build(encoder, place, adapter.edge_dim)
            width = recipe.decoder.out_width(encoder)
            self.head = recipe.target.head(adapter, width, looker)
            self.target_state = recipe.target.state(adapter, looker)
            self.also = nn.ModuleList(
                Answer(goal, adapter, encoder, looker, place) for goal in recipe.also
            )
            initialise(self)
        self.teacher: TeacherNet | None = None
        self.done = 1.0
        """The fraction of a run that is over, for what changes with it; the trainer says it."""

    def forward(self, packed: Packed, roles: Roles) -> Output:
        """Predict the asked tokens of a batch and score the predictions; in training, those of
        further goals too."""
        latents, entered = self._encode_masked(packed, roles)
        scene = self.scene(packed, roles)
        each, prediction, target = self._answer(self, self.recipe, latents, entered, scene)
        total, count = each.sum(), roles.of_ask.total
        if not self.training:
            return Output(total, count, prediction, target)
        also, observed = [], {0: self.recipe.target.observe(scene, target)}
        scene = replace(scene, losses=each.detach())
        for number, answer in enumerate(cast(Iterable[Answer], self.also), 1):
            goal = answer.goal
            rows = roles.in_scope(goal.scope)
            own = scene.about(*rows, answer.target_state, self._teachers_head(number))
            found = self._answer(answer, goal, self._tapped(latents, goal.tap), entered, own)
            also.append(Term(found[0].sum(), own.of_rows.total, goal.weight))
            observed[number] = goal.target.observe(own, found[2])
        kept = {number: seen for number, seen in observed.items() if seen is not None}
        return Output(total, count, prediction, target, tuple(also), kept)

    def scene(self, packed: Packed, roles: Roles) -> Scene:
        """What targets may look at, for the asked tokens."""
        look = partial(look_once, self._look)
        head = self._teachers_head(0)
        hidden = self.recipe.corruption.hidden_edges(packed)
        return Scene(
            packed, roles, roles.ask, roles.of_ask, look, self.target_state, head,
            hidden_edges=hidden,
        )  # fmt: skip

    def prepare(self, packed: Packed, seed: int) -> None:
        """Let targets learn what they need from the tokens that training starts with."""
        for target, state in self._kept_by_targets():
            if state is not None:
                target.prepare(state, self.adapter, packed, self._look, seed)

    def learn(self, observed: Mapping[int, Tensor]) -> None:
        """Let targets learn from what one whole training step ``Output.observed``, added up."""
        every = self._kept_by_targets()
        for number, seen in observed.items():
            target, state = every[number]
            target.learn(cast(nn.Module, state), seen)

    def _kept_by_targets(self) -> list[tuple[Target, nn.Module | None]]:
        """The target of each goal, the main one first, and what it keeps with the model."""
        nets = [self, *cast(Iterable[Answer], self.also)]
        targets = [self.recipe.target, *(goal.target for goal in self.recipe.also)]
        states = [cast("nn.Module | None", net.target_state) for net in nets]
        return list(zip(targets, states, strict=True))

    def _look(self, packed: Packed, taps: tuple[int, ...]) -> Latents:
        """What the teacher makes of a batch."""
        if self.teacher is None:
            return self.recipe.teacher.stand_in(self, packed, taps)
        return self.teacher(packed, taps)

    def _teachers_head(self, number: int) -> nn.Module:
        """The head of a goal (the main one is 0) as the teacher has it, or else the student."""
        kept = None if self.teacher is None else self.teacher.head_of(number)
        if kept is not None:
            return kept
        return self.head if number == 0 else cast(Answer, self.also[number - 1]).head

    def _answer(
        self,
        net: Method | Answer,
        goal: Recipe | Goal,
        latents: Latents,
        entered: Input,
        scene: Scene,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses (A,), predictions and targets (A, F) of one goal's tokens."""
        packed, roles = scene.packed, scene.roles
        asked = packed.select(scene.rows, scene.of_rows)
        coords = packed.coords.index_select(0, entered.index)
        whole = None
        edges = self._seen_edges(packed)
        if edges is not None:
            whole = Whole(edges, packed.coords, packed.segments, roles, entered.see)
        rows = entered.ask if scene.rows is roles.ask else None
        if rows is None and goal.decoder.reads_hidden_rows:
            rows = entered.rows_of(scene.rows)
        question = Question(coords, asked.coords, scene.of_rows, rows, whole, packed.keys)
        prediction = net.head(net.decoder(latents, question), asked.coords)
        with torch.no_grad():
            target = goal.target.of(self.adapter, asked, scene)
        each = goal.target.score(self.adapter, goal.loss, prediction, target, asked)
        return each, prediction, target

    def _tapped(self, latents: Latents, tap: int) -> Latents:
        """The latents that a goal reads."""
        if tap == -1:
            return latents
        taps = sorted({goal.tap % self.encoder.config.depth for goal in self.recipe.tapped})
        return latents.at(latents.taps[taps.index(tap % self.encoder.config.depth)])

    def score(self, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        """(A,) how far predictions are from targets, one number an asked token."""
        recipe = self.recipe
        return recipe.target.score(self.adapter, recipe.loss, prediction, target, asked)

    def _encode_masked(self, packed: Packed, roles: Roles) -> tuple[Latents, Input]:
        """Latents, and which rows entered the encoder. Hidden tokens enter as coordinates alone."""
        shape = self.adapter.token_shape
        corrupted = self.recipe.corruption.values(packed, roles, shape)
        hidden = None
        if corrupted is not None:
            x = self._embed(corrupted)
        else:
            x = self._embed(packed.select(roles.see, roles.of_see))
            if self.recipe.corruption.keeps_hidden:
                hidden = self.position(packed.coords.index_select(0, roles.hide))
        entering = self.corruption(x, hidden, roles)
        coords = packed.coords.index_select(0, entering.index)
        latents = self.encoder(
            entering.x,
            entering.segments,
            coords,
            packed.keys,
            taps=tuple(goal.tap for goal in self.recipe.tapped),
            edges=replace(packed, edges=self._seen_edges(packed)).edges_among(entering.index),
        )
        return latents, entering

    def _seen_edges(self, packed: Packed) -> Edges | None:
        """The edges that the student may know of."""
        hidden = self.recipe.corruption.hidden_edges(packed)
        return packed.edges if packed.edges is None or hidden is None else packed.edges.at(~hidden)

    def encode(self, packed: Packed, taps: tuple[int, ...] = ()) -> Latents:
        """Encode every token of a batch, none masked."""
        return encode(self, packed, taps)

    @torch.no_grad()
    def attention(self, packed: Packed) -> Tensor:
        """(T,) how much the teacher's class token attends to each token in the last block, averaged
        over heads; sums to 1 in each sample."""
        net = self if self.teacher is None else self.teacher
        was_training = net.training
        net.eval()
        latents = encode(net, one_of_each(packed), (-2,))
        net.train(was_training)
        share = net.encoder.class_attention(latents.at(latents.taps[0]))
        return share.repeat(packed.views)

    @torch.no_grad()
    def received(self, packed: Packed, queries: Tensor, of_queries: Segments) -> Tensor:
        """(T,) how much attention the tokens at ``queries`` (Q,) give each token of their sample in
        the first block, summed over them and averaged over heads."""
        x = self._embed(packed)
        return self.encoder.first_attention(x, packed.segments, queries, of_queries)

    @torch.no_grad()
    def difficulty(self, packed: Packed) -> Tensor:
        """(T,) how hard each token would be to answer for, relative to others of its sample, as the
        teacher foresees it who sees every token (the student, where no teacher learned to). The
        recipe has a goal with target=difficulty."""
        net: Method | TeacherNet = self
        judge = _judge(cast(Iterable[Answer], self.also))
        if self.teacher is not None:
            theirs = _judge(cast(Iterable[Answer], self.teacher.also.values()))
            net, judge = (self, judge) if theirs is None else (self.teacher, theirs)
        if judge is None:
            raise BadConfig("no goal foresees the losses of tokens (target=difficulty)")
        was_training = net.training
        net.eval()
        whole = one_of_each(packed)
        tap = judge.goal.tap
        latents = encode(net, whole, () if tap == -1 else (tap,))
        latents = latents if tap == -1 else latents.at(latents.taps[0])
        found = judge.of_whole(latents, whole)[:, 0].float()
        net.train(was_training)
        return found.repeat(packed.views)

    @property
    def copied(self) -> dict[str, Answer]:
        """The further goals that teachers keep a copy of, by their place in ``also``."""
        every = enumerate(cast(Iterable[Answer], self.also))
        return {str(i): one for i, one in every if one.goal.target.copied}

    def _embed(self, visible: Packed) -> Tensor:
        return self.embedding(visible) + self.position(visible.coords)


def _judge(answers: Iterable[Answer]) -> Answer | None:
    """The first goal that foresees how hard tokens are."""
    return next((one for one in answers if isinstance(one.goal.target, Difficulty)), None)
