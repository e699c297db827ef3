"""Template matching: parity with scikit-image, recovery of known offsets, the quality-control flag."""

import numpy as np
import pytest
import torch
from skimage.feature import match_template

from gantrans.data.alignment import (
    MAX_OFFSET_PX,
    RAW_PX,
    TEMPLATE_PX,
    align,
    ncc,
    raw_fields,
    recovery_table,
    render_template,
)
from gantrans.data.layouts import FAMILIES, LayoutConfig
from gantrans.errors import DataError


@pytest.fixture(scope="module")
def fields():  # type: ignore[no-untyped-def]
    return raw_fields("sky130", count=6, seed=2)


def test_ncc_equals_match_template(fields) -> None:  # type: ignore[no-untyped-def]
    """Real fields, and noise on a large pedestal, where sums of squares lose digits."""
    generator = torch.Generator().manual_seed(0)
    noise = 1000 + torch.rand(1, 40, 47, generator=generator)
    cases = [(fields.raw[:2, 0], fields.template[:2, 0]), (noise, noise[:, 9:30, 5:38] * -3 + 2)]
    for field, template in cases:
        ours = ncc(field, template).numpy()
        for one, f, t in zip(ours, field.double().numpy(), template.double().numpy(), strict=True):
            theirs = match_template(f - f.mean(), t)
            assert np.abs(one).argmax() == np.abs(theirs).argmax()
            np.testing.assert_allclose(one, theirs, atol=1e-4)


def test_ncc_is_one_at_a_perfect_match_whatever_gain_and_offset() -> None:
    image = torch.rand(1, 50, 60, generator=torch.Generator().manual_seed(1))
    scores = ncc(image, 0.2 * image[:, 7:40, 11:50] + 0.5)[0]
    assert scores[7, 11].item() == pytest.approx(1.0, abs=1e-6)  # the template was rounded to float32
    assert (scores > 0.99).sum() == 1
    assert ncc(torch.ones(1, 20, 20), torch.rand(1, 5, 5)).abs().max() == 0


def test_offsets_are_found_and_the_crop_is_cut_there(fields) -> None:  # type: ignore[no-untyped-def]
    assert fields.raw.shape[-1] == RAW_PX
    assert fields.template.shape[-1] == TEMPLATE_PX
    assert fields.offset.abs().max() <= MAX_OFFSET_PX
    assert fields.offset.unique(dim=0).shape[0] == 6
    found = align(fields.raw, fields.template)
    assert (found.offset - fields.offset).abs().max() <= 1
    assert found.ok.all()
    y, x = (found.offset[3] + (RAW_PX - TEMPLATE_PX) // 2).tolist()
    assert torch.equal(found.crop[3], fields.raw[3, :, y : y + TEMPLATE_PX, x : x + TEMPLATE_PX])


def test_a_wrong_template_is_flagged(fields) -> None:  # type: ignore[no-untyped-def]
    assert not align(fields.raw, fields.template.roll(1, 0)).ok.any()


def test_a_periodic_pattern_is_flagged_although_its_score_is_high() -> None:
    lines = LayoutConfig(weights=tuple(float(f == "line_space") for f in FAMILIES))
    fields = raw_fields("procedural", count=3, layout=lines)
    found = align(fields.raw, fields.template)
    assert (found.score > 0.5).all()
    assert not found.ok.any()


def test_recovery_falls_with_dose_and_failures_are_flagged_not_silent() -> None:
    rows = recovery_table((0.5, 30.0), count=6)
    assert [row["dose"] for row in rows] == [0.5, 30.0]
    assert rows[0]["score"] < rows[1]["score"]
    assert rows[0]["flagged"] == 1.0
    assert rows[1]["recovered"] == 1.0
    assert all(row["silent"] == 0 for row in rows)


def test_the_template_is_bright_at_drawn_edges_and_free_of_noise() -> None:
    layout = torch.zeros(1, 1, 60, 60)
    layout[..., 20:40] = 1
    template = render_template(layout, 10.0)
    assert torch.equal(template, render_template(layout, 10.0))
    assert template[0, 0].std(0).max() < 1e-3
    profile = template[0, 0, 30]
    assert {18, 19, 20, 21} & set(profile[:30].topk(2).indices.tolist())
    assert profile[19] > profile[30] > profile[5]


def test_a_template_larger_than_its_field_is_refused() -> None:
    with pytest.raises(DataError, match="larger than its field"):
        align(torch.rand(1, 1, 20, 20), torch.rand(1, 1, 21, 10))
