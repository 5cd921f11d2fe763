#!/bin/sh
# disaster-damage.sh: what made disaster-damage.onnx.  ./dev models runs it.
# data: harvey_damage
#
# A small network learns the tiles from nothing, then its weights take a byte
# each.  A teacher that knew photographs (0.971 on val) did not help an earlier one.
set -eu

ocelli train --data "$DATA" --epochs 30 --out "$OUT/f32.onnx"
ocelli quantize "$OUT/f32.onnx" --weights int8 --output "$OUT/int8.onnx"
ocelli seal "$OUT/int8.onnx" --renew --output "$OUT.onnx" \
    --set name=disaster-damage --set license=Apache-2.0 --set \
    "source=trained by ocelli on tiles of hurricane Harvey (Cao and Choe, arXiv:1807.01688)"
