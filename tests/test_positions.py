"""Positions: MAE's table where there is a grid, and a vector anywhere else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadConfig, BadInput
from anymae.positions import NoPosition, SinCosPosition, TablePosition


def waves(place: float, width: int, longest: float = 10000.0) -> np.ndarray:
    """[sin, cos] of one coordinate at ``width / 2`` frequencies."""
    angles = place * longest ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)])


def mae_table(rows: int, columns: int, width: int) -> np.ndarray:
    """MAE's table as its facts describe it: the column takes the first half of the width."""
    return np.array(
        [
            np.concatenate([waves(column, width // 2), waves(row, width // 2)])
            for row in range(rows)
            for column in range(columns)
        ]
    )


def grid(rows: int, columns: int) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def close(found: torch.Tensor, wanted) -> None:
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=0, atol=1e-6)


# Sines and cosines


@pytest.mark.parametrize("width", [8, 64, 192])
def test_a_grid_gets_the_table_of_mae(width):
    found = SinCosPosition().build(2, width)(grid(5, 7))
    assert found.dtype == torch.float32
    close(found, mae_table(5, 7, width))


def test_the_first_half_is_the_column():
    module = SinCosPosition().build(2, 16)
    same_column = module(torch.tensor([[0, 3], [5, 3]]))
    assert torch.equal(same_column[0, :8], same_column[1, :8])
    assert not torch.equal(same_column[0, 8:], same_column[1, 8:])


@given(st.lists(st.tuples(*[st.integers(0, 4000)] * 2), min_size=1, max_size=5))
def test_whole_coordinates_are_the_same_as_real_ones(coords):
    module = SinCosPosition().build(2, 32)
    whole = torch.tensor(coords)
    close(module(whole), module(whole.double()).numpy())


@pytest.mark.parametrize("place", [-3, 4095, 4096, 100_000])
def test_coordinates_outside_the_small_table_are_computed(place):
    close(SinCosPosition().build(1, 8)(torch.tensor([[place]])), waves(place, 8)[None])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64], ids=str)
def test_every_whole_type_is_a_coordinate(dtype):
    coords = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
    close(SinCosPosition().build(2, 16)(coords), mae_table(5, 5, 16)[[1 * 5 + 2, 3 * 5 + 4]])


def test_a_table_made_for_small_grids_serves_larger_ones():
    module = SinCosPosition().build(2, 16)
    module(grid(2, 2))
    close(module(grid(9, 9)), mae_table(9, 9, 16))


def test_width_that_does_not_divide_is_filled_with_zeros():
    found = SinCosPosition().build(3, 16)(torch.tensor([[1.0, 2.0, 3.0]]))
    wanted = np.concatenate([waves(3, 4), waves(2, 4), waves(1, 4), np.zeros(4)])
    close(found, wanted[None])


def test_no_tokens_have_no_positions():
    assert SinCosPosition().build(2, 16)(torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 16)


def test_the_longest_wave_can_be_chosen():
    close(SinCosPosition(longest=50).build(1, 8)(torch.tensor([[7]])), waves(7, 8, 50)[None])


def test_too_narrow_a_width_is_refused():
    with pytest.raises(BadConfig, match="width 4 is too narrow for 3 coordinates"):
        SinCosPosition().build(3, 4)


def test_sines_hold_nothing_to_train_or_to_save():
    module = SinCosPosition().build(2, 16)
    assert not list(module.parameters())
    assert not module.state_dict()


# A learned table


def test_a_table_gives_each_cell_its_row():
    module = TablePosition(shape=(3, 4)).build(2, 8)
    found = module(torch.tensor([[0, 0], [1, 2], [2, 3]]))
    assert torch.equal(found, module.table[[0, 6, 11]])
    assert module.table.requires_grad


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ([1, 4], "on axis 1; found coordinate 4; expected"),
        ([3, 0], "on axis 0; found coordinate 3; expected"),
        ([1, -1], "on axis 1; found coordinate -1; expected"),
    ],
    ids=str,
)
def test_a_token_off_the_table_is_refused(place, said):
    module = TablePosition(shape=(3, 4)).build(2, 8)
    with pytest.raises(BadInput) as caught:
        module(torch.tensor([[0, 0], place]))
    assert said in str(caught.value)
    assert "position=sincos" in str(caught.value)


def test_a_table_has_one_size_per_coordinate():
    with pytest.raises(BadConfig, match="found 1 sizes; expected 2"):
        TablePosition(shape=(3,)).build(2, 8)


# None


def test_no_position_is_zero_everywhere():
    found = NoPosition().build(2, 8)(grid(2, 3))
    assert torch.equal(found, torch.zeros(6, 8))
