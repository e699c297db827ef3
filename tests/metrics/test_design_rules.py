"""The design-rule check against drawn bitmaps, an independent implementation and its symmetries."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from gantrans.data import ClipConfig, make_clips
from gantrans.data.pairs import dihedral
from gantrans.errors import DataError
from gantrans.metrics import measured_rule, rule_penalty, rule_valid, rule_violations, violation_rate

noise = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
# Squares of two or three pixels: wide features, their necks and narrow spaces are common here.
squares = st.tuples(arrays.arrays(np.bool_, (4, 4)), st.integers(2, 3), st.integers(0, 2), st.integers(0, 2))
coarse = squares.map(lambda d: np.kron(d[0], np.ones((d[1], d[1]), bool))[d[2] :, d[3] :])
rule = st.integers(1, 4)


def bitmap(text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(image, expected violations): # legal feature, . legal space; X feature and o space that violate."""
    rows = [list(row) for row in text.split()]
    image = torch.tensor([[float(pixel in "#X") for pixel in row] for row in rows])
    wrong = torch.tensor([[pixel in "Xo" for pixel in row] for row in rows])
    return image[None, None], wrong[None, None]


DRAWN = {
    "legal L": """
        .........
        ..###....
        ..###....
        ..###....
        ..######.
        ..######.
        ..######.
        .........
        .........""",
    "line that ends inside": """
        ........
        ........
        ........
        ...XX...
        ...XX...
        ...XX...
        ...XX...
        ...XX...""",
    "line that thins at its end": """
        ..........
        ....XX....
        ....XX....
        ....###...
        ....###...
        ....###...
        ..........
        ..........""",
    "narrow space": """
        ..........
        ###oo#####
        ###oo#####
        ###oo#####
        ..........
        ..........
        ..........""",
    "slit in a plate": """
        ##########
        ##########
        ##########
        ###oooo###
        ##########
        ##########
        ##########""",
    "corner contact": """
        ###.....
        ###.....
        ##Xo....
        ..oX##..
        ...###..
        ...###..
        ........
        ........""",
    "diagonal neck": """
        .........
        .###.....
        .#XX.....
        .#XXX#...
        ...XX#...
        ...###...
        .........
        .........""",
    "step that leaves two pixels": """
        ###......
        ###......
        ##X......
        ##XX##...
        ##XX##...
        ...X#####
        ...######
        ...######""",
    "step that leaves three pixels": """
        ###......
        ###......
        ###......
        ######...
        ######...
        ######...
        ...######
        ...######
        ...######""",
    "diagonal space": """
        ###.......
        ###.......
        ###oo.....
        ..ooo.....
        ..oo###...
        ....###...
        ....###...
        ..........""",
    "diagonal space just wide enough": """
        ###.........
        ###.........
        ###.........
        ............
        ............
        ............
        ...###......
        ...###......
        ...###......""",
    "cut by the border": """
        #...###...##
        #...###...##
        ....###.....
        ....###.....
        ....###.....
        ............
        ............
        ............
        ##...####...
        ##...####...""",
    "too narrow where it is cut": """
        ...XX...###
        ...XX...###
        ...XX...###
        ...........
        ...........
        ...........
        ###.....XXX
        ###.....XXX
        ###........
        ...........
        ...........""",
}
OPENING_IS_BLIND = ("corner contact", "diagonal neck", "step that leaves two pixels", "diagonal space")


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_bitmaps(name: str) -> None:
    image, wrong = bitmap(DRAWN[name])
    found = rule_violations(image, 3, 3)
    assert torch.equal(found, wrong), f"\n{found[0, 0].int()}"
    assert rule_valid(image, 3, 3).tolist() == [not wrong.any()]
    assert violation_rate(image, 3, 3).item() == pytest.approx(wrong.float().mean().item())


@pytest.mark.parametrize("name", OPENING_IS_BLIND)
def test_an_opening_alone_would_miss(name: str) -> None:
    image = bitmap(DRAWN[name])[0][0, 0].numpy() > 0.5
    for kind in (image, ~image):
        assert not lost_by_opening(kind, 3).any()


@pytest.mark.parametrize(("width", "space", "row"), [
    (2, 2, "....##..####...."), (3, 2, "....XX..####...."),
    (2, 3, "....##oo####...."), (5, 1, "....XX..XXXX...."),
])  # fmt: skip
def test_width_and_space_are_separate_rules(width: int, space: int, row: str) -> None:
    image, wrong = bitmap("\n".join([row] * 12))
    assert torch.equal(rule_violations(image, width, space), wrong)


@pytest.mark.parametrize(("across", "legal"), [(3, False), (4, True), (5, True)])
def test_diagonal_distance_is_euclidean(across: int, legal: bool) -> None:
    """Two squares, 3 px apart in one direction: 3-4-5 is the first distance that rule 5 allows."""
    image = torch.zeros(1, 1, 18, 18)
    image[..., 1:7, 1:7] = image[..., 10:16, 7 + across : 13 + across] = 1.0
    assert rule_valid(image, 5, 5).item() is legal


def lost_by_opening(kind: np.ndarray, side: int) -> np.ndarray:
    padded = np.pad(kind, side, constant_values=True)
    lost = padded & ~ndimage.binary_opening(padded, np.ones((side, side)))
    return lost[side:-side, side:-side]


