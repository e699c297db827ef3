"""Diffusion beyond images in one file: sounds of a note, and grey images that follow a sentence.

    python my_other_data.py --help
    python my_other_data.py sound --out sounds
    python my_other_data.py sound --data FOLDER --rate 8000 --steps 4000
    python my_other_data.py text --data FOLDER --prompt "three vertical lines" --guidance 3

For `sound` FOLDER holds WAV files of one channel and 16 bits; its subfolders are the notes (or other kinds).
Without --data, plucked strings are computed. For `text` FOLDER holds grey images (.png, .npy, .npz) and
captions.txt, in which every line is a name, a tab and a sentence. It needs PyTorch and NumPy, and runs on the
CPU.
"""

import argparse
import math
import tempfile
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    Denoiser,
    cosine_betas,
    guided_prediction,
    pluck,
    predict_x0,
    q_sample,
    read_pitch,
    thin_out,
)
from lessons.exports._images import names_in, read_images, stop
from lessons.exports._sentences import TextNet, encode, vocabulary_of
from lessons.exports._sheet import sheet, write_png

# ---- the machine of lesson 01, for any network

# part: cosine_betas
# part: q_sample
# part: thin_out
# part: predict_x0

Given = Sequence[Tensor]
Net = Callable[..., Tensor]
SCHEDULE = cosine_betas(1000, 0.999)
BARS = torch.cumprod(1 - SCHEDULE, 0)


def diffusion_loss(net: Net, x0: Tensor, t: Tensor, noise: Tensor, given: Given, target: str) -> Tensor:
    """How far the network's answer is from the clean data; "bits": log-odds of white."""
    guess = net(q_sample(x0, t, noise, BARS), t, *given)
    if target == "bits":
        return F.binary_cross_entropy_with_logits(guess, (x0 + 1) / 2)
    return F.mse_loss(guess, x0)


