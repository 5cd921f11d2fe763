#!/bin/sh
# test_prune.sh: ocelli prune.
. "$(dirname "$0")/tap.sh"

make_tints data
run train --data data --out m.onnx --epochs 4 --arch resnet8 --size 16 \
    --batch 4 --seed 3 --patience 0 -q

# ---- smaller ---------------------------------------------------------------

passes "prune takes channels out and says of which layers" \
    '^stem +2 +16 +8 *$' prune m.onnx -o p.onnx
ok "prune tells parameters and work" prints \
    '^[0-9.]+ k -> [0-9.]+ k parameters, [0-9.]+ M -> [0-9.]+ [kM] multiply'
ok "prune tells time and size" prints \
    '^[0-9.]+ KiB -> [0-9.]+ KiB: p.onnx$'
ok "prune says that it has to learn again" prints 'learn again'
ok "prune leaves the model and nothing else" holds . data err m.onnx \
    m.onnx.ckpt out p.onnx tap.n tap.why
run inspect p.onnx --json
ok "the card is still there" prints 'ocelli.card'
passes "the golden check holds" 'golden check passed' seal p.onnx -o s.onnx
run classify p.onnx data/val/warm/1.ppm --json
ok "the labels are still there" prints '"warm"'
run prune m.onnx -o q.onnx -q
ok "prune -q is silent" test "$rc" -eq 0 -a ! -s out -a ! -s err
ok "the same comes out again" cmp p.onnx q.onnx
passes "prune names its output" 'm.pruned.onnx$' prune m.onnx

# ---- learning again --------------------------------------------------------

passes "prune learns again" '^epoch +3/3' \
    prune m.onnx -o t.onnx --data data --epochs 3 --batch 4
ok "prune measures before and after" prints \
    '^top-1 [01].[0-9]{4} -> 1.0000$'
ok "prune leaves no checkpoint" test ! -e t.onnx.part.ckpt
run eval t.onnx --data data/val --json
json "eval finds the same" 'd["top1"] == 1 and d["images"] == 8'
run prune m.onnx -o j.onnx --data data --epochs 1 --batch 4 --json
json "prune --json is one document" \
    'd["after"]["parameters"] < 0.6 * d["before"]["parameters"]
and 0 <= d["after"]["top-1"] <= 1 and d["epochs"] == 1
and [g for g in d["groups"] if g["kept"] < g["channels"]]'
run prune m.onnx -o g.onnx --data data --epochs 0 --importance gradient --json
json "prune ranks by gradients" 'd["groups"][0]["kept"] == 8'
passes "prune ranks by norms" '^stem' prune m.onnx -o b.onnx --importance bn

"$OCELLI" prune m.onnx -o c.onnx --data data --epochs 1000 --batch 4 \
    >c.lines 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '^epoch' c.lines; do
    sleep 0.02
done
kill -INT $pid 2>/dev/null
rc=0
wait $pid || rc=$?
ok "prune ends on Ctrl-C with what there is" refused 1 \
    'stopped; c.onnx is the best model so far'
ok "and leaves no files on the way" test -e c.onnx -a ! -e c.onnx.part \
    -a ! -e c.onnx.part.ckpt

# ---- mistakes --------------------------------------------------------------

fails "prune takes a share" 2 'takes a share as 40% or 0.4' \
    prune m.onnx --channels 120%
fails "prune learns from data" 2 'needs labelled pictures' \
    prune m.onnx --epochs 2
fails "prune names a folder that is not there" 3 'gone' \
    prune m.onnx --data gone
model "$(node Relu y x)" "$(input x 1 1 3 8 8)" "$(output y 1 1 3 8 8)" \
    >relu.onnx
fails "prune refuses a model without weights" 3 'no channels to take out' \
    prune relu.onnx
run quantize m.onnx --data data/val --machine any -o i8.onnx -q
fails "prune refuses a quantized model" 3 'quantized already' prune i8.onnx
printf 'junk' >junk.onnx
fails "prune refuses what is no model" 3 'junk.onnx' prune junk.onnx

tap_end
