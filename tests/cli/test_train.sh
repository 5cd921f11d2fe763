#!/bin/sh
# test_train.sh: ocelli train.
. "$(dirname "$0")/tap.sh"

make_tints data
set -- --arch resnet8 --size 24 --grow 0.5 --batch 4 --width 0.5 --seed 3 --patience 0

# ---- from scratch ----------------------------------------------------------

passes "train learns colours and saves a model" \
    '^saved m.onnx, 100.00 % right on val$' \
    train --data data --out m.onnx --epochs 6 "$@"
ok "train says what there is" prints '^24 pictures to train with, 8 to measure'
ok "train says what it chose and why" prints '^SGD with a rate of .*: usual'
ok "train begins with smaller pictures" prints \
    '^pictures of 16 x 16 from epoch 1 on$'
ok "train goes on with larger ones" prints \
    '^pictures of 24 x 24 from epoch 4 on$'
ok "train tells about every epoch" prints \
    '^epoch   6/6  loss [0-9.]+  train +[0-9.]+ %  val +[0-9.]+ %'
ok "train leaves model and checkpoint" holds . data err m.onnx \
    m.onnx.ckpt out tap.n tap.why
passes "the model says what is in a picture" '1\.0*|0\.[0-9]+ +warm|warm' \
    classify m.onnx data/val/warm/1.ppm
run classify m.onnx data/val/cold/2.ppm --json
ok "the model has its labels" prints '"cold"'
run eval m.onnx --data data/val --json
json "eval finds the same accuracy" 'd["top1"] == 1 and d["images"] == 8'
run inspect m.onnx --json
ok "the model has its recipe" prints 'ocelli.recipe'

run train --data data --out j.onnx --epochs 2 --json "$@"
# shellcheck disable=SC2016
ok "train --json prints a document a line" "$python" -c '
import json
e = [json.loads(line) for line in open("out")]
epochs = [x for x in e if x["event"] == "epoch"]
assert [x["epoch"] for x in epochs] == [1, 2], epochs
assert all(0 <= x["val_accuracy"] <= 1 and x["loss"] > 0 for x in epochs)
assert [x for x in e if x["event"] == "step"][-1]["step"] == 6
assert e[-1]["event"] == "saved" and e[-1]["text"] == "j.onnx"
'

# ---- the same bits ---------------------------------------------------------

last_epoch() { # of the JSON in out
    grep '"event": *"epoch"' out | tail -n 1 |
        sed 's/.*\("loss": *[^,]*\).*\("val_loss": *[^,]*\).*/\1 \2/'
}

run train --data data --out a.onnx --epochs 4 --json --threads 1 "$@"
whole=$(last_epoch)
run train --data data --out b.onnx --epochs 4 --json --threads 2 "$@"
ok "train gives the same for any threads" equal loss "$(last_epoch)" "$whole"
# Stopped in the middle, twice, wherever that is.
: >c.lines
"$OCELLI" train --data data --out c.onnx --epochs 4 --json "$@" >c.lines 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '"step":5' c.lines &&
    ! grep -q '"event":"epoch"' c.lines; do
    sleep 0.02
done
kill -INT $pid 2>/dev/null
rc=0
wait $pid || rc=$?
ok "train ends on Ctrl-C with a sentence and a checkpoint" \
    complains 'stopped at epoch [0-9]+, step [0-9]+; c.onnx.ckpt goes on'
run train --data data --out c.onnx --resume --json
ok "train --resume ends as an unbroken run" equal loss "$(last_epoch)" "$whole"

# ---- fine-tuning -----------------------------------------------------------

mkdir -p three
cp -r data/train/warm data/train/cold three
mkdir three/grey
for n in 1 2 3 4 5 6 7 8; do
    make_ppm three/grey/$n.ppm 16 16 "\200\200\20$n" "\220\22$n\220"
done
passes "train gives a model new classes" '^saved t.onnx' \
    train --data three --model m.onnx --out t.onnx --epochs 6 --batch 4 \
    --patience 0 --seed 1
ok "train splits off what it measures on" prints 'split off here'
run classify t.onnx three/grey/1.ppm --json
ok "the new model knows the new class" prints '"grey"'

# ---- a teacher, and classes that stay --------------------------------------

passes "train learns from a teacher" '^saved s.onnx, 100.00 % right on val$' \
    train --data data --teacher m.onnx --distill 0.9 --out s.onnx --epochs 6 \
    "$@"
ok "train says who teaches" prints '^m.onnx teaches: its word is 0.9 of the'
run inspect s.onnx --json
ok "the recipe names the teacher" prints 'teacher=m.onnx'
mkdir -p new/train/grey new/val/grey
cp three/grey/[1-6].ppm new/train/grey
cp three/grey/[78].ppm new/val/grey
passes "train adds a class and keeps the old ones" '^saved k.onnx' \
    train --data new --model m.onnx --keep-classes --out k.onnx --epochs 9 \
    --batch 3 --patience 0 --seed 1
