"""Answers to the exercises of lesson 13 by people who saw only the texts."""

from collections import Counter

import numpy as np
import torch
from strangers import right, wrong

# ---------------------------------------------------------------- decode_depth


@right("decode_depth", "match on type and bits, with numpy")
def _(values, stored, bits):
    v = values.numpy()
    match (stored, bits):
        case ("uint8", None):
            return torch.as_tensor(v / 255.0)
        case ("uint16", None):
            return torch.as_tensor(v / 65535.0) if np.any(v >= 4096) else None
        case ("uint16", _):
            scaled = v / float((1 << bits) - 1)
            return torch.as_tensor(scaled) if np.all(v < 1 << bits) else None
        case ("float", None):
            return values.clone() if np.logical_and(v >= 0, v <= 1).all() else None
    return None


@wrong("decode_depth", "8 bits stated for an 8-bit image pass", breaks="`bits` stated for anything but")
def _(values, stored, bits):
    if stored == "uint8":
        return values / 255 if bits in (None, 8) else None
    if stored == "float":
        return values if bits is None and bool(((values >= 0) & (values <= 1)).all()) else None
    if bits is None:
        return None if bool((values < 4096).all()) else values / 65535
    return None if bool((values >= 2**bits).any()) else values / (2**bits - 1)


@wrong("decode_depth", "NaN is neither below 0 nor above 1 and passes", breaks="Floats are taken as they are")
def _(values, stored, bits):
    if stored != "uint16":
        if bits is not None:
            return None
        if stored == "uint8":
            return values / 255
        return None if bool((values < 0).any() or (values > 1).any()) else values
    if bits is None:
        return None if bool((values < 4096).all()) else values / 65535
    return None if bool((values >= 2**bits).any()) else values / (2**bits - 1)


@wrong(
    "decode_depth",
    "refuses dark images also where the bits are stated",
    breaks="16 bits: if the client states",
)
def _(values, stored, bits):
    if stored != "uint16":
        if bits is not None:
            return None
        if stored == "uint8":
            return values / 255
        return values if bool(((values >= 0) & (values <= 1)).all()) else None
    if bool((values < 4096).all()):
        return None
    top = 65535 if bits is None else 2**bits - 1
    return None if bool((values > top).any()) else values / top


@wrong("decode_depth", "a brightest value of exactly 4096 is refused", breaks="16 bits: if the client states")
def _(values, stored, bits):
    if stored != "uint16":
        if bits is not None:
            return None
        if stored == "uint8":
            return values / 255
        return values if bool(((values >= 0) & (values <= 1)).all()) else None
    if bits is None:
        return None if bool((values <= 4096).all()) else values / 65535
    return None if bool((values >= 2**bits).any()) else values / (2**bits - 1)


@wrong("decode_depth", "a value of exactly 2**bits still fits", breaks="16 bits: if the client states")
def _(values, stored, bits):
    if stored != "uint16":
        if bits is not None:
            return None
        if stored == "uint8":
            return values / 255
        return values if bool(((values >= 0) & (values <= 1)).all()) else None
    if bits is None:
        return None if bool((values < 4096).all()) else values / 65535
    return None if bool((values > 2**bits).any()) else values / (2**bits - 1)


@wrong("decode_depth", "one pixel below 4096 is enough to refuse", breaks="16 bits: if the client states")
def _(values, stored, bits):
    if stored != "uint16":
        if bits is not None:
            return None
        if stored == "uint8":
            return values / 255
        return values if bool(((values >= 0) & (values <= 1)).all()) else None
    if bits is None:
        return None if bool((values < 4096).any()) else values / 65535
    return None if bool((values >= 2**bits).any()) else values / (2**bits - 1)


# ---------------------------------------------------------------- three_monitors


@right("three_monitors", "one pass with a counter")
def _(requests):
    n = Counter()
    for status, odd, ok in requests:
        n["all"] += 1
        n["failed"] += status > 499
        if status != 200:
            continue
        n["answered"] += 1
        n["strange"] += bool(odd)
        if ok is None:
            continue
        n["labelled"] += 1
        n["right"] += bool(ok)
    quality = n["right"] / n["labelled"] if n["labelled"] else None
    return n["failed"] / n["all"], n["strange"] / n["answered"], quality, n["labelled"] / n["answered"]