def train(
    net: nn.Module, x0: Tensor, given: Given, steps: int, target: str, generator: torch.Generator
) -> list[float]:
    """x0 (N, ...) and what is given with it, (N, ...) each -> losses; the rate falls once."""
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses: list[float] = []
    for step in range(steps):
        if step == steps - steps // 4:
            optimiser.param_groups[0]["lr"] = 2e-4
        chosen = torch.randint(len(x0), (32,), generator=generator)
        t = torch.randint(len(BARS), (32,), generator=generator)
        noise = torch.randn(x0[chosen].shape, generator=generator)
        loss = diffusion_loss(net, x0[chosen], t, noise, [one[chosen] for one in given], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(f"step {step + 1}: loss {np.mean(losses[-100:]):.4f}")
    return losses


@torch.no_grad()
def sample(
    net: Net, x: Tensor, given: Given, target: str, generator: torch.Generator, limit: float
) -> Tensor:
    """Start noise x (N, ...) -> data like x in 50 steps of DDPM."""
    betas = thin_out(SCHEDULE, 20)
    bars = torch.cumprod(1 - betas, 0)
    for i in reversed(range(len(betas))):
        bar, before = bars[i], bars[i - 1] if i > 0 else torch.ones_like(bars[0])
        t = torch.full((len(x),), 20 * i + 19)
        guess = net(x, t, *given)
        x0 = torch.tanh(guess / 2) if target == "bits" else predict_x0(guess, x, t, BARS, "x0")
        x0 = x0.clamp(-limit, limit)
        mean = (before.sqrt() * betas[i] * x0 + (1 - betas[i]).sqrt() * (1 - before) * x) / (1 - bar)
        spread = ((1 - before) / (1 - bar) * betas[i]).sqrt()
        x = (mean + spread * torch.randn(x.shape, generator=generator)).to(x)
    return x


# ---- sound

# part: pluck
# part: read_pitch
# part: Denoiser

LENGTH, HOP = 1024, 32
PERIODS = (45, 40, 36, 30, 27, 22, 20, 18)


def plucked(count: int, rate: int, generator: torch.Generator) -> tuple[Tensor, Tensor, list[str]]:
    """Plucked strings -> sounds (N, LENGTH), note (N,), names of the notes."""
    sounds, notes = [], []
    for note, period in enumerate(PERIODS):
        burst = 2 * torch.rand(count, period + 1, generator=generator) - 1
        burst = (burst + burst.roll(1, 1)) / 2
        keep = 0.95 + 0.05 * torch.rand(count, generator=generator)
        sounds.append(pluck(burst - burst.mean(1, keepdim=True), keep, LENGTH))
        notes.append(torch.full((count,), note))
    return torch.cat(sounds), torch.cat(notes), [f"{rate / (p + 0.5):.0f}Hz" for p in PERIODS]


def recorded(folder: Path, rate: int) -> tuple[Tensor, Tensor, list[str]]:
    """WAV files of a folder and its subfolders, in clips -> sounds (N, LENGTH), kind (N,), names."""
    paths = sorted([*folder.glob("*.wav"), *folder.glob("*/*.wav")])
    if not paths:
        stop(f"There is no .wav file in {folder}.")
    kinds = sorted({path.parent.name for path in paths})
    sounds, notes = [], []
    for path in paths:
        try:
            with wave.open(str(path)) as file:
                form = file.getnchannels(), file.getsampwidth(), file.getframerate()
                data = np.frombuffer(file.readframes(file.getnframes()), "<i2") if form[1] == 2 else None
        except (wave.Error, EOFError, OSError, ValueError) as error:
            stop(f"{path} cannot be read as a WAV file: {error}.")
        if data is None or form != (1, 2, rate):
            stop(
                f"{path} has {form[0]} channels, {8 * form[1]} bits and {form[2]} samples a second; needed: "
                f"1 channel, 16 bits, {rate} (see --rate)."
            )
        whole = len(data) // LENGTH * LENGTH
        if not whole:
            stop(f"{path} is shorter than {LENGTH} samples.")
        clips = torch.from_numpy(data[:whole].astype(np.float32)).view(-1, LENGTH)
        clips = clips[clips.abs().amax(1) > 0]
        sounds.append(clips)
        notes.append(torch.full((len(clips),), kinds.index(path.parent.name)))
    if not sum(len(some) for some in sounds):
        stop(f"All clips of {LENGTH} samples in {folder} are silent.")
    return torch.cat(sounds), torch.cat(notes), kinds


def envelope(sounds: Tensor) -> Tensor:
    """How loud each moment is: the mean size over 256 samples, 1 at the loudest; (N, 1, LENGTH)."""
    size = F.avg_pool1d(sounds[:, None].abs(), 257, stride=1, padding=128, count_include_pad=False)
    return size / size.amax(2, keepdim=True).clamp(min=1e-9)


def write_wav(path: Path, sound: Tensor, rate: int) -> None:
    """A sound (L,) as WAV, its loudest sample at nine tenths."""
    samples = (sound / sound.abs().max().clamp(min=1e-6) * 0.9 * 32767).round().numpy().astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def make_sounds(o: argparse.Namespace, generator: torch.Generator) -> nn.Module:
    """Train on sounds, draw `--count` of each kind and read their pitch."""
    found = recorded(o.data, o.rate) if o.data else plucked(256, o.rate, generator)
    sounds, notes, names = found
    sounds = 0.5 * sounds / sounds.square().mean(1, keepdim=True).sqrt().clamp(min=1e-9)
    sounds = sounds.clamp(-2, 2)
    loudness = envelope(sounds)
    net: nn.Module = Denoiser(len(names), 128, 32, 5, HOP)
    o.losses = train(net, sounds[:, None], (notes, loudness), o.steps, "x0", generator)
    for kind, name in enumerate(names):
        of_kind = loudness[notes == kind]
        like = of_kind[torch.randint(len(of_kind), (o.count,), generator=generator)]
        start = torch.randn(o.count, 1, LENGTH, generator=generator)
        drawn = sample(net, start, (torch.full((o.count,), kind), like), "x0", generator, 2.0)[:, 0]
        pitch = read_pitch(drawn, o.rate, o.rate / 60, o.rate / 12)
        write_wav(o.out / f"{name}.wav", drawn.flatten(), o.rate)
        print(f"{name}: {o.count} sounds, pitch read {', '.join(f'{p:.1f}' for p in pitch[:8])} Hz")
    return net


# ---- text

# part: guided_prediction
# part: word_weights
# part: cross_attention
# include: _images
# include: _sentences
# include: _sheet


def captioned(folder: Path, size: int) -> tuple[Tensor, list[str]]:
    """Images of a folder with their sentences -> (N, 1, size, size) in [-1, 1], N sentences."""
    file = folder / "captions.txt"
    if not file.is_file():
        stop(f"There is no {file}; each of its lines is a name, a tab and a sentence.")
    pairs = [line.split("\t") for line in file.read_text("utf-8").splitlines() if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        stop(f"Every line of {file} needs a name, a tab and a sentence.")
    images, _ = read_images(folder, size, "*")
    order = {name: i for i, name in enumerate(sorted(names_in(folder)))}
    if len(order) != len(images):
        stop(f"A file in {folder} holds several images; captions need one image to a file.")
    for name, _ in pairs:
        if Path(name).stem not in order:
            stop(f"{file} names {name!r}, which is no image in {folder}.")
    return images[[order[Path(name).stem] for name, _ in pairs]], [sentence for _, sentence in pairs]


def make_images(o: argparse.Namespace, generator: torch.Generator) -> nn.Module:
    """Train on images and sentences, and draw `--count` images for `--prompt`."""
    if not o.data:
        stop("text needs --data FOLDER with images and captions.txt.")
    images, said = captioned(o.data, o.size)
    vocabulary = vocabulary_of(said)
    length = 2 + max(len(sentence.split()) for sentence in [*said, o.prompt])
    tokens = encode(said, vocabulary, length)
    asked = encode([o.prompt] * o.count, vocabulary, length)
    empty = encode([""], vocabulary, length)
    tokens = torch.where(torch.rand(len(tokens), 1, generator=generator) < 0.1, empty, tokens)
    target = "bits" if bool((images.abs() > 0.99).all()) else "x0"
    net = TextNet(len(vocabulary) + 2, length)
    o.losses = train(net, images, (tokens,), o.steps, target, generator)

    def leaning(x: Tensor, t: Tensor, words: Tensor) -> Tensor:
        guess: Tensor = guided_prediction(net(x, t, empty.expand(len(x), -1)), net(x, t, words), o.guidance)
        return guess

    start = torch.randn(o.count, 1, o.size, o.size, generator=generator)
    drawn = sample(leaning, start, (asked,), target, generator, 1.0)
    write_png(o.out / "samples.png", sheet(drawn.clamp(-1, 1)))
    print(f"{o.count} images for {o.prompt!r}: {o.out / 'samples.png'}")
    return net


# ---- the command line


def options() -> argparse.Namespace:
    """What the command line asks for; a mistake ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = stop  # type: ignore[assignment, method-assign]
    parser.add_argument("kind", choices=("sound", "text"))
    parser.add_argument("--data", type=Path, help="a folder, see above")
    parser.add_argument("--rate", type=int, default=8000, help="samples of a sound per second")
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels, a multiple of 4")
    parser.add_argument("--prompt", default="", help="the sentence to draw for; none: the empty one")
    parser.add_argument("--guidance", type=float, default=1.0, help="how far to lean towards the sentence")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of 32 samples")
    parser.add_argument("--count", type=int, default=8, help="samples to draw (of each kind of sound)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of what is drawn and the weights")
    o = parser.parse_args()
    if min(o.steps, o.count, o.size, o.rate) < 1 or o.size % 4:
        stop("--steps, --count and --rate are at least 1, and --size is a multiple of 4.")
    if not 0 <= o.guidance < math.inf or not 0 <= o.seed < 2**63:
        stop("--guidance and --seed are at least 0.")
    if o.data and not o.data.is_dir():
        stop(f"There is no folder {o.data}.")
    return o


def main() -> None:
    """Train, draw, and write samples, `losses.npy` and `weights.pt` into the folder `--out`."""
    o = options()
    try:
        o.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=o.out).close()
    except OSError as error:
        stop(f"Nothing can be written into {o.out}: {error.strerror}.")
    torch.manual_seed(o.seed)
    generator = torch.Generator().manual_seed(o.seed)
    net = (make_sounds if o.kind == "sound" else make_images)(o, generator)
    np.save(o.out / "losses.npy", np.array(o.losses))
    torch.save(net.state_dict(), o.out / "weights.pt")


if __name__ == "__main__":
    main()
