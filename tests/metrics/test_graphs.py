"""A metric takes an image that carries a graph, writes nothing into it, and measures the same as without."""

from collections.abc import Callable
from dataclasses import astuple, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from gantrans import metrics
from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8

NM = 20.0
PAIRWISE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "l1": metrics.l1,
    "psnr": lambda a, b: metrics.psnr(a, b, data_range=1.0),
    "iou": metrics.iou,
    "ssim": lambda a, b: metrics.ssim(a, b, data_range=1.0),
    "ssim_map": lambda a, b: metrics.ssim_map(a, b, data_range=1.0),
    "epe": lambda a, b: metrics.epe(a, b, NM),
    "signed_epe": lambda a, b: metrics.signed_epe(a, b, NM),
    "cd_error": lambda a, b: metrics.cd_error(a, b, NM),
    "corner_radius": lambda a, b: metrics.corner_radius(a, b, NM),
    "topology": metrics.compare_topology,
    "line_roughness": lambda a, b: metrics.line_roughness(a, b, NM),
    "report": lambda a, b: metrics.image_report(a, b, NM, ["x"] * len(a)).to_dict(),
    "topology_distance": metrics.topology_distance,
    "nearest_distance": metrics.nearest_distance,
    "copy_rate": metrics.copy_rate,
}
ALONE: dict[str, Callable[[Tensor], Any]] = {
    "find_contours": metrics.find_contours,
    "find_runs": metrics.find_runs,
    "critical_dimension": lambda a: metrics.critical_dimension(a, NM),
    "rule_violations": lambda a: metrics.rule_violations(a, 3, 3),
    "measured_rule": metrics.measured_rule,
    "topology_counts": metrics.topology_counts,
    "grey_share": lambda a: metrics.grey_share(2 * a - 1),
    "duplicate_share": metrics.duplicate_share,
}


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    pairs = make_pairs("procedural", size=32, count=6, difficulty="easy", progress=False)
    return unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)


def plain(value: Any) -> Any:
    """Nested tensors and arrays as lists; NaN as a word, so that equal means equal."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return plain(astuple(value))
    if isinstance(value, Tensor):
        return plain(value.detach().tolist())
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and value != value:
        return "nan"
    return value.tolist() if hasattr(value, "tolist") else value


@pytest.mark.parametrize("name", [*PAIRWISE, *ALONE])
def test_a_graph_changes_no_measure_and_no_image_is_written_to(
    name: str, images: tuple[Tensor, Tensor]
) -> None:
    given = images if name in PAIRWISE else images[:1]
    metric = PAIRWISE.get(name) or ALONE[name]
    before = [image.clone() for image in given]
    versions = [image._version for image in given]
    expected = plain(metric(*given))
    assert [image._version for image in given] == versions
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert plain(metric(*(image.clone().requires_grad_() for image in given))) == expected
