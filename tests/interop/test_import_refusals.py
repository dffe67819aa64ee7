"""A checkpoint that is not wholly understood is refused by name, and nothing is left behind."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import anymae
from anymae.errors import CheckpointError
from anymae.interop.pickled import refuse_old_torch


@pytest.fixture
def refused(vitmae, mae_state, tmp_path):
    """Refuses a mae file whose state was changed in place; returns the message."""

    def attempt(change):
        state = mae_state(vitmae())
        change(state)
        torch.save({"model": state}, tmp_path / "mae.pth")
        with pytest.raises(CheckpointError) as error:
            anymae.import_checkpoint(
                tmp_path / "mae.pth", out=tmp_path / "out", heads=3, decoder_heads=2
            )
        assert not (tmp_path / "out").exists()
        assert "mae.pth" in str(error.value)
        return str(error.value)

    return attempt


def test_an_unknown_tensor(refused):
    said = refused(lambda s: s.update({"blocks.0.ls1.gamma": torch.ones(48)}))
    assert "unknown: blocks.0.ls1.gamma" in said


def test_a_far_block_costs_nothing(refused):
    said = refused(lambda s: s.update({"blocks.999999999.norm1.bias": torch.ones(48)}))
    assert "unknown: blocks.999999999.norm1.bias" in said


@pytest.mark.parametrize(
    "name",
    [
        "patch_embed.proj.bias", "cls_token", "blocks.1.attn.qkv.bias", "blocks.0.mlp.fc1.weight",
        "norm.weight", "decoder_blocks.1.norm2.bias", "mask_token", "decoder_pos_embed",
    ],
)  # fmt: skip
def test_a_missing_tensor(refused, name):
    assert f"missing: {name}" in refused(lambda s: s.pop(name))


@pytest.mark.parametrize("name", ["pos_embed", "decoder_embed.weight", "blocks"])
def test_a_missing_tensor_that_tells_sizes(refused, name):
    def change(state):
        for found in [n for n in state if n.startswith(name)]:
            del state[found]

    assert name in refused(change)


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("norm.bias", (47,), "(48,)"),
        ("blocks.1.attn.qkv.weight", (144, 40), "(144, 48)"),
        ("cls_token", (1, 2, 48), "(1, 1, 48)"),
        ("decoder_pred.weight", (191, 32), "(192, 32)"),
        ("decoder_pos_embed", (1, 26, 32), "(1, 17, 32)"),
    ],
)
def test_another_shape(refused, name, found, expected):
    said = refused(lambda s: s.update({name: torch.zeros(found)}))
    assert f"{name} {found} instead of {expected}" in said


def test_all_differences_are_listed(refused):
    def change(state):
        state["extra"] = state.pop("norm.bias")
        state["norm.weight"] = torch.zeros(3)

    said = refused(change)
    for part in ("missing: norm.bias", "unknown: extra", "norm.weight (3,) instead of (48,)"):
        assert part in said


def test_numbers_that_are_none(refused):
    assert "finite" in refused(lambda s: s["norm.bias"].fill_(float("nan")))
    assert "floats" in refused(lambda s: s.update({"norm.bias": torch.ones(48, dtype=torch.int8)}))


def test_a_tensor_larger_than_its_memory(refused):
    huge = torch.zeros(1).expand(10**12, 48)
    assert "claims more" in refused(lambda s: s.update({"blocks.0.mlp.fc1.weight": huge}))


def test_a_place_for_the_class_token_in_the_decoder(refused):
    assert "decoder_pos_embed" in refused(lambda s: s["decoder_pos_embed"][0, 0].fill_(1.0))


def test_a_grid_that_is_not_square(refused):
    assert "image_size" in refused(lambda s: s.update({"pos_embed": torch.zeros(1, 14, 48)}))


def test_heads_that_do_not_divide(vitmae, mae_state, tmp_path):
    torch.save({"model": mae_state(vitmae())}, tmp_path / "mae.pth")
    with pytest.raises(CheckpointError, match="Give heads"):
        anymae.import_checkpoint(tmp_path / "mae.pth")
    with pytest.raises(CheckpointError, match="7 for a width of 48"):
        anymae.import_checkpoint(tmp_path / "mae.pth", heads=7)


# Files


class Payload:
    """Pickles to a call that creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.open, (str(self.path), os.O_CREAT)


