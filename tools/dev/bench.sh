# shellcheck shell=sh
# bench.sh: latency and memory of models, one thread and all.

bench() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to measure with yet"
    if [ $# -eq 0 ]; then
        set -- "$shared"/models/*.onnx
        [ -f "$1" ] || die "no models in $shared/models; name some"
    fi
    for model in "$@"; do
        say "$model"
        for threads in 1 "$(nproc)"; do
            build/ocelli bench "$model" --threads "$threads" ||
                note "failed"
            [ "$(nproc)" -gt 1 ] || break
        done
    done
}
