#!/bin/sh
# disaster-damage.sh: what made disaster-damage.onnx.  ./dev models runs it.
# data: harvey_damage
#
# A model that knows photographs learns the tiles, and teaches a small network
# that starts from nothing; then its weights take a byte each.
set -eu

ocelli train --data "$DATA" --model "$BASE/mobilenet_v2_imagenet_nhwc.onnx" \
    --size 128 --epochs 6 --out "$OUT/teacher.onnx"
ocelli train --data "$DATA" --teacher "$OUT/teacher.onnx" --distill 0.8 \
    --augment crop=0.75,flip-h=0.5,flip-v=0.5,quarter-turns=1,brightness=0.1,contrast=0.1,mixup=0.2,mix=0.5 \
    --epochs 36 --patience 0 --out "$OUT/disaster-damage.onnx"
ocelli quantize "$OUT/disaster-damage.onnx" --weights int8 --output "$OUT.onnx"
