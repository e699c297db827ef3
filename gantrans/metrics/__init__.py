"""Metrics of images, edges, lines and topology, in batches. Images are (B, 1, H, W) in [0, 1], lengths nm."""

from gantrans.metrics.contours import EPE, Contours, epe, find_contours
from gantrans.metrics.cutlines import Runs, find_runs
from gantrans.metrics.edge_roughness import (
    LineEdges,
    LineRoughness,
    edge_residuals,
    ler,
    line_edges,
    line_roughness,
    lwr,
    psd,
)
from gantrans.metrics.image import iou, l1, psnr, ssim, ssim_map
from gantrans.metrics.metrology import CDError, SignedEPE, cd_error, critical_dimension, signed_epe
from gantrans.metrics.report import ImageReport, image_report
from gantrans.metrics.topology import Topology, compare_topology

__all__ = [
    "EPE",
    "CDError",
    "Contours",
    "ImageReport",
    "LineEdges",
    "LineRoughness",
    "Runs",
    "SignedEPE",
    "Topology",
    "cd_error",
    "compare_topology",
    "critical_dimension",
    "edge_residuals",
    "epe",
    "find_contours",
    "find_runs",
    "image_report",
    "iou",
    "l1",
    "ler",
    "line_edges",
    "line_roughness",
    "lwr",
    "psd",
    "psnr",
    "signed_epe",
    "ssim",
    "ssim_map",
]
