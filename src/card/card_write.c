/* card_write.c - a card as JSON text. */
#include "card/card.h"

#include "base/file.h"
#include "base/size.h"
#include "base/text_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text that grows; `failed` once there is no memory, then nothing more. */
typedef struct text {
    oc_bytes *b;
    int failed;
} text;

static void put_n(text *t, const char *s, size_t n) {
    oc_bytes *b = t->b;
    size_t need;
    if (t->failed || oc__size_add(b->size, n, &need)) {
        t->failed = 1;
        return;
    }
    if (need > b->capacity) {
        const oc_allocator *a =
            b->allocator ? b->allocator : &oc__default_allocator;
        size_t cap = OC_MAX(need, OC_MAX(b->capacity * 2, 1024));
        uint8_t *data = oc__alloc(a, cap);
        if (!data) {
            t->failed = 1;
            return;
        }
        if (b->size) memcpy(data, b->data, b->size);
        oc__release(a, b->data, b->capacity);
        b->data = data;
        b->capacity = cap;
    }
    if (n) memcpy(b->data + b->size, s, n);
    b->size = need;
}

static void put(text *t, const char *s) {
    put_n(t, s, strlen(s));
}

/* Length of the UTF-8 character at s, 0 where there is none. */
static size_t utf8_length(const char *s) {
    const unsigned char *u = (const unsigned char *)s;
    size_t n = u[0] < 0x80   ? 1
               : u[0] < 0xc2 ? 0
               : u[0] < 0xe0 ? 2
               : u[0] < 0xf0 ? 3
               : u[0] < 0xf5 ? 4
                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80) return 0;
    }
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
        (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return n;
}

/* Label files may be in any encoding; the card is UTF-8. */
static void put_string(text *t, const char *s) {
    put(t, "\"");
    for (size_t n; *s; s += n ? n : 1) {
        unsigned char c = (unsigned char)*s;
        char escape[8];
        n = utf8_length(s);
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            put_n(t, escape, 2);
        } else if (c < 32) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put(t, escape);
        } else if (n) {
            put_n(t, s, n);
        } else {
            put(t, "\\ufffd");
        }
    }
    put(t, "\"");
}

static void put_number(text *t, double v) {
    char s[OC_NUMBER_TEXT_BYTES];
    if (v == 0) v = 0; /* -0 would come back as 0 */
    oc__text_from_number(OC_DTYPE_F64, v, s);
    put(t, isfinite(v) ? s : "null");
}

static void put_numbers(text *t, const double *v, int n) {
    put(t, "[");
    for (int i = 0; i < n; i++) {
        if (i) put(t, ", ");
        put_number(t, v[i]);
    }
    put(t, "]");
}

static void put_names(text *t, const oc__names *names) {
    put(t, "[");
    for (int i = 0; i < names->n; i++) {
        if (i) put(t, ", ");
        put_string(t, names->v[i]);
    }
    put(t, "]");
}

static void put_labels(text *t, const oc_card *card) {
    if (!card->label_file) {
        put_names(t, &card->labels);
        return;
    }
    put(t, "{\"file\": ");
    put_string(t, card->label_file);
    if (card->label_sha256) {
        put(t, ", \"sha256\": ");
        put_string(t, card->label_sha256);
    }
    put(t, "}");
}

static void put_field(text *t, const oc_card *card, const oc__card_field *f) {
    const void *slot = (const char *)card + f->offset;
    const oc__numbers *list = slot;
    switch (f->kind) {
    case OC_FIELD_TEXT: put_string(t, *(const char *const *)slot); break;
    case OC_FIELD_JSON: put(t, *(const char *const *)slot); break;
    case OC_FIELD_INT: put_number(t, *(const int *)slot); break;
    case OC_FIELD_NUMBER: put_number(t, *(const double *)slot); break;
    case OC_FIELD_NUMBERS: put_numbers(t, list->v, list->n); break;
    case OC_FIELD_NAMES: put_names(t, slot); break;
    case OC_FIELD_LABELS: put_labels(t, card); break;
    case OC_FIELD_SIZE:
        if (list->n)
            put_numbers(t, list->v, list->n);
        else
            put_string(t, "dynamic");
        break;
    case OC_FIELD_CHOICE: {
        const char *s = f->choices[*(const int *)slot];
        /* Switches are JSON's own words. */
        if (!strcmp(s, "true") || !strcmp(s, "false"))
            put(t, s);
        else
            put_string(t, s);
    }
    }
}

static void put_expect(text *t, const oc_card *card) {
    put(t, ",\n    \"expect\": [");
    for (int i = 0; i < card->n_expect; i++) {
        const oc__golden_item *item = &card->expect[i];
        put(t, i ? ",\n      {\"index\": " : "\n      {\"index\": ");
        put_number(t, item->index);
        put(t, ", \"score\": ");
        put_number(t, item->score);
        if (item->has_box) {
            put(t, ", \"box\": ");
            put_numbers(t, item->box, 4);
        }
        put(t, "}");
    }
    put(t, "]");
}

/* The fields of one section; nothing when none of them is set. */
static void put_section(text *t, const oc_card *card, const char *section) {
    int count = 0;
    for (int i = 0; i < oc__card_field_count; i++) {
        const oc__card_field *f = &oc__card_fields[i];
        if (strcmp(f->section, section) != 0 || !(card->given >> i & 1))
            continue;
        if (*section && !count) {
            put(t, ",\n  ");
            put_string(t, section);
            put(t, ": {\n    ");
        } else {
            put(t, *section ? ",\n    " : ",\n  ");
        }
        count++;
        put_string(t, f->name);
        put(t, ": ");
        put_field(t, card, f);
    }
    if (!strcmp(section, "golden") && card->golden_image) put_expect(t, card);
    if (*section && count) put(t, "\n  }");
}

oc_status oc_card_write(const oc_card *card, oc_bytes *out, oc_error *err) {
    static const char *const sections[] = {"", "input", "decode", "golden"};
    size_t before = out->size;
    text t = {out, 0};
    put(&t, "{\n  \"ocelli\": 1");
    for (size_t i = 0; i < OC_COUNT(sections); i++) {
        put_section(&t, card, sections[i]);
    }
    put(&t, "\n}\n");
    if (t.failed) {
        out->size = before;
        return oc__fail_nomem(err);
    }
    return OC_OK;
}

oc_status oc_card_save(const oc_card *card, const char *path, oc_error *err) {
    oc_bytes b = {0};
    oc_status st = oc_card_write(card, &b, err);
    if (!st) st = oc__file_write_atomic(path, b.data, b.size, err);
    oc_bytes_deinit(&b);
    return st;
}
