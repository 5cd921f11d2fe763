/* cache.c - the folder of the cache; see cache.h. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/cache.h"

#include "base/build_id.h"
#include "base/size.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "p-", 32 hexadecimal digits, ".oc" */
enum { DIGITS = 32, NAME_BYTES = 2 + DIGITS + 3 };

/* Hashing less takes no longer than finding out that it was hashed. */
enum { LARGE_FILE_BYTES = 1 << 20 };

/* Two changes within a tick of the file system's clock look like one.  No
   clock in use ticks more slowly than FAT's, 2 s; until then a stamp says
   nothing. */
#define SETTLED_NS INT64_C(2000000000)

/* A temporary file this old has no writer any more. */
enum { STALE_SECONDS = 3600 };

/* ---- the folder -----------------------------------------------------------
 */

/* Makes path and what is missing above it, for this user alone. */
static void make_folders(char *path) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    mkdir(path, 0700);
}

/* Others who may write there could put their files under our names. */
static int is_ours(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & 022);
}

void oc__cache_open(oc__cache *c, oc__arena *arena, const char *folder,
                    size_t max_bytes) {
    c->allocator = arena->allocator;
    c->folder = NULL;
    c->max_bytes = max_bytes;
    if (!folder || !*folder) return;
    char *path = oc__arena_strdup(arena, folder);
    if (!path) return;
    make_folders(path);
    if (is_ours(path)) c->folder = path;
}

static char *path_of(const oc__cache *c, oc__cache_kind kind,
                     const oc__cache_key *key, size_t *bytes) {
    *bytes = strlen(c->folder) + 1 + NAME_BYTES + 1;
    char *path = oc__alloc(c->allocator, *bytes);
    if (!path) return NULL;
    int at = snprintf(path, *bytes, "%s/%c-", c->folder, (char)kind);
    for (int i = 0; i < DIGITS / 2; i++)
        at += snprintf(path + at, *bytes - (size_t)at, "%02x", key->bytes[i]);
    snprintf(path + at, *bytes - (size_t)at, ".oc");
    return path;
}

/* ---- keys -----------------------------------------------------------------
 */

void oc__cache_key_begin(const oc__cache *c, oc__sink *s, oc__cache_kind kind) {
    uint8_t build[OC_BUILD_ID_BYTES];
    size_t n = oc__build_id(build);
    oc__sink_init(s, c->allocator);
    oc__sink_text(s, oc_version());
    oc__sink_uint(s, n);
    oc__sink_raw(s, build, n);
    oc__sink_uint(s, (uint64_t)kind);
}

int oc__cache_key_end(oc__sink *s, oc__cache_key *out) {
    int failed = s->failed;
    if (!failed) oc__blake3(s->data, s->n, out->bytes);
    oc__sink_deinit(s);
    return failed;
}

/* ---- files ----------------------------------------------------------------
 */