@wrong("three_monitors", "500 itself is not counted", breaks="Return four numbers")
def _(requests):
    answers = [r for r in requests if r[0] == 200]
    labels = [r[2] for r in answers if r[2] is not None]
    return (
        sum(r[0] > 500 for r in requests) / len(requests),
        sum(r[1] for r in answers) / len(answers),
        sum(labels) / len(labels) if labels else None,
        len(labels) / len(answers),
    )


@wrong("three_monitors", "0.0 where there is no label", breaks="Return four numbers")
def _(requests):
    answers = [r for r in requests if r[0] == 200]
    labels = [r[2] for r in answers if r[2] is not None]
    return (
        sum(r[0] >= 500 for r in requests) / len(requests),
        sum(r[1] for r in answers) / len(answers),
        sum(labels) / max(1, len(labels)),
        len(labels) / len(answers),
    )


@wrong("three_monitors", "coverage counts labels that say right only", breaks="Return four numbers")
def _(requests):
    answers = [r for r in requests if r[0] == 200]
    labels = [r[2] for r in answers if r[2] is not None]
    return (
        sum(r[0] >= 500 for r in requests) / len(requests),
        sum(r[1] for r in answers) / len(answers),
        sum(labels) / len(labels) if labels else None,
        sum(1 for r in answers if r[2]) / len(answers),
    )


@wrong("three_monitors", "labels of requests that were not answered are counted", breaks="An input was read")
def _(requests):
    answers = [r for r in requests if r[0] == 200]
    labels = [r[2] for r in requests if r[2] is not None]
    return (
        sum(r[0] >= 500 for r in requests) / len(requests),
        sum(r[1] for r in answers) / len(answers),
        sum(labels) / len(labels) if labels else None,
        len(labels) / len(answers),
    )


@wrong("three_monitors", "whatever is not an error counts as answered", breaks="An input was read")
def _(requests):
    answers = [r for r in requests if r[0] < 400]
    labels = [r[2] for r in answers if r[2] is not None]
    return (
        sum(r[0] >= 500 for r in requests) / len(requests),
        sum(r[1] for r in answers) / len(answers),
        sum(labels) / len(labels) if labels else None,
        len(labels) / len(answers),
    )


# ---------------------------------------------------------------- join_labels


@right("join_labels", "labels sorted by the time they were made")
def _(events):
    labels = {e[2]: e[4] for e in sorted((e for e in events if e[0] == "label"), key=lambda e: e[3])}
    predictions = [e for e in events if e[0] == "prediction" and e[1] in labels]
    return {
        version: {e[1]: abs(e[4] - labels[e[1]]) for e in predictions if e[2] == version}
        for version in {e[2] for e in predictions}
    }


@wrong("join_labels", "the label that came last counts", breaks="Of several labels")
def _(events):
    made = {e[1]: (e[2], e[4]) for e in events if e[0] == "prediction"}
    truth = {e[2]: e[4] for e in events if e[0] == "label"}
    out = {}
    for key, (version, output) in made.items():
        if key in truth:
            out.setdefault(version, {})[key] = abs(output - truth[key])
    return out


@wrong(
    "join_labels", "one pass: a label before its prediction is lost", breaks="Labels may come in any order"
)
def _(events):
    made, stamp, out = {}, {}, {}
    for kind, key, other, made_at, value in events:
        if kind == "prediction":
            made[key] = (other, value)
        elif other in made and made_at >= stamp.get(other, made_at):
            version, output = made[other]
            stamp[other] = made_at
            out.setdefault(version, {})[other] = abs(output - value)
    return out


@wrong("join_labels", "versions without labels stay as empty dictionaries", breaks="Of several labels")
def _(events):
    made = {e[1]: (e[2], e[4]) for e in events if e[0] == "prediction"}
    truth = {e[2]: e[4] for e in sorted((e for e in events if e[0] == "label"), key=lambda e: e[3])}
    out = {}
    for key, (version, output) in made.items():
        errors = out.setdefault(version, {})
        if key in truth:
            errors[key] = abs(output - truth[key])
    return out


@wrong("join_labels", "credits the version in use when the label came", breaks="Return `{version")
def _(events):
    made = {e[1]: e[4] for e in events if e[0] == "prediction"}
    in_use = next((e[2] for e in events if e[0] == "prediction"), "")
    best, out = {}, {}
    for kind, _key, other, made_at, value in events:
        if kind == "prediction":
            in_use = other
        elif other in made and (other not in best or made_at >= best[other][0]):
            best[other] = (made_at, in_use, value)
    for key, (_, version, value) in best.items():
        out.setdefault(version, {})[key] = abs(made[key] - value)
    return out


