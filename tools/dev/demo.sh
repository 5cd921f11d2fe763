# shellcheck shell=sh
# demo.sh: the main job on pictures: text on the terminal, annotated pictures
# in build/demo.

# verb        model                              picture
# What ships comes first; the rest is shown where ../shared is.
demo_list() {
    cat <<END
classify  models/disaster-damage                     models/samples/dry.png
classify  models/disaster-damage                     models/samples/flooded.png
END
    [ ! -d "$shared/models" ] || cat <<END
detect    $shared/models/yolox_nano_coco             $shared/images/bus.jpg
detect    $shared/models/ultraface_rfb_320           $shared/images/faces.jpg
classify  $shared/models/mobilenet_v2_imagenet_nhwc  $shared/images/cat_720p.jpg
segment   $shared/models/deeplabv3_mobilenet_v2_voc  $shared/images/bird.png
segment   $shared/models/selfie_landscape_nhwc       $shared/images/portrait.jpg
END
}

demo() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to show yet"
    rm -rf build/demo
    demo_list | while read -r verb model picture; do
        set -- "$verb" "$model.onnx" "$picture" --out build/demo
        [ "$model" != models/disaster-damage ] || set -- "$@" --explain
        echo
        say "ocelli $*"
        build/ocelli "$@" || die "ocelli $verb failed"
    done || exit 1
    echo
    say "annotated pictures:"
    for file in build/demo/*; do
        note "$file"
    done
}