def slow_violations(image: np.ndarray, width: int, space: int) -> np.ndarray:
    """Every box, one after the other, as the definition reads."""
    found = np.zeros_like(image)
    for kind, least in ((image, width), (~image, space)):
        found |= lost_by_opening(kind, least)
        for (y0, x0), (y1, x1) in product(np.ndindex(kind.shape), repeat=2):
            if y1 <= y0 or x1 <= x0 or (y1 - y0 - 1) ** 2 + (x1 - x0 - 1) ** 2 >= least**2:
                continue
            box = kind[y0 : y1 + 1, x0 : x1 + 1]
            for corners in (box, box[:, ::-1]):
                if box.sum() == box.size - 2 and not corners[0, 0] and not corners[-1, -1]:
                    found[y0 : y1 + 1, x0 : x1 + 1] |= box if box.size > 4 else np.True_
    return found


@settings(max_examples=150, deadline=None)
@given(noise | coarse, rule, rule)
def test_equals_the_definition_pixel_by_pixel(image: np.ndarray, width: int, space: int) -> None:
    found = rule_violations(torch.from_numpy(image).float()[None, None], width, space)[0, 0]
    np.testing.assert_array_equal(found.numpy(), slow_violations(image, width, space))


@settings(max_examples=100, deadline=None)
@given(noise | coarse, rule, rule)
def test_the_penalty_of_a_binary_clip_is_the_share_that_no_square_covers(
    image: np.ndarray, width: int, space: int
) -> None:
    uncovered = np.zeros(image.shape, bool)
    for kind, side in ((image, width), (~image, space)):
        opened = ndimage.binary_opening(np.pad(kind, side, constant_values=True), np.ones((side, side)))
        uncovered |= kind & ~opened[side:-side, side:-side]
    found = rule_penalty(torch.from_numpy(image).float()[None, None], width, space)
    assert float(found) == pytest.approx(uncovered.mean())


def test_the_gradient_of_the_penalty_widens_a_thin_line() -> None:
    """Of a line of 2 px under a rule of 3: the line fades, or a pixel beside it grows."""
    image = torch.full((1, 1, 9, 9), 0.1)
    image[..., 3:5] = 0.9
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(rule_penalty(image, 3, 3).sum(), image)
    assert float(gradient[..., 3:5].sum()) > 0
    assert float(gradient[..., [2, 5]].sum()) < 0
    assert float(gradient[..., 7:].abs().sum()) == 0


@settings(max_examples=60, deadline=None)
@given(noise | coarse, rule, rule, st.integers(0, 7))
def test_turns_with_the_image(image: np.ndarray, width: int, space: int, element: int) -> None:
    x = torch.from_numpy(image).float()[None, None]
    turned = rule_violations(dihedral(x, element), width, space)
    assert torch.equal(turned, dihedral(rule_violations(x, width, space), element))


@settings(max_examples=60, deadline=None)
@given(noise | coarse, rule, rule)
def test_the_inverted_image_swaps_the_rules(image: np.ndarray, width: int, space: int) -> None:
    x = torch.from_numpy(image).float()[None, None]
    assert torch.equal(rule_violations(1 - x, space, width), rule_violations(x, width, space))


@settings(max_examples=100, deadline=None)
@given(noise | coarse, rule, rule, st.data())
def test_a_cut_never_makes_a_violation(
    image: np.ndarray, width: int, space: int, data: st.DataObject
) -> None:
    (y0, y1), (x0, x1) = (sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in image.shape)
    if y0 == y1 or x0 == x1:
        return
    x = torch.from_numpy(image).float()[None, None]
    whole = rule_violations(x, width, space)[..., y0:y1, x0:x1]
    part = rule_violations(x[..., y0:y1, x0:x1], width, space)
    assert not (part & ~whole).any()


def test_a_batch_is_judged_image_by_image_whatever_its_grey() -> None:
    drawn = [bitmap(text)[0] for text in DRAWN.values()]
    images = torch.cat([image[..., :8, :8] for image in drawn if min(image.shape[-2:]) >= 8])
    batch = rule_violations(images * 0.4 + 0.3, 3, 3)  # 0.3 and 0.7 are background and feature
    assert torch.equal(batch, torch.cat([rule_violations(image[None], 3, 3) for image in images]))
    assert 0 < batch.flatten(1).any(1).sum() < len(images)


def test_measured_rule_finds_what_was_drawn_and_forgives_a_few() -> None:
    clips = make_clips(ClipConfig(rule_px=4), "train", 100).unit()
    assert measured_rule(clips) == (4, 4)
    clips[7] = 0.0
    clips[7, :, 10:12, 10:12] = 1.0  # one clip of a hundred has a feature of 2 px
    assert measured_rule(clips, tolerance=0.02) == (4, 4)
    assert measured_rule(clips, tolerance=0.005) == (2, 4)
    assert measured_rule(bitmap(DRAWN["corner contact"])[0]) == (0, 0)
    assert measured_rule(torch.ones(2, 1, 8, 10)) == (4, 4)


def test_what_has_no_answer_is_refused() -> None:
    image = torch.zeros(1, 1, 8, 8)
    with pytest.raises(DataError, match=r"space_px is 0; it must be a whole number of pixels"):
        rule_violations(image, 3, 0)
    with pytest.raises(DataError, match=r"spans -1 to -1, outside \[0, 1\]; convert network output"):
        rule_valid(image - 1, 3, 3)
    with pytest.raises(DataError, match="NaN"):
        violation_rate(image * float("nan"), 3, 3)
    with pytest.raises(DataError, match="must be"):
        rule_valid(image[0], 3, 3)
