#!/bin/sh
# scene7.sh: what made scene7.onnx.  ./dev models runs it.
# data: rsscn7
#
# As disaster-damage.sh; there are fewer pictures, so they are seen more often.
set -eu

ocelli train --data "$DATA" --model "$BASE/mobilenet_v2_imagenet_nhwc.onnx" \
    --size 160 --epochs 8 --out "$OUT/teacher.onnx"
ocelli train --data "$DATA" --teacher "$OUT/teacher.onnx" --distill 0.8 \
    --size 128 --augment crop=0.6,flip-h=0.5,flip-v=0.5,quarter-turns=1,brightness=0.1,contrast=0.1,mixup=0.2,mix=0.5 \
    --epochs 60 --patience 0 --out "$OUT/scene7.onnx"
ocelli quantize "$OUT/scene7.onnx" --weights int8 --output "$OUT.onnx"
