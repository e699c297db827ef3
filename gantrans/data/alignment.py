"""Alignment of a template with a raw field by normalised cross-correlation (NCC), with score and quality
flag.

A raw SEM field (304 px) is larger than the template (250 px) and offset by up to 25 px each way. The
template is not the layout itself: edges are bright in an SEM image, so the layout is first rendered as the
expected, noise-free image. NCC as in Lewis, "Fast template matching" (Vision Interface 1995), in float64,
equal to scikit-image's `match_template`; all fields of a batch share the FFTs.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrans.data.cells import CellConfig, cell_layouts
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig, context_px, procedural_layouts
from gantrans.data.printing import gaussian_operator, print_layouts
from gantrans.data.sem import acquire
from gantrans.data.simulator import simulate
from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError

RAW_PX, TEMPLATE_PX, MAX_OFFSET_PX = 304, 250, 25
MIN_SCORE = 0.30  # scores of wrong templates are up to about .24
MIN_LEAD = 0.10  # below it, another position matches nearly as well (periodic patterns)


@dataclass(frozen=True)
class RawFields:
    """Raw fields, the layout clips they contain, and the true offsets.

    raw: (N, 1, 304, 304) SEM, float32 in [0, 1]. layout: (N, 1, 250, 250) drawn clip, coverage in [0, 1].
    template: (N, 1, 250, 250) the clip rendered as an expected SEM image. offset: (N, 2) int64, true
    (down, right) displacement in pixels of the clip from the field's centre. family: N labels.
    """

    raw: Tensor
    layout: Tensor
    template: Tensor
    offset: Tensor
    family: list[str]


@dataclass(frozen=True)
class Alignment:
    """Position and quality of a template match.

    offset: (B, 2) int64 (down, right) from the centred position. score: (B,) NCC at the peak, in [-1, 1].
    lead: (B,) how far the score exceeds the best one more than 5 px away; near 0 on periodic patterns, where
    several positions match equally well. ok: (B,) bool, False where score or lead is too low, so that the
    match needs a check. crop: (B, 1, h, w) cut out at the peak.
    """

    offset: Tensor
    score: Tensor
    lead: Tensor
    ok: Tensor
    crop: Tensor


def align(
    raw: Tensor,
    template: Tensor,
    *,
    blur_px: float = 2.0,
    min_score: float = MIN_SCORE,
    min_lead: float = MIN_LEAD,
) -> Alignment:
    """Locate each template in its raw field and cut out the part that it covers.

    Args:
        raw: (B, 1, H, W); template: (B, 1, h, w), not larger. Any units: NCC does not depend on gain and
            offset.
        blur_px: sigma of the Gaussian blur of both before matching (not of the crop); 0 for none.
        min_score, min_lead: an alignment below either is returned with ok = False.

    Raises:
        DataError: for images of the wrong rank or a template larger than its field.
    """
    if raw.ndim != 4 or template.ndim != 4 or raw.shape[:2] != template.shape[:2] or raw.shape[1] != 1:
        raise DataError(
            f"Alignment needs (B, 1, H, W) images, not {tuple(raw.shape)} and {tuple(template.shape)}."
        )
    height, width = template.shape[-2:]
    if height > raw.shape[-2] or width > raw.shape[-1]:
        raise DataError(f"The template {height} x {width} is larger than its field {tuple(raw.shape[-2:])}.")
    scores = ncc(_blur(raw[:, 0], blur_px), _blur(template[:, 0], blur_px))  # (B, rows, columns)
    rows, columns = scores.shape[-2:]
    score, flat = scores.flatten(1).max(dim=1)
    peak = torch.stack([flat // columns, flat % columns], dim=1)
    lead = score - _best_elsewhere(scores, peak)
    crop = torch.stack(
        [f[:, y : y + height, x : x + width] for f, (y, x) in zip(raw, peak.tolist(), strict=True)]
    )
    centre = torch.tensor([(rows - 1) // 2, (columns - 1) // 2])
    return Alignment(peak - centre, score, lead, (score >= min_score) & (lead >= min_lead), crop)


def ncc(field: Tensor, template: Tensor) -> Tensor:
    """Normalised cross-correlation at every position where the template fits.

    Args:
        field: (B, H, W); template: (B, h, w).

    Returns:
        (B, H - h + 1, W - w + 1) float64 in [-1, 1]; 0 where field or template is constant.
    """
    field = field.double() - field.double().mean((-2, -1), keepdim=True)  # for accurate window sums
    template = template.double() - template.double().mean((-2, -1), keepdim=True)
    (height, width), (rows, columns) = template.shape[-2:], field.shape[-2:]
    spectrum = torch.fft.rfft2(field) * torch.fft.rfft2(template, s=(rows, columns)).conj()
    valid = (..., slice(rows - height + 1), slice(columns - width + 1))  # positions without wrap-around
    product = torch.fft.irfft2(spectrum, s=(rows, columns))[valid]
    mean = _window_sum(field, height, width) / (height * width)
    energy = _window_sum(field**2, height, width) - mean**2 * (height * width)
    norm = (energy.clamp(min=0.0) * (template**2).sum((-2, -1), keepdim=True)).sqrt()
    return torch.where(norm > 1e-9 * rows * columns, product / norm.clamp(min=1e-300), 0.0).clamp(-1.0, 1.0)


def render_template(layout: Tensor, pixel_nm: float, imaging: ImagingConfig | None = None) -> Tensor:
    """The expected SEM image of a drawn layout: no roughness, bias, fading, charging or noise.

    Args:
        layout: (N, 1, S, S) coverage in [0, 1].

    Returns:
        (N, 1, S, S) float32 in [0, 1].
    """
    nominal = dataclasses.replace(
        (imaging or PRESETS["default"]).fixed(),
        cd_bias_nm=(0.0, 0.0),
        ler_sigma_nm=(0.0, 0.0),
        edge_dropout=0.0,
        charging=(0.0, 0.0),
        ramp=(0.0, 0.0),
    )
    indices = range(len(layout))  # no random quantities are left, so any streams will do
    distance = print_layouts(layout[:, 0], nominal, pixel_nm, 0, indices)
    return acquire(distance, nominal, pixel_nm, 0, indices, noise=False).unsqueeze(1)


def raw_fields(
    source: str,
    *,
    count: int,
    split: str = "train",
    pixel_nm: float = 10.0,
    imaging: ImagingConfig | None = None,
    seed: int = 0,
    layer: str = "li1",
    layout: LayoutConfig | None = None,
) -> RawFields:
    """Simulate raw fields whose template is up to 25 px off centre; field `i` depends on its index alone.

    Args:
        source: "procedural" or "sky130". `layout` may restrict the procedural families (its size is
        replaced).
        imaging: conditions of the raw field (default: the preset "default"); the template is rendered
        nominally.
    """
    conditions, margin = imaging or PRESETS["default"], context_px(pixel_nm)
    (stream,) = stream_seeds(seed, f"raw/{source}/{split}", [0])
    if source == "procedural":
        config = dataclasses.replace(layout or LayoutConfig(), size_px=RAW_PX, pixel_nm=pixel_nm)
        drawn = procedural_layouts(config, stream, range(count), margin_px=margin)
    elif source == "sky130":
        drawn = cell_layouts(
            CellConfig(layer, split, RAW_PX, pixel_nm), stream, range(count), margin_px=margin
        )
    else:
        raise DataError(f"source is {source!r}; choose one of procedural, sky130.")
    raw = simulate(drawn, conditions, stream, range(count)).sem
    offset = torch.stack([_random_offset(item) for item in stream_seeds(stream, "offset", range(count))])
    first = (RAW_PX - TEMPLATE_PX) // 2
    clips = torch.stack(
        [
            clip[:, first + y : first + y + TEMPLATE_PX, first + x : first + x + TEMPLATE_PX]
            for clip, (y, x) in zip(drawn.clip, offset.tolist(), strict=True)
        ]
    )
    return RawFields(raw, clips, render_template(clips, pixel_nm, conditions), offset, drawn.family)


def recovery_table(
    doses: Sequence[float] = (1.0, 3.0, 10.0, 30.0), *, source: str = "sky130", count: int = 16, seed: int = 0
) -> list[dict[str, float]]:
    """Success rates of the alignment for decreasing dose (increasing noise).

    Returns:
        One row per "dose" (electrons per pixel), with shares of all fields: "recovered", located within 1 px
        (fading edges and roughness can shift the best match that far); "flagged", ok = False; "silent", more
        than 1 px off although ok = True, which should be 0; and "score", the mean NCC.
    """
    rows = []
    for dose in doses:
        imaging = dataclasses.replace(PRESETS["hard"], dose=(dose, dose))
        fields = raw_fields(source, count=count, imaging=imaging, seed=seed)
        found = align(fields.raw, fields.template)
        error = (found.offset - fields.offset).abs().amax(dim=1)
        rows.append(
            {
                "dose": float(dose),
                "recovered": (error <= 1).double().mean().item(),
                "flagged": (~found.ok).double().mean().item(),
                "silent": ((error > 1) & found.ok).double().mean().item(),
                "score": found.score.mean().item(),
            }
        )
    return rows


def _random_offset(item: int) -> Tensor:
    generator = torch.Generator().manual_seed(item)
    return torch.randint(-MAX_OFFSET_PX, MAX_OFFSET_PX + 1, (2,), generator=generator)


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    """Separable Gaussian blur of (B, H, W), renormalised at the border; in float64."""
    if sigma_px <= 0:
        return image.double()
    down, across = (gaussian_operator(n, torch.tensor([sigma_px]))[0].double() for n in image.shape[-2:])
    return down @ image.double() @ across.T


def _window_sum(image: Tensor, height: int, width: int) -> Tensor:
    """Sum over every (height, width) window of (B, H, W), by an integral image."""
    total = torch.nn.functional.pad(image.cumsum(-2).cumsum(-1), (1, 0, 1, 0))
    strip = total[..., height:, :] - total[..., :-height, :]
    return strip[..., width:] - strip[..., :-width]


def _best_elsewhere(scores: Tensor, peak: Tensor, radius: int = 5) -> Tensor:
    """(B,) highest score more than `radius` pixels from the peak in either axis; -1 if there is none."""
    rows, columns = (torch.arange(n) for n in scores.shape[-2:])
    far = (rows - peak[:, :1]).abs()[:, :, None] > radius
    far = far | ((columns - peak[:, 1:]).abs()[:, None, :] > radius)
    return scores.masked_fill(~far, -1.0).flatten(1).amax(dim=1)