ok "train says which classes stay" prints \
    "^the model's 2 classes stay .0 of them have pictures here., 1 are"
run eval k.onnx --data three --json
json "the model knows old and new classes" 'd["top1"] > 0.9'

# ---- classes in classes ----------------------------------------------------

for part in train val; do
    mkdir -p tree/$part/tint
    cp -r data/$part/warm data/$part/cold tree/$part/tint
    mkdir tree/$part/grey
done
cp three/grey/[1-5].ppm tree/train/grey
cp three/grey/[67].ppm tree/val/grey
passes "train learns classes in classes" '^saved h.onnx, 100.00 % right' \
    train --data tree --out h.onnx --epochs 20 "$@"
ok "train says what lies above" prints '^2 classes above them'
run classify h.onnx tree/val/tint/warm/1.ppm --json
json "classify has the class above, with the sum of its classes" \
    'abs(d["results"][0]["groups"][0]["score"] - sum(
    x["score"] for x in d["results"][0]["labels"] if "/" in x["label"])
    ) < 1e-5 and d["results"][0]["groups"][0]["label"] == "tint"'
run classify h.onnx tree/val/tint/warm/1.ppm
ok "classify says it first" prints '^ +tint +[01]\.[0-9]+$'
run eval h.onnx --data tree --json
json "eval measures every level" \
    'd["top1"] == 1 and d["levels"] == [1] and d["images"] == 10'
: >tree.csv
for class in warm cold; do
    printf '%s,tint/%s,val\n' "data/val/$class/1.ppm" $class >>tree.csv
done
printf 'data/val/cold/2.ppm,tint/warm,val\n' >>tree.csv
printf 'data/val/cold/3.ppm,grey,train\n' >>tree.csv
run eval h.onnx --data tree.csv --json
json "eval reads tables" 'abs(d["top1"] - 2 / 3) < 1e-9 and
    d["levels"] == [1] and d["images"] == 3'
printf 'gone.ppm,grey,val\n' >>tree.csv
: >zero.ppm
printf 'zero.ppm,grey,val\nzero2.ppm,grey,train\n' >>tree.csv
run eval h.onnx --data tree.csv
ok "eval names the pictures of tables that it cannot read" \
    complains 'gone.ppm.*|zero.ppm'
ok "eval counts them" complains '2 of 5 pictures failed'

# ---- several labels --------------------------------------------------------

# Warm and cold ones, which are large where the name is even.
for part in train val; do
    for file in data/"$part"/*/*.ppm; do
        class=${file%/*} n=${file##*/}
        [ $((${n%.ppm} % 2)) = 1 ] || class="$class;even"
        printf '%s,"%s",%s\n' "$file" "${class##*/}" $part
    done
done >several.csv
passes "train learns several labels" '^saved multi.onnx' \
    train --data several.csv --out multi.onnx --epochs 8 "$@"
run eval multi.onnx --data several.csv --json
json "eval measures several labels" 'd["images"] == 8 and [x["pictures"]
    for x in d["classes"]] == [4, 4, 4] and all(x["ap"] > .99
    for x in d["classes"] if x["class"] != "even") and abs(sum(
    x["ap"] for x in d["classes"]) / 3 - d["map"]) < 1e-6'

# ---- mistakes --------------------------------------------------------------

fails "train wants data" 2 'train needs labelled pictures: --data DIR' train
fails "train names a folder that is not there" 3 'gone' \
    train --data gone -q
mkdir -p alone/a
cp data/train/warm/*.ppm alone/a
fails "train refuses one class" 3 'one class' train --data alone -q
fails "train knows its architectures" 2 'takes one of mobilenetv2' \
    train --data data --arch vgg
fails "train takes a model or an architecture" 2 'either a model' \
    train --data data --arch resnet8 --model m.onnx -q
fails "train says that it does not fit" 4 'needs [0-9]+ MB' \
    train --data data --memory 1M -q --arch resnet50 --size 64
fails "train wants a teacher of these classes" 3 'does not know the class' \
    train --data three --teacher m.onnx --arch resnet8 --size 16 -q
fails "train wants classes to keep" 2 'no model is named' \
    train --data data --keep-classes -q
printf 'junk' >bad.ckpt
fails "train refuses what is no checkpoint" 3 'bad.ckpt: .*no checkpoint' \
    train --data data --out x.onnx --checkpoint bad.ckpt --resume -q
: >data/train/warm/empty.ppm
run train --data data --out e.onnx --epochs 1 "$@"
ok "train leaves out an empty file and says so" complains 'empty.ppm'
rm data/train/warm/empty.ppm
if [ -w /dev/full ]; then
    fails "train tells of a full disk" 1 'No space left' \
        train --data data --out e.onnx --checkpoint /dev/full --epochs 1 -q \
        "$@"
else
    skip "train tells of a full disk" "no /dev/full"
fi

tap_end
