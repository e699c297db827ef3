"""Image-to-image translation between SEM and layout."""

from gantrans.translation.baselines import BASELINES, DENOISE_OTSU, choose_baseline, denoise, segment
from gantrans.translation.evaluate import Evaluation, evaluate_pairs, evaluate_run
from gantrans.translation.files import predict_files
from gantrans.translation.losses import ADVERSARIAL_LOSSES, AdversarialLoss
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask, build_generator
from gantrans.translation.predictor import Predictor, translate
from gantrans.translation.recipes import (
    DIRECTIONS,
    DataSpec,
    Recipe,
    Validation,
    load_recipe,
    recipe,
    train_recipe,
)

__all__ = [
    "ADVERSARIAL_LOSSES",
    "BASELINES",
    "DENOISE_OTSU",
    "DIRECTIONS",
    "AdversarialLoss",
    "DataSpec",
    "Evaluation",
    "Pix2PixConfig",
    "Pix2PixTask",
    "Predictor",
    "Recipe",
    "Validation",
    "build_generator",
    "choose_baseline",
    "denoise",
    "evaluate_pairs",
    "evaluate_run",
    "load_recipe",
    "predict_files",
    "recipe",
    "segment",
    "train_recipe",
    "translate",
]
