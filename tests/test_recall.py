"""Predictions and recall: answer keys computed where they can be, scores by hand, forms that answer."""

import json
import math

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from scipy.special import rel_entr

from gantrans import ROOT
from gantrans.course import claims, forms, lesson07, progress, recall
from gantrans.course.exercises import exercise
from gantrans.course.exercises.lesson12._toy_disk import ToyDisk
from gantrans.course.experiments import promotion
from gantrans.course.experiments.analytic import draw_twice
from gantrans.course.experiments.attention_cost import map_bytes, size_words
from gantrans.course.experiments.drift_streams import stream
from gantrans.course.experiments.gradients import curves
from gantrans.course.experiments.matching import detach_gradients, two_conventions
from gantrans.course.lesson01 import impossible
from gantrans.course.lesson13 import through_pillow
from gantrans.course.live_quarter import png_16_bit
from gantrans.course.predictions import _asked, store
from gantrans.course.questions import QUESTIONS
from gantrans.diffusion import SamplerConfig, guided, make_schedule, sample, sampler_steps
from gantrans.errors import ConfigError
from gantrans.metrics import compare_topology, epe, iou, ler, psnr, ssim
from gantrans.networks import (
    Denoiser,
    DenoiserConfig,
    PatchGAN,
    PatchGANConfig,
    SelfAttention,
    TimeEmbedding,
    sinusoidal_embedding,
)
from gantrans.operations.drift_features import FEATURES, image_features
from gantrans.operations.drift_profile import js_distance
from gantrans.operations.gate import lower_bound
from gantrans.operations.triggers import Signals, advise
from gantrans.translation import BidirectionalConfig, ImageBuffer, feature_matching
from gantrans.translation.gan_gradients import l1_gradient_norm

PATCHGAN = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2  # (kernel, stride, padding), n_layers = 3


def _gradient_after_two_passes() -> str:
    x = torch.tensor(1.0, requires_grad=True)
    for _ in range(2):
        (3 * x).backward()
    assert x.grad is not None
    return {3.0: "3, the last one", 6.0: "6, the sum", 0.0: "0"}[float(x.grad)]


def _symmetries() -> str:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    move = exercise("augment_pair").function
    seen = {
        tuple(move(image, image, m, t)[0].flatten().tolist()) for m in (False, True) for t in range(-4, 5)
    }
    return str(len(seen))


def _ncc_under_gain() -> str:
    find = exercise("ncc_offset").function
    field = torch.rand(12, 14, generator=torch.Generator().manual_seed(0))
    template = field[3:8, 4:10]
    same = find(field, template) == find(field, 2 * template + 0.3) == (3, 4)
    return "Not at all" if same else "It moves"


def _best_constant(power: int) -> str:
    values = torch.tensor([0.0] * 7 + [1.0] * 3)
    guesses = torch.linspace(0, 1, 101)
    loss = (values[:, None] - guesses).abs().pow(power).mean(0)
    return f"{float(guesses[loss.argmin()]):g}"


def _iou() -> str:
    a, b = torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4)
    a[..., :2], b[..., 1:3] = 1.0, 1.0  # six pixels each, three in common
    return {0.25: "1/4", 1 / 3: "1/3", 0.5: "1/2"}[
        round(float(exercise("iou").function(a, b, 0.5)) * 12) / 12
    ]


def _moves_with_batch_mate(training: bool) -> bool:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    other = torch.stack([x[0], x[1] + 5])
    mean, var = torch.zeros(3), torch.ones(3)
    one, two = (F.batch_norm(b, mean.clone(), var.clone(), training=training)[0] for b in (x, other))
    return not torch.equal(one, two)


def _instance_norm_field() -> str:
    x = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = F.conv2d(F.instance_norm(x), torch.ones(1, 1, 3, 3), padding=1)
    (gradient,) = torch.autograd.grad(y[0, 0, 4, 4], x)
    return "The whole image" if bool((gradient != 0).all()) else "Still 3 x 3 pixels"


def _corner_rows() -> str:
    first, last = exercise("logit_span").function(0, PATCHGAN)
    return str(last - max(first, 0) + 1)


def _detach() -> str:
    x = torch.ones(2, requires_grad=True)
    y = x.detach()
    shared = y.data_ptr() == x.data_ptr() and not y.requires_grad
    return "The same values without their history" if shared else "A copy with its own memory"


