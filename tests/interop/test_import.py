"""Imported models compute what their sources compute, and the report tells all."""

import argparse
import json

import pytest
import torch
from safetensors.torch import save_file

import anymae
from anymae.masks.priorities import GivenPriority
from anymae.tokens import Packed


def features(model, raw):
    """(B, 1 + N, width): class token, then tokens, through the public method."""
    tokens = torch.stack([torch.from_numpy(t) for t in model.embed(raw, pool=None)])
    leads = torch.from_numpy(model.embed(raw, pool="cls"))[:, None]
    return torch.cat([leads, tokens], 1)


def their_features(vitmae, pixels):
    """(B, 1 + N, width) with nothing masked and in order."""
    encoder = getattr(vitmae, "vit", vitmae)
    count = encoder.embeddings.num_patches
    ratio, encoder.config.mask_ratio = encoder.config.mask_ratio, 0.0
    with torch.no_grad():
        out = encoder(pixels, noise=torch.arange(count).float().expand(len(pixels), -1))
    encoder.config.mask_ratio = ratio
    return out.last_hidden_state


def loss(model, raw, noise):
    packed = model.adapter.batch_tokenize(list(raw))
    side = {"priority": noise.flatten()}
    keys = torch.zeros(len(raw), dtype=torch.int64)
    packed = Packed(packed.values, packed.coords, packed.segments, side=side, keys=keys)
    mask = model.recipe.mask.model_copy(update={"priority": GivenPriority()})
    with torch.no_grad():
        out = model(packed, mask.draw(packed))
    return out.loss.item() / out.count


def assert_same(model, peer, raw, pixels):
    """Features and loss of an imported model equal those of a ViTMAEForPreTraining."""
    torch.testing.assert_close(
        features(model, raw), their_features(peer, pixels), rtol=1e-5, atol=1e-5
    )
    noise = torch.rand(
        len(raw), peer.vit.embeddings.num_patches, generator=torch.Generator().manual_seed(4)
    )
    with torch.no_grad():
        expected = peer(pixels, noise=noise).loss.item()
    assert loss(model, raw, noise) == pytest.approx(expected, rel=1e-5)


def assert_complete(made, names):
    """Every tensor of the source and of ours is accounted for."""
    used, unused = set(made.report.used), set(made.report.unused)
    assert used | unused == set(names)
    filled = {ours for value in made.report.used.values() for ours in value.split(" + ")}
    ours = {name for name, tensor in made.model.state_dict().items() if tensor.numel()}
    assert filled | set(made.report.unfilled) == ours


# transformers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm_pix_loss": False, "mask_ratio": 0.5, "layer_norm_eps": 1e-12},
        {"hidden_size": 40, "num_attention_heads": 2, "intermediate_size": 97},
        {"qkv_bias": False},
    ],
    ids=["norm-pix", "raw", "odd widths", "no qkv bias"],
)
def test_a_live_vitmae(vitmae, images, changes):
    peer = vitmae(**changes)
    made = anymae.import_checkpoint(peer)
    assert_same(made.model, peer, *images())
    assert_complete(made, peer.state_dict())
    assert made.model.recipe.position.kind == "sincos"
    assert set(made.report.assumed) == {"mean", "std"}
    assert not made.model.training
    zeros = [name for name in made.model.state_dict() if "qkv.bias" in name]
    assert sorted(made.report.unfilled) == (
        sorted(zeros) if changes.get("qkv_bias") is False else []
    )


@pytest.mark.parametrize("pickled", [False, True])
def test_a_vitmae_folder(vitmae, images, tmp_path, pickled):
    peer = vitmae()
    peer.config.save_pretrained(tmp_path)
    state = {name: tensor.contiguous() for name, tensor in peer.state_dict().items()}
    if pickled:
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        save_file(state, tmp_path / "model.safetensors")
    processor = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    made = anymae.import_checkpoint(tmp_path)
    assert_same(made.model, peer, *images(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)))
    assert_complete(made, state)
    assert not made.report.assumed
    weights = next(p for p in tmp_path.iterdir() if p.suffix in (".bin", ".safetensors"))
    assert anymae.import_checkpoint(weights).report.used == made.report.used


def test_what_transformers_itself_saves(vitmae, images, tmp_path):
    peer = vitmae()
    peer.save_pretrained(tmp_path)
    assert_same(anymae.import_checkpoint(tmp_path).model, peer, *images())


