/*
 * fuzz_card.c - any bytes as a card.  What is accepted is written, and must
 * be read again as the same card, field by field.  Of what is none, every
 * single field must take the text as a value, or refuse it with a sentence.
 */
#include "card/card.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_text(const char *a, const char *b) {
    if (!a != !b || (a && strcmp(a, b) != 0)) abort();
}

static void same_names(const oc__names *a, const oc__names *b) {
    if (a->n != b->n) abort();
    for (int i = 0; i < a->n; i++) {
        same_text(a->v[i], b->v[i]);
    }
}

static void same_numbers(const oc__numbers *a, const oc__numbers *b) {
    if (a->n != b->n) abort();
    for (int i = 0; i < a->n; i++) {
        if (!(a->v[i] == b->v[i])) abort();
    }
}

static void same_field(const oc__card_field *f, const oc_card *a,
                       const oc_card *b) {
    const void *x = (const char *)a + f->offset;
    const void *y = (const char *)b + f->offset;
    switch (f->kind) {
    case OC_FIELD_TEXT:
    case OC_FIELD_JSON:
        same_text(*(const char *const *)x, *(const char *const *)y);
        break;
    case OC_FIELD_CHOICE:
    case OC_FIELD_INT:
        if (*(const int *)x != *(const int *)y) abort();
        break;
    case OC_FIELD_NUMBER:
        if (!(*(const double *)x == *(const double *)y)) abort();
        break;
    case OC_FIELD_NUMBERS:
    case OC_FIELD_SIZE: same_numbers(x, y); break;
    case OC_FIELD_NAMES:
    case OC_FIELD_LABELS: same_names(x, y); break;
    }
}

static void same_card(const oc_card *a, const oc_card *b) {
    if (a->given != b->given || a->n_expect != b->n_expect) abort();
    for (int i = 0; i < oc__card_field_count; i++) {
        same_field(&oc__card_fields[i], a, b);
    }
    for (int i = 0; i < a->n_expect; i++) {
        const oc__golden_item *x = &a->expect[i], *y = &b->expect[i];
        if (x->index != y->index || !(x->score == y->score) ||
            x->has_box != y->has_box)
            abort();
        for (int k = 0; x->has_box && k < 4; k++) {
            if (!(x->box[k] == y->box[k])) abort();
        }
    }
}

static void round_trip(const oc_card *card) {
    oc_card *again;
    oc_bytes first = {0}, second = {0};
    oc_error err;
    if (oc_card_write(card, &first, &err)) abort();
    if (oc_card_parse(&again, (const char *)first.data, first.size, NULL, NULL,
                      &err))
        abort();
    same_card(card, again);
    if (oc_card_write(again, &second, &err)) abort();
    if (first.size != second.size ||
        memcmp(first.data, second.data, first.size) != 0)
        abort();
    oc_card_destroy(again);
    oc_bytes_deinit(&first);
    oc_bytes_deinit(&second);
}

#if OC_HAVE_JANSSON
/* The bytes as a field's value on a command line. */
static void set_fields(const uint8_t *data, size_t size) {
    oc_card *card;
    oc_error err;
    char text[256];
    size = OC_MIN(size, sizeof text - 1);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    if (oc_card_create(&card, NULL, NULL)) return;
    for (int i = 0; i < oc__card_field_count; i++) {
        const oc__card_field *f = &oc__card_fields[i];
        char name[OC_CARD_NAME];
        /* Labels may be a file of that name: not here. */
        if (f->kind == OC_FIELD_LABELS) continue;
        oc__card_field_name(i, name);
        memset(&err, 0, sizeof err);
        /* A value that is refused leaves the field alone. */
        if (oc_card_set(card, name, text, &err) && !strstr(err.message, name))
            abort();
    }
    /* Text from a command line may be in any encoding: it is mended once. */
    oc_bytes out = {0};
    oc_card *mended;
    if (oc_card_write(card, &out, &err)) abort();
    if (oc_card_parse(&mended, (const char *)out.data, out.size, NULL, NULL,
                      &err))
        abort();
    round_trip(mended);
    oc_card_destroy(mended);
    oc_bytes_deinit(&out);
    oc_card_destroy(card);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc_card *card;
    oc_error err;
    if (size > 1 << 16) return 0;
    memset(&err, 0, sizeof err);
    if (!oc_card_parse(&card, (const char *)data, size, NULL, NULL, &err)) {
        round_trip(card);
        oc_card_destroy(card);
        return 0;
    }
    if (!err.message[0]) abort(); /* every failure has its sentence */
#if OC_HAVE_JANSSON
    set_fields(data, size);
#endif
    return 0;
}
