"""A version of a translator: a folder with serving weights, training checkpoint and their hashes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gantrans.config import from_dict, to_dict
from gantrans.errors import ConfigError, GantransError
from gantrans.operations.promotion.disk import as_json, read_json
from gantrans.training import load_checkpoint, pick_device
from gantrans.training.checkpoint import load_weights, weights_of
from gantrans.translation import Predictor, Recipe, build_generator, check_one_way

WEIGHTS, CHECKPOINT, MANIFEST = "weights.safetensors", "last.pt", "version.json"


class RegistryError(GantransError, RuntimeError):
    """A version, an alias or the history is missing, damaged, or does not fit the request."""


@dataclass(frozen=True)
class Version:
    """A version: its name ("v0001"), its folder, and the contents of its version.json."""

    name: str
    folder: Path
    about: Mapping[str, Any]

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        return from_dict(Recipe, self.about["recipe"])


@dataclass(frozen=True)
class Packed:
    """The contents of a new version: its recipe, and its files without version.json as bytes."""

    recipe: Recipe
    files: Mapping[str, bytes]
    about: Mapping[str, Any]

    def manifest(self, **more: Any) -> bytes:
        """The contents of version.json; `more` holds the fields that the registry adds."""
        hashes = {name: {"sha256": digest(data), "bytes": len(data)} for name, data in self.files.items()}
        return as_json({**more, **self.about, "recipe": to_dict(self.recipe), "files": hashes})


def pack(run: Path) -> Packed:
    """Read a training run (its best checkpoint, else its last; or a checkpoint) for registration.

    Raises:
        CheckpointError: it cannot be read.
        RegistryError: it holds no translator.
    """
    path = Path(run)
    if path.is_dir():
        path = next((p for p in (path / "best.pt", path / "last.pt") if p.exists()), path / "last.pt")
    contents = load_checkpoint(path)
    files = {CHECKPOINT: path.read_bytes(), WEIGHTS: b""}
    recipe = _recipe(contents, path)
    files[WEIGHTS] = _serving_weights(contents)
    return Packed(recipe, files, {"step": contents["step"], "settings": contents["settings"]})


def verify_files(folder: Path) -> Mapping[str, Any]:
    """Compare the files of a version's folder with the hashes in its version.json, which is returned.

    Raises:
        RegistryError: a file is missing or was altered.
    """
    about = read_json(folder / MANIFEST)
    for file, noted in about["files"].items():
        path = folder / file
        if not path.is_file() or digest(path.read_bytes()) != noted["sha256"]:
            raise RegistryError(
                f"{path} is not the file that was registered; restore it, or roll back to another version."
            )
    return about


def load_predictor(folder: Path, device: torch.device | None = None) -> Predictor:
    """The translator in a version's folder, from its serving weights; hashes are checked first.

    Raises:
        RegistryError: a file is missing or was altered.
    """
    from safetensors.torch import load

    recipe = from_dict(Recipe, verify_files(folder)["recipe"])
    check_one_way(recipe)
    generator = build_generator(recipe.generator[1])
    load_weights(generator, load((folder / WEIGHTS).read_bytes()), str(folder / WEIGHTS))
    return Predictor(generator, recipe, device or pick_device())


def _serving_weights(contents: Mapping[str, Any]) -> bytes:
    """The generator, averaged weights if there are any, as safetensors."""
    from safetensors.torch import save

    weights = weights_of(contents, "generator")
    return save({key: value.contiguous() for key, value in weights.items()})


def _recipe(contents: Mapping[str, Any], path: Path) -> Recipe:
    try:
        recipe = from_dict(Recipe, contents["settings"]["extra"]["recipe"])
    except (KeyError, ConfigError) as error:
        raise RegistryError(
            f"{path} holds no translator with a recipe; train one with a Recipe first."
        ) from error
    if len(recipe.directions) > 1:
        raise RegistryError(
            f"{path} translates in both directions, and a registry keeps runs of one; train one with the "
            "recipe `default`."
        )
    return recipe


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
