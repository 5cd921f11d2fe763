/*
 * card_read.c - a card from its JSON form.
 *
 * jansson parses (it bounds its depth and refuses bad UTF-8); here each value
 * goes to its field of the table.  Unknown fields of a section are refused,
 * since a misspelt "maen" would otherwise be silently ignored; unknown ones
 * at the top are left to newer versions of the schema.
 */
#include "card/card.h"

#include "base/file.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>

#if OC_HAVE_JANSSON
#include <jansson.h>
#include <stdlib.h>

static oc_status read_numbers(oc_card *card, int f, const json_t *list,
                              oc_error *err) {
    size_t n = json_array_size(list);
    char name[OC_CARD_NAME];
    oc__card_field_name(f, name);
    if (n > OC_CARD_MAX_NUMBERS)
        return oc__fail(err, OC_E_LIMIT,
                        "card field \"%s\" has %zu numbers, at most %d may be",
                        name, n, OC_CARD_MAX_NUMBERS);
    double *v = oc__arena_array(&card->arena, n + 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_number(item))
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"%s\": item %zu is no number", name,
                            i);
        v[i] = json_number_value(item);
    }
    return oc__card_put_numbers(card, f, v, (int)n, err);
}

static oc_status read_names(oc_card *card, int f, const json_t *list,
                            oc_error *err) {
    size_t n = json_array_size(list);
    char name[OC_CARD_NAME];
    oc__card_field_name(f, name);
    if (n > OC_CARD_MAX_LABELS)
        return oc__fail(err, OC_E_LIMIT,
                        "card field \"%s\" has %zu names, at most %d may be",
                        name, n, OC_CARD_MAX_LABELS);
    const char **v = oc__arena_array(&card->arena, n + 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        v[i] = json_string_value(json_array_get(list, i));
        if (!v[i])
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"%s\": item %zu is no text", name, i);
    }
    return oc__card_put_names(card, f, v, (int)n, err);
}

/* {"file": ..., "sha256": ...}: a checksum must not be overlooked. */
static oc_status read_label_keys(json_t *j, const char **file, const char **sha,
                                 oc_error *err) {
    const char *key;
    json_t *value;
    *file = *sha = NULL;
    json_object_foreach(j, key, value) {
        const char **slot = !strcmp(key, "file")     ? file
                            : !strcmp(key, "sha256") ? sha
                                                     : NULL;
        if (!slot)
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"labels.%.60s\" is not known; is it "
                            "misspelt?",
                            key);
        *slot = json_string_value(value);
        if (!*slot)
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"labels.%s\" must be text", key);
    }
    if (*file) return OC_OK;
    return oc__fail(err, OC_E_FORMAT, "card field \"labels.file\" is missing");
}

/* A file a card names lies in or below the card's folder. */
static oc_status read_label_file(oc_card *card, json_t *j, const char *folder,
                                 oc_error *err) {
    const char *file, *sha;
    char path[4096];
    OC_TRY(read_label_keys(j, &file, &sha, err));
    if (*file == '/' || strstr(file, ".."))
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"labels.file\" is \"%.60s\", which lies "
                        "outside the card's folder",
                        file);
    if (!folder)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "card field \"labels.file\" names a file, but this "
                        "card has no folder; put the labels into the card");
    int n = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (n < 0 || (size_t)n >= sizeof path)
        return oc__fail(err, OC_E_LIMIT,
                        "card field \"labels.file\": the name is too long");
    OC_TRY(oc__card_use_file(card, path, sha, err));
    card->label_file = oc__arena_strdup(&card->arena, file);
    if (sha) card->label_sha256 = oc__arena_strdup(&card->arena, sha);
    if (!card->label_file || (sha && !card->label_sha256))
        return oc__fail_nomem(err);
    return OC_OK;
}

static oc_status read_labels(oc_card *card, int f, json_t *j,
                             const char *folder, oc_error *err) {
    if (json_is_object(j)) return read_label_file(card, j, folder, err);
    if (json_is_array(j)) return read_names(card, f, j, err);
    const char *name = json_string_value(j);
    const oc__label_set *set = name ? oc__label_set_find(name) : NULL;
    if (set) return oc__card_use_set(card, set, err);
    return oc__fail(err, OC_E_FORMAT,
                    "card field \"labels\" must be a list of names, a file, "
                    "or a built-in set");
}