def _impossible() -> str:
    names = {"x0": "The image, x0", "v": "v", "epsilon": "The noise, epsilon"}
    (refused,) = impossible(make_schedule("linear", zero_terminal_snr=True))
    return names[refused]


def _half_way() -> str:
    names = {"sigmoid": "Sigmoid betas", "sigmoid_alpha_bar": "Sigmoid alpha-bar"}
    bars = {name: float(make_schedule(name).alpha_bars[499]) for name in names}
    (half,) = [name for name, bar in bars.items() if abs(bar - 0.5) < 1e-3]
    return names[half]


def _scaled() -> str:
    make = exercise("linear_betas").function
    ratio = float(make(250, 1e-4, 0.02)[-1] / make(1000, 1e-4, 0.02)[-1])
    return {4.0: "They are multiplied by 4", 0.25: "They are divided by 4"}[round(ratio, 6)]


def _fewest() -> str:
    def exists(steps: int) -> bool:
        try:
            exercise("linear_betas").function(steps, 1e-4, 0.02)
        except ValueError:
            return False
        return True

    return str(next(steps for steps in range(2, 1000) if exists(steps)))


def _mixed_without_roots() -> str:
    x, noise = torch.randn(2, 10**6, generator=torch.Generator().manual_seed(0))
    return f"{float((0.36 * x + 0.64 * noise).var()):.2f}"


def _what_similarity_depends_on() -> str:
    t = torch.arange(40)
    embedded = exercise("sinusoidal_embedding").function(t, 8, 100.0)
    alike = exercise("embedding_similarity").function(embedded, embedded)
    flat = [bool(d.std() < 1e-5) for d in (alike.diagonal(7), alike.flip(1).diagonal(7))]
    return {(True, False): "On t - t' alone", (False, True): "On t + t'"}[(flat[0], flat[1])]


def _map_after_a_layer_of_zeros() -> str:
    h = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = exercise("time_modulation").function(h, torch.ones(2, 5), torch.zeros(6, 5), torch.zeros(6))
    return "Nothing" if torch.equal(made, h) else "It sets the map to 0"


def _typical_error_of_spread() -> str:
    noise = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))
    return f"{float(100 * noise.std(1).std()):.0f} %"


def _turn_of_the_fastest_clock() -> str:
    t = torch.arange(0, 20, 0.01)
    sine = exercise("sinusoidal_embedding").function(t, 64, 10_000.0)[:, 0]
    upward = t[1:][(sine[:-1] < 0) & (sine[1:] >= 0)]
    return f"{float(upward.diff().mean()):.1f}"


def _points_of_a_linear_layer() -> str:
    points = TimeEmbedding("raw", 64, 1000)(torch.arange(1000)).detach()
    rank = int(torch.linalg.matrix_rank(points - points.mean(0), rtol=1e-4))
    return {1: "A straight line", 2: "A plane"}.get(rank, "A cloud in 64 dimensions")


def _embedding_of_zero() -> str:
    embedded = exercise("sinusoidal_embedding").function(torch.tensor([0]), 6, 100.0)[0].tolist()
    return {(0.0, 0.0, 0.0, 1.0, 1.0, 1.0): "Zeros, then ones"}[tuple(embedded)]


def _twice_from_one_start() -> str:
    return "Equal to the bit" if draw_twice(SamplerConfig("ddim", 10)) == 0 else "Different in the details"


def _score() -> str:
    noise, alpha_bar = 1.2, torch.tensor(0.64, dtype=torch.float64)
    return f"{-noise / float((1 - alpha_bar).sqrt()):g}"


def _step_without_noise() -> str:
    spreads = [step.spread for step in sampler_steps(make_schedule("cosine"), SamplerConfig("ddpm", 6))]
    return {(5,): "At the last", (0,): "At the first"}[tuple(i for i, s in enumerate(spreads) if s == 0)]


def _predicted_image() -> str:
    noise, x_t, t = torch.tensor([[0.5]]), torch.ones(1, 1), torch.tensor([0])
    bars = torch.tensor([0.64], dtype=torch.float64)
    return f"{float(exercise('predict_x0').function(noise, x_t, t, bars, 'epsilon')):g}"


def _evaluations() -> str:
    seen = []

    def network(x_t, t, labelled):
        seen.append(labelled)
        return x_t

    sample(
        guided(network, 4.0), (1, 2), make_schedule("cosine"), SamplerConfig("ddpm", 20), prediction="x0",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return f"{len(seen)} times"


def _first_step_of_the_solver() -> str:
    x_t, x0, noise = torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(0)).double() / 2
    solver = exercise("dpm_step").function(x_t, x0, None, 0.3, 0.6)
    same = torch.allclose(solver, exercise("ddim_step").function(x_t, x0, noise, 0.3, 0.6, 0.0))
    return "DDIM's, eta = 0" if same else "Neither's"


