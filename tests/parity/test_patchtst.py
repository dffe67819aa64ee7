"""The core computes what transformers' PatchTST computes: loss, gradients, predictions, features.

Where the two differ by design, one of them is told to do as the other, or the mapping makes up:

- The paper normalises over a batch, after attention; theirs can do so by layers, before it, as ours
  does. Theirs then has no norm behind the last block, and is given one.
- A hidden patch is zeros there, which their embedding turns into its bias; ours is a learned
  vector, which is given that bias. Their gradient of the bias is the sum of both of ours.
- Our embedding also reads which steps are observed: by weights of zero here, as all of them are.
- Their mask hides as many patches of every channel; ours would draw over a sample's channels
  together, and is given theirs. Both hide the same number.
- Where patches do not fill a series, its first steps are in no patch there, in a partial one here.
- What is not observed counts nowhere here; there it is a number in the patch.
"""

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PatchTSTConfig, PatchTSTForPretraining

from anymae.encoder import EncoderConfig
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.priorities import GivenPriority
from anymae.modalities.timeseries.adapter import TimeSeriesAdapter
from anymae.model import Model
from anymae.positions import TablePosition
from anymae.recipes.values import PATCHTST
from anymae.tokens import OBSERVED, Packed

from .comparing import same_gradients

SMALL = {
    "num_input_channels": 3, "context_length": 40, "patch_length": 4, "patch_stride": 4,
    "d_model": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "ffn_dim": 192,
    "random_mask_ratio": 0.4,
}  # fmt: skip
CASES = {
    "small": SMALL,
    "long patches": {
        **SMALL, "num_input_channels": 5, "context_length": 96, "patch_length": 12,
        "patch_stride": 12, "d_model": 40, "num_hidden_layers": 3, "num_attention_heads": 10,
        "ffn_dim": 80, "random_mask_ratio": 0.5, "norm_eps": 1e-6,
    },
    "one channel": {**SMALL, "num_input_channels": 1, "use_cls_token": True},
}  # fmt: skip