static oc_status read_text(oc_card *card, int f, const json_t *j,
                           oc_error *err) {
    char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) return oc__fail_nomem(err);
    oc_status st = oc__card_put_text(card, f, text, strlen(text), err);
    free(text);
    return st;
}

/* A field that JSON's own words true and false may be given to. */
static int is_switch(const oc__card_field *f) {
    return f->kind == OC_FIELD_CHOICE && !strcmp(f->choices[0], "false");
}

static int is_list(oc__field_kind kind) {
    return kind == OC_FIELD_NUMBERS || kind == OC_FIELD_SIZE ||
           kind == OC_FIELD_NAMES;
}

static oc_status wrong_type(int f, oc_error *err) {
    const oc__card_field *field = &oc__card_fields[f];
    char name[OC_CARD_NAME];
    const char *want = "a list of numbers";
    switch (field->kind) {
    case OC_FIELD_INT:
    case OC_FIELD_NUMBER: want = "a number"; break;
    case OC_FIELD_NAMES: want = "a list of names"; break;
    case OC_FIELD_SIZE: want = "[height, width] or \"dynamic\""; break;
    case OC_FIELD_TEXT: want = "text"; break;
    case OC_FIELD_CHOICE:
        want = is_switch(field) ? "true or false" : "text";
        break;
    default: break;
    }
    return oc__fail(err, OC_E_FORMAT, "card field \"%s\" must be %s",
                    oc__card_field_name(f, name), want);
}

static oc_status read_field(oc_card *card, int f, json_t *j, const char *folder,
                            oc_error *err) {
    const oc__card_field *field = &oc__card_fields[f];
    oc__field_kind kind = field->kind;
    int text = kind == OC_FIELD_TEXT || kind == OC_FIELD_CHOICE ||
               kind == OC_FIELD_SIZE;
    int number =
        kind == OC_FIELD_INT || kind == OC_FIELD_NUMBER || is_list(kind);
    if (kind == OC_FIELD_JSON) return read_text(card, f, j, err);
    if (kind == OC_FIELD_LABELS) return read_labels(card, f, j, folder, err);
    if (json_is_string(j) && text)
        return oc__card_put_text(card, f, json_string_value(j),
                                 json_string_length(j), err);
    if (json_is_number(j) && number && kind != OC_FIELD_NAMES) {
        double v = json_number_value(j);
        return oc__card_put_numbers(card, f, &v, 1, err);
    }
    if (json_is_boolean(j) && is_switch(field)) {
        const char *s = json_is_true(j) ? "true" : "false";
        return oc__card_put_text(card, f, s, strlen(s), err);
    }
    if (json_is_array(j) && kind == OC_FIELD_NAMES)
        return read_names(card, f, j, err);
    if (json_is_array(j) && is_list(kind)) return read_numbers(card, f, j, err);
    return wrong_type(f, err);
}

static oc_status read_section(oc_card *card, const char *section, json_t *j,
                              const char *folder, oc_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(j))
        return oc__fail(err, OC_E_FORMAT,
                        *section ? "card field \"%s\" must be an object"
                                 : "a card must be an object%s",
                        section);
    json_object_foreach(j, key, value) {
        char dotted[128];
        snprintf(dotted, sizeof dotted, "%s%s%.60s", section,
                 *section ? "." : "", key);
        int f = oc__card_find_field(dotted);
        if (f >= 0 && !strchr(key, '.')) {
            OC_TRY(read_field(card, f, value, folder, err));
        } else if (*section && strcmp(dotted, "golden.expect") != 0) {
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"%s\" is not known; is it misspelt?",
                            dotted);
        }
    }
    return OC_OK;
}

static oc_status read_item(oc__golden_item *out, const json_t *j, size_t i,
                           oc_error *err) {
    const json_t *index = json_object_get(j, "index");
    const json_t *score = json_object_get(j, "score");
    const json_t *box = json_object_get(j, "box");
    if (!score) score = json_object_get(j, "fraction");
    if (!json_is_integer(index) || !json_is_number(score) ||
        (box && json_array_size(box) != 4))
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"golden.expect\": item %zu must have an "
                        "index, a score and perhaps a box",
                        i);
    json_int_t number = json_integer_value(index);
    if (number < 0 || number > INT32_MAX)
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"golden.expect\": item %zu has an index "
                        "out of range",
                        i);
    out->index = (int)number;
    out->score = json_number_value(score);
    out->has_box = box != NULL;
    for (size_t k = 0; box && k < 4; k++) {
        if (!json_is_number(json_array_get(box, k)))
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"golden.expect\": item %zu has a box "
                            "that is not four numbers",
                            i);
        out->box[k] = json_number_value(json_array_get(box, k));
    }
    return OC_OK;
}

