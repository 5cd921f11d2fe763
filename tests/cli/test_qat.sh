#!/bin/sh
# test_qat.sh: ocelli train --qat.
. "$(dirname "$0")/tap.sh"

make_tints data
run train --data data --out m.onnx --epochs 4 --arch resnet8 --size 16 \
    --batch 4 --seed 3 --patience 0 -q

passes "train --qat learns to be in 8 bits" \
    '^saved q.onnx, 100.00 % right on val$' \
    train --data data --model m.onnx --qat --out q.onnx --epochs 3 --batch 4
ok "it is a third of the size" test "$(wc -c <q.onnx)" -lt \
    $(($(wc -c <m.onnx) * 2 / 5))
run inspect q.onnx --optimize none --json
ok "it has coders" prints '"QuantizeLinear"'
ok "it has its recipe" prints 'ocelli.recipe'
run eval q.onnx --data data/val --json
json "eval finds the same accuracy" 'd["top1"] == 1 and d["images"] == 8'
passes "its golden check holds" 'golden check passed' seal q.onnx -o s.onnx

# ---- the same bits ---------------------------------------------------------

last_epoch() { # of the JSON in out
    grep '"event": *"epoch"' out | tail -n 1 |
        sed 's/.*\("loss": *[^,]*\).*\("val_loss": *[^,]*\).*/\1 \2/'
}

set -- --data data --model m.onnx --qat --batch 4 --json
run train "$@" --out a.onnx --epochs 3 --threads 1
whole=$(last_epoch)
run train "$@" --out b.onnx --epochs 3 --threads 2
ok "train --qat gives the same for any threads" equal loss "$(last_epoch)" \
    "$whole"
"$OCELLI" train "$@" --out c.onnx --epochs 3 >c.lines 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '"event":"epoch"' c.lines; do
    sleep 0.02
done
kill -INT $pid 2>/dev/null
wait $pid
run train --data data --out c.onnx --resume --json
ok "it goes on from a checkpoint" equal loss "$(last_epoch)" "$whole"

# ---- mistakes --------------------------------------------------------------

fails "train --qat wants a model" 2 'goes on from a model in f32' \
    train --data data --qat --arch resnet8
fails "train --qat refuses a quantized model" 3 'quantized already' \
    train --data data --qat --model q.onnx -q

tap_end