def theirs(case: dict) -> PatchTSTForPretraining:
    config = PatchTSTConfig(
        **case,
        norm_type="layernorm",
        pre_norm=True,
        positional_encoding_type="random",
        scaling="std",
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PatchTSTForPretraining(config)
        model.head.dropout = torch.nn.LayerNorm(config.d_model, eps=config.norm_eps)
        for parameter in model.parameters():  # some start at zero or one
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def adapter(c: PatchTSTConfig) -> TimeSeriesAdapter:
    return TimeSeriesAdapter(
        patch=c.patch_length,
        channels="independent",
        normalise="instance",
        irregular=False,
        channel_count=c.num_input_channels,
        length=c.context_length,
        mean=(0.0,) * c.num_input_channels,
        std=(1.0,) * c.num_input_channels,
    )


def ours_like(c: PatchTSTConfig, **encoder) -> Model:
    """A model with the recipe's own parts and what the modality says about them."""
    kind = adapter(c)
    told = kind.numbers("patchtst").items()
    own = {name.removeprefix("encoder."): value for name, value in told if "encoder." in name}
    size = EncoderConfig(
        width=c.d_model,
        depth=c.num_hidden_layers,
        heads=c.num_attention_heads,
        mlp_ratio=c.ffn_dim / c.d_model,
        norm_eps=c.norm_eps,
        **{**own, **encoder},
    )
    position = TablePosition(shape=(c.context_length // c.patch_length,))
    mask = Mask(priority=GivenPriority(), budget=RatioBudget(ratio=c.random_mask_ratio))
    recipe = PATCHTST.model_copy(update={"position": position, "mask": mask})
    return Model(kind, recipe, size).eval()


def renamed(found: dict, c: PatchTSTConfig) -> dict:
    """Their tensors (or gradients) under our names and in our shapes."""
    lead = int(c.use_cls_token)
    encoder = "model.encoder"
    embedding = f"{encoder}.embedder.input_embedding"
    places = found[f"{encoder}.positional_encoder.position_enc"]
    named = {
        "embedding.project.weight": found[f"{embedding}.weight"],
        "embedding.project.bias": found[f"{embedding}.bias"],
        "position.time.table": places[lead:],
        "encoder.lead": places[:lead],
    }
    plain = {"head.dropout": "encoder.norm", "head.linear": "head.project"}
    for i in range(c.num_hidden_layers):
        there, here = f"{encoder}.layers.{i}", f"encoder.blocks.{i}"
        plain |= {
            f"{there}.self_attn.out_proj": f"{here}.attention.project",
            f"{there}.norm_sublayer1": f"{here}.norm_1",
            f"{there}.norm_sublayer3": f"{here}.norm_2",
            f"{there}.ff.0": f"{here}.mlp.0",
            f"{there}.ff.3": f"{here}.mlp.2",
        }
        for kind in ("weight", "bias"):
            qkv = [found[f"{there}.self_attn.{n}_proj.{kind}"] for n in "qkv"]
            named[f"{here}.attention.qkv.{kind}"] = torch.cat(qkv)
    for there, here in plain.items():
        named |= {f"{here}.{kind}": found[f"{there}.{kind}"] for kind in ("weight", "bias")}
    return named


def filled(model: Model, peer: PatchTSTForPretraining) -> Model:
    taken = renamed(peer.state_dict(), peer.config)
    weight = taken["embedding.project.weight"]
    taken["embedding.project.weight"] = torch.cat([weight, torch.zeros_like(weight)], 1)
    taken["corruption.token"] = taken["embedding.project.bias"]
    if peer.config.use_cls_token:
        token = peer.model.encoder.positional_encoder.cls_token.detach()
        taken["encoder.lead"] = taken["encoder.lead"] + token[0, 0]
    model.load_state_dict(taken)
    return model


def gradients(model: Model) -> dict:
    """Ours, as far as theirs has any."""
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.numel()}
    found["embedding.project.bias"] += found.pop("corruption.token")
    weight = found["embedding.project.weight"]
    found["embedding.project.weight"] = weight[:, : weight.shape[1] // 2]
    return found


def series(c: PatchTSTConfig, count: int = 4) -> Tensor:
    """(B, T, C) random walks around levels of their own, the last ones so low that the floor of
    the variance counts."""
    draw = torch.Generator().manual_seed(7)
    shape = (count, c.context_length, c.num_input_channels)
    level = torch.randn(count, 1, shape[2], generator=draw) * 5
    values = torch.randn(shape, generator=draw).cumsum(1) + level
    values[-1] *= 0.002
    return values


def masked(peer: PatchTSTForPretraining, values: Tensor):
    """What they make of a batch, and the mask (B, C, N) they drew for it."""
    drawn = []
    hook = peer.model.masking.register_forward_hook(lambda *seen: drawn.append(seen[2][1]))
    out = peer(values)
    hook.remove()
    return out, drawn[0]


def tokens(model: Model, values: Tensor, mask: Tensor) -> Packed:
    packed = model.adapter.batch_tokenize(list(values.double().numpy()))
    packed.side["priority"] = mask.flatten().float()
    return packed.with_keys(torch.arange(len(values)))


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def both(request):
    peer = theirs(request.param)
    return peer, filled(ours_like(peer.config), peer), series(peer.config)


def test_loss_and_every_gradient(both):
    peer, model, values = both
    peer.zero_grad()
    model.zero_grad()
    expected, mask = masked(peer, values)
    packed = tokens(model, values, mask)
    out = model(packed, model.recipe.mask.draw(packed))
    loss = out.loss / out.count
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)

    expected.loss.backward()
    loss.backward()
    wanted = renamed({n: p.grad for n, p in peer.named_parameters()}, peer.config)
    wanted = {name: gradient for name, gradient in wanted.items() if gradient.numel()}
    found = gradients(model)
    same_gradients(found, wanted)


def test_the_same_patches_are_hidden_and_predicted(both):
    peer, model, values = both
    with torch.no_grad():
        expected, mask = masked(peer, values)
        packed = tokens(model, values, mask)
        roles = model.recipe.mask.draw(packed)
        found = model(packed, roles).prediction
    assert torch.equal(roles.ask, mask.flatten().nonzero()[:, 0])
    wanted = expected.prediction_output[mask]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_features_of_everything(both):
    peer, model, values = both
    with torch.no_grad():
        scaled, _, _ = peer.model.scaler(values, torch.ones_like(values))
        patches = peer.model.patchifier(scaled)
        states = peer.model.encoder(patches).last_hidden_state
        expected = peer.head.dropout(states)[:, :, int(peer.config.use_cls_token) :]
        latents = model.encode(tokens(model, values, torch.zeros(patches.shape[:3])))
    found = latents.tokens().view_as(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_patches_of_normalised_series(both, lead):
    """``lead`` steps more than patches fill count in the statistics of both."""
    peer, _, _ = both
    length = peer.config.context_length + lead
    c = PatchTSTConfig(**{**peer.config.to_dict(), "context_length": length})
    other = PatchTSTForPretraining(c).model
    values = series(c)
    scaled, centre, spread = other.scaler(values, torch.ones_like(values))
    expected = other.patchifier(scaled)
    packed = adapter(c).batch_tokenize(list(values.double().numpy()))
    found = packed.values.view(*expected.shape[:2], -1, c.patch_length)
    assert found.shape[2] == expected.shape[2] + (lead > 0)
    torch.testing.assert_close(found[:, :, lead > 0 :], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed.context["centre"], centre[:, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed.context["spread"], spread[:, 0], rtol=1e-5, atol=1e-5)


def test_statistics_are_of_what_is_observed(both):
    peer, model, values = both
    observed = torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    expected, centre, spread = peer.model.scaler(values * observed, observed)
    expected = peer.model.patchifier(expected).flatten(0, 2)
    gaps = np.where(observed.numpy(), values.double().numpy(), np.nan)
    packed = model.adapter.batch_tokenize(list(gaps))
    torch.testing.assert_close(packed.context["centre"], centre[:, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed.context["spread"], spread[:, 0], rtol=1e-5, atol=1e-5)
    there = peer.model.patchifier(observed).flatten(0, 2)
    there, expected = there[there.any(1)], expected[there.any(1)]
    assert torch.equal(packed.side[OBSERVED], there)
    torch.testing.assert_close(packed.values[there], expected[there], rtol=1e-5, atol=1e-5)
    assert not packed.values[~there].any()


def test_channels_that_meet_would_be_seen():
    """Negative control: attention over all channels gives another loss."""
    peer = theirs(SMALL)
    model = filled(ours_like(peer.config, layout="full"), peer)
    values = series(peer.config)
    with torch.no_grad():
        expected, mask = masked(peer, values)
        packed = tokens(model, values, mask)
        out = model(packed, model.recipe.mask.draw(packed))
    assert float(out.loss) / out.count != pytest.approx(float(expected.loss), rel=1e-5)
