# shellcheck shell=sh
# model.sh: ONNX files from nothing, so that the program can be asked about
# right and wrong ones where ../shared and Python are not.
#
# A protobuf message is a row of fields, each a key (number * 8 + type) and a
# value.  Bytes are kept as printf's octal escapes, \001\377, since a shell
# variable cannot hold a zero; a message of n bytes is then 4 n characters.
#
#     model "$(node Add y x x)" "$(input x 1 2 3)" "$(output y 1 2 3)" >a.onnx

text() { # TEXT: its bytes
    printf '%s' "$1" | od -An -v -to1 | tr -d '\n' | sed 's/ /\\/g'
}

varint() { # N: 0 to 2^63 - 1
    pb_n=$1
    while [ "$pb_n" -gt 127 ]; do
        printf '\\%03o' $((pb_n % 128 + 128))
        pb_n=$((pb_n / 128))
    done
    printf '\\%03o' "$pb_n"
}

number() { # FIELD N
    varint $(($1 * 8))
    varint "$2"
}

bytes() { # FIELD BYTES
    varint $(($1 * 8 + 2))
    varint $((${#2} / 4))
    printf '%s' "$2"
}

words() { # FIELD TEXT
    bytes "$1" "$(text "$2")"
}

node() { # OPERATOR OUTPUT INPUT...: named after its output
    pb_op=$1 pb_out=$2
    shift 2
    pb_node=
    for pb_in; do
        pb_node=$pb_node$(words 1 "$pb_in")
    done
    bytes 1 "$pb_node$(words 2 "$pb_out")$(words 3 "node_$pb_out")$(
        words 4 "$pb_op"
    )"
}

# A ValueInfoProto.  Types are TensorProto's: 1 f32, 7 i64, 10 f16.  A
# dimension that is no number is a name.
value() { # FIELD NAME TYPE DIMENSION...
    pb_field=$1 pb_name=$2 pb_type=$3
    shift 3
    pb_shape=
    for pb_dim; do
        case $pb_dim in
        *[!0-9]*) pb_dim=$(words 2 "$pb_dim") ;;
        *) pb_dim=$(number 1 "$pb_dim") ;;
        esac
        pb_shape=$pb_shape$(bytes 1 "$pb_dim")
    done
    pb_tensor=$(number 1 "$pb_type")$(bytes 2 "$pb_shape")
    bytes "$pb_field" "$(words 1 "$pb_name")$(
        bytes 2 "$(bytes 1 "$pb_tensor")"
    )"
}

input() { # NAME TYPE DIMENSION...
    value 11 "$@"
}

output() { # NAME TYPE DIMENSION...
    value 12 "$@"
}

# The fields of a TensorProto; BYTES are its raw_data.
tensor() { # NAME TYPE BYTES DIMENSION...
    pb_name=$1 pb_type=$2 pb_raw=$3
    shift 3
    for pb_dim; do
        number 1 "$pb_dim"
    done
    number 2 "$pb_type"
    words 8 "$pb_name"
    bytes 9 "$pb_raw"
}

weight() { # as tensor
    bytes 5 "$(tensor "$@")"
}

message() { # BYTES: really, to standard output
    # shellcheck disable=SC2059
    printf "$1"
}

# IR version 8, operator set 17.
model() { # PARTS OF THE GRAPH...
    pb_graph=$(words 2 made)
    for pb_part; do
        pb_graph=$pb_graph$pb_part
    done
    message "$(number 1 8)$(bytes 7 "$pb_graph")$(bytes 8 "$(number 2 17)")"
}

# ---- f32, little endian ----------------------------------------------------

# A .npy of version 1.0: magic, length of the header, the header padded with
# blanks to a multiple of 64, the data.
npy() { # SHAPE BYTES: SHAPE as Python writes it, (2, 3)
    pb_head="{'descr': '<f4', 'fortran_order': False, 'shape': $1, }"
    while [ $(((${#pb_head} + 11) % 64)) -ne 0 ]; do
        pb_head="$pb_head "
    done
    printf '\223NUMPY\001\000'
    message "$(printf '\\%03o\\000' $((${#pb_head} + 1)))"
    printf '%s\n' "$pb_head"
    message "$2"
}

# What a .npy holds: its values on one line.
npy_values() { # FILE
    # shellcheck disable=SC2046
    set -- "$1" $(od -An -tu1 -j8 -N2 "$1")
    od -An -v -tf4 -j $((10 + $2 + 256 * $3)) "$1" | tr -s ' \n' ' ' |
        sed 's/^ //;s/ $//'
}
