"""`clips train`, `clips sample`, `clips evaluate`: layouts from a diffusion model or one of few steps."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gantrans.command_line.options import MAX_COUNT, Device, Json, Run, Scale, Simulated, resumable

if TYPE_CHECKING:
    from torch import Tensor

    from gantrans.diffusion import ClipRecipe, FewStepRecipe, SamplerConfig

app = typer.Typer(help="Generate layout clips with a diffusion model.", no_args_is_help=True)


class Method(StrEnum):
    diffusion = "diffusion"
    few = "few"
    flow = "flow"
    distil = "distil"


class Sampler(StrEnum):
    ddpm = "ddpm"
    ddim = "ddim"
    dpmpp = "dpm++"
    renewed = "renewed"


Steps = Annotated[
    int | None,
    typer.Option(
        help="Network evaluations per clip (NFE).",
        min=1,
        show_default="diffusion 50, renewed 10, few 4, flow 10, distil 4",
    ),
]
ChosenSampler = Annotated[
    Sampler | None,
    typer.Option(
        "--sampler",
        help="Sampler of a diffusion run, renewed for 4 to 20 steps; other runs have one.",
        show_default="ddpm",
    ),
]
Rho = Annotated[
    float | None,
    typer.Option(
        help="Spacing of a diffusion run's steps; above 1 denser near the end.", min=1.0, show_default="1"
    ),
]


@app.command("train")
def train_generator(
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, history, configuration.")],
    method: Annotated[
        Method,
        typer.Option(
            help="Diffusion; diffusion for few evaluations, with the design rule in its loss; flow matching; "
            "a student of a trained diffusion model (--teacher)."
        ),
    ] = Method.diffusion,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Folder of the diffusion run to distil; it decides data and network."),
    ] = None,
    source: Annotated[Simulated, typer.Option(help="Source of the layouts.")] = Simulated.procedural,
    scale: Annotated[Scale, typer.Option(help="Size of data, network and training.")] = Scale.auto,
    seed: Annotated[int, typer.Option(help="Seed of data, weights and batches.", min=0)] = 0,
    layer: Annotated[str, typer.Option(help="SKY130 layer: li1, poly or licon.")] = "li1",
    max_seconds: Annotated[
        float | None, typer.Option(help="Train for this time: it decides the number of steps.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: Device = None,
) -> None:
    """Train a generator of layout clips.

    Example: python -m gantrans clips train --source sky130 --scale reduced --out runs/clips
    """
    from gantrans.diffusion import train_clips
    from gantrans.errors import ConfigError
    from gantrans.scales import resolve_scale

    if (teacher is not None) != (method is Method.distil):
        raise ConfigError(
            "--method distil needs --teacher, the folder of a trained diffusion run."
            if teacher is None
            else f"--teacher belongs to --method distil; leave it out for --method {method.value}."
        )
    size, weights = resolve_scale(scale.value), None
    if teacher is not None:
        recipe, weights = _student(teacher, size, seed)
    else:
        recipe = _recipe(method, source.value, size, seed, layer)
    with resumable(out):
        result = train_clips(
            recipe, out, teacher=weights, resume=resume, max_seconds=max_seconds, device=device
        )
    typer.echo(f"{result.summary()}\nNext: python -m gantrans clips sample --run {out} --out {out}-clips")


def _student(teacher: Path, scale: str, seed: int) -> "tuple[ClipRecipe | FewStepRecipe, dict[str, Tensor]]":
    """The recipe of a student, and the weights that it begins with."""
    from gantrans.diffusion import ClipGenerator, ClipRecipe, distil_recipe
    from gantrans.errors import ConfigError

    taught = ClipGenerator.load(teacher, "cpu")
    if not isinstance(taught.recipe, ClipRecipe) or taught.method != "diffusion":
        raise ConfigError(
            f"The run in {teacher} was trained with --method {taught.method}; a teacher is a run of "
            "--method diffusion."
        )
    return distil_recipe(taught.recipe, scale, seed=seed), taught.network.state_dict()


def _recipe(method: Method, source: str, scale: str, seed: int, layer: str) -> "ClipRecipe | FewStepRecipe":
    """The recipe of a method that needs no teacher."""
    from gantrans.diffusion import clip_recipe, few_recipe, flow_recipe

    base = clip_recipe(source, scale, seed=seed, layer=layer, quick=True)
    if method is Method.flow:
        return flow_recipe(base)
    return few_recipe(base) if method is Method.few else base


@app.command("sample")
def sample_clips(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for the PNGs; must be new or empty.")],
    count: Annotated[int, typer.Option(help="Number of clips.", min=1, max=MAX_COUNT)] = 64,
    sampler: ChosenSampler = None,
    steps: Steps = None,
    rho: Rho = None,
    family: Annotated[str | None, typer.Option(help="Condition on this family.", show_default="any")] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Weight of classifier-free guidance to --family; 1: none. Only for a diffusion run.",
            min=0.0,
            show_default="none",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
    judge: Annotated[
        bool, typer.Option("--judge", help="Print quality metrics (about ten seconds).")
    ] = False,
    device: Device = None,
) -> None:
    """Sample layout clips from a trained generator and write them as PNGs; the run names its sampler."""
    from gantrans.diffusion import ClipGenerator, write_clips

    generator = ClipGenerator.load(run, device)
    drawn = generator.draw(
        count,
        _sampler(sampler, steps, rho),
        steps=steps,
        family=family,
        guidance=guidance,
        seed=seed,
        progress=True,
    )
    write_clips(drawn, out)
    typer.echo(f"Wrote {count} clips to {out}.")
    if judge:
        for name, value in generator.judge(drawn).as_dict().items():
            typer.echo(f"{name:<16} {value:.3g}")


@app.command("evaluate")
def evaluate_clips(
    run: Run,
    count: Annotated[int, typer.Option(help="Clips that are drawn and judged.", min=6, max=MAX_COUNT)] = 256,
    sampler: ChosenSampler = None,
    steps: Steps = None,
    rho: Rho = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
    as_json: Json = False,
    device: Device = None,
) -> None:
    """Draw clips and print their quality against held-out clips, and the time each took."""
    import time

    from gantrans.diffusion import ClipGenerator

    generator = ClipGenerator.load(run, device)
    started = time.perf_counter()
    chosen = _sampler(sampler, steps, rho)
    drawn = generator.draw(count, chosen, steps=steps, seed=seed, progress=True)
    seconds = time.perf_counter() - started
    row = {
        "method": generator.method,
        "evaluations": generator.evaluations(chosen, steps),
        "clips": count,
        "seconds per clip": seconds / count,
        **generator.judge(drawn).as_dict(),
    }
    if as_json:
        typer.echo(json.dumps(row))
        return
    for name, value in row.items():
        typer.echo(f"{name:<18} {value:.3g}" if isinstance(value, float) else f"{name:<18} {value}")


def _sampler(
    sampler: Sampler | None, steps: int | None, rho: float | None
) -> "SamplerConfig | Literal['renewed'] | None":
    """The sampler that was asked for; None: the run's own."""
    from gantrans.diffusion import METHODS, SamplerConfig
    from gantrans.errors import ConfigError

    if sampler is Sampler.renewed:
        if rho is not None:
            raise ConfigError("--rho belongs to ddpm, ddim and dpm++; leave it out for --sampler renewed.")
        return "renewed"
    if sampler is None and rho is None:
        return None
    return SamplerConfig((sampler or Sampler.ddpm).value, steps or METHODS["diffusion"], rho=rho or 1.0)
