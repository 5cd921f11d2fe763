/*
 * fit_grow.c - smaller pictures in the first epochs, and what that saves.
 *
 * What a network learns first shows in small pictures too, at half the work
 * (progressive resizing; EfficientNetV2, arXiv:2104.00298).  Convolutions do
 * not know how large their pictures are, so a trainer of another size goes on
 * from the checkpoint that every epoch ends with.
 */
#include "train/fit.h"

/* Where architectures begin to keep the size of their pictures: between them
   and larger ones lies another network. */
enum { TINY = 64 };

/* Three quarters of a side, in steps as sizes are chosen in. */
static int smaller(int side) {
    int step = side <= TINY ? 8 : 32, least = side <= TINY ? 16 : TINY + 32;
    int n = (side * 3 / 4 + step / 2) / step * step;
    return OC_MIN(OC_MAX(n, least), side);
}

static int is_small(const oc_training *f, int64_t epoch) {
    return (double)(epoch + 1) <= f->opt.grow * f->opt.epochs;
}

/* How much less work a small picture is. */
static double small_share(const oc_training *f) {
    double w = f->opt.width, h = f->opt.height;
    return smaller(f->opt.width) / w * (smaller(f->opt.height) / h);
}

double oc__fit_mean_cost(const oc_training *f) {
    double share = f->opt.grow;
    return share * small_share(f) + 1 - share;
}

double oc__fit_cost(const oc_training *f, int64_t epoch) {
    return is_small(f, epoch) ? small_share(f) : 1;
}

int oc__fit_grows(const oc_training *f, int64_t epoch) {
    return epoch > 0 && is_small(f, epoch - 1) && !is_small(f, epoch) &&
           small_share(f) < 1;
}

oc_status oc__fit_set_size(oc_training *f, int64_t epoch, oc_error *err) {
    const oc_training_options *o = &f->opt;
    int w = is_small(f, epoch) ? smaller(o->width) : o->width;
    int h = is_small(f, epoch) ? smaller(o->height) : o->height;
    if (w == f->prep.width && h == f->prep.height) return OC_OK;
    f->prep.width = w;
    f->prep.height = h;
    OC_TRY(oc__stream_resize(f->train, w, h, err));
    OC_TRY(oc__stream_resize(f->val, w, h, err));
    oc__fit_say(f, OC_TRAINING_NOTE, "pictures of %d x %d from epoch %d on", w,
                h, (int)epoch + 1);
    return OC_OK;
}

oc_status oc__fit_grow(oc_training *f, oc_error *err) {
    oc__note note = {NULL, 0};
    /* What was best on smaller pictures is not compared with what follows. */
    f->place.best_epoch = f->place.waited = 0;
    OC_TRY(oc__fit_set_size(f, f->place.epoch, err));
    OC_TRY(oc__fit_make_trainer(f, f->opt.batch, err));
    OC_TRY(oc__checkpoint_read(f->trainer, &note, &f->allocator, f->checkpoint,
                               err));
    oc__release(&f->allocator, (void *)(uintptr_t)note.data, note.bytes);
    return OC_OK;
}
