#!/bin/sh
# test_segment.sh: ocelli segment and ocelli restore.
. "$(dirname "$0")/tap.sh"

red='\377\000\000' green='\000\377\000'
# The levels of each colour, taken for the scores of three classes.
model "$(node Identity y x)" "$(input x 1 1 3 8 8)" \
    "$(output y 1 1 3 8 8)" >colour.onnx
printf 'red\ngreen\nblue\n' >names
make_ppm halves.ppm 48 32 "$red" "$green"
set -- --decode logits --labels names --scale 1 --mean 0 --std 1 \
    --resize stretch

# ---- segment ---------------------------------------------------------------

passes "segment tells the share of each class" '^    red    50\.0 %$' \
    segment colour.onnx halves.ppm "$@"
run segment colour.onnx halves.ppm "$@" --json
json "segment --json has the fractions" \
    '[(c["label"], c["index"], c["fraction"]) for c in
      d["results"][0]["classes"]] == [("red", 0, .5), ("green", 1, .5)]'
json "segment --json names no files without --out" \
    'not {"mask", "overlay"} & set(d["results"][0])'
run segment colour.onnx halves.ppm "$@" --out made --json
json "segment --json names mask and overlay" \
    '[d["results"][0][k] for k in ("mask", "overlay")] ==
     ["made/halves.mask.png", "made/halves.overlay.png"]'
ok "the mask is an indexed PNG of the original's size" \
    equal header "$(png_header made/halves.mask.png)" \
    "48 x 32, 8 bit, colour type 3"
ok "the overlay has the original's size" \
    equal header "$(png_header made/halves.overlay.png)" \
    "48 x 32, 8 bit, colour type 2"
ok "segment writes these two" holds made halves.mask.png halves.overlay.png
passes "segment says that it wrote a mask" '^  -> made/halves.mask.png$' \
    segment colour.onnx halves.ppm "$@" --out made
ok "segment says that it wrote an overlay" \
    prints '^  -> made/halves.overlay.png$'

# Levels of the mask's pixels, by Python's zlib.
mask_pixels='
import struct, zlib
def pixels(path):
    data, at, raw = open(path, "rb").read(), 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            w, h = struct.unpack(">II", data[at + 8:at + 16])
        if kind == b"IDAT":
            raw += data[at + 8:at + 8 + n]
        at += n + 12
    raw = zlib.decompress(raw)
    rows, last = [], bytes(w)
    for y in range(h):
        kind, row = raw[y * (w + 1)], bytearray(raw[y * (w + 1) + 1:][:w])
        for x in range(w):
            a = row[x - 1] if x else 0
            b = last[x]
            c = last[x - 1] if x else 0
            p = a + b - c
            near = min((abs(p - v), i, v) for i, v in enumerate((a, b, c)))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, near)[kind]) & 255
        rows.append(row)
        last = row
    return rows
rows = pixels("made/halves.mask.png")
assert all(row == bytes(24) + bytes([1]) * 24 for row in rows), rows[0]
assert len(rows) == 32'
if [ -n "$python" ]; then
    ok "the mask has the class of each pixel" "$python" -c "$mask_pixels"
else
    skip "the mask has the class of each pixel" "no python3"
fi

# ---- real models -----------------------------------------------------------

if [ ! -d "$models" ]; then
    skip "segment knows a bird" "no models in $shared"
    tap_end
fi
run segment "$models/deeplabv3_mobilenet_v2_voc.onnx" "$images/bird.png" \
    --json --out real
json "DeepLab knows a bird" '[c["label"] for c in d["results"][0]["classes"]
    if c["fraction"] > 0.1] == ["background", "bird"]'
json "fractions add up to one" \
    'near(sum(c["fraction"] for c in d["results"][0]["classes"]), 1, 1e-9)'
ok "the bird's mask has the original's size" \
    equal header "$(png_header real/bird.mask.png)" \
    "513 x 513, 8 bit, colour type 3"
run segment "$models/selfie_landscape_nhwc.onnx" "$images/portrait.jpg" \
    --json --out real
json "a portrait is mostly a person" \
    'd["results"][0]["classes"][0]["label"] == "person" and
     0.4 < d["results"][0]["classes"][0]["fraction"] < 0.75'
json "the overlay of a JPEG is one" \
    'd["results"][0]["overlay"] == "real/portrait.overlay.jpg"'
person() { # THRESHOLD: tenths of a percent that are one
    run segment "$models/selfie_landscape_nhwc.onnx" "$images/portrait.jpg" \
        --quiet --threshold "$1"
    sed -n 's/^    person *\([0-9]*\)\.\([0-9]\) %$/\1\2/p' out
}
ok "a higher threshold leaves less of the person" \
    test "$(person 0.999)" -lt "$(person 0.5)"
ok "a lower threshold leaves more of the person" \
    test "$(person 0.1)" -gt "$(person 0.5)"

# ---- restore ---------------------------------------------------------------

better=$models/super_resolution.onnx
fails "restore wants a folder for its pictures" 2 '--out DIR' \
    restore "$better" halves.ppm
passes "restore says what it wrote" '^  -> better/halves.png$' \
    restore "$better" halves.ppm --out better
ok "restore makes the picture three times as large" \
    equal header "$(png_header better/halves.png)" \
    "144 x 96, 8 bit, colour type 2"
run restore "$better" "$images/bird.png" --out better --json
json "restore --json names the picture" \
    'd["task"] == "restore" and
     d["results"][0]["output"] == "better/bird.png"'
ok "restore goes over a large picture in tiles" \
    equal header "$(png_header better/bird.png)" \
    "1539 x 1539, 8 bit, colour type 2"

tap_end