def _first_average() -> str:
    (average,) = exercise("ema_update").function([torch.zeros(1)], [torch.ones(1)], 0.99, 0)
    return f"{float(average):.2g}"


def _sums_that_are_one() -> str:
    seen = SelfAttention(8).attention_map(torch.randn(1, 8, 3, 3))
    rows, columns = ((seen.sum(axis) - 1).abs().max() < 1e-5 for axis in (-1, -2))
    return {(True, False): "The rows: over all places that are looked at", (False, True): "The columns"}[
        bool(rows), bool(columns)
    ]


def _first_gradients() -> str:
    layer = SelfAttention(8)
    (layer(torch.randn(2, 8, 4, 4)) ** 2).sum().backward()
    moved = [name for name, p in layer.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    return "Gamma alone" if moved == ["gamma"] else "All of them"


def _what_detaching_changes() -> str:
    return (
        "Nothing" if detach_gradients(True).generator.equal(detach_gradients(False).generator) else "Its sign"
    )


def _even(kernel: int) -> bool:
    counts = exercise("overlap_counts").function(12, kernel, 2, 1)
    return len(set(counts[kernel:-kernel])) == 1


def _who_gets_gradients() -> str:
    real, fake = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    feature_matching([real], [fake]).backward()
    return {(True, True): "Both", (True, False): "The real ones", (False, True): "The made ones"}[
        real.grad is not None, fake.grad is not None
    ]


def _shuffled_places() -> str:
    layer, x = SelfAttention(8, gamma_init=1.0), torch.randn(1, 8, 4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    out = layer(x.flatten(2)[..., order].view_as(x))
    if torch.allclose(out, layer(x).flatten(2)[..., order].view_as(x), atol=1e-5):
        return "It is shuffled in the same way"
    return "It does not change"


def _fall_for_a_bridge() -> str:
    fall = claims.read(claims.COMMITTED)["G23"]["parts"]["bridge"]["measured"]
    sizes = {0.003: "By about 0.003", 0.05: "By about 0.05", 0.3: "By about 0.3"}
    return sizes[min(sizes, key=lambda size: abs(math.log(size / fall)))]


def _epe_of_nothing() -> str:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5] = 1.0
    lost = bool(epe(torch.zeros_like(target), target, 1.0).undefined)
    return "None: it is not defined, and counted apart" if lost else "0 nm"


def _ler_with_noise() -> str:
    draw = torch.Generator().manual_seed(0)
    edge, noise = torch.randn(2, 64, 512, generator=draw, dtype=torch.float64)
    return f"{float(ler(4 * edge + 3 * noise).mean()):.0f} nm"


def _opens_of_three_pieces() -> str:
    target = torch.zeros(1, 1, 4, 9)
    target[..., 1:3, :] = 1.0
    pieces = target.clone()
    pieces[..., [2, 5]] = 0.0
    return str(int(compare_topology(pieces, target).opens))


def _ssim_with_a_wrong_range() -> str:
    one, other = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).unbind(0)
    return f"About {float(ssim(one, other, data_range=255.0)):.2g}"


def _psnr_of_half_the_error() -> str:
    zero, error = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.2)
    rise = psnr(error / 2, zero, data_range=1.0) - psnr(error, zero, data_range=1.0)
    return f"{float(rise):.0f} dB"


def _iou_of_a_wide_line() -> str:
    target, made = torch.zeros(2, 1, 1, 4, 120)
    target[..., 10:110], made[..., 5:115] = 1.0, 1.0
    return f"{float(iou(made, target)):.2f}"


def _nearest_to_a_noisy_image() -> str:
    numbers = claims.read(claims.COMMITTED)["G23"]["numbers"]
    words = {
        "SEM: another draw": "Another noisy image of the same place",
        "SEM: moved": "The same image moved by a pixel",
        "SEM: no noise": "The image without noise",
    }
    return words[max(words, key=lambda name: numbers[name])]


def _features_gained() -> str:
    drawn, output = torch.zeros(2, 5, 7, dtype=torch.bool)
    drawn[:, 0], drawn[2, 5] = True, True
    output[:, 0], output[:, 3] = True, True
    count = exercise("invented_features").function
    invented, missing = count(drawn, output)
    assert (invented, missing) == (1, 1)
    return str(invented - missing)


