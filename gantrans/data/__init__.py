"""Layouts, printing and SEM imaging, alignment, and image pairs for training."""

from gantrans.data.alignment import Alignment, RawFields, align, raw_fields, recovery_table, render_template
from gantrans.data.cells import CellConfig, cell_layouts, load_cells
from gantrans.data.clips import ClipConfig, Clips, make_clips, split_of
from gantrans.data.digits import Digits, load_digits
from gantrans.data.folder import PairedFolder, read_image, write_pairs
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import FAMILIES, LayoutConfig, Layouts, context_px, procedural_layouts
from gantrans.data.pairs import BatchSource, PairedDataset, StratifiedSampler, make_pairs
from gantrans.data.reading import SUFFIXES as IMAGE_SUFFIXES
from gantrans.data.simulator import Simulated, simulate
from gantrans.data.writing import write_classes, write_image

__all__ = [
    "FAMILIES",
    "IMAGE_SUFFIXES",
    "PRESETS",
    "Alignment",
    "BatchSource",
    "CellConfig",
    "ClipConfig",
    "Clips",
    "Digits",
    "ImagingConfig",
    "LayoutConfig",
    "Layouts",
    "PairedDataset",
    "PairedFolder",
    "RawFields",
    "Simulated",
    "StratifiedSampler",
    "align",
    "cell_layouts",
    "context_px",
    "load_cells",
    "load_digits",
    "make_clips",
    "make_pairs",
    "procedural_layouts",
    "raw_fields",
    "read_image",
    "recovery_table",
    "render_template",
    "simulate",
    "split_of",
    "write_classes",
    "write_image",
    "write_pairs",
]
