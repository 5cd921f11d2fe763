#!/bin/sh
# test_classify.sh: ocelli classify, and what the verbs for pictures share.
. "$(dirname "$0")/tap.sh"

red='\377\000\000' green='\000\377\000'
# The mean of each colour, taken for the scores of three classes.
model "$(node GlobalAveragePool p x)$(node Flatten y p)" \
    "$(input x 1 1 3 8 8)" "$(output y 1 1 3)" >colour.onnx
printf 'red\ngreen\nblue\n' >names
set -- --labels names --scale 1 --mean 0 --std 32
mkdir -p in/below
make_ppm in/red.ppm 20 10 "$red" "$red"
make_ppm in/below/green.ppm 10 20 "$green" "$green"
make_ppm in/mixed.ppm 8 8 "$red" "$green"
printf 'not a picture' >in/notes.txt

# ---- results ---------------------------------------------------------------

passes "classify names the class" '^    red +0\.99[0-9]$' \
    classify colour.onnx in/red.ppm "$@"
ok "classify tells the size of the picture" \
    prints '^in/red.ppm  20 x 10, [0-9]+ ms$'
ok "classify says what it guessed" prints '^guessed task: classify'
passes "classify --top takes the best" . classify colour.onnx in/red.ppm "$@" \
    --top 1 --quiet
ok "classify --quiet prints results only" equal lines "$(grep -c . out)" 2
run classify colour.onnx in/mixed.ppm "$@" --threshold 0.4 -q
ok "classify --threshold leaves out what is below" \
    equal lines "$(grep -c '^    ' out)" 2
run classify colour.onnx in/mixed.ppm "$@" --threshold 0.9 -q
ok "classify says when nothing reaches the threshold" \
    prints 'nothing reaches the threshold'

run classify colour.onnx in/red.ppm in/below/green.ppm "$@" --json
json "classify --json has model and task" \
    'd["model"] == "colour.onnx" and d["task"] == "classify"'
json "classify --json has pictures in their order" \
    '[(r["input"], r["width"], r["height"]) for r in d["results"]
      ] == [("in/red.ppm", 20, 10), ("in/below/green.ppm", 10, 20)]'
json "classify --json has labels, best first" \
    '[(r["labels"][0]["label"], r["labels"][0]["index"])
      for r in d["results"]] == [("red", 0), ("green", 1)] and
     all(r["labels"][0]["score"] > 0.99 for r in d["results"])'
json "classify --json has scores that add up to one" \
    'all(near(sum(l["score"] for l in r["labels"]), 1, 1e-5)
         for r in d["results"])'
json "classify --json has four times" \
    'all(sorted(r["time_ms"]) == ["decode", "decode_output", "infer",
      "preprocess"] and min(r["time_ms"].values()) >= 0
      for r in d["results"])'

# ---- inputs ----------------------------------------------------------------

inputs() { # what the last run looked at
    sed -n 's/^\([^ ]*\)  [0-9]* x .*/\1/p' out | tr '\n' ' '
}

run classify colour.onnx in "$@" -q
ok "a folder means the pictures in and below it" equal inputs "$(inputs)" \
    "in/below/green.ppm in/mixed.ppm in/red.ppm "
run classify colour.onnx 'in/*ed.ppm' "$@" -q
ok "a pattern means what it matches" equal inputs "$(inputs)" \
    "in/mixed.ppm in/red.ppm "
cp in/red.ppm 'in/a[1].ppm'
run classify colour.onnx 'in/a[1].ppm' "$@" -q
ok "a file may have a bracket in its name" equal inputs "$(inputs)" \
    "in/a[1].ppm "
run classify colour.onnx - "$@" --json <in/below/green.ppm
json "- means standard input" '[(r["input"], r["labels"][0]["label"])
    for r in d["results"]] == [("-", "green")]'
fails "a pattern that matches nothing is named" 3 'nothing matches in/\*.gif' \
    classify colour.onnx 'in/*.gif' "$@"
mkdir empty
fails "a folder without pictures is named" 3 'folder empty has no pictures' \
    classify colour.onnx empty "$@"

# ---- pictures written ------------------------------------------------------

run classify colour.onnx in "$@" -q --out made/up
ok "--out does not make folders above" refused 1 'cannot make the folder'
run classify colour.onnx in "$@" -q --out made
ok "--out writes a picture for each" \
    holds made 'a[1].png' green.png mixed.png red.png
ok "a picture written has the size of the original" \
    equal header "$(png_header made/green.png)" \
    "10 x 20, 8 bit, colour type 2"
