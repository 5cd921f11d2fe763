#!/bin/sh
# test_eval.sh: ocelli eval.
. "$(dirname "$0")/tap.sh"

red='\377\000\000' green='\000\377\000' blue='\000\000\377'
# The mean of each colour, taken for the scores of three classes.
model "$(node GlobalAveragePool p x)$(node Flatten y p)" \
    "$(input x 1 1 3 8 8)" "$(output y 1 1 3)" >colour.onnx
printf 'red\ngreen\nblue\n' >names

# Two red ones, of which one lies among the green; one of the others each.
mkdir -p data/red data/green data/blue
make_ppm data/red/a.ppm 8 8 "$red" "$red"
make_ppm data/green/b.ppm 8 8 "$red" "$red"
make_ppm data/green/c.ppm 8 8 "$green" "$green"
make_ppm data/blue/d.ppm 8 8 "$blue" "$blue"
set -- --labels names --scale 1 --mean 0 --std 32

# ---- classify --------------------------------------------------------------

passes "eval prints top-1" '^top-1   0\.7500$' eval colour.onnx --data data "$@"
ok "eval prints what is taken for what" prints '^green +1 +1|^green +\. +1 +1'
run eval colour.onnx --data data "$@" --json
json "eval --json has the figures" '(d["top1"], d["top5"], d["images"]
    ) == (.75, 1, 4) and d["images_per_s"] > 0'
json "eval --json has the confusions" \
    'd["confusion"][d["classes"].index("green")][d["classes"].index("red")
     ] == 1 and sum(map(sum, d["confusion"])) == 4'
run eval colour.onnx --data data "$@" --json --limit 2
json "eval --limit looks at the first" 'd["images"] == 2'

mkdir list list/images
cp data/red/a.ppm data/green/c.ppm list/images
printf 'a.ppm 0\nc.ppm 1\n' >list/labels.txt
run eval colour.onnx --data list "$@" --json
json "eval reads labels.txt" '(d["top1"], d["images"]) == (1, 2)'

mkdir -p other/cat other/dog other/cow
for class in cat dog cow; do
    cp data/red/a.ppm other/$class
done
run eval colour.onnx --data other "$@"
ok "eval says when classes are matched by number" \
    complains '\(cat ...\) and .*\(red ...\) are matched by number'
mkdir -p two/cat two/dog
cp data/red/a.ppm two/cat
cp data/red/a.ppm two/dog
fails "eval refuses classes the model does not know" 3 \
    "none of the data's classes \(cat ...\)" eval colour.onnx --data two "$@"

# ---- mistakes --------------------------------------------------------------

fails "eval wants data" 2 'eval needs labelled pictures: --data DIR' \
    eval colour.onnx
fails "eval names a folder that is not there" 3 'no folder gone' \
    eval colour.onnx --data gone -q "$@"
mkdir empty
fails "eval says what labels look like" 3 \
    'empty holds no labels: .*folder .* for each class' \
    eval colour.onnx --data empty -q "$@"
fails "--save is for boxes" 2 '--save writes boxes' \
    eval colour.onnx --data list -q --save boxes.json "$@"

# ---- pictures that cannot be read ------------------------------------------

cp -r data holes
: >holes/red/zero.jpg
printf 'no picture' >holes/blue/text.png
run eval colour.onnx --data holes -q "$@"
ok "eval ends with 1 where pictures are bad" equal "exit code" "$rc" 1
ok "and names one that is empty" complains 'holes/red/zero.jpg: .*empty'
ok "and the next one" complains 'holes/blue/text.png: '
ok "and how many failed" complains '2 of 6 pictures failed'
ok "and measures the others" prints '^top-1   0\.7500$'
ok "and says how many those are" prints '^images 4, 2 skipped, '
run eval colour.onnx --data holes --json "$@"
json "eval --json counts what is skipped" '(d["top1"], d["images"],
    d["skipped"]) == (.75, 4, 2)'
run eval colour.onnx --data data --json "$@"
json "of good pictures none is" '(d["images"], d["skipped"]) == (4, 0)'
mkdir -p lost/red lost/green
: >lost/red/a.jpg
: >lost/green/b.jpg
run eval colour.onnx --data lost -q "$@"
ok "eval says that all pictures failed" complains 'all 2 pictures failed'
ok "and prints no figures" not test -s out
fails "eval of the only picture has its exit code" 3 'lost/.*jpg: .*empty' \
    eval colour.onnx --data lost -q --limit 1 "$@"

# ---- real models and data --------------------------------------------------

unpack() { # NAME [WHAT]
    [ -d "$models" ] && [ -f "$shared/data/$1.tar" ] &&
        tar -xf "$shared/data/$1.tar" "$1${2:-}" 2>/dev/null
}

if unpack cifar10 /val; then
    run eval "$models/resnet8_cifar10.onnx" --data cifar10 --json
    # The model's author has about 0.74.
    json "ResNet-8 is as good on CIFAR-10 as it should be" \
        'd["images"] == 1000 and near(d["top1"], .74, .015)'
    json "the right class is mostly among the first five" 'd["top5"] > 0.95'
else
    skip "ResNet-8 is as good on CIFAR-10 as it should be" "no $shared/data"
fi

yolox=$models/yolox_nano_coco.onnx
if unpack coco128; then
    run eval "$yolox" --data coco128 --limit 12 --json --save boxes.json
    json "eval of a detector has mAP and mAP50" \
        '0.3 < d["mAP"] < d["mAP50"] <= 1 and d["images"] == 12'
    json "eval has AP for each class" 'all(0 <= c["mAP"] <= 1 and c["label"]
        for c in d["classes"])'
    cp boxes.json out
    json "--save has boxes as COCO wants them" 'len(d) > 12 and all(
        sorted(b) == ["bbox", "category_id", "image_id", "score"] and
        len(b["bbox"]) == 4 and b["category_id"] <= 90 for b in d)'
    fails "eval of a detector wants boxes" 3 'data holds no boxes' \
        eval "$yolox" --data data -q
else
    skip "eval of a detector has mAP and mAP50" "no $shared/data"
fi

if unpack camvid; then
    run eval "$models/espnet_camvid.onnx" --data camvid --limit 2 --json
    json "eval of a segmenter has mIoU and accuracy of pixels" \
        '0.4 < d["mIoU"] < d["pixel_accuracy"] <= 1 and d["images"] == 2'
    json "eval leaves out what nobody has labelled" \
        'all(c["label"] != "unlabelled" for c in d["classes"])'
    for mask in camvid/val/masks/*; do
        : >"$mask"
        break
    done
    run eval "$models/espnet_camvid.onnx" --data camvid --limit 2 --json
    ok "a truth that cannot be read is named" complains "$mask: .*empty"
    json "and its picture skipped" '(d["images"], d["skipped"]) == (1, 1)'
else
    skip "eval of a segmenter has mIoU and accuracy of pixels" \
        "no $shared/data"
fi

if [ -d "$models" ]; then
    fails "eval has no measure for pictures out" 2 'to restore pictures, for' \
        eval "$models/super_resolution.onnx" --data data -q
fi

tap_end
