/* card_labels.c - labels from files and from the sets we know. */
#include "card/card.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/size.h"

#include <string.h>

const oc__label_set oc__label_sets[] = {
    {"imagenet", 1000, oc__labels_imagenet, NULL},
    {"imagenet1001", 1001, oc__labels_imagenet, "background"},
    {"coco80", 80, oc__labels_coco80, NULL},
    {"coco90", 90, oc__labels_coco90, NULL},
    {"voc20", 20, oc__labels_voc20, NULL},
    {"voc21", 21, oc__labels_voc20, "background"},
    {"camvid", 12, oc__labels_camvid, NULL},
    {"cifar10", 10, oc__labels_cifar10, NULL},
    {"digits", 10, oc__labels_digits, NULL},
    {NULL, 0, NULL, NULL},
};

const oc__label_set *oc__label_set_find(const char *name) {
    for (const oc__label_set *s = oc__label_sets; s->name; s++) {
        if (!strcmp(s->name, name)) return s;
    }
    return NULL;
}

/*
 * Cuts text into lines that are copied into the arena.  A name that stands
 * before them may be given.
 */
static oc_status use_text(oc_card *card, const char *text, size_t bytes,
                          const char *before, oc_error *err) {
    size_t lines = before ? 1 : 0;
    for (size_t i = 0; i < bytes; i++) {
        lines += text[i] == '\n';
    }
    if (bytes && text[bytes - 1] != '\n') lines++;
    if (lines > OC_CARD_MAX_LABELS)
        return oc__fail(err, OC_E_LIMIT, "%zu labels, at most %d may be", lines,
                        OC_CARD_MAX_LABELS);
    const char **v = oc__arena_array(&card->arena, lines + 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    int n = 0;
    if (before) v[n++] = before;
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t len = end ? (size_t)(end - text) - at : bytes - at;
        size_t next = at + len + 1;
        while (len && (text[at + len - 1] == '\r' || text[at + len - 1] == ' '))
            len--;
        v[n] = oc__arena_strndup(&card->arena, text + at, len);
        if (!v[n]) return oc__fail_nomem(err);
        n++;
        at = next;
    }
    while (n && !*v[n - 1])
        n--; /* empty lines at the end name nothing */
    card->labels = (oc__names){n, v};
    card->label_file = NULL;
    card->label_sha256 = NULL;
    oc__card_mark(card, "labels");
    return OC_OK;
}

oc_status oc__card_use_set(oc_card *card, const oc__label_set *set,
                           oc_error *err) {
    return use_text(card, set->text, strlen(set->text), set->before, err);
}

oc_status oc__card_use_lines(oc_card *card, const char *text, size_t bytes,
                             oc_error *err) {
    if (bytes && memchr(text, 0, bytes))
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"labels\": the label file is no text");
    return use_text(card, text, bytes, NULL, err);
}

oc_status oc__card_use_file(oc_card *card, const char *path, const char *sha256,
                            oc_error *err) {
    oc__file file = {0};
    char digest[65];
    OC_TRY(oc__file_map(&file, path, OC_CARD_MAX_BYTES, err));
    oc__sha256_hex(file.data, file.bytes, digest);
    oc_status st;
    if (sha256 && strcmp(sha256, digest)) {
        st = oc__fail(err, OC_E_FORMAT,
                      "card field \"labels\": %.200s is another file than the "
                      "card means, its SHA-256 differs",
                      path);
    } else {
        st = oc__card_use_lines(card, (const char *)file.data, file.bytes, err);
        if (!st && !card->labels.n)
            st = oc__fail(err, OC_E_FORMAT,
                          "card field \"labels\": the label file is empty");
        if (st) oc__error_prefix(err, path);
    }
    oc__file_unmap(&file);
    return st;
}
