"""The vision transformer agrees with torch's own encoder layers under the same weights."""

import pytest
import torch
from torch import Tensor, nn

from tests.validators.features.own_files import transformer_weights
from validators.errors import ValidatorInputError
from validators.features.vision_transformer import vision_transformer

RNG = torch.Generator().manual_seed(5)
PICTURES = torch.randn(3, 3, 16, 16, generator=RNG)


def reference(weights: dict[str, Tensor], pictures: Tensor, heads: int) -> Tensor:
    """Return the class token by `nn.TransformerEncoderLayer`, patches cut out by hand."""
    width, _, patch, _ = weights["patch_embed.proj.weight"].shape
    cut = pictures.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 1, 4, 5).flatten(3)
    tokens = cut @ weights["patch_embed.proj.weight"].flatten(1).T + weights["patch_embed.proj.bias"]
    tokens = torch.cat([weights["cls_token"].repeat(len(cut), 1, 1), tokens.flatten(1, 2)], dim=1)
    tokens = tokens + weights["pos_embed"]
    position = 0
    while f"blocks.{position}.norm1.weight" in weights:
        own = {name.removeprefix(f"blocks.{position}."): one for name, one in weights.items()}
        layer = nn.TransformerEncoderLayer(
            width, heads, len(own["mlp.fc1.bias"]), 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": own["attn.qkv.weight"],
                "self_attn.in_proj_bias": own["attn.qkv.bias"],
                "self_attn.out_proj.weight": own["attn.proj.weight"],
                "self_attn.out_proj.bias": own["attn.proj.bias"],
                "linear1.weight": own["mlp.fc1.weight"],
                "linear1.bias": own["mlp.fc1.bias"],
                "linear2.weight": own["mlp.fc2.weight"],
                "linear2.bias": own["mlp.fc2.bias"],
                **{name: own[name] for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")},
            }
        )
        with torch.no_grad():
            tokens = layer.train()(tokens)
        position += 1
    return nn.functional.layer_norm(tokens, (width,), weights["norm.weight"], weights["norm.bias"], 1e-6)[:, 0]


@pytest.mark.parametrize("heads", [1, 3, 4])
def test_it_is_the_encoder_of_torch(heads: int) -> None:
    weights = transformer_weights()
    found = vision_transformer(weights, size=(16, 16), heads=heads)(PICTURES)
    torch.testing.assert_close(found, reference(weights, PICTURES, heads), atol=1e-5, rtol=1e-4)
    assert found.std() > 0.1


def test_scales_of_one_gates_and_registers_change_what_they_should() -> None:
    plain = transformer_weights()
    scaled = {**plain, **{f"blocks.{i}.ls{j}.gamma": torch.ones(24) for i in (0, 1) for j in (1, 2)}}
    there = vision_transformer(plain, size=(16, 16), heads=3)(PICTURES)
    torch.testing.assert_close(vision_transformer(scaled, size=(16, 16), heads=3)(PICTURES), there)
    # With both branches scaled to nothing only the class token is left, at its own place.
    nothing = {**scaled, **{name: torch.zeros(24) for name in scaled if name.endswith("gamma")}}
    token = plain["cls_token"][:, 0] + plain["pos_embed"][:, 0]
    alone = nn.functional.layer_norm(token, (24,), plain["norm.weight"], plain["norm.bias"], 1e-6)
    torch.testing.assert_close(vision_transformer(nothing, size=(16, 16))(PICTURES), alone.expand(3, -1))
    # A gate that is open, half of its way: silu(gate) * value, by hand for a perceptron whose attention is silent.
    gated = transformer_weights(depth=1, dino2=True)
    gated["blocks.0.ls1.gamma"] = torch.zeros(24)
    before = gated["cls_token"][:, 0] + gated["pos_embed"][:, 0]
    inner = nn.functional.layer_norm(
        before,
        (24,),
        gated["blocks.0.norm2.weight"],
        gated["blocks.0.norm2.bias"],
        1e-6,
    )
    both = inner @ gated["blocks.0.mlp.w12.weight"].T + gated["blocks.0.mlp.w12.bias"]
    hidden = both[:, :48] * torch.sigmoid(both[:, :48]) * both[:, 48:]
    told = hidden @ gated["blocks.0.mlp.w3.weight"].T + gated["blocks.0.mlp.w3.bias"]
    after = before + gated["blocks.0.ls2.gamma"] * told
    wanted = nn.functional.layer_norm(after, (24,), gated["norm.weight"], gated["norm.bias"], 1e-6)
    torch.testing.assert_close(
        vision_transformer(gated, size=(16, 16))(PICTURES), wanted.expand(3, -1), atol=1e-5, rtol=1e-4
    )


