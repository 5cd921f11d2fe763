#!/bin/sh
# scene7.sh: what made scene7.onnx.  ./dev models runs it.
# data: rsscn7
#
# There are few pictures, so a model that knows photographs learns them first,
# and teaches a small network that starts from nothing.
set -eu

ocelli train --data "$DATA" --model "$BASE/mobilenet_v2_imagenet_nhwc.onnx" \
    --size 128 --epochs 10 --patience 0 --out "$OUT/teacher.onnx"
ocelli train --data "$DATA" --teacher "$OUT/teacher.onnx" --distill 0.8 \
    --augment crop=0.6,flip-h=0.5,flip-v=0.5,quarter-turns=1,brightness=0.1,contrast=0.1,mixup=0.2,mix=0.5 \
    --grow 0.5 --epochs 50 --patience 0 --out "$OUT/f32.onnx"
ocelli quantize "$OUT/f32.onnx" --weights int8 --output "$OUT/int8.onnx"
ocelli seal "$OUT/int8.onnx" --renew --output "$OUT.onnx" \
    --set name=scene7 --set license=Apache-2.0 --set \
    "source=trained by ocelli on RSSCN7 (Zou et al., 2015)"