@pytest.mark.parametrize("name", ["mae.pth", "model.pt", "pytorch_model.bin"])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside weights"])
def test_a_payload_is_not_run(vitmae, mae_state, tmp_path, name, beside):
    payload = Payload(tmp_path / "ran")
    content = {"model": mae_state(vitmae()), "epoch": payload} if beside else payload
    torch.save(content, tmp_path / name)
    with pytest.raises(CheckpointError, match="not a file of plain tensors"):
        anymae.import_checkpoint(tmp_path / name, heads=3, decoder_heads=2)
    assert not (tmp_path / "ran").exists()
    (tmp_path / name).write_bytes(pickle.dumps(payload))  # a bare pickle, too
    with pytest.raises(CheckpointError):
        anymae.import_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(payload))  # the payload works
    assert (tmp_path / "ran").exists()


def test_an_old_torch(monkeypatch):
    refuse_old_torch()
    for version in ("2.9.1+cu128", "1.13.0"):
        monkeypatch.setattr(torch, "__version__", version)
        with pytest.raises(CheckpointError, match=r"2\.10 or newer"):
            refuse_old_torch()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nothing.pth", None),
        ("empty.pth", b""),
        ("text.pth", b"hello, these are no weights"),
        ("cut.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{"),
        ("claims.safetensors", (2**40).to_bytes(8, "little") + b"{}"),
        ("array.npz", b"PK"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        anymae.import_checkpoint(tmp_path / name)


def test_unknown_layouts(tmp_path):
    save_file({"encoder.conv1.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"encoder\.conv1\.weight"):
        anymae.import_checkpoint(tmp_path / "other.safetensors")
    torch.save({"weights": [torch.ones(2)]}, tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="'weights' is not a tensor"):
        anymae.import_checkpoint(tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="unknown kind of module"):
        anymae.import_checkpoint(nn.Linear(2, 2))


# Configurations


def test_a_layer_less_than_configured(vitmae, tmp_path):
    peer = vitmae()
    peer.config.save_pretrained(tmp_path)
    state = {k: v for k, v in peer.state_dict().items() if ".layer.1." not in k}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"disagree on the depth.* 1 .* 2"):
        anymae.import_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"num_attention_heads": "many"}, "num_attention_heads"),
        ({"num_attention_heads": -3}, "num_attention_heads"),
        ({"image_size": 64}, "image_size"),
        ({"model_type": "vit"}, "model_type 'vit'"),
    ],
)
def test_a_configuration_that_does_not_fit(vitmae, tmp_path, changes, said):
    vitmae().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(CheckpointError, match=said):
        anymae.import_checkpoint(tmp_path)


def test_transformers_weights_without_configuration(vitmae, tmp_path):
    save_file(vitmae().state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        anymae.import_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "vit_mae"}')
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights here"):
        anymae.import_checkpoint(tmp_path)


def test_timm_variants_that_compute_something_else(timm_vit):
    from timm.models.vision_transformer import ResPostBlock

    for changes, said in (
        ({"block_fn": ResPostBlock}, "ResPostBlock"),
        ({"act_layer": "silu"}, "SiLU"),
        ({"act_layer": "gelu_tanh"}, "GELU"),
        ({"init_values": 0.1}, "ls1.gamma"),
        ({"qk_norm": True}, "q_norm"),
        ({"global_pool": "avg"}, "fc_norm"),
        ({"pre_norm": True}, "norm_pre"),
    ):
        with pytest.raises(CheckpointError, match=said):
            anymae.import_checkpoint(timm_vit(**changes))


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "vit_base_patch16_rpn_224"},
        {"architecture": "resnet50"},
        {"architecture": "vit_base_patch16_224", "model_args": {"act_layer": "silu"}},
        {"architecture": "vit_base_patch16_224", "model_args": {"num_heads": "three"}},
    ],
)
def test_timm_configurations_that_tell_too_little(timm_vit, tmp_path, config):
    save_file(timm_vit().state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        anymae.import_checkpoint(tmp_path)
