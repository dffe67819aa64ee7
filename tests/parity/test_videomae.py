"""The core computes what transformers' VideoMAE computes: loss, gradients, predictions, features.

Where the two differ by design, the mapping makes up for it:

- Their fixed table runs along the flat order of tubes; ours takes it as a table of time, row and
  column that does not learn.
- They have biases of queries and values, none of keys (it would move all scores of a query alike:
  its gradient is zero), and none between encoder and decoder: ours are zero there.
- Their last norm has an eps of 1e-5, whatever the others have: here all do.
- They normalise targets colour by colour and add 1e-6 to the deviation; the recipe takes all of a
  token's numbers together and adds eps to the variance. With one colour, eps 0 and pixels that
  vary by about ten, float32 cannot tell the two apart. With three, ``Theirs`` is their target, and
  a further test finds the recipe's own where colours vary alike.
- Raw targets are theirs in [0, 1], by ImageNet's statistics, ours in the units of the input.

They are told which tubes are hidden: the recipe's own mask says it.
"""

import numpy as np
import pytest
import torch
from einops import rearrange, reduce
from torch import Tensor
from transformers import VideoMAEConfig, VideoMAEForPreTraining

from anymae.decoders import SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.masks import Roles
from anymae.modalities.video.adapter import VideoAdapter
from anymae.model import Model
from anymae.positions import TablePosition
from anymae.recipes.masks import VIDEOMAE
from anymae.targets import Content
from anymae.tokens import Packed

from .comparing import same_gradients

SMALL = {
    "image_size": (24, 40), "patch_size": 4, "num_channels": 1, "num_frames": 6, "tubelet_size": 2,
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 192,
    "decoder_hidden_size": 32, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 128,
}  # fmt: skip
LARGER = {
    **SMALL, "image_size": (32, 32), "patch_size": 8, "num_channels": 3, "num_frames": 12,
    "tubelet_size": 3, "hidden_size": 40, "num_hidden_layers": 3, "num_attention_heads": 10,
    "intermediate_size": 80, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 8,
    "decoder_intermediate_size": 80,
}  # fmt: skip
CASES = {
    "grey": SMALL,
    "colour": {**SMALL, "num_channels": 3},
    "longer tubes": LARGER,
    "raw": {**SMALL, "num_channels": 3, "norm_pix_loss": False},
}


class Theirs(Content):
    """Their target, from the tokens of a clip: colours vary fastest within them."""

    def of(self, adapter, asked, scene=None):
        content = adapter.target(asked).unflatten(1, (-1, adapter.channels))
        if self.normalise == "none":
            mean, std = Tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
            return (content * std + mean).flatten(1)
        mean, std = content.mean(1, keepdim=True), content.std(1, keepdim=True)
        return ((content - mean) / (std + 1e-6)).flatten(1)


