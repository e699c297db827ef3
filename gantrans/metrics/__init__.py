"""Metrics of images, geometry, rules and whole sets. Images are (B, 1, H, W) in [0, 1], lengths nm."""

from gantrans.metrics.contours import EPE, Contours, epe, find_contours
from gantrans.metrics.corners import CornerRadius, corner_radius
from gantrans.metrics.cutlines import Runs, find_runs
from gantrans.metrics.design_rules import measured_rule, rule_valid, rule_violations, violation_rate
from gantrans.metrics.edge_roughness import (
    LineEdges,
    LineRoughness,
    edge_residuals,
    ler,
    line_edges,
    line_roughness,
    lwr,
    noise_variance,
    psd,
    unbiased_ler,
)
from gantrans.metrics.generative import (
    copy_rate,
    coverage,
    density,
    duplicate_share,
    frechet_distance,
    grey_share,
    nearest_distance,
    topology_counts,
    topology_distance,
    total_variation,
)
from gantrans.metrics.image import iou, l1, psnr, ssim, ssim_map
from gantrans.metrics.metrology import CDError, SignedEPE, cd_error, critical_dimension, signed_epe
from gantrans.metrics.report import ImageReport, image_report
from gantrans.metrics.spectrum import radial_spectrum, spectrum_error
from gantrans.metrics.topology import Topology, compare_topology

__all__ = [
    "EPE",
    "CDError",
    "Contours",
    "CornerRadius",
    "ImageReport",
    "LineEdges",
    "LineRoughness",
    "Runs",
    "SignedEPE",
    "Topology",
    "cd_error",
    "compare_topology",
    "copy_rate",
    "corner_radius",
    "coverage",
    "critical_dimension",
    "density",
    "duplicate_share",
    "edge_residuals",
    "epe",
    "find_contours",
    "find_runs",
    "frechet_distance",
    "grey_share",
    "image_report",
    "iou",
    "l1",
    "ler",
    "line_edges",
    "line_roughness",
    "lwr",
    "measured_rule",
    "nearest_distance",
    "noise_variance",
    "psd",
    "psnr",
    "radial_spectrum",
    "rule_valid",
    "rule_violations",
    "signed_epe",
    "spectrum_error",
    "ssim",
    "ssim_map",
    "topology_counts",
    "topology_distance",
    "total_variation",
    "unbiased_ler",
    "violation_rate",
]
