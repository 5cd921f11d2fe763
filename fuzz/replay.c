/*
 * replay.c - runs a fuzz target over stored inputs, without libFuzzer.
 *
 *     fuzz_wire fuzz/corpus/wire [more files or folders]
 *
 * Ordinary test builds link every fuzz target with this, so each input that
 * once broke something is tried again by any compiler and under any
 * sanitizer.  Prints one TAP line per input; a crash is the failure.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count;

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    if (f && !fseek(f, 0, SEEK_END)) size = ftell(f);
    /* malloc'ed to the exact size: a read past the end is seen by asan. */
    if (size >= 0 && !fseek(f, 0, SEEK_SET))
        data = malloc(size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        free(data);
        if (f) fclose(f);
        return 1;
    }
    fclose(f);
    /* Said first, so that a crash names its input. */
    fprintf(stderr, "# %s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    printf("ok %d - %s\n", ++count, path);
    return 0;
}

static int replay(const char *path) {
    struct stat st;
    if (stat(path, &st)) return 0; /* no corpus yet */
    if (!S_ISDIR(st.st_mode)) return replay_file(path);
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort);
    int failed = n < 0;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        char *inner = malloc(strlen(path) + strlen(name) + 2);
        if (inner && name[0] != '.') {
            sprintf(inner, "%s/%s", path, name);
            failed |= replay(inner);
        }
        failed |= !inner;
        free(inner);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i]);
    }
    /* An empty input is always worth a try, and free. */
    uint8_t nothing = 0;
    LLVMFuzzerTestOneInput(&nothing, 0);
    printf("ok %d - empty input\n1..%d\n", count + 1, count + 1);
    return failed;
}
