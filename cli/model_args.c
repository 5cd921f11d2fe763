/* model_args.c - models and sessions as the common options ask for them. */
#include "cli.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

uint32_t cli_cpu_mask(const cli_args *args) {
    /* Each level has everything of the ones before it. */
    static const struct {
        const char *name;
        uint32_t mask;
    } levels[] = {
        {"sse41", OC_CPU_SSE41},
        {"avx2", OC_CPU_AVX2},
        {"avx512", OC_CPU_AVX512},
        {"vnni", OC_CPU_AVX512VNNI | OC_CPU_AVXVNNI | OC_CPU_AVX512VBMI},
        {"bf16", OC_CPU_AVX512BF16},
        {"amx", OC_CPU_AMX_INT8 | OC_CPU_AMX_BF16},
    };
    const char *set = cli_get(args, "cpu", "all");
    if (!strcmp(set, "all")) return 0;
    if (!strcmp(set, "scalar")) return OC_CPU_SCALAR;
    if (!strcmp(set, "neon")) return OC_CPU_NEON;
    uint32_t mask = 0;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        mask |= levels[i].mask;
        if (!strcmp(set, levels[i].name)) break;
    }
    return mask;
}

int cli_options(const cli_args *args, oc_options *opt) {
    const char *level = cli_get(args, "optimize", "full");
    const char *name = cli_get(args, "precision", "f32");
    oc_error err;
    int p = OC_PRECISION_AUTO;
    while (strcmp(name, oc_precision_name((oc_precision)p)) != 0)
        p--; /* one of the choices there are */
    memset(opt, 0, sizeof(*opt));
    opt->cpu_mask = cli_cpu_mask(args);
    opt->optimize = !strcmp(level, "none") ? -1 : !strcmp(level, "basic");
    opt->precision = (oc_precision)p;
    return oc_precision_check(opt, &err)
               ? cli_fail(CLI_USAGE, "--precision: %s", err.message)
               : CLI_OK;
}

static int has_option(const cli_args *args, const char *name) {
    for (const cli_option *o = args->verb->options; o->name; o++) {
        if (!strcmp(o->name, name)) return 1;
    }
    return 0;
}

/*
 * The folder of compiled models: --cache, or "ocelli" where the XDG Base
 * Directory Specification puts caches.  NULL: none.  *made is to be freed.
 */
static const char *cache_folder(const cli_args *args, char **made) {
    if (!has_option(args, "cache") || cli_has(args, "no-cache")) return NULL;
    if (cli_has(args, "cache")) return cli_get(args, "cache", NULL);
    const char *base = getenv("XDG_CACHE_HOME"), *below = "ocelli";
    /* A relative one is to be ignored, the specification says. */
    if (!base || *base != '/') {
        base = getenv("HOME");
        below = ".cache/ocelli";
    }
    if (!base || *base != '/') return NULL;
    size_t bytes = strlen(base) + strlen(below) + 2;
    *made = malloc(bytes);
    if (*made) snprintf(*made, bytes, "%s/%s", base, below);
    return *made;
}

int cli_load_model(const cli_args *args, const char *path, oc_model **out) {
    oc_options opt;
    oc_error err;
    char *made = NULL;
    int code = cli_options(args, &opt);
    opt.cache_folder = cache_folder(args, &made);
    if (!code && oc_model_load(out, path, &opt, &err))
        code = cli_report(&err, path);
    free(made);
    return code;
}

/* On standard error: what a verb prints is the same with --tune. */
static void say_tuned(void *user, const oc_tune_summary *t) {
    const cli_args *args = user;
    if (cli_has(args, "quiet")) return;
    out_progress_hide_all();
    if (!t->layers && !t->left) {
        fputs("tuned nothing: no layer can be done in several ways\n", stderr);
        return;
    }
    fprintf(stderr, "tuned %d layer%s in %.1f s: %d changed, %.2f -> %.2f ms",
            t->layers, t->layers == 1 ? "" : "s", 1e-3 * t->spent_ms,
            t->changed, t->usual_ms, t->tuned_ms);
    if (t->left) fprintf(stderr, ", no time or memory for %d more", t->left);
    putc('\n', stderr);
}

void cli_tune(const cli_args *args, oc_session_options *opt) {
    opt->tune = cli_has(args, "tune");
    opt->tuned = say_tuned;
    opt->tuned_user = (void *)(uintptr_t)args;
}

int cli_create_session(const cli_args *args, oc_model *model, int profile,
                       oc_session **out) {
    return cli_create_session_of(args, model, profile, 0, out);
}

int cli_create_session_of(const cli_args *args, oc_model *model, int profile,
                          int usual, oc_session **out) {
    oc_session_options opt = {0};
    oc_error err;
    int64_t threads;
    int code = cli_get_int(args, "threads", 1, 1024, usual, &threads);
    if (code) return code;
    opt.threads = (int)threads;
    opt.profile = profile;
    cli_tune(args, &opt);
    if (oc_session_create(out, model, &opt, &err))
        return cli_report(&err, args->operands[0]);
    return CLI_OK;
}
