"""Pictures as SVG, without a library: bars side by side, and curves over logarithmic axes."""

import html
import math

COLOURS = ("#1f5fa8", "#c2410c", "#15803d", "#7c3aed", "#7c7c7c")
WIDTH, HEIGHT = 900, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 78, 60


def text(x, y, words, anchor="middle", more=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(words)}</text>'
    )


def line(x1, y1, x2, y2, colour="#e5e5e5"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def short(value):
    for scale, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def frame(title, names):
    """The start of a picture: title and legend."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(WIDTH / 2, 24, title, more='font-size="17"'),
    ]
    x = LEFT
    for number, name in enumerate(names):
        parts.append(
            f'<rect x="{x}" y="40" width="12" height="12" fill="{COLOURS[number % len(COLOURS)]}"/>'
        )
        parts.append(text(x + 17, 51, name, "start"))
        x += 30 + 7.5 * len(name)
    return parts


def round_step(most):
    """The least of 1, 2 and 5 times a power of ten that reaches `most` in five steps."""
    power = 10.0 ** math.floor(math.log10(most / 5))
    return next(step * power for step in (1, 2, 5, 10) if 5 * step * power >= most)


def bars(title, groups, unit):
    """`groups` is {group: {name: value}}; absent values leave gaps."""
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    most = max((v for values in groups.values() for v in values.values()), default=1) or 1
    step = round_step(most)
    ticks = math.ceil(most / step)
    most = ticks * step
    parts = frame(title, names)
    height = HEIGHT - TOP - BOTTOM
    for tick in range(ticks + 1):
        y = TOP + height * (1 - tick / ticks)
        parts += [
            line(LEFT, y, WIDTH - RIGHT, y),
            text(LEFT - 8, y + 4, short(step * tick), "end"),
        ]
    parts.append(text(LEFT - 8, TOP - 10, unit, "end"))
    room = (WIDTH - LEFT - RIGHT) / max(len(groups), 1)
    width = room * 0.8 / max(len(names), 1)
    for place, (group, values) in enumerate(groups.items()):
        start = LEFT + room * (place + 0.1)
        for number, name in enumerate(names):
            if name not in values:
                continue
            tall = height * values[name] / most
            x, y = start + number * width, TOP + height - tall
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.92:.1f}" height="{tall:.1f}" '
                f'fill="{COLOURS[number % len(COLOURS)]}"/>'
            )
            shown = short(round(values[name], 2))
            parts.append(text(x + width * 0.46, y - 4, shown, more='font-size="10"'))
        for row, words in enumerate(group.split("\n")):
            parts.append(text(start + room * 0.4, TOP + height + 18 + 15 * row, words))
    return "\n".join([*parts, "</svg>", ""])


def curves(title, series, x_name, y_name):
    """`series` is {name: [(x, y), ...]} with positive numbers, over logarithmic axes."""
    points = [point for values in series.values() for point in values] or [(1, 1)]
    (x_low, x_high), (y_low, y_high) = (
        (math.log2(min(p[axis] for p in points)), math.log2(max(p[axis] for p in points)))
        for axis in (0, 1)
    )
    y_low, y_high = math.floor(y_low), max(math.ceil(y_high), math.floor(y_low) + 1)
    x_high = max(x_high, x_low + 1)

    def place(x, y):
        across = (math.log2(x) - x_low) / (x_high - x_low)
        up = (math.log2(y) - y_low) / (y_high - y_low)
        return LEFT + (WIDTH - LEFT - RIGHT) * across, HEIGHT - BOTTOM - up * (
            HEIGHT - TOP - BOTTOM
        )

    parts = frame(title, list(series))
    for exponent in range(y_low, y_high + 1, max(1, (y_high - y_low) // 8)):
        _, y = place(2**x_low, 2.0**exponent)
        parts += [
            line(LEFT, y, WIDTH - RIGHT, y),
            text(LEFT - 8, y + 4, short(2.0**exponent), "end"),
        ]
    for x_value in sorted({p[0] for p in points}):
        x, _ = place(x_value, 2.0**y_low)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM), text(x, HEIGHT - BOTTOM + 18, f"{x_value:,}")]
    parts.append(text(WIDTH / 2, HEIGHT - 16, x_name))
    parts.append(text(LEFT - 8, TOP - 10, y_name, "end"))
    for number, values in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        at = [place(*point) for point in sorted(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in at]
    return "\n".join([*parts, "</svg>", ""])
