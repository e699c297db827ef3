"""Image-to-image translation; the directions are registered in `gantrans.directions`."""

from gantrans.translation.answers import ensemble_interval, fewest_answers, widening
from gantrans.translation.baselines import BASELINES, DENOISE_OTSU, choose_baseline, denoise, segment
from gantrans.translation.bidirectional import BOTH, GENERATORS, BidirectionalConfig, BidirectionalTask
from gantrans.translation.buffer import ImageBuffer
from gantrans.translation.conditional import (
    ConditionalDiffusionConfig,
    ConditionalDiffusionTask,
    DiffusionGenerator,
)
from gantrans.translation.diagnostics import DIAGNOSES, Diagnosis, Thresholds, diagnose, diagnose_both
from gantrans.translation.evaluate import Evaluation, evaluate_pairs, evaluate_run
from gantrans.translation.feature_matching import FM_CONVENTIONS, feature_matching
from gantrans.translation.files import predict_files
from gantrans.translation.generators import build_generator
from gantrans.translation.inference import translate
from gantrans.translation.losses import ADVERSARIAL_LOSSES, AdversarialLoss
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.predictor import Predictor
from gantrans.translation.recipes import (
    RECIPES,
    Recipe,
    build_task,
    check_one_way,
    load_recipe,
    production_recipe,
    recipe,
    train_recipe,
    validation_of,
)
from gantrans.translation.sources import DataSpec
from gantrans.translation.validation import BothValidation, DrawnValidation, Validation

__all__ = [
    "ADVERSARIAL_LOSSES",
    "BASELINES",
    "BOTH",
    "DENOISE_OTSU",
    "DIAGNOSES",
    "FM_CONVENTIONS",
    "GENERATORS",
    "RECIPES",
    "AdversarialLoss",
    "BidirectionalConfig",
    "BidirectionalTask",
    "BothValidation",
    "ConditionalDiffusionConfig",
    "ConditionalDiffusionTask",
    "DataSpec",
    "Diagnosis",
    "DiffusionGenerator",
    "DrawnValidation",
    "Evaluation",
    "ImageBuffer",
    "Pix2PixConfig",
    "Pix2PixTask",
    "Predictor",
    "Recipe",
    "Thresholds",
    "Validation",
    "build_generator",
    "build_task",
    "check_one_way",
    "choose_baseline",
    "denoise",
    "diagnose",
    "diagnose_both",
    "ensemble_interval",
    "evaluate_pairs",
    "evaluate_run",
    "feature_matching",
    "fewest_answers",
    "load_recipe",
    "predict_files",
    "production_recipe",
    "recipe",
    "segment",
    "train_recipe",
    "translate",
    "validation_of",
    "widening",
]
