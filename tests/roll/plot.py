"""Arrivals over time: the most within one second, and a drawing."""

import bisect
import collections

WIDTH, HEIGHT, LEFT, BOTTOM = 760, 300, 60, 40
SLOT_S = 0.25


def peak(times, seconds):
    """The most within any so many seconds."""
    times = sorted(times)
    return max(bisect.bisect_left(times, time + seconds) - at for at, time in enumerate(times))


def rates(times):
    """Per second, for each quarter of one since the first."""
    counts = collections.Counter(int((time - min(times)) / SLOT_S) for time in times)
    return [counts[slot] / SLOT_S for slot in range(max(counts) + 2)]


def draw(path, slots, herd, rate):
    lines = [("in slots", rates(slots), "#1a7f37"), ("all at once", rates(herd), "#cf222e")]
    across = max(len(line) for _, line, _ in lines)
    most = max(max(line) for _, line, _ in lines)

    def place(at, value):
        return f"{LEFT + at * (WIDTH - LEFT - 20) / across:.1f},{HEIGHT - BOTTOM - value * (HEIGHT - BOTTOM - 20) / most:.1f}"

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for value in (0, rate, most):
        _, y = place(0, value).split(",")
        out += [f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y}" y2="{y}" stroke="#d0d7de"/>',
                f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" dominant-baseline="middle">{value:,.0f}</text>']
    for second in range(0, int(across * SLOT_S) + 1, max(1, int(across * SLOT_S / 10))):
        x, _ = place(second / SLOT_S, 0).split(",")
        out.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{second} s</text>')
    for at, (name, line, colour) in enumerate(lines):
        points = " ".join(place(slot, value) for slot, value in enumerate(line))
        out += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{WIDTH - 30}" y="{30 + 18 * at}" text-anchor="end" fill="{colour}">{name}</text>']
    out += [f'<text x="{LEFT}" y="14">clients that come back, per second</text>', "</svg>", ""]
    path.write_text("\n".join(out))
