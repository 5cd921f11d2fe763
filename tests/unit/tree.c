/* tree.c - see tree.h. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "tree.h"

#include "testing.h"

#include "base/rng.h"

#include <ocelli/vision.h>

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *where) {
    (void)st, (void)flag, (void)where;
    return remove(path);
}

int tree_remove(void **state) {
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int tree_make(void **state) {
    (void)state;
    const char *dir = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%s/oc-test-XXXXXX", dir ? dir : "/tmp");
    return mkdtemp(root) ? 0 : 1;
}

const char *tree_path(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

void tree_put(const char *name, const void *data, size_t n) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *s = path + strlen(root) + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        mkdir(path, 0777);
        *s = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (n) assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void tree_text(const char *name, const char *text) {
    tree_put(name, text, strlen(text));
}

void tree_picture(const char *name, int width, int height, unsigned seed) {
    oc_image img;
    oc__rng rng;
    oc__rng_init(&rng, seed);
    assert_int_equal(oc_image_init(&img, width, height, 3, NULL, NULL), OC_OK);
    for (size_t i = 0; i < img.owned_bytes; i++)
        img.pixels[i] = (uint8_t)oc__rng_u32(&rng);
    oc_image_save_options opt = {.format = OC_IMAGE_PNM};
    oc_bytes out = {0};
    assert_int_equal(oc_image_save_memory(&out, &img, &opt, NULL), OC_OK);
    tree_put(name, out.data, out.size);
    oc_bytes_deinit(&out);
    oc_image_deinit(&img);
}
