/* testing.c - see testing.h. */
#include "testing.h"

#include <locale.h>
#include <stdio.h>

/* Blocks carry their size before, and a pattern behind, what is given out. */
enum { HEADER = 64, CANARY = 64, CANARY_BYTE = 0xA5 };

struct test_block {
    struct test_block *next, **link; /* *link is what points at this block */
    size_t bytes;
};

static void *test_alloc(void *user, size_t bytes) {
    test_allocator *ta = user;
    unsigned char *raw = NULL;
    _Static_assert(sizeof(struct test_block) <= HEADER, "header is too small");
    pthread_mutex_lock(&ta->lock);
    if (ta->count++ >= ta->fail_at) {
        ta->failed = 1;
    } else if (bytes <= SIZE_MAX / 2) {
        size_t total = (HEADER + bytes + CANARY + 63) / 64 * 64;
        raw = aligned_alloc(64, total);
    }
    if (raw) {
        struct test_block *b = (struct test_block *)raw;
        b->bytes = bytes;
        b->next = ta->blocks;
        b->link = &ta->blocks;
        if (b->next) b->next->link = &b->next;
        ta->blocks = b;
        /* Neither zero nor what was there: nobody may rely on either. */
        memset(raw + HEADER, 0xCD, bytes);
        memset(raw + HEADER + bytes, CANARY_BYTE, CANARY);
        ta->live++;
        ta->live_bytes += bytes;
        if (ta->live_bytes > ta->peak_bytes) ta->peak_bytes = ta->live_bytes;
    }
    pthread_mutex_unlock(&ta->lock);
    return raw ? raw + HEADER : NULL;
}

static int canary_is_whole(const struct test_block *b) {
    const unsigned char *end = (const unsigned char *)b + HEADER + b->bytes;
    for (int i = 0; i < CANARY; i++) {
        if (end[i] != CANARY_BYTE) return 0;
    }
    return 1;
}

static void drop(test_allocator *ta, struct test_block *b) {
    *b->link = b->next;
    if (b->next) b->next->link = b->link;
    ta->live--;
    ta->live_bytes -= b->bytes;
    free(b);
}

static void test_release(void *user, void *ptr, size_t bytes) {
    test_allocator *ta = user;
    if (!ptr) return;
    pthread_mutex_lock(&ta->lock);
    struct test_block *b = ta->blocks;
    while (b && (unsigned char *)b + HEADER != ptr) {
        b = b->next;
    }
    if (!b) {
        ta->never_gave_it++;
    } else {
        if (b->bytes != bytes || !canary_is_whole(b)) ta->wrong_size++;
        drop(ta, b);
    }
    pthread_mutex_unlock(&ta->lock);
}

void test_allocator_init(test_allocator *ta, int64_t fail_at) {
    memset(ta, 0, sizeof(*ta));
    pthread_mutex_init(&ta->lock, NULL);
    ta->base.alloc = test_alloc;
    ta->base.release = test_release;
    ta->base.user = ta;
    ta->fail_at = fail_at;
}

void test_allocator_check(test_allocator *ta) {
    int64_t live = ta->live;
    while (ta->blocks) {
        drop(ta, ta->blocks);
    }
    pthread_mutex_destroy(&ta->lock);
    if (live) print_error("%ld blocks leaked\n", (long)live);
    assert_int_equal(live, 0);
    assert_int_equal(ta->never_gave_it, 0);
    assert_int_equal(ta->wrong_size, 0);
}

const char *test_shared(const char *name) {
    static _Thread_local char path[512];
    const char *root = getenv("OC_SHARED");
    snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared", name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fclose(f);
    return path;
}

int test_is_small(void) {
    return getenv("OC_TEST_SMALL") != NULL;
}

static int set_any_locale(const char *const *names, const char *what) {
    for (int i = 0; names[i]; i++) {
        if (setlocale(LC_ALL, names[i])) return 1;
    }
    print_message("no %s locale here, such as %s\n", what, names[0]);
    return 0;
}

int test_set_comma_locale(void) {
    static const char *const names[] = {
        "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "it_IT.UTF-8",
        "nl_NL.UTF-8", "pl_PL.UTF-8", "pt_BR.UTF-8", "ru_RU.UTF-8",
        "de_DE",       "fr_FR",       "tr_TR.UTF-8", NULL};
    return set_any_locale(names, "comma");
}

int test_set_turkish_locale(void) {
    static const char *const names[] = {"tr_TR.UTF-8", "tr_TR", "az_AZ.UTF-8",
                                        NULL};
    return set_any_locale(names, "Turkish");
}

void *test_read_file(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *data = NULL;
    long size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    if (size >= 0 && !fseek(f, 0, SEEK_SET)) data = malloc((size_t)size + 1);
    if (data && fread(data, 1, (size_t)size, f) != (size_t)size) {
        free(data);
        data = NULL;
    }
    fclose(f);
    if (!data) return NULL;
    data[size] = 0; /* so that text can be read as a string */
    *bytes = (size_t)size;
    return data;
}
