/*
 * bench_roofline.c - what bounds each layer, as a picture.
 *
 * Each layer is a dot: to the right the more it computes for a byte of memory,
 * up the more it computes in a second, the larger the longer it takes.  Above
 * are what memory can bring (the slope) and what the cores can compute (the
 * level): no dot can be over them, but for what stays in caches.
 */
#include "bench.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 860, HEIGHT = 520, LEFT = 72, RIGHT = 24, TOP = 64, LOW = 60 };
enum { NAMED = 6 };

typedef struct dot {
    oc_step_info s;
    double x, y, ms; /* operations a byte, GFLOP/s, of the fastest run */
} dot;

typedef struct roof {
    dot *dots;
    int n;
    double all_ms;         /* of every layer */
    double peak, memory;   /* GFLOP/s, GB/s */
    double x0, x1, y0, y1; /* what is drawn, in powers of ten */
} roof;

static const char css[] =
    "text{font:13px system-ui,sans-serif;fill:#223}"
    ".soft{fill:#667;font-size:12px}.line{stroke:#223;stroke-width:2;fill:none}"
    ".grid{stroke:#dde;stroke-width:1}.back{fill:#fff}"
    ".a{fill:#0072b2}.b{fill:#d55e00}.c{fill:#009e73}.d{fill:#887}"
    "circle{fill-opacity:.6}"
    "@media(prefers-color-scheme:dark){text{fill:#dde}.soft{fill:#99a}"
    ".line{stroke:#dde}.grid{stroke:#334}.back{fill:#15171c}"
    ".a{fill:#56b4e9}.b{fill:#e69f00}.c{fill:#3ac79b}.d{fill:#aa9}}";

static double place_x(const roof *r, double x) {
    return LEFT + (log10(x) - r->x0) / (r->x1 - r->x0) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const roof *r, double y) {
    return HEIGHT - LOW -
           (log10(y) - r->y0) / (r->y1 - r->y0) * (HEIGHT - LOW - TOP);
}

/* Names come from models: anything may be in them. */
static void put_text(FILE *f, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            fprintf(f, "&#%d;", c);
        else
            putc(c < 32 || c == 127 ? ' ' : c, f);
    }
}

static int by_time(const void *a, const void *b) {
    const dot *x = a, *y = b;
    return x->ms < y->ms ? 1 : x->ms > y->ms ? -1 : 0;
}

static void take_dots(roof *r, oc_session *session) {
    double low_x = 0.1, high_x = 100, low_y = r->peak / 10;
    int n = oc_session_step_count(session);
    for (int i = 0; i < n; i++) {
        dot d;
        if (oc_session_step(session, i, &d.s) || !d.s.min_ns) continue;
        d.ms = 1e-6 * (double)d.s.min_ns;
        r->all_ms += d.ms;
        if (!(d.s.flops > 0) || !(d.s.bytes > 0)) continue;
        d.x = d.s.flops / d.s.bytes;
        d.y = d.s.flops / (double)d.s.min_ns;
        low_x = fmin(low_x, d.x);
        high_x = fmax(high_x, d.x);
        low_y = fmin(low_y, d.y);
        r->dots[r->n++] = d;
    }
    if (r->n) qsort(r->dots, (size_t)r->n, sizeof(*r->dots), by_time);
    r->x0 = floor(log10(low_x));
    r->x1 = ceil(log10(high_x));
    r->y0 = floor(log10(low_y));
    r->y1 = log10(r->peak) + 0.25;
}

static void put_axes(FILE *f, const roof *r) {
    for (double e = r->x0; e <= r->x1; e++) {
        double x = place_x(r, pow(10, e));
        fprintf(f,
                "<path class=\"grid\" d=\"M%.1f %dV%d\"/>"
                "<text class=\"soft\" x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%g</text>\n",
                x, TOP, HEIGHT - LOW, x, HEIGHT - LOW + 20, pow(10, e));
    }
    for (double e = r->y0; e <= r->y1; e++) {
        double y = place_y(r, pow(10, e));
        fprintf(f,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
                "<text class=\"soft\" x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%g</text>\n",
                LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, pow(10, e));
    }
    fprintf(f,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations for "
            "each byte of memory</text>\n<text transform=\"translate(20 %d) "
            "rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, (TOP + HEIGHT - LOW) / 2);
}

static void put_roof(FILE *f, const roof *r) {
    double left = pow(10, r->x0), right = pow(10, r->x1);
    double low = pow(10, r->y0), top = place_y(r, r->peak);
    if (!(r->memory > 0)) {
        fprintf(f, "<path class=\"line\" d=\"M%.1f %.1fH%.1f\"/>\n",
                place_x(r, left), top, place_x(r, right));
    } else {
        double from = fmax(left, low / r->memory);
        double knee = fmin(fmax(r->peak / r->memory, from), right);
        fprintf(f, "<path class=\"line\" d=\"M%.1f %.1fL%.1f %.1fH%.1f\"/>\n",
                place_x(r, from), place_y(r, r->memory * from),
                place_x(r, knee), place_y(r, fmin(r->peak, r->memory * knee)),
                place_x(r, right));
        fprintf(f,
                "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\">memory %.1f "
                "GB/s</text>\n",
                place_x(r, 2 * from) + 8, place_y(r, r->memory * 2 * from) + 12,
                r->memory);
    }
    fprintf(f,
            "<text class=\"soft\" x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">peak %.0f GFLOP/s</text>\n",
            WIDTH - RIGHT, top - 7, r->peak);
}

static const char *kind_of(const oc_step_info *s) {
    if (strstr(s->op, "Conv")) return strstr(s->kernel, "depth") ? "b" : "a";
    static const char *const products[] = {"Gemm", "MatMul", "Product",
                                           "Attention"};
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
        if (strstr(s->op, products[i])) return "c";
    }
    return "d";
}