def test_a_vitmae_without_decoder(vitmae, images):
    peer = vitmae().vit
    made = anymae.import_checkpoint(peer)
    raw, pixels = images()
    torch.testing.assert_close(
        features(made.model, raw), their_features(peer, pixels), rtol=1e-5, atol=1e-5
    )
    assert_complete(made, peer.state_dict())
    decoder = {n for n in made.model.state_dict() if n.startswith(("decoder.", "head."))}
    assert set(made.report.unfilled) == decoder
    assert "newly initialised" in str(made.report)


def test_grey_images_need_statistics(vitmae, images):
    peer = vitmae(num_channels=1)
    with pytest.raises(anymae.BadConfig, match="one number for each channel"):
        anymae.import_checkpoint(peer)
    made = anymae.import_checkpoint(peer, mean=(102.0,), std=(51.0,))
    assert_same(made.model, peer, *images(mean=(0.4,), std=(0.2,)))


# facebookresearch/mae


def test_a_mae_file(vitmae, mae_state, images, tmp_path):
    peer = vitmae()
    state = mae_state(peer)
    torch.save({"model": state}, tmp_path / "mae_visualize_vit_base.pth")
    made = anymae.import_checkpoint(
        tmp_path / "mae_visualize_vit_base.pth", heads=3, decoder_heads=2
    )
    assert_same(made.model, peer, *images())
    assert_complete(made, state)
    assert made.report.layout == "facebookresearch/mae"
    assert set(made.report.unused) == {"pos_embed", "decoder_pos_embed"}
    assert set(made.report.assumed) == {"mean", "std", "norm_pix", "norm_eps", "mask_ratio"}
    assert made.model.adapter.image_size == (32, 32)


def test_a_mae_training_checkpoint(vitmae, mae_state, images, tmp_path):
    """It also holds optimiser, epoch and options; the options tell what the weights do not."""
    peer = vitmae(norm_pix_loss=False, mask_ratio=0.5)
    options = argparse.Namespace(norm_pix_loss=False, mask_ratio=0.5, batch_size=64)
    content = {"model": mae_state(peer), "optimizer": {"state": {}}, "epoch": 799, "args": options}
    torch.save(content, tmp_path / "checkpoint-799.pth")
    made = anymae.import_checkpoint(tmp_path / "checkpoint-799.pth", heads=3, decoder_heads=2)
    assert_same(made.model, peer, *images())
    assert {"optimizer", "epoch", "args"} <= set(made.report.unused)


def test_a_mae_encoder(vitmae, mae_state, images, tmp_path):
    """The layout of mae_pretrain_vit_base.pth."""
    peer = vitmae()
    state = {k: v for k, v in mae_state(peer).items() if not k.startswith(("decoder", "mask"))}
    torch.save({"model": state}, tmp_path / "mae_pretrain.pth")
    made = anymae.import_checkpoint(tmp_path / "mae_pretrain.pth", heads=3)
    raw, pixels = images()
    torch.testing.assert_close(
        features(made.model, raw), their_features(peer, pixels), rtol=1e-5, atol=1e-5
    )
    assert_complete(made, state)


def test_heads_follow_published_sizes(vitmae, mae_state, tmp_path):
    """64 numbers a head, but 80 in ViT-H; 16 heads in MAE's decoder of width 512."""
    for width, heads in ((128, 2), (1280, 16)):
        peer = vitmae(
            hidden_size=width, num_hidden_layers=1, decoder_hidden_size=512,
            decoder_num_hidden_layers=1,
            num_attention_heads=1,
        )  # fmt: skip
        torch.save({"model": mae_state(peer)}, tmp_path / "mae.pth")
        made = anymae.import_checkpoint(tmp_path / "mae.pth")
        assert made.model.encoder.config.heads == heads
        assert made.model.recipe.decoder.heads == 16
        assert {"heads", "decoder_heads"} <= set(made.report.assumed)


def test_other_positions_are_kept_not_replaced(vitmae, images, swap_halves):
    """Rows before columns, or no sines at all: a table, and the same numbers as the source."""
    for change in (swap_halves, lambda table: 0.3 * table):
        peer = vitmae()
        table = peer.vit.embeddings.position_embeddings
        table.data = change(table.data)
        made = anymae.import_checkpoint(peer)
        assert made.model.recipe.position.kind == "table"
        assert made.report.used["vit.embeddings.position_embeddings"] == "position.table"
        assert_same(made.model, peer, *images())


