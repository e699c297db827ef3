"""Lesson 16: lesson 01's network, changed for sounds."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson16.exercises._denoisers_1d import Base, Hand, InPlace, Recursive, Stacked, with_method

ex = ModuleExercise(
    id="denoiser_1d",
    lesson="16",
    title="A denoiser for sounds",
    difficulty=3,
    minutes=15,
    draws=3,
    given=("__init__",),
    spec=r"""
    Write `forward` of lesson 01's network for sounds; all layers are there already, since `__init__` is
    given. It gets noisy sounds `x` `(B, 1, L)`, timesteps `t` `(B,)`, the note of each sound `(B,)` and its
    `envelope` `(B, 1, L)`. It returns the predicted sounds, `(B, 1, L)`.

    1. The time goes as in lesson 01: `self.time` of the sines and then the cosines of $t$ times each of
       `self.speeds`. To it you *add* `self.note` of the notes.
    2. `self.first` takes `x` and `envelope` as two channels, `x` first.
    3. Every block gets `h` plus that vector, the same at each place of the sound, and its result is *added*
       to `h`, which makes the next `h`.
    4. The result is `self.last` of `h`, times `envelope`: how a string fades is known, so it is built in.

    Leave `x` as it is, and do the same in train and eval mode.
    """,
    hints=(
        "Few lines of lesson 01's `forward` change: what `self.first` is given, and the shape of the time.",
        "`h = self.first(torch.cat([x, envelope], dim=1))` has the shape `(B, width, L / hop)`, and the time "
        "has `(B, width)`: it needs an axis of length 1 at its end.",
        "`angles = t[:, None] * self.speeds`, `time = self.time(torch.cat([angles.sin(), angles.cos()], "
        "dim=1)) + self.note(note)`, and in the loop `h = h + block(h + time[:, :, None])`.",
    ),
    source="Lesson 01's `Denoiser`; van den Oord et al. 2016 (WaveNet) for growing dilations.",
    equivalent={
        "dim=-2": "of three axes the middle one is 1",
        "`10000.0` -> `5000.0`": "`__init__` is given, and every answer gets the same buffer",
    },
)


@ex.reference
class Denoiser(nn.Module):
    """Noisy sounds x (B, 1, L), t, note (B,), envelope (B, 1, L) -> predicted sounds; `hop` divides L."""

    def __init__(self, notes: int, width: int, clocks: int, blocks: int, hop: int) -> None:
        super().__init__()
        self.speeds: Tensor
        self.register_buffer("speeds", 10_000.0 ** (-torch.arange(clocks) / clocks))
        self.time = nn.Sequential(nn.Linear(2 * clocks, width), nn.SiLU(), nn.Linear(width, width))
        self.note = nn.Embedding(notes, width)
        self.first = nn.Conv1d(2, width, 2 * hop, stride=hop, padding=hop // 2)
        self.last = nn.ConvTranspose1d(width, 1, 2 * hop, stride=hop, padding=hop // 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, width), nn.SiLU(), nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i)
            )
            for i in range(blocks)
        )

    def forward(self, x: Tensor, t: Tensor, note: Tensor, envelope: Tensor) -> Tensor:
        """x, envelope (B, 1, L), t and note (B,) int64 -> like x."""
        angles = t[:, None] * self.speeds
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.note(note)
        h = self.first(torch.cat([x, envelope], dim=1))
        for block in self.blocks:
            h = h + block(h + time[:, :, None])
        sound: Tensor = self.last(h) * envelope
        return sound


def _inputs(sounds: int, length: int, notes: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(sounds, 1, length, generator=draw)
    t = torch.randint(1000, (sounds,), generator=draw)
    note = torch.randint(notes, (sounds,), generator=draw)
    return x, t, note, torch.rand(sounds, 1, length, generator=draw)


@ex.edges
def _() -> list[Args]:
    x, t, note, envelope = _inputs(3, 16, 4, 1)
    return [
        (4, 16, 3, 2, 4, x, torch.tensor([3, 700, 0]), torch.tensor([0, 3, 1]), envelope),
        (4, 16, 3, 2, 4, x[:1], t[:1], note[:1], envelope[:1]),
        (2, 16, 2, 1, 2, *_inputs(2, 4, 2, 3)),
        (4, 16, 1, 3, 4, x, t.flip(0), torch.tensor([2, 2, 0]), envelope.flip(0)),
        (4, 16, 3, 2, 4, torch.zeros(3, 1, 16), t, note, envelope),
        (4, 16, 3, 2, 4, x, t, note, torch.zeros(3, 1, 16)),
        (8, 16, 3, 2, 2, *_inputs(16, 32, 8, 4)),  # as many sounds as channels and as places
        (4, 16, 3, 1, 4, x.flip(2).mT.contiguous().mT, t, note, envelope),  # not contiguous
    ]


@ex.inputs
def _(case: Case) -> Args:
    hop, notes = 2 * case.integer(1, 3), case.integer(1, 6)
    blocks, clocks = case.integer(1, 3), case.integer(1, 5)
    length = hop * case.integer(2, 8)
    return notes, 16, clocks, blocks, hop, *_inputs(min(case.batch, 3), length, notes, 50 + case.seed)


for name, misconception, answer in (
    (
        "no_note",
        "You leave the note out: the network could not be told which pitch to make.",
        with_method(vector=lambda self, t, note: self.time(self.embedded(t))),
    ),
    (
        "no_time",
        "You leave the timestep out: the network would not be told how much noise there is.",
        with_method(vector=lambda self, t, note: self.note(note)),
    ),
    (
        "one_note_for_all",
        "You use the first sound's note for the whole batch; each has its own.",
        with_method(
            vector=lambda self, t, note: self.time(self.embedded(t)) + self.note(note[:1].expand_as(note))
        ),
    ),
    (
        "one_time_for_all",
        "You use the first sound's timestep for the whole batch; each has its own.",
        with_method(
            vector=lambda self, t, note: self.time(self.embedded(t[:1].expand_as(t))) + self.note(note)
        ),
    ),
    (
        "note_multiplied",
        "You multiply the time by the note's vector; add it.",
        with_method(vector=lambda self, t, note: self.time(self.embedded(t)) * self.note(note)),
    ),
    (
        "cosines_first",
        "You put the cosines before the sines.",
        with_method(embedded=lambda self, t: torch.cat([self.angles(t).cos(), self.angles(t).sin()], dim=1)),
    ),
    (
        "sines_twice",
        "You take the sines twice; the second half are the cosines.",
        with_method(embedded=lambda self, t: torch.cat([self.angles(t).sin(), self.angles(t).sin()], dim=1)),
    ),
    (
        "share_of_the_time",
        "You divide the timestep by 1000; it is taken as it is, as in lesson 01.",
        with_method(angles=lambda self, t: t[:, None] / 1000 * self.speeds),
    ),
    (
        "divided_by_the_speeds",
        "You divide the timestep by the speeds; multiply.",
        with_method(angles=lambda self, t: t[:, None] / self.speeds),
    ),
    (
        "envelope_first",
        "You give `self.first` the envelope before the sound; `x` comes first.",
        with_method(entered=lambda self, x, envelope: self.first(torch.cat([envelope, x], dim=1))),
    ),
    (
        "no_envelope",
        "You leave the envelope out at the start, and give zeros or the sound itself in its place.",
        with_method(entered=lambda self, x, envelope: self.first(torch.cat([x, 0 * envelope], dim=1))),
    ),
    (
        "envelope_multiplied",
        "You multiply the sound by its envelope; it is a channel of its own.",
        with_method(entered=lambda self, x, envelope: self.first(torch.cat([x * envelope, envelope], dim=1))),
    ),
    (
        "stacked_along_the_sound",
        "You put the envelope behind the sound, and not beside it: `dim=1` is the axis of channels.",
        with_method(entered=lambda self, x, envelope: self.first(torch.cat([x, envelope], dim=2))),
    ),
    (
        "not_added_to_h",
        "A block's result replaces `h`; it is added to it.",
        with_method(through=lambda self, block, h, time: block(h + time)),
    ),
    (
        "block_without_time",
        "You give the blocks `h` alone, without the vector of time and note.",
        with_method(through=lambda self, block, h, time: h + block(h)),
    ),
    (
        "time_stays_in_h",
        "The vector stays in `h` after each block; only the block gets it.",
        with_method(through=lambda self, block, h, time: (h + time) + block(h + time)),
    ),
    (
        "time_after_the_block",
        "You add the vector behind the block; it goes in before.",
        with_method(through=lambda self, block, h, time: h + block(h) + time),
    ),
    (
        "time_multiplied",
        "You multiply `h` by the vector; the block gets their sum.",
        with_method(through=lambda self, block, h, time: h + block(h * time)),
    ),
    (
        "time_at_the_start_only",
        "Only the first place of the sound gets the vector; every place does.",
        with_method(through=lambda self, block, h, time: h + block(self.at_start(h, time))),
    ),
    (
        "first_block_only",
        "You use the first block only; all of them follow one another.",
        with_method(deep=lambda self, h, time: self.through(self.blocks[0], h, time)),
    ),
    (
        "side_by_side",
        "Every block gets the first `h`; each gets what the one before has made.",
        with_method(deep=lambda self, h, time: h + sum(block(h + time) for block in self.blocks)),
    ),
    (
        "not_left",
        "You return the channels; `self.last` makes the sound of them.",
        with_method(left=lambda self, h, envelope: h),
    ),
    (
        "clipped",
        "You clip the sound; whoever samples does that. In training the gradient would be cut.",
        with_method(left=lambda self, h, envelope: (self.last(h) * envelope).clamp(-0.1, 0.1)),
    ),
    (
        "not_shaped",
        "You leave the envelope out at the end: the network would have to learn how a string fades.",
        with_method(left=lambda self, h, envelope: self.last(h)),
    ),
    (
        "envelope_added",
        "You add the envelope at the end; multiply by it.",
        with_method(left=lambda self, h, envelope: self.last(h) + envelope),
    ),
    (
        "added_to_the_input",
        "You add `x` to the result; the network predicts the sound itself.",
        with_method(forward=lambda self, x, t, note, envelope: x + Base.forward(self, x, t, note, envelope)),
    ),
    (
        "no_graph",
        "You compute without a graph (`no_grad`, `detach`): nothing would learn.",
        with_method(forward=torch.no_grad()(Base.forward)),
    ),
    (
        "switching",
        "You switch the network to eval mode; the mode is up to the caller.",
        with_method(forward=lambda self, *args: Base.forward(self.eval(), *args)),
    ),
    ("in_place", "You change the `x` that you were given.", InPlace),
):
    ex.wrong(name, misconception, answer)

for answer in (Hand, Base, Recursive, Stacked):
    ex.right(answer)

ex.background("Write `forward` of lesson 01's network", "It gets noisy sounds")
ex.breach("It returns the predicted sounds", "not_left")
ex.breach("The time goes as in lesson 01", "share_of_the_time")
ex.breach("`self.time` of the sines and then the cosines", "cosines_first")
ex.breach("To it you *add* `self.note`", "note_multiplied")
ex.breach("`self.first` takes `x` and `envelope`", "envelope_first")
ex.breach("Every block gets `h` plus that vector", "block_without_time")
ex.breach("the same at each place of the sound", "time_at_the_start_only")
ex.breach("its result is *added* to `h`", "not_added_to_h")
ex.breach("The result is `self.last` of `h`, times `envelope`", "not_shaped")
ex.breach("how a string fades is known", "envelope_added")
ex.breach("Leave `x` as it is", "in_place")
ex.breach("do the same in train and eval mode", "switching")