run classify colour.onnx in/red.ppm ./in/red.ppm "$@" -q --out twice
ok "--out writes no picture over another" holds twice red-2.png red.png
cp made/red.png own.png
cp own.png before.png
run classify colour.onnx own.png "$@" -q --out .
ok "--out never writes over the picture itself" cmp own.png before.png
ok "--out takes another name then" test -s own-2.png
run classify colour.onnx in/red.ppm "$@" --out made --json
json "classify --json names the picture written" \
    'd["results"][0]["annotated"].startswith("made/red")'

# ---- mistakes --------------------------------------------------------------

printf 'red\ngreen\n' >two
fails "labels must be as many as classes" 3 \
    '"labels" has 2 names, but .* has 3 classes' \
    classify colour.onnx in/red.ppm --labels two
: >none
fails "labels cannot be none" 3 'none: .*the label file is empty' \
    classify colour.onnx in/red.ppm --labels none
printf 'a\000b\nc\n' >binary
fails "labels are text" 3 'binary: .*the label file is no text' \
    classify colour.onnx in/red.ppm --labels binary
fails "labels must be there" 3 'cannot open gone' \
    classify colour.onnx in/red.ppm --labels gone
fails "a card must be there" 3 'cannot open gone' \
    classify colour.onnx in/red.ppm --card gone
fails "a card is JSON" 3 'two: the card is not JSON.*line 1' \
    classify colour.onnx in/red.ppm --card two
fails "a model for something else is refused, with the verb" 2 \
    'is a model to classify pictures; use ocelli classify' \
    detect colour.onnx in/red.ppm
fails "a decoder must be one there is" 3 'must be one of .*logits' \
    classify colour.onnx in/red.ppm --decode magic
fails "a size must be the network's" 3 '"input.size" is 9 x 9' \
    classify colour.onnx in/red.ppm --size 9x9
fails "a mean is a number or three" 2 '"input.mean" is "a,b"' \
    classify colour.onnx in/red.ppm --mean a,b
fails "a field of a card must be one there is" 2 'no field "fly"' \
    classify colour.onnx in/red.ppm --set fly=1
fails "--set wants a field and a value" 2 'FIELD=VALUE, not "fly"' \
    classify colour.onnx in/red.ppm --set fly

# ---- real models -----------------------------------------------------------

if [ ! -d "$models" ]; then
    skip "classify knows a cat" "no models in $shared"
    tap_end
fi
run classify "$models/mobilenet_v2_imagenet_nhwc.onnx" \
    "$images/cat_720p.jpg" --json
json "MobileNetV2 knows a cat" \
    'd["results"][0]["labels"][0]["label"] == "Egyptian cat"'
json "a large JPEG keeps its size in the result" \
    '(d["results"][0]["width"], d["results"][0]["height"]) == (1280, 720)'
json "classify --json has five labels" 'len(d["results"][0]["labels"]) == 5'
run classify "$models/squeezenet1.1_imagenet.onnx" "$images/bus.jpg" -q \
    --labels "$models/imagenet.labels.txt"
ok "SqueezeNet knows a bus" prints '^    n03769881 minibus +0\.[0-9]+$'
run classify "$models/shufflenet_v2_imagenet_int8.onnx" "$images/pets.jpg" \
    -q --top 1 --threads 1
ok "quantised ShuffleNet knows a dog" \
    prints '(greyhound|whippet|Boston bull|basenji|terrier)'

# ---- why -------------------------------------------------------------------

run classify "$models/resnet8_cifar10.onnx" "$images/cat_720p.jpg" \
    --explain --out why --json
json "--explain writes a drawing and a map" \
    'd["results"][0]["explained"]["picture"].startswith("why/cat_720p.explain")
     and len(d["results"][0]["explained"]["map"]) == 8'
ok "the drawing is there" test -s why/cat_720p.explain.jpg
fails "--explain needs a place for drawings" 2 'give a folder with --out' \
    classify "$models/resnet8_cifar10.onnx" "$images/cat_720p.jpg" --explain
fails "a class to explain must be one there is" 2 'there is no class 10' \
    classify "$models/resnet8_cifar10.onnx" "$images/cat_720p.jpg" \
    --explain-class 10 --json
fails "--explain-by takes two methods" 2 'grad-cam' \
    classify "$models/resnet8_cifar10.onnx" "$images/cat_720p.jpg" \
    --explain-by magic --json
fails "quantised networks have no gradient" 3 'derivative' \
    classify "$models/shufflenet_v2_imagenet_int8.onnx" \
    "$images/cat_720p.jpg" --explain-by grad-cam --json

tap_end