int oc__cache_find(const oc__cache *c, oc__cache_kind kind,
                   const oc__cache_key *key, oc__file *file,
                   oc__cache_entry *out, oc__arena *arena, oc__pool *pool) {
    size_t bytes;
    char *path = c->folder ? path_of(c, kind, key, &bytes) : NULL;
    oc__file f = {0};
    int found = 0;
    if (!path) return 0;
    if (oc__file_map_private(&f, path, NULL) == OC_OK)
        found = oc__cache_parse(out, f.data, f.bytes, key, arena, pool, NULL) ==
                OC_OK;
    if (found) {
        /* The time of the last use decides who goes first. */
        (void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
        *file = f;
    } else {
        oc__file_unmap(&f);
    }
    oc__release(c->allocator, path, bytes);
    return found;
}

typedef struct kept {
    char name[NAME_BYTES + 1];
    size_t bytes;
    int64_t used_ns;
} kept;

static int is_name(const char *s) {
    static const char kinds[] = {OC_CACHE_MODEL, OC_CACHE_PROGRAM,
                                 OC_CACHE_FILE, '\0'};
    return strlen(s) >= NAME_BYTES && strchr(kinds, s[0]) && s[1] == '-' &&
           strspn(s + 2, "0123456789abcdef") == DIGITS &&
           !strncmp(s + 2 + DIGITS, ".oc", 3);
}

/* Removes what writers that died have left; returns 0 for files to count. */
static int is_leftover(int folder, const char *name, const struct stat *st) {
    if (strlen(name) == NAME_BYTES) return 0;
    if (time(NULL) - st->st_mtime > STALE_SECONDS) unlinkat(folder, name, 0);
    return 1;
}

static int by_use(const void *a, const void *b) {
    const kept *x = a, *y = b;
    if (x->used_ns != y->used_ns) return x->used_ns < y->used_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The files in the folder, least recently used first; NULL: none, or no
   memory. */
static kept *list_files(DIR *dir, size_t *count) {
    kept *list = NULL;
    size_t n = 0, room = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (!is_name(e->d_name) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            is_leftover(dirfd(dir), e->d_name, &st))
            continue;
        if (n == room) {
            kept *more = realloc(list, (room + 64) * 2 * sizeof(*list));
            if (!more) break;
            list = more;
            room = (room + 64) * 2;
        }
        snprintf(list[n].name, sizeof(list[n].name), "%.*s", NAME_BYTES,
                 e->d_name);
        list[n].bytes = (size_t)st.st_size;
        list[n++].used_ns =
            (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    if (n) qsort(list, n, sizeof(*list), by_use);
    *count = n;
    return list;
}

/* Removes the least recently used files until `bytes` more have room. */
static void make_room(const oc__cache *c, size_t bytes) {
    size_t n = 0, total = bytes;
    DIR *dir = opendir(c->folder);
    if (!dir) return;
    kept *list = list_files(dir, &n);
    for (size_t i = 0; i < n; i++)
        if (oc__size_add(total, list[i].bytes, &total)) total = SIZE_MAX;
    /* A process that has mapped a file keeps it until it unmaps. */
    for (size_t i = 0; i < n && total > c->max_bytes; i++)
        if (!unlinkat(dirfd(dir), list[i].name, 0)) total -= list[i].bytes;
    free(list);
    closedir(dir);
}

void oc__cache_keep(const oc__cache *c, oc__cache_kind kind,
                    const oc__cache_key *key, const oc__sink *meta,
                    const oc__blobs *blobs, oc__pool *pool) {
    size_t bytes, total = meta->n;
    if (!c->folder || meta->failed || blobs->failed) return;
    for (size_t i = 0; i < blobs->n; i++)
        if (oc__size_add(total, oc__align_up(blobs->list[i].bytes, OC_ALIGN),
                         &total))
            return;
    if (total > c->max_bytes) return;
    char *path = path_of(c, kind, key, &bytes);
    if (!path) return;
    make_room(c, total);
    (void)oc__cache_write(path, key, meta, blobs, pool, NULL);
    oc__release(c->allocator, path, bytes);
}

/* ---- digests of files -----------------------------------------------------
 */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int stamp_key(const oc__cache *c, const oc__file *f,
                     oc__cache_key *key) {
    oc__sink s;
    oc__cache_key_begin(c, &s, OC_CACHE_FILE);
    oc__sink_uint(&s, f->stamp.dev);
    oc__sink_uint(&s, f->stamp.ino);
    oc__sink_uint(&s, f->stamp.bytes);
    oc__sink_int(&s, f->stamp.mtime_ns);
    oc__sink_int(&s, f->stamp.ctime_ns);
    return oc__cache_key_end(&s, key);
}

static int recall_digest(const oc__cache *c, const oc__cache_key *key,
                         uint8_t *out) {
    oc__file file;
    oc__cache_entry e;
    oc__arena tmp;
    const void *p = NULL;
    oc__arena_init(&tmp, c->allocator);
    if (oc__cache_find(c, OC_CACHE_FILE, key, &file, &e, &tmp, NULL)) {
        p = oc__source_raw(&e.meta, OC_BLAKE3_BYTES);
        if (p) memcpy(out, p, OC_BLAKE3_BYTES);
        oc__file_unmap(&file);
    }
    oc__arena_deinit(&tmp);
    return p != NULL;
}

void oc__cache_digest(const oc__cache *c, const oc__file *f,
                      uint8_t out[OC_BLAKE3_BYTES]) {
    oc__cache_key key;
    int by_stamp = c->folder && f->bytes >= LARGE_FILE_BYTES &&
                   now_ns() - f->stamp.ctime_ns > SETTLED_NS &&
                   !stamp_key(c, f, &key);
    if (by_stamp && recall_digest(c, &key, out)) return;
    oc__blake3(f->data, f->bytes, out);
    if (!by_stamp) return;
    oc__sink meta;
    oc__blobs none = {0};
    oc__sink_init(&meta, c->allocator);
    oc__sink_raw(&meta, out, OC_BLAKE3_BYTES);
    oc__cache_keep(c, OC_CACHE_FILE, &key, &meta, &none, NULL);
    oc__sink_deinit(&meta);
}
