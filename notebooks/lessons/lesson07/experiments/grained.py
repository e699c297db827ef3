"""The course's recipe of layout -> SEM, trained on the pairs of this lesson's sweep.

The arms of `loss_weights` differ in weights alone; the recipe also has another loss, a faster discriminator
without spectral norm, and averaged weights. `benchmarks/layout_to_sem.py` measures it on seeds of its own.
"""

from collections.abc import Mapping
from dataclasses import replace

from gantrans.data import BatchSource, make_pairs
from gantrans.translation import Pix2PixTask, recipe
from lessons.lesson07.experiments import loss_weights
from lessons.shared.trained import trained

STEPS: Mapping[str, int] = {"smoke": 2, "reduced": 1000, "full": 4000}


def train_recipe(seed: int, scale: str) -> loss_weights.Trained:
    """Train the recipe with one seed, or load it if this machine has done so before."""
    setting, chosen = loss_weights.SETTINGS[scale], recipe("layout2sem", scale)
    task = chosen.one_way

    def batches() -> BatchSource:
        pairs = make_pairs(
            "procedural", count=setting.pairs, size=setting.size, seed=seed, imaging=loss_weights.IMAGING,
            progress=False,
        )  # fmt: skip
        return BatchSource(pairs, "layout2sem", setting.batch_size, seed, augment=False)

    run = trained(
        lambda: Pix2PixTask(task, seed),
        replace(chosen.fit, steps=STEPS[scale], seed=seed, monitor=None, checkpoint_every=10**6),
        batches,
        name="grained",
        key={"task": task, "seed": seed, "batch": setting.batch_size},
        data={
            "pairs": setting.pairs, "size": setting.size, "imaging": loss_weights.IMAGING, "augment": False,
        },
    )  # fmt: skip
    return loss_weights.Trained(run.generator, None)
