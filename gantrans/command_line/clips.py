"""`clips train` and `clips sample`: layouts from a diffusion model."""

from pathlib import Path
from typing import Annotated

import typer

from gantrans.command_line.options import MAX_COUNT, Device, Run, Sampler, Scale, Simulated, resumable

app = typer.Typer(help="Generate layout clips with a diffusion model.", no_args_is_help=True)


@app.command("train")
def train_generator(
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, history, configuration.")],
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
    from gantrans.diffusion import clip_recipe, train_clips
    from gantrans.scales import resolve_scale

    recipe = clip_recipe(source.value, resolve_scale(scale.value), seed=seed, layer=layer, quick=True)
    with resumable(out):
        result = train_clips(recipe, out, resume=resume, max_seconds=max_seconds, device=device)
    typer.echo(f"{result.summary()}\nNext: python -m gantrans clips sample --run {out} --out {out}-clips")


@app.command("sample")
def sample_clips(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for the PNGs; must be new or empty.")],
    count: Annotated[int, typer.Option(help="Number of clips.", min=1, max=MAX_COUNT)] = 64,
    sampler: Annotated[Sampler, typer.Option(help="Sampling method.")] = Sampler.ddpm,
    steps: Annotated[int, typer.Option(help="Network evaluations per clip (NFE).", min=1)] = 50,
    rho: Annotated[
        float, typer.Option(help="Spacing of the steps; above 1 denser near the end.", min=1.0)
    ] = 1.0,
    family: Annotated[str | None, typer.Option(help="Condition on this family.", show_default="any")] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Weight of classifier-free guidance to --family; 1: none.", min=0.0, show_default="none"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
    judge: Annotated[
        bool, typer.Option("--judge", help="Print quality metrics (about ten seconds).")
    ] = False,
    device: Device = None,
) -> None:
    """Sample layout clips from a trained generator and write them as PNGs."""
    from gantrans.diffusion import ClipGenerator, SamplerConfig, write_clips

    generator = ClipGenerator.load(run, device)
    config = SamplerConfig(sampler.value, steps, rho=rho)
    drawn = generator.draw(count, config, family=family, guidance=guidance, seed=seed, progress=True)
    write_clips(drawn, out)
    typer.echo(f"Wrote {count} clips to {out}.")
    if judge:
        for name, value in generator.judge(drawn).as_dict().items():
            typer.echo(f"{name:<16} {value:.3g}")
