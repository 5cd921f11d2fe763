/* fuzz_wire.c - any bytes as protobuf, every field in every way. */
#include "onnx/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a message and, as messages, all its length-delimited fields. */
static void read_message(oc__wire w, oc__arena *arena, int depth) {
    while (oc__wire_more(&w)) {
        oc__field f;
        oc_error err;
        if (oc__wire_next(&w, &f, &err)) return;
        int64_t i;
        float x;
        oc__wire body;
        const char *s;
        oc__field_int(&f, "int", &i, &err);
        oc__field_float(&f, "float", &x, &err);
        oc__field_string(&f, "string", arena, &s, &err);
        size_t n = 0, at = 0;
        if (!oc__field_count_varints(&f, "ints", &n, &err)) {
            int64_t *list = calloc(n + 1, sizeof(*list));
            oc__field_varints(&f, "ints", list, &at, &err);
            if (at > n) abort();
            free(list);
        }
        for (size_t bytes = 4; bytes <= 8; bytes += 4) {
            n = at = 0;
            if (oc__field_count_fixed(&f, "fixed", bytes, &n, &err)) continue;
            void *list = calloc(n + 1, bytes);
            oc__field_fixed(&f, "fixed", bytes, list, &at, &err);
            if (at != n) abort();
            free(list);
        }
        if (depth < 20 && !oc__field_body(&f, "body", &body, &err))
            read_message(body, arena, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc__arena arena;
    oc__arena_init(&arena, NULL);
    read_message(oc__wire_open(data, size), &arena, 0);
    oc__arena_deinit(&arena);
    return 0;
}