def _lopsided() -> str:
    best = exercise("best_grey").function(torch.tensor([[0.3]]), 0.0, 1.0, "l1", 3.0)
    return {0.0: "dark", 1.0: "bright"}.get(float(best), "in between")


def _rate_after_loading() -> str:
    weight = torch.nn.Parameter(torch.zeros(1))
    stored, fresh = (torch.optim.Adam([weight], lr=lr) for lr in (2e-6, 2e-4))
    fresh.param_groups[0]["lr"] = 2e-5
    fresh.load_state_dict(stored.state_dict())
    return {2e-4: "2e-4", 2e-5: "2e-5", 2e-6: "2e-6"}[fresh.param_groups[0]["lr"]]


def _renamed_before_synced() -> str:
    disk = ToyDisk("live", "old")
    disk.write("draft", "new")
    disk.rename("draft", "live")
    found = {
        ("new", "old"): "The old or the new contents",
        ("new", "old", "torn"): "The old ones, the new ones, or half a file",
    }
    return found[tuple(sorted(disk.at_the_end()))]


def _bound_with_copies() -> str:
    hold = promotion.Hold(layouts=50, images=2)
    values = hold.draw(np.random.default_rng(0))
    once = lower_bound(values, hold.clusters)
    copied = lower_bound(np.repeat(values, 10), [c for c in hold.clusters for _ in range(10)])
    assert once is not None
    assert copied is not None
    return "It stays" if abs(once - copied) < 1e-12 else "It rises" if copied > once else "It falls"


def _silent_loss() -> str:
    names = {"minimax": "log(1 - D)", "non_saturating": "-log D", "lsgan": "(f - 1)^2 on the raw output f"}
    size = {kind: float(curves(kind, torch.tensor([-10.0]), sigmoid=False)[1].abs()) for kind in names}
    return names[min(size, key=size.__getitem__)]


def _smallest_after_spectral_norm() -> str:
    weight, u = torch.diag(torch.tensor([3.0, 1.0])).view(2, 2, 1, 1), torch.tensor([0.8, 0.6])
    divided = exercise("spectral_normalise").function(weight, u, 50)[0]
    return f"{float(torch.linalg.svdvals(divided.flatten(1))[-1]):.2f}"


def _share_of_new_fakes() -> str:
    buffer = ImageBuffer(50)
    images = torch.arange(2000.0).view(-1, 1, 1, 1)
    given = torch.cat([buffer.exchange(part, part)[1] for part in images.split(10)])
    new = float((given[50:] == images[50:]).float().mean())
    return "About half" if 0.45 < new < 0.55 else f"{new:.2f}"


def _credited_after_a_rollback() -> str:
    events = [("prediction", "p", "Version 2's", 0.0, 1.0), ("prediction", "q", "Version 1's", 0.0, 1.0)]
    (version,) = exercise("join_labels").function([*events, ("label", "l", "p", 9.0, 0.0)])
    return version


def _label_sent_twice() -> str:
    def joined(times: int) -> dict[str, dict[str, float]]:
        label = ("label", "l", "p", 9.0, 0.0)
        return exercise("join_labels").function([("prediction", "p", "v1", 0.0, 1.0), *[label] * times])

    return "Nothing" if joined(2) == joined(1) else "It counts twice"


def _who_sees_a_changed_relation() -> str:
    plain, moved = (stream("relation", 25, 0, most=progress) for progress in (0.0, 4.0))
    assert not torch.equal(plain.layout, moved.layout)
    return "None" if torch.equal(plain.sem, moved.sem) else "The windows"


def _strange_among_equals() -> str:
    """One of 41 draws is the largest, and it is as often the last one as any other."""
    draws = torch.rand(41_000, 41, generator=torch.Generator().manual_seed(0))
    share = float((draws.argmax(1) == 40).double().mean())
    return min(("1 in 41", "1 in 20"), key=lambda words: abs(1 / int(words[5:]) - share))


def _what_a_turn_moves() -> str:
    lines = stream("none", 25, 0).sem
    moved = (image_features(lines.transpose(2, 3)) - image_features(lines)).abs().mean(0)
    names = ("contrast", "edge density", "anisotropy")
    return max(names, key=lambda name: float(moved[FEATURES.index(name)])).capitalize()


def _divergence_with_an_empty_bin() -> str:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    return "Infinite" if math.isinf(rel_entr(p, q).sum()) else "log 2"


