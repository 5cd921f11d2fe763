#!/bin/sh
# test_quantize.sh: ocelli quantize --memory.  How much memory a process has
# taken is the kernel's figure.
. "$(dirname "$0")/tap.sh"

need_shared
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
