"""Curves of several runs as SVG: their mean as a line, from the least to the most as a band."""

import math

from cpu import picture

LEFT, RIGHT, TOP, BOTTOM = picture.LEFT, picture.RIGHT, picture.TOP, picture.BOTTOM


def ticks(low, high):
    """Round numbers from `low` to `high`, four to ten of them."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


class Axes:
    """Places of values; across logarithmic where `doubling`, up linear."""

    def __init__(self, points, doubling, y_range):
        self.map = math.log2 if doubling else float
        xs = [self.map(x) for x, *_ in points]
        self.x_low, self.x_high = min(xs), max(xs)
        if self.x_high == self.x_low:
            self.x_high += 1
        ys = [y for _, *values in points for y in values]
        low, high = y_range or (min(ys), max(ys))
        self.y_low, self.y_high = low, high if high > low else low + 1

    def place(self, x, y):
        across = (self.map(x) - self.x_low) / (self.x_high - self.x_low)
        up = (min(max(y, self.y_low), self.y_high) - self.y_low) / (self.y_high - self.y_low)
        width = picture.WIDTH - LEFT - RIGHT
        height = picture.HEIGHT - TOP - BOTTOM
        return LEFT + width * across, picture.HEIGHT - BOTTOM - height * up


def grid(axes, marks, x_name, y_name):
    parts = []
    for value in ticks(axes.y_low, axes.y_high):
        _, y = axes.place(marks[0], value)
        parts.append(picture.line(LEFT, y, picture.WIDTH - RIGHT, y))
        parts.append(picture.text(LEFT - 8, y + 4, f"{value:.4g}", "end"))
    for value in marks:
        x, bottom = axes.place(value, axes.y_low)
        parts.append(picture.line(x, TOP, x, bottom))
        parts.append(picture.text(x, bottom + 18, f"{value:,.4g}"))
    middle = (LEFT + picture.WIDTH - RIGHT) / 2
    parts.append(picture.text(middle, picture.HEIGHT - 16, x_name))
    parts.append(picture.text(LEFT - 8, TOP - 10, y_name, "start"))
    return parts


def joined(places):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def bands(title, series, x_name, y_name, doubling=False, y_range=None):
    """`series` is {name: {x: [one value a run]}}."""
    curves = {
        name: [(x, sum(v) / len(v), min(v), max(v)) for x, v in sorted(values.items())]
        for name, values in series.items()
    }
    points = [point for curve in curves.values() for point in curve] or [(1, 0)]
    axes = Axes(points, doubling, y_range)
    xs = sorted({point[0] for point in points})
    parts = picture.frame(title, list(series))
    parts += grid(
        axes, xs if doubling else ticks(min(xs), max(max(xs), min(xs) + 1)), x_name, y_name
    )
    for number, curve in enumerate(curves.values()):
        colour = picture.COLOURS[number % len(picture.COLOURS)]
        upper = [axes.place(x, most) for x, _, _, most in curve]
        lower = [axes.place(x, least) for x, _, least, _ in reversed(curve)]
        parts.append(
            f'<polygon fill="{colour}" fill-opacity="0.15" points="{joined(upper + lower)}"/>'
        )
        middle = [axes.place(x, value) for x, value, _, _ in curve]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{joined(middle)}"/>'
        )
        if doubling:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in middle
            ]
    return "\n".join([*parts, "</svg>", ""])
