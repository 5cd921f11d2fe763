# shellcheck shell=sh
# models.sh: the models in models/ are trained again, by their recipes.
# shellcheck disable=SC2154 # $shared is common.sh's

# unpack NAME: a set of ../shared/data in build/data.
unpack() {
    [ ! -d "build/data/$1" ] || return 0
    [ -f "$shared/data/$1.tar" ] ||
        die "no data in $shared/data/$1.tar; OC_SHARED=DIR says where it is"
    mkdir -p build/data
    tar xf "$shared/data/$1.tar" -C build/data
}

# accuracy MODEL DATA: top-1 on the val part.
accuracy() {
    build/ocelli eval "$1" --data "build/data/$2" --split val --json |
        sed -n 's/^ *"top1": *\([0-9.]*\).*/\1/p'
}

models() {
    need_for build
    build_release
    [ $# -gt 0 ] || set -- disaster-damage scene7
    for name in "$@"; do
        recipe=models/$name.sh
        [ -f "$recipe" ] || die "no model \"$name\": there is no $recipe"
        data=$(sed -n 's/^# data: //p' "$recipe")
        unpack "$data"
        say "training $name; its recipe is $recipe"
        mkdir -p "build/models/$name"
        PATH=$PWD/build:$PATH DATA=build/data/$data \
            BASE=$shared/models OUT=build/models/$name sh "$recipe" ||
            die "$recipe failed"
        say "$name: top-1 on val $(accuracy "build/models/$name.onnx" "$data")"
        [ ! -f "models/$name.onnx" ] ||
            note "of the one in models/: $(accuracy "models/$name.onnx" "$data")"
    done
    note "in build/models; copy what is better to models/"
}