def _values_in_eight_lots() -> str:
    """Variance of one value over the variance of the window's mean."""
    offsets = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)).repeat_interleave(25, dim=1)
    return f"{float(offsets.var() / offsets.mean(1).var()):.0f}"


KEYS = {
    "basics_cat": lambda: str(tuple(torch.cat([torch.zeros(4, 1, 8, 8)] * 2, dim=1).shape)),
    "basics_uint8": lambda: str(int(torch.tensor(250, dtype=torch.uint8) + 10)),
    "basics_accumulate": _gradient_after_two_passes,
    "basics_broadcast": lambda: str(tuple((torch.zeros(3, 1) + torch.zeros(1, 4)).shape)),
    "basics_axis": lambda: str(torch.arange(6).view(2, 3).sum(dim=0).tolist()),
    "basics_detach": lambda: _detach(),
    "00_range": lambda: f"{float(exercise('to_network').function(torch.tensor([0], dtype=torch.uint8))):g}",
    "00_symmetries": _symmetries,
    "00_gain": _ncc_under_gain,
    "00_positions": lambda: str(torch.zeros(304).unfold(0, 250, 1).shape[0]),
    "00_resize": lambda: f"{250 * 10 / 256:.2f} nm",
    "01_closed": lambda: f"{float(torch.tensor([0.5, 0.5]).prod()):g}",
    "01_terminal": lambda: f"{float(make_schedule('linear', 100, rescale=False).signal[-1]):.2f}",
    "01_zero": _impossible,
    "01_sigmoid": _half_way,
    "01_snr": lambda: f"{float(exercise('log_snr').function(torch.tensor([0.2]).double()).exp()):g}",
    "01_scale": _scaled,
    "01_fewest": _fewest,
    "01_roots": _mixed_without_roots,
    "02_difference": _what_similarity_depends_on,
    "02_zero_layer": _map_after_a_layer_of_zeros,
    "02_spread": _typical_error_of_spread,
    "02_clock": _turn_of_the_fastest_clock,
    "02_frequencies": lambda: str(
        len({round(float(f), 6) for f in sinusoidal_embedding(torch.tensor([1.0]), 32)[0, :16].asin()})
    ),
    "02_origin": _embedding_of_zero,
    "02_line": _points_of_a_linear_layer,
    "02_numbers": lambda: str(
        len(Denoiser(DenoiserConfig(base_filters=64, multipliers=(1, 2))).middle.modulation.bias)
    ),
    "03_eta": _twice_from_one_start,
    "03_score": _score,
    "03_last": _step_without_noise,
    "03_predict_x0": _predicted_image,
    "03_guidance": lambda: (
        f"{float(exercise('guided_prediction').function(torch.tensor(0.2), torch.tensor(0.5), 3.0)):g}"
    ),
    "03_evaluations": _evaluations,
    "03_first_order": _first_step_of_the_solver,
    "03_ema": _first_average,
    "04_median": lambda: _best_constant(1),
    "04_bottleneck": lambda: "{0} x {0}".format(exercise("encoder_shapes").function(64, 16, 5, 256)[-1][1]),
    "04_channels": lambda: str(exercise("channel_rule").function(3, 48, 256)),
    "04_iou": _iou,
    "04_mean": lambda: _best_constant(2),
    "04_batch_norm": lambda: {
        (True, False): "In training only",
        (True, True): "Always",
        (False, False): "Never",
    }[(_moves_with_batch_mate(True), _moves_with_batch_mate(False))],
    "05_field": lambda: str(exercise("receptive_field").function([(k, s) for k, s, _ in PATCHGAN])),
    "05_map": lambda: "{0} x {0}".format(exercise("patch_map_size").function(256, 3)),
    "05_next_field": lambda: str(exercise("receptive_field").function([(4, 2)] * 4 + [(4, 1)] * 2)),
    "05_undecided": lambda: (
        f"{float(exercise('lsgan_d_loss').function(torch.full((1,), 0.5), torch.full((1,), 0.5))):g}"
    ),
    "05_instance_norm": _instance_norm_field,
    "05_corner": _corner_rows,
    "06_vanishes": lambda: (
        f"{float(curves('non_saturating', torch.tensor([-10.0]), sigmoid=False)[1].abs()):.0f}"
    ),
    "06_smooth": lambda: (
        f"{float(exercise('optimal_discriminator').function(torch.ones(1), torch.ones(1), 0.9, 0.0)):.2f}"
    ),
    "06_last_rate": lambda: f"{exercise('decayed_rate').function(1.0, 9, 10):g}",
    "06_saturates": _silent_loss,
    "06_smallest": _smallest_after_spectral_norm,
    "06_undecided": lambda: (
        f"{float(exercise('discriminator_loss').function(*torch.zeros(2, 1), 'non_saturating')):.2f}"
    ),
    "06_buffer": _share_of_new_fakes,
    "07_cost": lambda: f"{lesson07.measured_trade(1.0):.0f} dB",
    "07_net": _features_gained,
    "07_weights": lambda: f"{BidirectionalConfig().weight_l1 / BidirectionalConfig().weight_gan:g}",
    "07_l1_gradient": lambda: (
        f"{float(l1_gradient_norm(100.0, torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))):g}"
    ),
    "07_off": lambda: {True: "NaN", False: "0"}[bool((0 * torch.tensor(torch.nan)).isnan())],
    "07_lopsided": _lopsided,
    "07_half_grain": lambda: "{:.0f} dB and {:.0f} dB".format(*map(abs, lesson07.grain_trade(0.5))),
    "08_rows": _sums_that_are_one,
    "08_start": _first_gradients,
    "08_square": lambda: f"{map_bytes(128) // map_bytes(64)} times",
    "08_gib": lambda: size_words(map_bytes(128)),
    "08_parameters": lambda: f"{sum(p.numel() for p in SelfAttention(64).parameters()):,}",
    "08_scale": lambda: f"{256**0.5:.0f}",
    "08_order": _shuffled_places,
    "09_conventions": lambda: f"{10 / two_conventions('smoke')['data']:.1f}",
    "09_detach": _what_detaching_changes,
    "09_even": lambda: str(next(k for k in (3, 4, 5) if _even(k))),
    "09_places": lambda: str(
        sum((row in (0, 32)) and (column in (0, 32)) for row in range(64) for column in range(64)) - 1
    ),
    "09_real_constant": _who_gets_gradients,
    "09_layers": lambda: str(
        len(PatchGAN(PatchGANConfig(base_filters=2))(*torch.zeros(2, 1, 1, 64, 64)).features)
    ),
    "09_constant": lambda: f"{float(feature_matching([torch.ones(2, 3)], [torch.ones(2, 3)])):.0f}",
    "10_bridge": _fall_for_a_bridge,
    "10_empty": _epe_of_nothing,
    "10_ler": _ler_with_noise,
    "10_pieces": _opens_of_three_pieces,
    "10_range": _ssim_with_a_wrong_range,
    "10_psnr": _psnr_of_half_the_error,
    "10_iou": _iou_of_a_wide_line,
    "10_no_noise": _nearest_to_a_noisy_image,
    "11_gauss": lambda: f"About {1e4 * 2 * stats.norm.sf(3):.0f}",
    "11_relation": _who_sees_a_changed_relation,
    "11_chunks": _strange_among_equals,
    "11_turn": _what_a_turn_moves,
    "11_empty_bin": _divergence_with_an_empty_bin,
    "11_js": lambda: f"{float(js_distance(torch.eye(2)[0].double(), torch.eye(2)[1].double())):g}",
    "11_ks": lambda: f"{stats.ks_2samp([1, 2, 3, 4], [3, 4, 5, 6]).statistic:g}",
    "11_cusum": lambda: f"{float(exercise('cusum').function(torch.ones(3), 0.5)[-1, 0]):g}",
    "11_lots": _values_in_eight_lots,
    "12_rate": _rate_after_loading,
    "12_equal": lambda: {0: "Never", 1: "In about half of the cases"}[
        round(2 * promotion.share("mean SSIM > 0", promotion.Hold(), 400)[0] / 400)
    ],
    "12_swap": _renamed_before_synced,
    "12_replay": lambda: str(sum(len(exercise("replay_slots").function(s, 8, 0.25)[0]) for s in range(10))),
    "12_copies": _bound_with_copies,
    "12_twelve": lambda: f"About {100 * (1 - 0.99**12):.0f} %",
    "12_drift": lambda: {(False, True): "Labelling, with priority", (True, False): "A fine-tuning"}[
        (advise(Signals(0, drift=True)).train, advise(Signals(0, drift=True)).label_first)
    ],
    "12_nine": lambda: {True: "Insufficient data", False: "Promote"}[
        lower_bound([0.1] * 9, [str(i) for i in range(9)]) is None
    ],
    "12_clock": lambda: "No" if not exercise("cool_down").function(-10 * 3600.0, 0.0, 24.0)[0] else "Yes",
    "13_credit": _credited_after_a_rollback,
    "13_silence": lambda: {None: "Unknown"}[exercise("three_monitors").function([(200, False, None)])[2]],
    "13_drift_start": lambda: {(): "On none", (0,): "On the first"}[
        tuple(exercise("start_days").function([(0, 0.0, True)] * 10, 240, 72, 0.08, 1))
    ],
    "13_white": lambda: {1.0: "White", 0.5: "Mid grey"}[
        round(float(through_pillow(png_16_bit(torch.full((1, 8, 8), 0.5))).mean()), 1)
    ],
    "13_dark": lambda: {True: "Refuse and ask", False: "Divide by 65535"}[
        exercise("decode_depth").function(torch.tensor([[0.0, 3000.0]]), "uint16", None) is None
    ],
    "13_twice": _label_sent_twice,
    "13_refused": lambda: {(0.0, 0.0): "Neither of the two", (0.5, 0.0): "That of failures"}[
        exercise("three_monitors").function([(200, False, True), (422, False, None)])[:2]
    ],
    "13_enough": lambda: (
        f"Day {exercise('start_days').function([(12, 0.0, False)] * 40, 240, 72, 0.08, 1)[0]}"
    ),
}


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "learner" / "progress.json"))
    _asked.clear()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_answer_key(question):
    assert len(set(question.choices)) == len(question.choices) >= 3
    assert question.why.endswith(".")
    if question.id in KEYS:
        assert KEYS[question.id]() == question.right


