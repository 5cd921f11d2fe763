/* stream_load.c - a picture from its file, or kept from before. */
#include "data/stream_parts.h"

#include <math.h>
#include <string.h>

/* Padding of whole levels only survives being kept in bytes. */
static int whole_padding(const oc_preprocess *p) {
    if (p->fit != OC_FIT_CONTAIN && p->fit != OC_FIT_LETTERBOX) return 1;
    for (int c = 0; c < 3; c++) {
        if (p->pad_value[c] != floorf(p->pad_value[c])) return 0;
    }
    return 1;
}

void oc__loader_size(oc__loader *l, const oc__stream_options *opt) {
    int side = OC_MAX(opt->prep.width, opt->prep.height);
    l->prep = opt->prep;
    l->prep.allocator = &l->allocator;
    l->train = opt->train && opt->augment;
    l->store_px = opt->store_px ? opt->store_px : side + side / 2;
    l->may_keep = l->train || whole_padding(&l->prep);
}

oc_status oc__loader_init(oc__loader *l, const oc__stream_options *opt,
                          const oc_allocator *a, oc_error *err) {
    memset(l, 0, sizeof *l);
    l->allocator = *a;
    l->data = opt->data;
    l->first = opt->data->first[opt->part];
    l->n = oc__labelled_count(opt->data, opt->part);
    l->most = opt->cache_bytes;
    oc__loader_size(l, opt);
    l->slots = oc__calloc(&l->allocator, (size_t)l->n, sizeof *l->slots);
    return l->slots ? OC_OK : oc__fail_nomem(err);
}

void oc__loader_clear(oc__loader *l) {
    for (int i = 0; l->slots && i < l->n; i++) {
        oc__kept *k = atomic_exchange(&l->slots[i].kept, NULL);
        if (k) oc__release(&l->allocator, k, k->bytes);
    }
    atomic_store(&l->held, 0);
}

void oc__loader_deinit(oc__loader *l) {
    oc__loader_clear(l);
    oc__release(&l->allocator, l->slots, (size_t)l->n * sizeof *l->slots);
    l->slots = NULL;
}

/* ---- keeping --------------------------------------------------------------
 */

static oc_image borrowed(oc__kept *k) {
    oc_image img = {0};
    img.width = k->width;
    img.height = k->height;
    img.channels = k->channels;
    img.stride = (size_t)k->width * (size_t)k->channels;
    img.pixels = k->pixels;
    return img;
}

/* Keeps a copy where there is room.  Which pictures are kept depends on who
   comes first, what they look like does not. */
static void keep(oc__loader *l, oc__kept_slot *slot, const oc_image *img) {
    size_t row = (size_t)img->width * (size_t)img->channels;
    size_t bytes = sizeof(oc__kept) + row * (size_t)img->height;
    if (!l->most || !l->may_keep) return;
    if (atomic_fetch_add(&l->held, bytes) + bytes > l->most) {
        atomic_fetch_sub(&l->held, bytes);
        return;
    }
    oc__kept *k = oc__alloc(&l->allocator, bytes), *none = NULL;
    if (k) {
        k->width = img->width;
        k->height = img->height;
        k->channels = img->channels;
        k->bytes = bytes;
        for (int y = 0; y < img->height; y++)
            memcpy(k->pixels + (size_t)y * row,
                   img->pixels + (size_t)y * img->stride, row);
        if (atomic_compare_exchange_strong(&slot->kept, &none, k)) return;
        oc__release(&l->allocator, k, bytes); /* another was faster */
    }
    atomic_fetch_sub(&l->held, bytes);
}

/* ---- reading --------------------------------------------------------------
 */

static int is_gray(const oc__loader *l) {
    return l->prep.color == OC_COLOR_GRAY;
}

/* Large ones are brought down, always, so that being kept makes no
   difference. */
static oc_status shrink(const oc__loader *l, oc_image *img, oc_error *err) {
    int side = OC_MIN(img->width, img->height);
    oc_image small = {0};
    if (side <= l->store_px + l->store_px / 4) return OC_OK;
    double by = (double)l->store_px / side;
    oc_resize how = {.width = OC_MAX((int)rint(img->width * by), 1),
                     .height = OC_MAX((int)rint(img->height * by), 1),
                     .allocator = &l->allocator};
    OC_TRY(oc_image_resize(&small, img, &how, err));
    oc_image_deinit(img);
    *img = small;
    return OC_OK;
}

static oc_status read_train(const oc__loader *l, const char *path,
                            oc_image *out, oc_error *err) {
    oc_image_options opt = {.color = is_gray(l) ? OC_COLOR_GRAY : OC_COLOR_RGB,
                            .min_width = l->store_px,
                            .min_height = l->store_px,
                            .allocator = &l->allocator};
    OC_TRY(oc_image_load(out, path, &opt, err));
    return shrink(l, out, err);
}

/* As the network sees it, in bytes, by the very functions of inference. */
static oc_status read_exact(const oc__loader *l, const char *path,
                            oc_image *out, oc_error *err) {
    oc_image img = {0};
    oc_image_options opt = {.allocator = &l->allocator};
    oc_preprocess p = l->prep;
    p.dtype = OC_DTYPE_U8;
    p.layout = OC_LAYOUT_NHWC;
    p.color = is_gray(l) ? OC_COLOR_GRAY : OC_COLOR_RGB;
    p.scale = 0;
    memset(p.mean, 0, sizeof p.mean);
    memset(p.std, 0, sizeof p.std);
    oc_preprocess_load_options(&l->prep, 0, &opt);
    if (!l->may_keep) return oc_image_load(out, path, &opt, err);
    OC_TRY(oc_image_load(&img, path, &opt, err));
    oc_status st = oc_image_init(out, p.width, p.height, is_gray(l) ? 1 : 3,
                                 &l->allocator, err);
    if (!st)
        st = oc_image_to_tensor(&img, &p, out->pixels, out->owned_bytes, NULL,
                                err);
    oc_image_deinit(&img);
    if (st) oc_image_deinit(out);
    return st;
}

oc_status oc__loader_get(oc__loader *l, int i, oc_image *out, oc_error *err) {
    oc__kept_slot *slot = &l->slots[i - l->first];
    const char *path = l->data->pictures[i].path;
    oc__kept *k = atomic_load(&slot->kept);
    memset(out, 0, sizeof *out);
    if (k) {
        *out = borrowed(k);
        return OC_OK;
    }
    oc_status st = l->train ? read_train(l, path, out, err)
                            : read_exact(l, path, out, err);
    if (st) {
        oc_image_deinit(out);
        return st;
    }
    atomic_fetch_add(&l->decoded, 1);
    keep(l, slot, out);
    return OC_OK;
}