def test_registers_are_tokens_without_a_place() -> None:
    weights = transformer_weights(dino2=True)
    network = vision_transformer(weights, size=(16, 16), heads=3)
    moved = {**weights, "register_tokens": weights["register_tokens"].flip(1)}  # attention knows no order
    torch.testing.assert_close(vision_transformer(moved, size=(16, 16), heads=3)(PICTURES), network(PICTURES))
    without = {name: one for name, one in weights.items() if name != "register_tokens"}
    assert not torch.allclose(vision_transformer(without, size=(16, 16), heads=3)(PICTURES), network(PICTURES))


def test_positions_are_scaled_to_pictures_of_other_sizes() -> None:
    weights = transformer_weights()
    steps = torch.arange(4.0).repeat_interleave(4).view(1, 16, 1).expand(-1, -1, 24)
    down = {**weights, "pos_embed": torch.cat([weights["pos_embed"][:, :1], steps], dim=1)}
    found = vision_transformer(down, size=(32, 20), heads=3)._positions(8, 5)
    assert torch.equal(found[:, :1], down["pos_embed"][:, :1])
    grid = found[0, 1:].reshape(8, 5, 24)
    torch.testing.assert_close(grid, grid[:, :1, :1].expand_as(grid))  # the same along a row ...
    assert (grid[1:] > grid[:-1]).all()  # ... and rising from row to row,
    torch.testing.assert_close(grid.flip(0), 3 - grid, atol=1e-5, rtol=1e-5)  # as far from the top as from the bottom
    assert torch.equal(vision_transformer(down, size=(16, 16))._positions(4, 4), down["pos_embed"])
    assert vision_transformer(weights, size=(20, 12), heads=3)(torch.ones(1, 3, 20, 12)).shape == (1, 24)


def test_heads_have_64_features_where_nothing_is_said() -> None:
    assert vision_transformer(transformer_weights(width=128), size=(16, 16)).heads == 2
    assert vision_transformer(transformer_weights(), size=(16, 16)).heads == 1


def test_weights_of_another_network_are_refused() -> None:
    weights = transformer_weights()
    wrong = {
        "lack blocks.1.norm2.bias": {name: one for name, one in weights.items() if name != "blocks.1.norm2.bias"},
        "another shape": {**weights, "norm.weight": torch.ones(25)},
        "has no rope": {**weights, "rope": torch.ones(1)},
        "under DINO's names": {"conv1.weight": torch.ones(2, 3, 1, 1)},
        "no square grid": {**weights, "pos_embed": torch.zeros(1, 13, 24)},
        "lack blocks.0.mlp.fc1.weight": {n: one for n, one in weights.items() if n != "blocks.0.mlp.fc1.weight"},
    }
    for words, given in wrong.items():
        with pytest.raises(ValidatorInputError, match=words):
            vision_transformer(given, size=(16, 16))
    with pytest.raises(ValidatorInputError, match="multiples of 4"):
        vision_transformer(weights, size=(18, 16))
    with pytest.raises(ValidatorInputError, match="24 features"):
        vision_transformer(weights, size=(16, 16), heads=5)