def test_every_key_belongs_to_a_question_and_few_cannot_be_computed():
    ids = [q.id for q in QUESTIONS]
    assert len(set(ids)) == len(ids)
    assert set(KEYS) <= set(ids)
    assert set(ids) - set(KEYS) == {
        "00_photometric",
        "00_low_score",
        "04_where",
        "05_condition",
        "07_cycle_layout",
    }


def test_pools_are_large_and_right_answers_do_not_always_stand_first():
    for lesson in {q.lesson for q in QUESTIONS}:
        pool = [q for q in QUESTIONS if q.lesson == lesson]
        assert len(pool) >= 6
        assert len({q.answer for q in pool}) >= 2


def test_recall_asks_about_earlier_lessons_only():
    known = sorted({q.lesson for q in QUESTIONS} - {"basics"})
    assert [q.lesson for q in recall.recall_questions(known[0])] == ["basics"] * 3
    for number, lesson in enumerate([*known[1:], "99"], 1):
        *recent, older = (q.lesson for q in recall.recall_questions(lesson))
        assert recent == [known[number - 1]] * 2
        assert older == (known[: number - 1] or known[:1])[max(number - 2, 0) // 2]  # half way back
    for lesson in ("00", "04", "05"):
        asked = recall.recall_questions(lesson)
        assert len({q.id for q in asked}) == 3
        assert asked == recall.recall_questions(lesson)
        assert {q.lesson for q in recall.wrap_up_questions(lesson)} == {lesson}
    with pytest.raises(ConfigError, match="'99' has no questions"):
        recall.wrap_up("99")


def test_recall_answers_are_judged_explained_and_kept():
    question = recall.wrap_up_questions("04")[0]
    wrong = next(c for c in question.choices if c != question.right)
    assert recall.answer(question, None) == "Choose one first."
    assert question.why in recall.answer(question, wrong)
    assert recall.answer(question, question.right).startswith("✓")
    assert progress.get("recall", question.id) == {"right": True, "asked": 2, "hits": 1}
    assert f"<summary>Answer</summary>{question.right}" in recall.card(question).markdown


def test_interval_prediction_is_scored_by_the_interval_score():
    recall.predict("iou", "How much?", range=(0.0, 0.5, "IoU"))
    store("iou", (0.1, 0.2))
    text = str(recall.reveal("iou", measured=0.25))
    assert "Measured: **0.25 IoU**" in text
    assert "outside" in text
    entry = progress.get("predictions", "iou")
    assert entry["hit"] is False
    assert entry["score"] == pytest.approx((0.1 + 2 / 0.2 * 0.05) / 0.5)
    store("iou", (0.2, 0.3))  # too late: the first prediction stands
    recall.reveal("iou", measured=0.15)  # a rerun measures again, the score stays
    assert progress.get("predictions", "iou") == entry
    assert "0 of your 1 intervals" in recall.calibration()


def test_choice_prediction_is_scored_by_brier():
    recall.predict("which", "Which is sharper?", choices=["with", "without"])
    store("which", "with", confidence=0.9)
    assert "90% sure): right" in str(recall.reveal("which", measured="with"))
    assert progress.get("predictions", "which")["score"] == pytest.approx(0.01)
    assert "1 of your 1 choices" in recall.calibration()


def test_headless_run_reveals_and_stores_nothing(capsys):
    recall.predict("iou", "How much?", range=(0.0, 1.0, ""))
    assert str(recall.reveal("iou", measured=0.5)) == "Measured: **0.5**. No prediction was recorded."
    assert capsys.readouterr().out == ""
    assert not progress.progress_path().exists()
    assert recall.calibration() == "No prediction has been revealed yet."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall.predict("a", "?"), "two or more"),
        (lambda: recall.predict("a", "?", choices=["one"]), "two or more"),
        (lambda: recall.predict("a", "?", choices=["x", "y"], range=(0, 1, "")), "two or more"),
        (lambda: recall.predict("a", "?", range=(1, 1, "")), "low must be below high"),
        (lambda: recall.reveal("never", 1.0), "Nothing was asked under 'never'"),
    ],
)
def test_mistakes_of_a_lesson_author(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_unknown_choices_and_reversed_intervals_are_refused():
    recall.predict("c", "?", choices=["x", "y"])
    recall.predict("r", "?", range=(0, 1, ""))
    for call in (lambda: store("c", "z"), lambda: recall.reveal("c", "z"), lambda: store("r", (0.4, 0.2))):
        with pytest.raises(ConfigError):
            call()


def test_the_forms_store_what_is_set(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        forms, "ask", lambda text, controls, submit, **_: shown.update(c=controls(), s=submit)
    )
    recall.predict("c", "Which?", choices=["x", "y"])
    form = forms.make_form("**Which** <b> `one`?", shown["c"], shown["s"], "Store")
    button, reply = form.children[-1].children
    button.click()
    assert reply.value == "Choose one first."
    shown["c"][0].value = "y"
    shown["c"][1].children[0].value = 60
    button.click()
    assert progress.get("predictions", "c") == {"choice": "y", "confidence": 0.6}
    assert form.children[0].value == "<b>Which</b> &lt;b> <code>one</code>?"
    recall.predict("r", "How much?", range=(0, 1, "nm"))
    shown["c"][1].value = (0.25, 0.5)
    assert shown["s"](shown["c"]).startswith("Stored")
    recall.reveal("r", 0.3)
    assert "revealed already" in shown["s"](shown["c"])
    assert progress.get("predictions", "r")["interval"] == [0.25, 0.5]


def test_a_damaged_progress_file_is_kept_aside(capsys):
    progress.update("recall", "a", right=True)
    path = progress.progress_path()
    for damage in ('{"exercises": {', "[]", '{"exercises": 3}', "\udcff"):
        path.write_text(damage, encoding="utf-8", errors="surrogateescape")
        assert progress.load() == {"exercises": {}, "predictions": {}, "recall": {}}
        assert "was damaged; it is kept as progress.json.bad" in capsys.readouterr().out
        assert path.with_name("progress.json.bad").exists()
    progress.update("recall", "b", right=False)
    assert progress.get("recall", "b") == {"right": False}
    progress.reset()
    progress.reset()
    assert progress.get("recall", "b") == {}


def test_a_kill_while_writing_leaves_the_old_file(monkeypatch):
    progress.update("recall", "a", right=True)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        progress.update("recall", "b", right=True)
    folder = progress.progress_path().parent
    assert [f.name for f in folder.iterdir() if f.suffix != ".lock"] == ["progress.json"]
    assert json.loads((folder / "progress.json").read_text())["recall"] == {"a": {"right": True}}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")), ids=lambda p: p.stem
)
def test_committed_lessons_ask_todays_questions(path):
    """A new question or lesson changes what others ask; their stamps, which are of code, do not notice."""
    lesson = path.stem[:2]
    shown = {"recall": recall.recall_questions(lesson), "wrap_up": recall.wrap_up_questions(lesson)}
    cells = nbformat.read(path, 4).cells
    for name, questions in shown.items():
        (cell,) = (c for c in cells if c.source.strip() == f'{name}("{lesson}")')
        outputs = [o.get("data", {}).get("text/markdown", "") for o in cell.outputs]
        assert [q.text for q in questions if not any(q.text in text for text in outputs)] == []
