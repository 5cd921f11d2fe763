#!/bin/sh
# test_models.sh: the models that ship, on samples and on data they never saw.
ours=$(cd "$(dirname "$0")/../../models" && pwd) || exit 1
. "$(dirname "$0")/tap.sh"

# measure MODEL DATA: top-1 on the val part is in the JSON of `out`.
measure() {
    mkdir -p data
    tar xf "$shared/data/$2.tar" -C data "$2/val"
    run eval "$ours/$1.onnx" --data "data/$2" --split val --json
}

for name in disaster-damage scene7; do
    ok "$name is there" test -f "$ours/$name.onnx"
    ok "$name has its recipe" test -x /bin/sh -a -f "$ours/$name.sh"
    ok "$name is under 2 MB" test \
        "$(wc -c <"$ours/$name.onnx")" -lt 2000000
done

run classify "$ours/disaster-damage.onnx" "$ours/samples/flooded.png" --json
json "disaster-damage sees the flood" \
    'd["results"][0]["labels"][0]["label"] == "damage"'
run classify "$ours/disaster-damage.onnx" "$ours/samples/dry.png" --json
json "disaster-damage sees none where there is none" \
    'd["results"][0]["labels"][0]["label"] == "no_damage"'
if [ -f "$shared/data/harvey_damage.tar" ]; then
    measure disaster-damage harvey_damage
    json "disaster-damage is right on most of val" 'd["top1"] >= 0.96'
    measure scene7 rsscn7
    json "scene7 is right on most of val" 'd["top1"] >= 0.85'
else
    skip "the models are right on most of val" "no data in $shared"
fi

tap_end