static oc_status read_golden(oc_card *card, json_t *root, oc_error *err) {
    const json_t *golden = json_object_get(root, "golden");
    const json_t *list = json_object_get(golden, "expect");
    if (!list && !card->golden_image) return OC_OK;
    if (!card->golden_image)
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"golden.image\" is missing: it says what "
                        "\"golden.expect\" is about");
    if (!json_is_array(list))
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"golden.expect\" must be a list");
    size_t n = json_array_size(list);
    if (n > 1000)
        return oc__fail(err, OC_E_LIMIT,
                        "card field \"golden.expect\" has %zu items, at most "
                        "1000 may be",
                        n);
    oc__golden_item *items =
        oc__arena_array(&card->arena, n + 1, sizeof *items);
    if (!items) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        OC_TRY(read_item(&items[i], json_array_get(list, i), i, err));
    }
    card->expect = items;
    card->n_expect = (int)n;
    return OC_OK;
}

static oc_status read_root(oc_card *card, json_t *root, const char *folder,
                           oc_error *err) {
    static const char *const sections[] = {"input", "decode", "golden"};
    if (!json_is_object(root))
        return oc__fail(err, OC_E_FORMAT, "a card must be a JSON object");
    const json_t *version = json_object_get(root, "ocelli");
    if (!json_is_integer(version))
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"ocelli\", the version of its schema, is "
                        "missing");
    if (json_integer_value(version) != 1)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "card field \"ocelli\" is %" JSON_INTEGER_FORMAT
                        ", only version 1 is known",
                        json_integer_value(version));
    OC_TRY(read_section(card, "", root, folder, err));
    for (size_t i = 0; i < OC_COUNT(sections); i++) {
        json_t *j = json_object_get(root, sections[i]);
        if (j) OC_TRY(read_section(card, sections[i], j, folder, err));
    }
    return read_golden(card, root, err);
}

oc_status oc_card_parse(oc_card **out, const char *json, size_t bytes,
                        const char *folder, const oc_allocator *allocator,
                        oc_error *err) {
    json_error_t where;
    oc_card *card;
    if (bytes > OC_CARD_MAX_BYTES)
        return oc__fail(err, OC_E_LIMIT, "a card of %zu bytes is too large",
                        bytes);
    OC_TRY(oc_card_create(&card, allocator, err));
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &where);
    oc_status st;
    if (root) {
        st = read_root(card, root, folder, err);
    } else if (!where.text[0]) { /* jansson has a text for bad syntax */
        st = oc__fail_nomem(err);
    } else {
        st = oc__fail_at(err, OC_E_FORMAT, where.position,
                         "the card is not JSON: %.100s (line %d, column %d)",
                         where.text, where.line, where.column);
    }
    json_decref(root);
    if (st) {
        oc_card_destroy(card);
        return st;
    }
    *out = card;
    return OC_OK;
}

#else

oc_status oc_card_parse(oc_card **out, const char *json, size_t bytes,
                        const char *folder, const oc_allocator *allocator,
                        oc_error *err) {
    (void)out, (void)json, (void)bytes, (void)folder, (void)allocator;
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "this build reads no cards: it was made without jansson");
}

#endif

oc_status oc_card_load(oc_card **out, const char *path,
                       const oc_allocator *allocator, oc_error *err) {
    oc__file file = {0};
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
    if (n >= sizeof folder)
        return oc__fail(err, OC_E_LIMIT, "the path of the card is too long");
    memcpy(folder, slash ? path : ".", n);
    folder[n] = 0;
    OC_TRY(oc__file_map(&file, path, OC_CARD_MAX_BYTES, err));
    oc_status st = oc_card_parse(out, (const char *)file.data, file.bytes,
                                 folder, allocator, err);
    oc__file_unmap(&file);
    if (st) oc__error_prefix(err, path);
    return st;
}