static void put_dots(FILE *f, const roof *r) {
    for (int i = 0; i < r->n; i++) {
        const dot *d = &r->dots[i];
        double share = d->ms / r->all_ms;
        fprintf(f,
                "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">"
                "<title>",
                kind_of(&d->s), place_x(r, d->x), place_y(r, d->y),
                3 + 40 * sqrt(share / 3));
        put_text(f, d->s.op);
        putc(' ', f);
        put_text(f, d->s.name);
        fprintf(f,
                ": %.3f ms, %.1f %% of the time, %.1f GFLOP/s</title>"
                "</circle>\n",
                d->ms, 100 * share, d->y);
    }
    for (int i = 0; i < r->n && i < NAMED; i++) {
        const dot *d = &r->dots[i];
        double x = place_x(r, d->x);
        int left = x > WIDTH * 2 / 3;
        fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\"%s>%d</text>\n",
                left ? x - 4 : x + 4, place_y(r, d->y) + 4,
                left ? " text-anchor=\"end\"" : "", i + 1);
    }
}

static void put_legend(FILE *f, const roof *r, const char *model, int threads) {
    static const char *const kinds[] = {
        "a", "convolution", "b", "with depthwise",
        "c", "product",     "d", "other"};
    const char *slash = strrchr(model, '/');
    fputs("<text x=\"16\" y=\"24\" style=\"font-size:16px\">", f);
    put_text(f, slash ? slash + 1 : model);
    fprintf(f, ", %d thread%s, %.2f ms</text>\n", threads,
            threads > 1 ? "s" : "", r->all_ms);
    for (int i = 0; i < 4; i++) {
        int x = 16 + 150 * i;
        fprintf(f,
                "<circle class=\"%s\" cx=\"%d\" cy=\"44\" r=\"6\"/>"
                "<text class=\"soft\" x=\"%d\" y=\"48\">%s</text>\n",
                kinds[2 * i], x + 6, x + 18, kinds[2 * i + 1]);
    }
    /* The longest ones, in the corner where no dots are: much computed for
     * a byte, but slowly. */
    for (int i = 0; i < r->n && i < NAMED; i++) {
        const dot *d = &r->dots[i];
        fprintf(f,
                "<text class=\"soft\" x=\"%d\" y=\"%d\" "
                "text-anchor=\"end\">%d ",
                WIDTH - RIGHT - 6, HEIGHT - LOW - 8 - 16 * (NAMED - 1 - i),
                i + 1);
        char name[33];
        snprintf(name, sizeof(name), "%.32s", d->s.name);
        put_text(f, name);
        fprintf(f, " %.1f %%</text>\n", 100 * d->ms / r->all_ms);
    }
}

int bench_roofline(const char *path, const char *model, oc_session *session,
                   int threads, double peak_flops) {
    roof r = {.peak = 1e-9 * peak_flops};
    size_t n = (size_t)oc_session_step_count(session);
    r.dots = calloc(n + 1, sizeof(*r.dots));
    if (!r.dots) return cli_fail(CLI_RESOURCES, "out of memory");
    r.memory = 1e-9 * oc_cpu_memory_speed(threads);
    take_dots(&r, session);
    FILE *f = fopen(path, "w");
    if (!f) {
        free(r.dots);
        return cli_fail(CLI_FAILED, "cannot write %s", path);
    }
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "role=\"img\"><title>Roofline of ",
            WIDTH, HEIGHT);
    put_text(f, model);
    fprintf(f,
            "</title>\n<style>%s</style>\n<rect class=\"back\" "
            "width=\"%d\" height=\"%d\"/>\n",
            css, WIDTH, HEIGHT);
    put_axes(f, &r);
    put_roof(f, &r);
    put_dots(f, &r);
    put_legend(f, &r, model, threads);
    fputs("</svg>\n", f);
    free(r.dots);
    int bad = ferror(f);
    if (fclose(f) || bad)
        return cli_fail(CLI_FAILED, "cannot write all of %s", path);
    return CLI_OK;
}