def waves(count: int, width: int) -> Tensor:
    """(count, width) by their formula: sines in even columns, cosines in odd ones."""
    column = np.arange(width)
    angle = np.arange(count)[:, None] / 10000 ** (2 * (column // 2) / width)
    return torch.from_numpy(np.where(column % 2, np.cos(angle), np.sin(angle))).float()


def theirs(case: dict) -> VideoMAEForPreTraining:
    config = VideoMAEConfig(
        **{"layer_norm_eps": 1e-5, "use_mean_pooling": False, **case},
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VideoMAEForPreTraining(config)
        for parameter in model.parameters():  # some start at zero or one
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval()


def grid(c: VideoMAEConfig) -> tuple[int, int, int]:
    rows, columns = (side // c.patch_size for side in c.image_size)
    return c.num_frames // c.tubelet_size, rows, columns


def ours_like(c: VideoMAEConfig, target: Content) -> Model:
    adapter = VideoAdapter(
        patch_size=(c.tubelet_size, c.patch_size, c.patch_size),
        frames=c.num_frames,
        stride=1,
        image_size=c.image_size,
        channels=c.num_channels,
        channel_axis="last",
        mean=(0.0,) * c.num_channels,
        std=(1.0,) * c.num_channels,
        dtype="float32",
        partial_tubes=False,
    )
    encoder = EncoderConfig(
        width=c.hidden_size,
        depth=c.num_hidden_layers,
        heads=c.num_attention_heads,
        mlp_ratio=c.intermediate_size / c.hidden_size,
        norm_eps=c.layer_norm_eps,
        cls=False,
    )
    decoder = SelfDecoder(
        width=c.decoder_hidden_size,
        depth=c.decoder_num_hidden_layers,
        heads=c.decoder_num_attention_heads,
        mlp_ratio=c.decoder_intermediate_size / c.decoder_hidden_size,
    )
    slots = {"position": TablePosition(shape=grid(c)), "decoder": decoder, "target": target}
    model = Model(adapter, VIDEOMAE.model_copy(update=slots), encoder).eval()
    for fixed in ("position.table", "decoder.position.table", "decoder.embed.bias"):
        model.get_parameter(fixed).requires_grad_(False)
    return model


def blocks(found: dict, there: str, here: str, depth: int) -> dict:
    """Their transformer layers under our names."""
    plain = {
        "attention.output.dense": "attention.project",
        "layernorm_before": "norm_1",
        "layernorm_after": "norm_2",
        "intermediate.dense": "mlp.0",
        "output.dense": "mlp.2",
    }
    named = {}
    for i in range(depth):
        of = lambda name, i=i: found[f"{there}.{i}.{name}"]  # noqa: E731
        for name, own in plain.items():
            for kind in ("weight", "bias"):
                named[f"{here}.{i}.{own}.{kind}"] = of(f"{name}.{kind}")
        weights = [of(f"attention.attention.{n}.weight") for n in ("query", "key", "value")]
        q, v = (of(f"attention.attention.{n}_bias") for n in "qv")
        named[f"{here}.{i}.attention.qkv.weight"] = torch.cat(weights)
        named[f"{here}.{i}.attention.qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
    return named


def renamed(found: dict, c: VideoMAEConfig) -> dict:
    """Their tensors (or gradients) under our names and in our shapes."""
    patches = "videomae.embeddings.patch_embeddings.projection"
    named = {
        "embedding.project.weight": rearrange(
            found[f"{patches}.weight"], "d c t p q -> d (t p q c)"
        ),
        "embedding.project.bias": found[f"{patches}.bias"],
        "decoder.embed.weight": found["encoder_to_decoder.weight"],
        "decoder.mask_token": found["mask_token"].flatten(),
    }
    plain = {
        "videomae.layernorm": "encoder.norm",
        "decoder.norm": "decoder.norm",
        "decoder.head": "head.project",
    }
    for there, here in plain.items():
        named |= {f"{here}.{kind}": found[f"{there}.{kind}"] for kind in ("weight", "bias")}
    named |= blocks(found, "videomae.encoder.layer", "encoder.blocks", c.num_hidden_layers)
    depth = c.decoder_num_hidden_layers
    return named | blocks(found, "decoder.decoder_layers", "decoder.blocks", depth)


def what_they_lack(c: VideoMAEConfig) -> dict:
    """What has no parameter of theirs."""
    count = int(np.prod(grid(c)))
    return {
        "position.table": waves(count, c.hidden_size),
        "decoder.position.table": waves(count, c.decoder_hidden_size),
        "decoder.embed.bias": torch.zeros(c.decoder_hidden_size),
        "encoder.lead": torch.empty(0, c.hidden_size),
    }


def like(peer: VideoMAEForPreTraining, target: Content) -> Model:
    model = ours_like(peer.config, target)
    model.load_state_dict(renamed(peer.state_dict(), peer.config) | what_they_lack(peer.config))
    return model


def clips(c: VideoMAEConfig, count: int = 3) -> Tensor:
    """(B, T, C, H, W) around a level of their own, varying by about ten."""
    draw = torch.Generator().manual_seed(7)
    return torch.randn(count, c.num_frames, c.num_channels, *c.image_size, generator=draw) * 10 + 5


def tokens(model: Model, pixels: Tensor) -> tuple[Packed, Roles, Tensor]:
    """The clips for us, the recipe's own mask, and that mask for them: (B, N) bool."""
    samples = list(pixels.permute(0, 1, 3, 4, 2).numpy())
    packed = model.adapter.batch_tokenize(samples).with_keys(torch.arange(len(samples)))
    roles = model.recipe.mask.draw(packed)
    hidden = torch.zeros(packed.segments.total, dtype=torch.bool)
    hidden[roles.hide] = True
    return packed, roles, hidden.view(len(samples), -1)


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def both(request):
    peer = theirs(request.param)
    target = Theirs(normalise="token" if peer.config.norm_pix_loss else "none")
    if peer.config.num_channels == 1:
        target = Content(normalise="token", eps=0.0)
    return peer, like(peer, target), clips(peer.config)


def test_loss_and_every_gradient(both):
    peer, model, pixels = both
    packed, roles, hidden = tokens(model, pixels)
    peer.zero_grad()
    model.zero_grad()
    expected = peer(pixels, bool_masked_pos=hidden).loss
    out = model(packed, roles)
    loss = out.loss / out.count
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)

    expected.backward()
    loss.backward()
    wanted = renamed({n: p.grad for n, p in peer.named_parameters()}, peer.config)
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad and p.numel()}
    same_gradients(found, wanted)


def test_predictions_in_the_same_order(both):
    peer, model, pixels = both
    packed, roles, hidden = tokens(model, pixels)
    with torch.no_grad():
        expected = peer(pixels, bool_masked_pos=hidden).logits.flatten(0, 1)
        found = model(packed, roles).prediction
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_features_of_everything(both):
    peer, model, pixels = both
    packed, _, _ = tokens(model, pixels)
    with torch.no_grad():
        expected = peer.videomae(pixels).last_hidden_state
        found = model.encode(packed).x.view_as(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_place_is_hidden_at_all_times(both):
    peer, model, pixels = both
    _, roles, hidden = tokens(model, pixels)
    times, rows, columns = grid(peer.config)
    by_time = hidden.view(len(pixels), times, rows * columns)
    assert torch.equal(by_time, by_time[:, :1].expand_as(by_time))
    seen = rows * columns // 10  # VideoMAE's own code rounds up: 20 of 196 places, not 19
    assert roles.of_see.lengths.tolist() == [times * seen] * len(pixels)
    assert not torch.equal(hidden[0], hidden[1])


def test_the_recipes_own_target_where_colours_vary_alike():
    """With one mean and deviation for all colours of a tube, ours is theirs but for the divisor
    of the variance: n - 1 for each of three colours there, 3 n - 1 for all together here."""
    peer = theirs(CASES["colour"])
    model = like(peer, VIDEOMAE.target)
    axes = {"t": 2, "p": 4, "q": 4}
    tubes = "b (n t) c (h p) (w q)"
    of_each = "b n () c h () w ()"
    flat = rearrange(clips(peer.config), f"{tubes} -> b n t c h p w q", **axes)
    mean = reduce(flat, f"b n t c h p w q -> {of_each}", "mean")
    std = reduce((flat - mean).square(), f"b n t c h p w q -> {of_each}", "mean").sqrt()
    alike = (flat - mean) / std * std[:, :, :, :1] + mean[:, :, :, :1]
    pixels = rearrange(alike, f"b n t c h p w q -> {tubes}", **axes)
    packed, roles, hidden = tokens(model, pixels)

    out = peer(pixels, bool_masked_pos=hidden)
    out.logits.retain_grad()
    out.loss.backward()
    labels = (out.logits - out.logits.grad * out.logits.numel() / 2).detach().flatten(0, 1)
    size = labels.shape[1] // 3
    share = ((3 * size - 1) / (3 * (size - 1))) ** 0.5
    found = model(packed, roles).target
    torch.testing.assert_close(found, labels * share, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_wrong_place_would_be_seen(both, axis):
    """Negative control: time, rows or columns run backwards give another loss."""
    peer, model, pixels = both
    packed, roles, hidden = tokens(model, pixels)
    packed.coords[:, axis] = packed.coords[:, axis].max() - packed.coords[:, axis]
    with torch.no_grad():
        expected = float(peer(pixels, bool_masked_pos=hidden).loss)
        out = model(packed, roles)
    assert float(out.loss) / out.count != pytest.approx(expected, rel=1e-5)
