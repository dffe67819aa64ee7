"""Images whose tokens hold some channels only: SatMAE's groups, cellular's single ones."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import anymae
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.tokens import OBSERVED
from anymae.training.arguments import adapter_of, recipe_of

from ..toys import keys, shaken

ENCODER = EncoderConfig(width=24, depth=1, heads=2)
GROUPS = ((0, 3), (1,), (2, 4))


def images(count: int = 6) -> np.ndarray:
    """(count, 8, 12, 5) floats, channels of different units."""
    return np.random.default_rng(0).normal([0, 5, -3, 1, 2], [1, 2, 9, 1, 3], (count, 8, 12, 5))


def adapter(bands) -> ImageAdapter:
    return ImageAdapter(patch_size=4, bands=bands, crop_scale=None).fit(images())


def net(bands=GROUPS, recipe="satmae") -> Model:
    own = adapter(bands)
    return shaken(Model(own, recipe_of(recipe, own, None, {}, {}), ENCODER))


def packed(net: Model):
    return net.adapter.batch_tokenize(list(images())).with_keys(keys(6))


@pytest.mark.parametrize("bands", ["each", GROUPS, ((4,), (0, 1, 2, 3))])
def test_images_come_back(bands):
    own, image = adapter(bands), images()[2]
    np.testing.assert_allclose(own.untokenize(own.tokenize(image)), image, rtol=1e-5, atol=1e-5)


def test_a_token_holds_its_patch_of_its_group():
    own, image = adapter(GROUPS), images()[0]
    tokens = own.tokenize(image)
    assert (len(tokens), own.token_shape, own.coord_dim) == (2 * 3 * 3, (16, 2), 3)
    standard = (image - np.array(own.mean)) / np.array(own.std)
    for values, known, (row, column, group) in zip(
        tokens.values, tokens.side[OBSERVED], tokens.coords.tolist(), strict=True
    ):
        patch = standard[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, list(GROUPS[group])]
        np.testing.assert_allclose(values[known], patch.ravel(), rtol=1e-4, atol=1e-4)
        assert not values[~known].any()
    assert len(torch.unique(tokens.coords, dim=0)) == len(tokens)


def test_channels_without_a_group_and_missing_tokens_are_missing_pixels():
    image = images()[0]
    own = adapter(((0, 3), (1,)))
    tokens = own.tokenize(image)
    kept = torch.arange(len(tokens)) != 1  # the second group of the first patch
    part = type(tokens)(tokens.values[kept], tokens.coords[kept])
    missing = np.isnan(own.untokenize(part))
    assert missing[..., [2, 4]].all()
    assert missing[:4, :4, 1].all()
    assert missing.sum() == 2 * 8 * 12 + 16


def test_groups_have_an_embedding_and_a_head_each():
    model, rows = net(), packed(net())
    x = torch.randn(len(rows.coords), ENCODER.width)
    for group, channels in enumerate(GROUPS):
        mine = rows.coords[:, 2] == group
        embedding, head = model.embedding.maps[group], model.adapter.head(24, 32)
        values = rows.values.view(-1, 16, 2)[mine][:, :, : len(channels)].flatten(1)
        torch.testing.assert_close(model.embedding(rows)[mine], embedding(values))
        torch.testing.assert_close(head(x, rows.coords)[mine], head.maps[group](x[mine]))


def test_the_loss_is_the_mean_over_a_groups_own_channels():
    model = net()
    rows = packed(model)
    roles = model.recipe.mask.draw(rows)
    output = model(rows, roles)
    error = (output.prediction - output.target).square().view(-1, 16, 2)
    sizes = torch.tensor([len(group) for group in GROUPS])[rows.coords[roles.ask][:, 2]]
    own = torch.where(sizes == 2, error.mean((1, 2)), error[..., 0].mean(1))
    torch.testing.assert_close(output.loss, own.sum())


def test_masks_are_independent_between_groups():
    rows = packed(net())
    roles = anymae.recipes()["satmae"].mask.draw(rows)
    seen = torch.zeros(len(rows.coords), dtype=torch.bool)
    seen[roles.see] = True
    of_patch = seen.view(-1, 3).sum(1)
    assert len(of_patch.unique()) > 2


def test_single_channels_share_one_embedding_and_know_their_own():
    model = net("each", "cellular")
    rows = packed(model)
    assert sum(p.numel() for p in model.embedding.parameters()) == (16 + 1) * 24
    where = model.position(rows.coords)
    assert not torch.equal(where[0], where[1])
    assert torch.equal(rows.coords[0, :2], rows.coords[1, :2])


def test_the_recipes_want_their_bands():
    assert adapter_of("image", {}, "cellular").bands == "each"
    groups = adapter_of("image", {}, "satmae").bands
    assert sorted(channel for group in groups for channel in group) == list(range(10))
    with pytest.raises(IncompatibleRecipe, match="bands=each, which the video modality"):
        adapter_of("video", {}, "cellular")


def test_bands_must_suit_the_images():
    with pytest.raises(BadConfig, match=r"name a channel.*channel 9; expected 0 to 4"):
        adapter_of("image", {}, "satmae").fit(images())
    for wrong in (((0,), (0, 1)), ((),), (), ((-1,),)):
        with pytest.raises(ValidationError, match="groups of channels"):
            ImageAdapter(bands=wrong)


def test_a_target_of_whole_images_refuses_bands():
    with pytest.raises(IncompatibleRecipe, match="target=hog needs patches of an image"):
        net("each", "maskfeat")


@pytest.mark.slow
@pytest.mark.parametrize("bands", ["each", ((0, 2), (1,))])
def test_bands_keep_an_adapters_promises(bands):
    assert anymae.check_adapter(ImageAdapter(bands=bands), skip=["learns"]).broken == ()
