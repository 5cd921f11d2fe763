/*
 * bench_train.c - how many pictures a second a network is trained with.
 *
 *     bench_train ARCH|MODEL.onnx SIZE BATCH [WIDTH [THREADS [SECONDS
 * [LAYERS]]]]
 *
 * Forward, loss, backward and SGD on random pictures; with LAYERS, the time of
 * each kind of node and of that many slowest nodes.
 */
#define _POSIX_C_SOURCE 200809L

#include <ocelli/train.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of all threads: what a busy machine does not change much. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct row {
    char name[40];
    double ms;
    int n;
    double gflops;
} row;

static int by_time(const void *a, const void *b) {
    const row *x = a, *y = b;
    return x->ms < y->ms ? 1 : x->ms > y->ms ? -1 : 0;
}

static void print_layers(const oc_trainer *t, int most) {
    static row kinds[200], nodes[8000];
    int n_kinds = 0, n_nodes = 0;
    for (int i = 0; i < oc_trainer_node_count(t) && i < 8000; i++) {
        oc_step_info s;
        int k = 0;
        if (oc_trainer_node(t, i, &s) || !s.runs) continue;
        row *r = &nodes[n_nodes++];
        r->ms = 1e-6 * (double)s.min_ns;
        r->gflops = s.flops / (double)s.min_ns;
        snprintf(r->name, sizeof(r->name), "%.20s", s.op);
        for (int d = 0; d < s.output.rank; d++)
            snprintf(r->name + strlen(r->name),
                     sizeof(r->name) - strlen(r->name), " %d",
                     (int)s.output.dims[d]);
        while (k < n_kinds && strcmp(kinds[k].name, s.op) != 0)
            k++;
        if (k == n_kinds && n_kinds < 200)
            snprintf(kinds[n_kinds++].name, sizeof(kinds[0].name), "%.39s",
                     s.op);
        kinds[k].ms += r->ms;
        kinds[k].gflops += s.flops * 1e-9;
        kinds[k].n++;
    }
    qsort(kinds, (size_t)n_kinds, sizeof(row), by_time);
    qsort(nodes, (size_t)n_nodes, sizeof(row), by_time);
    for (int i = 0; i < n_kinds && i < 20; i++)
        printf("%-28s %4d nodes %8.2f ms %7.1f GF/s\n", kinds[i].name,
               kinds[i].n, kinds[i].ms, kinds[i].gflops * 1e3 / kinds[i].ms);
    for (int i = 0; i < n_nodes && i < most; i++)
        printf("    %-40s %8.2f ms %7.1f GF/s\n", nodes[i].name, nodes[i].ms,
               nodes[i].gflops);
}

static float *numbers(size_t n, unsigned seed) {
    float *x = malloc(n * sizeof(*x));
    for (size_t i = 0; x && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (float)(1 << 24) * 2 - 1;
    }
    return x;
}

int main(int argc, char **argv) {
    enum { CLASSES = 10 };
    if (argc < 4) {
        fputs("bench_train ARCH|MODEL.onnx SIZE BATCH [WIDTH [THREADS [SECONDS "
              "[LAYERS]]]]\n",
              stderr);
        return 2;
    }
    oc_trainer_options o = {.classes = CLASSES, .seed = 1};
    double seconds = argc > 6 ? atof(argv[6]) : 5, best = 0, cpu = 0, ms;
    oc_error err;
    oc_trainer *t;
    oc_trainer_summary s;
    *(strstr(argv[1], ".onnx") ? &o.model : &o.arch) = argv[1];
    o.height = o.width = atoi(argv[2]);
    o.batch = atoi(argv[3]);
    o.width_factor = argc > 4 ? atof(argv[4]) : 1;
    o.threads = argc > 5 ? atoi(argv[5]) : 0;
    o.profile = argc > 7;
    if (oc_trainer_create(&t, &o, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    oc_tensor x = oc_trainer_input(t), y = {OC_DTYPE_F32, 2, {0}, NULL};
    y.dims[0] = o.batch;
    y.dims[1] = CLASSES;
    x.data = numbers((size_t)oc_tensor_elems(&x), 1);
    y.data = calloc((size_t)oc_tensor_elems(&y), sizeof(float));
    if (!x.data || !y.data) return 1;
    for (int i = 0; i < o.batch; i++)
        ((float *)y.data)[i * CLASSES + i % CLASSES] = 1;
    oc_step_options step = {.rate = 0.01, .decay = 1e-4};
    for (double begun = now(); now() - begun < seconds || best == 0;) {
        double start = now(), used = cpu_seconds();
        if (oc_trainer_step(t, &x, &y, &step, NULL, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        ms = 1e3 * (now() - start);
        used = 1e3 * (cpu_seconds() - used);
        if (best == 0 || ms < best) best = ms;
        if (cpu == 0 || used < cpu) cpu = used;
    }
    oc_trainer_summarize(t, &s);
    printf("%s %s px batch %d: %.1f ms (%.1f of cores), %.1f pictures/s, "
           "%.0f MB\n",
           argv[1], argv[2], o.batch, best, cpu, 1e3 * o.batch / best,
           (double)(s.state_bytes + s.activation_bytes + s.scratch_bytes) /
               1e6);
    if (argc > 7) print_layers(t, atoi(argv[7]));
    oc_trainer_destroy(t);
    free(x.data);
    free(y.data);
    return 0;
}
