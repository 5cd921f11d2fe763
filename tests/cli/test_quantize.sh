#!/bin/sh
# test_quantize.sh: ocelli quantize.
. "$(dirname "$0")/tap.sh"

make_tints data
run train --data data --out m.onnx --epochs 4 --arch resnet8 --size 16 \
    --batch 4 --seed 3 --patience 0 -q

# ---- rounding --------------------------------------------------------------

run quantize m.onnx -o p.onnx --data data --machine any --rounding pictures \
    --agreement 0 --json --report p.html
json "weights are rounded as pictures have it" \
    'd["rounding"] == "pictures" and "accuracy" not in d
and all(n["product_sqnr_db"] >= n["nearest_sqnr_db"] > 20 for n in d["layers"])
and sum(n["product_sqnr_db"] for n in d["layers"])
    > sum(n["nearest_sqnr_db"] + 1 for n in d["layers"])'
ok "the page says so" grep -q 'weights rounded by what they make' p.html
ok "the page has it of each layer" grep -q 'Nearest, dB' p.html

run quantize m.onnx -o n.onnx --data data --machine any --rounding nearest \
    --agreement 0 --json --report n.html
json "weights are rounded to the nearest" \
    'd["rounding"] == "nearest"
and not any("nearest_sqnr_db" in n for n in d["layers"])'
ok "the page says that, too" grep -q 'weights rounded to the nearest' n.html
ok "the files have one size" test "$(wc -c <p.onnx)" -eq "$(wc -c <n.onnx)"
ok "the files differ" not cmp -s p.onnx n.onnx

run quantize m.onnx -o 3.onnx --data data --machine any --rounding pictures \
    --agreement 0 --threads 3 -q
ok "threads change nothing" cmp p.onnx 3.onnx

# What is measured decides, where nothing is asked for.
run quantize m.onnx -o c.onnx --data data --machine any --no-equalize --json
json "the other way is measured and said" \
    '(d["accuracy"]["rounded_nearest"] <= d["accuracy"]["first"]
 if d["rounding"] == "pictures"
 else d["accuracy"]["rounded_by_pictures"] < d["accuracy"]["first"])
and d["accuracy"]["measured"] >= 2'
run quantize m.onnx -o c.onnx --data data --machine any --no-equalize
ok "and in words" prints \
    '^weights rounded .*: the other way it was [01][.][0-9]{4}$'
run quantize m.onnx -o c.onnx --data data --machine any --rounding nearest \
    --no-equalize --json
json "what is asked for is not measured the other way" \
    '"rounded_by_pictures" not in d["accuracy"]'

run quantize m.onnx -o w.onnx --data data --weights int8 --json
json "weights alone are rounded so, too" 'd["rounding"] == "pictures"'
run quantize m.onnx -o w.onnx --weights int8 --json
json "without pictures they are not" 'd["rounding"] == "nearest"'
fails "another way there is not" 2 'up' \
    quantize m.onnx -o c.onnx --data data --rounding up

# ---- memory ----------------------------------------------------------------

# How much a process has taken is the kernel's figure.
peak() { # ARGS...: of `ocelli ARGS`, in KiB
    "$python" -c '
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss if status == 0 else "failed")' "$OCELLI" "$@"
}

below() { # WHAT KIB MB
    echo "$1: $2 KiB, should be below $3 MB"
    [ "$2" -lt $(($3 * 1024)) ]
}

need_shared
for name in mobilenet_v2_imagenet_nhwc deeplabv3_mobilenet_v2_voc; do
    rm -f tight.onnx
    set -- "$models/$name.onnx" "$images/bus.jpg" --machine any --agreement 0 -q
    fails "quantize $name says what it needs" 4 \
        'takes [0-9]+ MB at least, and --memory allows 1$' \
        quantize "$@" -o tight.onnx --memory 1M
    least=$(sed 's/.* takes \([0-9]*\) MB.*/\1/' err)
    ok "it leaves no file" test ! -e tight.onnx
    fails "a little less is too little" 4 'MB at least' \
        quantize "$@" -o tight.onnx --memory $((least - 2))M
    if [ -z "$python" ]; then
        skip "it stays below it" "there is no Python"
        continue
    fi
    wide=$(peak quantize "$@" -o wide.onnx)
    tight=$(peak quantize "$@" -o tight.onnx --memory "${least}M")
    ok "it stays below it" below peak "$tight" "$least"
    # Only where that needs more than the estimate there is anything to spare.
    if [ "$wide" -ge $((least * 1024)) ]; then
        ok "that is less than it takes otherwise" test "$tight" -lt "$wide"
    fi
    ok "what it writes is the same" cmp wide.onnx tight.onnx
done

model=$models/mobilenet_v2_imagenet_nhwc.onnx
fails "quantize --memory takes a size" 2 'a size as 512M, not "much"' \
    quantize "$model" "$images/bus.jpg" --memory much
fails "without pictures there is nothing to bound" 2 'needs --data DIR' \
    quantize "$model" --weights int8 --memory 1G
tap_end