def test_a_place_of_the_class_token_joins_it(vitmae, images):
    peer = vitmae()
    peer.vit.embeddings.position_embeddings.data[:, 0] = 0.5
    made = anymae.import_checkpoint(peer)
    assert_same(made.model, peer, *images())
    assert made.report.used["vit.embeddings.position_embeddings"] == "encoder.lead"


# timm


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"img_size": (16, 40)},
        {"reg_tokens": 4},
        {"reg_tokens": 4, "no_embed_class": True},
        {"class_token": False, "global_pool": "avg", "fc_norm": False},
        {"qkv_bias": False, "mlp_ratio": 3.3, "num_classes": 0},
    ],
    ids=[
        "plain",
        "rectangle",
        "registers",
        "places without registers",
        "no class token",
        "no bias",
    ],
)
def test_a_live_timm_vit(timm_vit, images, changes):
    peer = timm_vit(**changes)
    made = anymae.import_checkpoint(peer, mean=(127.5,) * 3, std=(127.5,) * 3)
    rows, columns = peer.patch_embed.img_size
    raw, pixels = images(rows, columns, mean=(0.5,) * 3, std=(0.5,) * 3)
    packed = made.model.adapter.batch_tokenize(list(raw))
    with torch.no_grad():
        expected = peer.forward_features(pixels)
        found = made.model.encode(packed).x.view_as(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert_complete(made, peer.state_dict())
    assert made.model.recipe.position.kind == "table"


def test_timm_statistics_and_features_by_embed(images):
    import timm

    peer = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=48, depth=1, num_heads=3
    ).eval()
    made = anymae.import_checkpoint(peer)
    raw, pixels = images(mean=peer.pretrained_cfg["mean"], std=peer.pretrained_cfg["std"])
    with torch.no_grad():
        expected = peer.forward_features(pixels)
    torch.testing.assert_close(features(made.model, raw), expected, rtol=1e-5, atol=1e-5)
    assert made.report.unused == dict.fromkeys(("head.weight", "head.bias"), "classification head")


@pytest.mark.parametrize("form", ["folder", "safetensors", "pth"])
def test_a_timm_file(timm_vit, images, tmp_path, form):
    peer = timm_vit()
    state = peer.state_dict()
    if form == "folder":
        save_file(state, tmp_path / "model.safetensors")
        config = {
            "architecture": "vit_tiny_patch16_224",
            "model_args": {"embed_dim": 48, "depth": 2, "num_heads": 3, "img_size": [32, 32]},
            "pretrained_cfg": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        made = anymae.import_checkpoint(tmp_path)
    elif form == "safetensors":
        save_file(state, tmp_path / "vit.safetensors")
        made = anymae.import_checkpoint(tmp_path / "vit.safetensors", heads=3)
    else:
        torch.save(state, tmp_path / "vit.pth")
        made = anymae.import_checkpoint(tmp_path / "vit.pth", heads=3)
    raw, pixels = images()
    with torch.no_grad():
        expected = peer.forward_features(pixels)
    torch.testing.assert_close(features(made.model, raw), expected, rtol=1e-5, atol=1e-5)
    assert made.report.layout == "timm ViT"
    assert "heads" not in made.report.assumed
    assert_complete(made, state)


# What is kept


def test_the_imported_model_is_saved_with_its_report(vitmae, images, tmp_path):
    made = anymae.import_checkpoint(vitmae(), out=tmp_path / "imported")
    again = anymae.load(tmp_path / "imported")
    raw, _ = images()
    assert torch.equal(features(made.model, raw), features(again, raw))
    kept = json.loads((tmp_path / "imported" / "load_report.json").read_text())
    assert kept == made.report.as_dict()


def test_a_folder_runs_nothing(vitmae, tmp_path, monkeypatch):
    """Neither code beside the weights nor names of code in the configuration."""
    vitmae().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil.Model"}, "_target_": "evil.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    trace = f"open({str(tmp_path / 'ran')!r}, 'w')"
    for name in ("evil.py", "conftest.py", "modeling_vit_mae.py", "sitecustomize.py"):
        (tmp_path / name).write_text(trace)
    monkeypatch.chdir(tmp_path)
    anymae.import_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_half_precision_becomes_single(vitmae, tmp_path):
    peer = vitmae().half()
    made = anymae.import_checkpoint(peer)
    assert {t.dtype for t in made.model.state_dict().values()} == {torch.float32}
    assert made.model.recipe.position.kind == "sincos"
