# shellcheck shell=sh
# demo.sh: the main job on pictures: text on the terminal, annotated pictures
# in build/demo.

# verb        model                              picture
demo_list() {
    cat <<'END'
detect    yolox_nano_coco                  bus.jpg
detect    ultraface_rfb_320                faces.jpg
classify  mobilenet_v2_imagenet_nhwc       cat_720p.jpg
segment   deeplabv3_mobilenet_v2_voc       bird.png
segment   selfie_landscape_nhwc            portrait.jpg
END
}

demo() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to show yet"
    [ -d "$shared/models" ] ||
        die "no models in $shared/models; OC_SHARED=DIR says where they are"
    rm -rf build/demo
    demo_list | while read -r verb model picture; do
        set -- "$verb" "$shared/models/$model.onnx" \
            "$shared/images/$picture" --out build/demo
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
