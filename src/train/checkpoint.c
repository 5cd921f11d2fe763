/*
 * checkpoint.c - a trainer in a file.
 *
 *     "OCTRAIN1" | header | note | for each variable: its data, what the
 *     optimiser keeps, the average | XXH64 of all before it
 *
 * The header tells the network by a hash of the variables' names and shapes,
 * and has one of the note, which is read before there is a network.
 * Numbers are those of the machine: a checkpoint is for going on, a model for
 * passing on.
 */
#include "train/trainer.h"

#include "base/file.h"
#include "base/xxh64.h"

#include <string.h>

typedef struct header {
    char magic[8];
    uint64_t network; /* hash of names and shapes */
    uint64_t bytes;   /* of all variables' parts */
    uint64_t note_bytes, note_hash;
    int64_t steps;
    uint32_t order; /* of bytes */
    uint32_t vars;
} header;

static uint64_t hash_network(const oc_trainer *t) {
    uint64_t h = (uint64_t)t->opt.optimizer + 2 * (t->opt.ema > 0);
    for (int i = 0; i < t->net.n_vars; i++) {
        const oc__var *v = &t->net.vars[i];
        int64_t line[OC_MAX_RANK + 3] = {(int64_t)h, v->t.rank, v->trained};
        for (int k = 0; k < v->t.rank; k++)
            line[3 + k] = v->t.dims[k];
        h = oc__xxh64(line, sizeof(line), h);
    }
    return h;
}

/* The parts of variable i that there are. */
static int parts_of(const oc_trainer *t, int i, void *out[4]) {
    int n = 0;
    out[n++] = t->net.vars[i].t.data;
    for (int s = 0; s < 2; s++)
        if (t->state[i].kept[s]) out[n++] = t->state[i].kept[s];
    if (t->state[i].average) out[n++] = t->state[i].average;
    return n;
}

static void fill_header(const oc_trainer *t, header *h) {
    memset(h, 0, sizeof(*h));
    memcpy(h->magic, "OCTRAIN1", 8);
    h->network = hash_network(t);
    h->steps = t->steps;
    h->order = 0x01020304;
    h->vars = (uint32_t)t->net.n_vars;
    for (int i = 0; i < t->net.n_vars; i++) {
        void *part[4];
        h->bytes +=
            (uint64_t)parts_of(t, i, part) * oc_tensor_bytes(&t->net.vars[i].t);
    }
}

/* One hash over pieces: each hashed with the one before as its seed. */
static uint64_t hash_pieces(const oc__piece *p, size_t n) {
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = oc__xxh64(p[i].data, p[i].bytes, h);
    return h;
}

oc_status oc__checkpoint_write(const oc_trainer *t, const oc__note *note,
                               const char *path, oc_error *err) {
    size_t room = 4 * (size_t)t->net.n_vars + 3, n = 0;
    oc__piece *p = oc__calloc(&t->allocator, room, sizeof(*p));
    header h;
    uint64_t sum;
    if (!p) return oc__fail_nomem(err);
    fill_header(t, &h);
    h.note_bytes = note->bytes;
    h.note_hash = oc__xxh64(note->data, note->bytes, 0);
    p[n++] = (oc__piece){&h, sizeof(h)};
    p[n++] = (oc__piece){note->data, note->bytes};
    for (int i = 0; i < t->net.n_vars; i++) {
        void *part[4];
        int parts = parts_of(t, i, part);
        for (int k = 0; k < parts; k++)
            p[n++] = (oc__piece){part[k], oc_tensor_bytes(&t->net.vars[i].t)};
    }
    sum = hash_pieces(p, n);
    p[n++] = (oc__piece){&sum, sizeof(sum)};
    oc_status st = oc__file_write_pieces(path, p, n, err);
    oc__release(&t->allocator, p, room * sizeof(*p));
    return st;
}

static oc_status damaged(oc_error *err) {
    return oc__fail(err, OC_E_FORMAT,
                    "this is no checkpoint, or it is damaged");
}

/* Walks the variables' parts from data on; copies them when told to. */
static const unsigned char *walk_parts(const oc_trainer *t,
                                       const unsigned char *data, int copy,
                                       uint64_t *hash) {
    for (int i = 0; i < t->net.n_vars; i++) {
        void *part[4];
        size_t bytes = oc_tensor_bytes(&t->net.vars[i].t);
        int parts = parts_of(t, i, part);
        for (int k = 0; k < parts; k++, data += bytes) {
            if (copy)
                memcpy(part[k], data, bytes);
            else
                *hash = oc__xxh64(data, bytes, *hash);
        }
    }
    return data;
}

static oc_status read_all(oc_trainer *t, oc__note *note, const oc_allocator *a,
                          const oc__file *f, oc_error *err) {
    header h, want;
    uint64_t sum, hash;
    if (f->bytes < sizeof(h) + sizeof(sum)) return damaged(err);
    memcpy(&h, f->data, sizeof(h));
    size_t left = f->bytes - sizeof(h) - sizeof(sum);
    if (memcmp(h.magic, "OCTRAIN1", 8) != 0 || h.order != 0x01020304 ||
        h.note_bytes > left || h.bytes != left - h.note_bytes || h.steps < 0 ||
        oc__xxh64(f->data + sizeof(h), h.note_bytes, 0) != h.note_hash)
        return damaged(err);
    const unsigned char *data = f->data + sizeof(h) + h.note_bytes;
    if (t) {
        fill_header(t, &want);
        if (want.network != h.network || want.bytes != h.bytes ||
            want.vars != h.vars)
            return oc__fail(err, OC_E_FORMAT,
                            "the checkpoint is of another network, optimiser "
                            "or choice of what is trained");
        hash = oc__xxh64(f->data, sizeof(h), 0);
        hash = oc__xxh64(f->data + sizeof(h), h.note_bytes, hash);
        walk_parts(t, data, 0, &hash);
        memcpy(&sum, f->data + f->bytes - sizeof(sum), sizeof(sum));
        if (sum != hash) return damaged(err);
    }
    if (h.note_bytes) {
        void *copy = oc__alloc(a, h.note_bytes);
        if (!copy) return oc__fail_nomem(err);
        memcpy(copy, f->data + sizeof(h), h.note_bytes);
        *note = (oc__note){copy, h.note_bytes};
    }
    if (!t) return OC_OK;
    walk_parts(t, data, 1, &hash);
    t->steps = h.steps;
    oc__trainer_forget(t);
    return OC_OK;
}

oc_status oc__checkpoint_read(oc_trainer *t, oc__note *note,
                              const oc_allocator *a, const char *path,
                              oc_error *err) {
    oc__file f = {0};
    OC_TRY(oc__file_map(&f, path, 0, err));
    oc_status st = read_all(t, note, a, &f, err);
    if (st != OC_OK) oc__error_prefix(err, path);
    oc__file_unmap(&f);
    return st;
}