@wrong(
    "join_labels", "labels made at 0.0 are overlooked: later than nothing is > 0", breaks="Return `{version"
)
def _(events):
    made, when, truth = {}, {}, {}
    for kind, key, other, made_at, value in events:
        if kind == "prediction":
            made[key] = (other, value)
        elif made_at > when.get(other, 0.0):
            when[other], truth[other] = made_at, value
    out = {}
    for key, (version, output) in made.items():
        if key in truth:
            out.setdefault(version, {})[key] = abs(output - truth[key])
    return out


# ---------------------------------------------------------------- start_days


@right("start_days", "a generator")
def _(days, enough, fewest, most_loss, pause):
    def starts():
        waiting, rest = 0, 0
        for number, (labels, loss, _drift) in enumerate(days):
            waiting += labels
            wanted = waiting >= enough or (waiting >= fewest and loss > most_loss)
            if wanted and rest <= 0:
                yield number
                waiting, rest = 0, pause
            rest -= 1

    return list(starts())


@right("start_days", "the first day that starts, then the rest again")
def _(days, enough, fewest, most_loss, pause):
    out, begin, allowed = [], 0, 0
    while True:
        for day in range(max(begin, allowed), len(days)):
            waiting = sum(labels for labels, _, _ in days[begin : day + 1])
            fell = days[day][1] > most_loss
            if waiting >= enough or (fell and waiting >= fewest):
                out.append(day)
                begin, allowed = day + 1, day + pause
                break
        else:
            return out


def _trigger(days, pause, wanted, used=lambda waiting: 0):
    waiting, last, out = 0, None, []
    for number, (labels, loss, drift) in enumerate(days):
        waiting += labels
        if wanted(waiting, loss, drift) and (last is None or number - last >= pause):
            out.append(number)
            last, waiting = number, used(waiting)
    return out


@wrong("start_days", "an alarm of the input monitor starts as well", breaks="Drift asks for labels")
def _(days, enough, fewest, most_loss, pause):
    return _trigger(
        days, pause, lambda w, loss, drift: w >= enough or ((loss > most_loss or drift) and w >= fewest)
    )


@wrong("start_days", "a start uses up only `enough` labels", breaks="A start uses up all labels")
def _(days, enough, fewest, most_loss, pause):
    return _trigger(
        days,
        pause,
        lambda w, loss, _: w >= enough or (loss > most_loss and w >= fewest),
        lambda w: max(0, w - enough),
    )


@wrong("start_days", "a start on day 0 begins no pause", breaks="It starts if `enough`")
def _(days, enough, fewest, most_loss, pause):
    waiting, last, out = 0, 0, []
    for number, (labels, loss, _drift) in enumerate(days):
        waiting += labels
        if last and number - last < pause:
            continue
        if waiting >= enough or (loss > most_loss and waiting >= fewest):
            out.append(number)
            waiting, last = 0, number
    return out


@wrong("start_days", "a loss of exactly `most_loss` is too much", breaks="It starts if `enough`")
def _(days, enough, fewest, most_loss, pause):
    return _trigger(days, pause, lambda w, loss, _: w >= enough or (loss >= most_loss and w >= fewest))


@wrong("start_days", "labels that come during the pause are not kept", breaks="A start uses up all labels")
def _(days, enough, fewest, most_loss, pause):
    waiting, last, out = 0, None, []
    for number, (labels, loss, _drift) in enumerate(days):
        if last is not None and number - last < pause:
            continue
        waiting += labels
        if waiting >= enough or (loss > most_loss and waiting >= fewest):
            out.append(number)
            waiting, last = 0, number
    return out


@wrong("start_days", "looks before the labels of the day have arrived", breaks="Every day brings")
def _(days, enough, fewest, most_loss, pause):
    waiting, last, out = 0, None, []
    for number, (labels, loss, _drift) in enumerate(days):
        due = waiting >= enough or (loss > most_loss and waiting >= fewest)
        if due and (last is None or number - last >= pause):
            out.append(number)
            waiting, last = 0, number
        waiting += labels
    return out
