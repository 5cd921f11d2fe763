"""How the time of a network grows with its work, as a table and an SVG.

    scale.py PROGRAM OUT.svg THREADS[,THREADS...] MODEL...

Each model's input becomes free in batch, height and width; then the program's
own `bench` measures batches of 1 to 32 pictures and pictures of 128 to 1024
pixels.  What is drawn is time for a picture of 224 pixels (or for as many
pixels), by the least of all runs: a flat line grows just as the work does.
"""
import json
import os
import subprocess
import sys
import tempfile

import onnx

BATCHES = [1, 2, 4, 8, 16, 32]
SIDES = [128, 192, 256, 384, 512, 768, 1024]
# Of the colour-blind's palette by Okabe and Ito.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]


def open_input(model, folder):
    """A copy whose first input has free dimensions."""
    m = onnx.load(model)
    fixed = {i.name for i in m.graph.initializer}
    x = next(i for i in m.graph.input if i.name not in fixed)
    for at, name in ((0, "n"), (2, "h"), (3, "w")):
        x.type.tensor_type.shape.dim[at].dim_param = name
    del m.graph.value_info[:]
    for y in m.graph.output:
        y.type.tensor_type.ClearField("shape")
    path = os.path.join(folder, os.path.basename(model))
    onnx.save(m, path)
    return path


def least_ms(program, model, threads, batch, side):
    out = subprocess.run(
        ["taskset", "-c", f"0-{threads - 1}", program, "bench", model,
         "--no-cache", "--threads", str(threads), "--time", "1.5", "--shape",
         f"{batch}x3x{side}x{side}", "--json"],
        check=True, capture_output=True, text=True).stdout
    return json.loads(out)["min_ms"]


def measure(program, model, threads):
    """Two series of (x, ms for 224 x 224 pixels)."""
    batches = [(n, least_ms(program, model, threads, n, 224) / n)
               for n in BATCHES]
    sides = [(s, least_ms(program, model, threads, 1, s) * (224 / s) ** 2)
             for s in SIDES]
    return batches, sides


def chart(series, ticks, title, unit, left):
    """One drawing: x in equal steps, y from 0."""
    width, height, top = 360, 220, 40
    most = 1.15 * max(y for _, points in series for _, y in points)
    step = width / (len(ticks) - 1)
    at = {t: left + i * step for i, t in enumerate(ticks)}
    s = [f'<text x="{left}" y="{top - 18}" class="t">{title}</text>']
    for k in range(5):
        y = top + height * (1 - k / 4)
        s.append(f'<path d="M{left} {y:.1f}h{width}" class="g"/>'
                 f'<text x="{left - 6}" y="{y + 4:.1f}" class="r">'
                 f'{most * k / 4:.3g}</text>')
    for t in ticks:
        s.append(f'<text x="{at[t]:.1f}" y="{top + height + 16}" '
                 f'class="m">{t}</text>')
    s.append(f'<text x="{left + width / 2}" y="{top + height + 34}" '
             f'class="m">{unit}</text>')
    for i, (_, points) in enumerate(series):
        line = " ".join(f"{at[x]:.1f},{top + height * (1 - y / most):.1f}"
                        for x, y in points)
        dash = ' stroke-dasharray="5 4"' if i % 2 else ""
        s.append(f'<polyline points="{line}" fill="none" stroke-width="2" '
                 f'stroke="{COLORS[i % len(COLORS)]}"{dash}/>')
    return "\n".join(s)


def svg(batches, sides):
    names = [name for name, _ in batches]
    legend = "".join(
        f'<text x="{56 + 220 * i}" y="345" fill="{COLORS[i % len(COLORS)]}">'
        f'{name}</text>' for i, name in enumerate(names))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 360"
 role="img" aria-labelledby="t d" font-family="sans-serif" font-size="12">
<title id="t">Time as the work grows</title>
<desc id="d">Milliseconds for 224 x 224 pixels, by pictures a batch and by
pixels a side; flat lines grow just as the work does.</desc>
<style>.t{{font-weight:bold}}.g{{stroke:#bbb;stroke-width:.5}}
.r{{text-anchor:end}}.m{{text-anchor:middle}}</style>
<rect width="900" height="360" fill="#fff"/>
{chart(batches, BATCHES, "ms for a picture of 224 pixels", "pictures a batch",
       56)}
{chart(sides, SIDES, "ms for as many pixels as 224 x 224", "pixels a side",
       500)}
{legend}
</svg>
"""


def main():
    program, out, threads = sys.argv[1:4]
    batches, sides = [], []
    with tempfile.TemporaryDirectory() as folder:
        for model in sys.argv[4:]:
            path = open_input(model, folder)
            for t in map(int, threads.split(",")):
                name = f"{os.path.basename(model)[:-5]}, {t} thread" + "s" * (
                    t > 1)
                b, s = measure(program, path, t)
                batches.append((name, b))
                sides.append((name, s))
                for what, points in (("batch", b), ("side", s)):
                    print(f"{name}, {what}: " + ", ".join(
                        f"{x}: {y:.3g}" for x, y in points), flush=True)
    with open(out, "w", encoding="utf-8") as f:
        f.write(svg(batches, sides))
    print("drawn:", out)


main()
