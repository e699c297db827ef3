"""The procedural layout families: functions that draw rectangles on the manufacturing grid.

Every function takes a random stream, the field's side `n`, a minimum width `w` and a minimum space `s`, all
in grid units, and returns rectangles (x0, y0, x1, y1) that do not overlap, satisfy both rules and may extend
beyond the field.
"""

from collections.abc import Callable
from random import Random

from gantrans.data.rasterise import Rectangle


def line_space(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """A grating; one clip in four has mixed line widths, like a bus beside minimum-width wires."""
    line, space = rng.randint(w, 2 * w), rng.randint(s, 2 * s)
    mixed = rng.random() < 0.25
    rectangles, x = [], -rng.randrange(line + space)
    while x < n:
        width = rng.randint(w, 2 * w) if mixed else line
        rectangles.append((x, 0, x + width, n))
        x += width + space
    return rectangles


def contact_array(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Square holes on a grid, straight or staggered, complete or with missing sites."""
    side = rng.randint(w, w + w // 2)
    pitch_x, pitch_y = side + rng.randint(s, 2 * s), side + rng.randint(s, 2 * s)
    stagger = pitch_x // 2 if rng.random() < 0.3 else 0
    if stagger and min(stagger, pitch_x - stagger) - side < s:  # the next row would be too close
        pitch_y = side + max(s, pitch_y - side)
    missing = rng.choice((0.0, 0.0, 0.1, 0.4))
    x_start, y_start = -rng.randrange(pitch_x), -rng.randrange(pitch_y)
    return [
        (x, y, x + side, y + side)
        for row, y in enumerate(range(y_start, n, pitch_y))
        for x in range(x_start - (row % 2) * stagger, n, pitch_x)
        if rng.random() >= missing
    ]


def tip_to_tip(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Lines cut into segments; neighbours' cuts are aligned, shifted by half a period, or independent."""
    line, space, gap = rng.randint(w, w + w // 2), rng.randint(s, 2 * s), rng.randint(s, 2 * s)
    length = rng.randint(5 * w, 9 * w)
    arrangement = rng.choice(("aligned", "shifted", "independent"))
    start = -rng.randrange(length + gap)
    rectangles = []
    for i, x in enumerate(range(-rng.randrange(line + space), n, line + space)):
        y = start - (length // 2 if arrangement == "shifted" and i % 2 else 0)
        if arrangement == "independent":
            y = -rng.randrange(length + gap)
        while y < n:
            segment = rng.randint(4 * w, 12 * w) if arrangement == "independent" else length
            rectangles.append((x, y, x + line, y + segment))
            y += segment + gap
    return rectangles


def jogs(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Bends: parallel wires that jog together, nested corners (L), wires with stubs (T), or two combs."""
    return rng.choice((_parallel_jogs, _nested_corners, _stubs, _combs))(rng, n, w, s)


def isolated_line(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """One line, or two far apart; it may end inside the field, with or without a landing pad."""
    width = rng.randint(w, 2 * w)
    x = rng.randrange(n // 4, max(n // 4 + 1, 3 * n // 4 - width))
    rectangles: list[Rectangle] = [(x, 0, x + width, n)]
    if rng.random() < 0.5:
        end = rng.randrange(n // 3, 2 * n // 3)
        rectangles = [(x, 0, x + width, end)]
        if rng.random() < 0.5:  # the pad closes the line's end
            rectangles.append((x - w, end, x + width + w, end + width + 2 * w))
    other = x + (n // 2 if x < n // 2 else -(n // 2))
    if rng.random() < 0.4 and abs(other - x) >= width + 3 * w + 2 * s:
        rectangles.append((other, 0, other + width, n))
    return rectangles


def random_routed(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Wires of minimum width routed as random walks on tracks; different wires never touch."""
    pitch_x, pitch_y = w + rng.randint(s, s + s // 2), w + rng.randint(s, s + s // 2)
    origin_x, origin_y = -rng.randrange(pitch_x), -rng.randrange(pitch_y)
    columns, rows = (n - origin_x) // pitch_x + 1, (n - origin_y) // pitch_y + 1
    nodes, across, down = _random_walks(rng, columns, rows)
    rectangles = [
        (x, y + w, x + w, y + pitch_y)
        for i, j in down
        for x, y in ((origin_x + i * pitch_x, origin_y + j * pitch_y),)
    ]
    for j in range(rows):  # wires along x: one rectangle for every unbroken run of nodes
        first = None
        for i in range(columns):
            if first is None and (i, j) in nodes:
                first = i
            if first is not None and (i, j) not in across:
                x0, y0 = origin_x + first * pitch_x, origin_y + j * pitch_y
                rectangles.append((x0, y0, origin_x + i * pitch_x + w, y0 + w))
                first = None
    return rectangles


Node = tuple[int, int]


def _random_walks(rng: Random, columns: int, rows: int) -> tuple[set[Node], set[Node], set[Node]]:
    """Occupied track crossings, and those with a wire to the right and with a wire downwards."""
    nodes: set[Node] = set()
    across: set[Node] = set()
    down: set[Node] = set()
    random = rng.random  # several times faster than randrange, and most draws are made here
    for _ in range(max(3, columns * rows // 4)):
        i, j = int(random() * columns), int(random() * rows)
        if (i, j) in nodes:
            continue
        walk = [(i, j)]
        nodes.add((i, j))
        for _ in range(2 + int(random() * 3)):  # straight runs
            di, dj = ((1, 0), (-1, 0), (0, 1), (0, -1))[int(random() * 4)]
            for _ in range(2 + int(random() * 4)):
                following = (i + di, j + dj)
                if following in nodes or not (0 <= following[0] < columns and 0 <= following[1] < rows):
                    break
                (across if dj == 0 else down).add(min((i, j), following))
                nodes.add(following)
                walk.append(following)
                i, j = following
        if len(walk) == 1:  # a single square is a contact, not a wire
            nodes.discard(walk[0])
    return nodes, across, down


def _parallel_jogs(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    pitch, step = w + rng.randint(s, s + s // 2), w + s
    height = rng.randint(w, 3 * (w + s))
    jog, y = rng.randrange(n // 3, n), -height - rng.randrange(pitch)
    rectangles = []
    while y < n:  # each wire jogs one width and one space before the one above it
        rectangles += [
            (min(0, jog), y, jog, y + w),
            (jog, y, jog + w, y + height + w),
            (jog + w, y + height, max(n, jog + w), y + height + w),
        ]
        y, jog = y + pitch, jog - step
    return rectangles


def _nested_corners(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    pitch = w + rng.randint(s, 2 * s)
    offset = rng.randrange(-n // 3, n // 3)
    start = -rng.randrange(pitch) - (abs(offset) // pitch + 1) * pitch
    rectangles = []
    for corner in range(start, n, pitch):
        x, y = corner + max(offset, 0), corner + max(-offset, 0)
        rectangles += [(x, y, x + w, max(n, y + w)), (x + w, y, max(n, x + 2 * w), y + w)]
    return rectangles


def _stubs(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    reach = rng.randint(w, 2 * w)
    pitch = w + reach + rng.randint(s, 2 * s)
    rectangles = []
    for y in range(-rng.randrange(pitch), n, pitch):
        rectangles.append((0, y, n, y + w))
        x = -rng.randrange(w + s)
        while x < n:
            rectangles.append((x, y + w, x + w, y + w + reach))
            x += w + rng.randint(s, s + 6 * w)
    return rectangles


def _combs(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    pitch = w + rng.randint(s, s + s // 2)
    reach = rng.randint(4 * w, 8 * w)
    spine = rng.randint(w, 2 * w)
    x, y_start = -rng.randrange(spine + reach + s), -rng.randrange(2 * pitch)
    rectangles = []
    while x < n:  # spine with teeth to the right; the next spine's teeth are between them, from its left
        rectangles.append((x, 0, x + spine, n))
        right = x + spine + reach + s
        for k, y in enumerate(range(y_start, n, pitch)):
            left = x + spine if k % 2 == 0 else x + spine + s
            rectangles.append((left, y, left + reach, y + w))
        x = right
    return rectangles


DRAW: dict[str, Callable[[Random, int, int, int], list[Rectangle]]] = {
    "line_space": line_space,
    "contact_array": contact_array,
    "tip_to_tip": tip_to_tip,
    "jogs": jogs,
    "isolated_line": isolated_line,
    "random_routed": random_routed,
}
