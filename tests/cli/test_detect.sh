#!/bin/sh
# test_detect.sh: ocelli detect; what to expect stands in ../shared.
. "$(dirname "$0")/tap.sh"
need_shared

yolox=$models/yolox_nano_coco.onnx

passes "detect prints a head for its columns" \
    '^    object +score +x1 +y1 +x2 +y2$' detect "$yolox" "$images/bus.jpg"
ok "detect says what it guessed" prints '^guessed decode: yolox'
run detect "$yolox" "$images/bus.jpg" -q
ok "detect --quiet prints objects only" \
    equal lines "$(grep -c -v '^    [a-z]+  0\.' out)" 5

run detect "$yolox" "$images/bus.jpg" --json
json "detect finds the bus and three persons" \
    'sorted(o["label"] for o in d["results"][0]["objects"]
      if o["score"] > 0.6) == ["bus", "person", "person", "person"]'
# ONNX Runtime's, after Pillow's bilinear resize into the letterbox.
json "detect has the scores ONNX Runtime has" \
    '[near(o["score"], w, .002) for o, w in
      zip(d["results"][0]["objects"], (.9112, .8500, .8159, .6785))
      ] == 4 * [True]'
json "boxes are in pixels of the original and inside it" \
    'all(0 <= x1 < x2 <= 810 and 0 <= y1 < y2 <= 1080 for x1, y1, x2, y2 in
      (o["box"] for o in d["results"][0]["objects"]))'
json "the bus is where it is" '[near(a, b, 12) for a, b in
    zip(d["results"][0]["objects"][0]["box"], (8, 230, 805, 735))
    ] == 4 * [True]'
json "detect --json has the index of a label" \
    'all(o["index"] == {"bus": 5, "person": 0}[o["label"]]
      for o in d["results"][0]["objects"])'
json "no keypoints where there are none" \
    'not any("keypoints" in o for o in d["results"][0]["objects"])'

run detect "$yolox" "$images/bus.jpg" --json --top 2
json "detect --top takes the best" 'len(d["results"][0]["objects"]) == 2'
run detect "$yolox" "$images/bus.jpg" --json --threshold 0.9
json "detect --threshold takes the sure" \
    '[o["label"] for o in d["results"][0]["objects"]] == ["bus"]'
run detect "$yolox" "$images/bus.jpg" --json --threshold 0.99
json "detect --json has an empty list where nothing is" \
    'd["results"][0]["objects"] == []'
passes "detect says so where nothing is" '^    nothing reaches the threshold$' \
    detect "$yolox" "$images/bus.jpg" --threshold 0.99
run detect "$yolox" "$images/bus.jpg" --json --nms none
json "without suppression there are more boxes" \
    'len(d["results"][0]["objects"]) > 8'
run detect "$yolox" "$images/bus.jpg" --json --threads 1
cp out one
run detect "$yolox" "$images/bus.jpg" --json --threads 2
ok "the number of threads changes no number" \
    equal boxes "$(grep -A 9 objects out)" "$(grep -A 9 objects one)"

run detect "$models/yunet_n_320_320.onnx" "$images/faces.jpg" --json
json "YuNet finds five faces" 'len([o for o in d["results"][0]["objects"]
    if o["score"] > 0.7]) == 5'
json "each face has five points in its box" \
    'all(len(o["keypoints"]) == 5 and all(
       o["box"][0] - 9 < x < o["box"][2] + 9 and
       o["box"][1] - 9 < y < o["box"][3] + 9 for x, y, s in o["keypoints"])
      for o in d["results"][0]["objects"])'
run detect "$models/ultraface_rfb_320.onnx" "$images/faces.jpg" --json
json "UltraFace finds five faces" 'len([o for o in d["results"][0]["objects"]
    if o["score"] > 0.9]) == 5'
run detect "$models/ssd_mobilenet_v3_coco.onnx" "$images/cat_720p.jpg" \
    "$images/pets.jpg" --json
json "SSD finds a cat and a dog" '[r["objects"][0]["label"]
    for r in d["results"]] == ["cat", "dog"]'
run detect "$models/nanodet_m_coco.onnx" "$images/bus.jpg" --json
json "NanoDet finds the bus and three persons" \
    'sorted(o["label"] for o in d["results"][0]["objects"])[:4] ==
     ["bus", "person", "person", "person"]'

run detect "$yolox" "$images/bus.jpg" "$images/bird.png" --out made --json
json "detect --json names the pictures written" \
    '[r["annotated"] for r in d["results"]] ==
     ["made/bus.jpg", "made/bird.png"]'
ok "detect writes a PNG for a PNG, a JPEG for a JPEG" \
    holds made bird.png bus.jpg
ok "the PNG has the size of the original" \
    equal header "$(png_header made/bird.png)" \
    "513 x 513, 8 bit, colour type 2"
ok "the JPEG is one" equal magic "$(od -An -tx1 -N3 made/bus.jpg)" " ff d8 ff"
run detect "$yolox" made/bus.jpg --json
json "the JPEG can be looked at again" \
    'd["results"][0]["objects"][0]["label"] == "bus" and
     (d["results"][0]["width"], d["results"][0]["height"]) == (810, 1080)'

fails "an overlap is no more than one" 2 '"decode.iou" has the value 7' \
    detect "$yolox" "$images/bus.jpg" --iou 7
fails "a decoder wants its outputs" 3 '"ssd" reads 2 outputs, the model has 1' \
    detect "$yolox" "$images/bus.jpg" --decode ssd

tap_end
