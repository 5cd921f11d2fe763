/* out.c - see out.h. */
#define _POSIX_C_SOURCE 200809L

#include "out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- terminals
 * ----------------------------------------------------------------- */

static int is_terminal(FILE *f) {
    const char *term = getenv("TERM");
    return isatty(fileno(f)) && term && strcmp(term, "dumb") != 0;
}

const char *out_color(FILE *f, out_style style) {
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                        "\033[31m", "\033[32m", "\033[33m",
                                        "\033[34m"};
    const char *no_color = getenv("NO_COLOR");
    if (!is_terminal(f) || (no_color && *no_color)) return "";
    return codes[style];
}

void out_text(FILE *f, const char *text) {
    for (const char *s = text; *s; s++) {
        unsigned char c = (unsigned char)*s;
        putc(c < 32 || c == 127 ? '?' : c, f);
    }
}

size_t out_width(const char *text) {
    size_t n = 0;
    for (const char *s = text; *s; s++) {
        n += ((unsigned char)*s & 0xc0) != 0x80; /* not a continuation */
    }
    return n;
}

double out_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

size_t out_resident_bytes(void) {
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    int n = fscanf(f, "%lu %lu", &size, &resident);
    fclose(f);
    long page = sysconf(_SC_PAGESIZE);
    return n == 2 && page > 0 ? (size_t)resident * (size_t)page : 0;
}

static char *scaled(double v, double step, const char *const *units, char *out,
                    size_t room) {
    int u = 0;
    while (v >= step && units[u + 1]) {
        v /= step;
        u++;
    }
    /* Three digits are enough to compare. */
    int digits = u == 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2;
    snprintf(out, room, "%.*f%s%s", digits, v, *units[u] ? " " : "", units[u]);
    return out;
}

char *out_bytes(double bytes, char *out, size_t room) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(bytes, 1024, units, out, room);
}

char *out_count(double count, char *out, size_t room) {
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    return scaled(count, 1000, units, out, room);
}

/* ---- tables
 * ---------------------------------------------------------------------- */

void out_table_init(out_table *t, const char *align) {
    memset(t, 0, sizeof(*t));
    while (align[t->columns] && t->columns < OUT_MAX_COLUMNS) {
        t->align[t->columns] = align[t->columns];
        t->columns++;
    }
}

void out_cell(out_table *t, const char *format, ...) {
    va_list args, again;
    if (t->n == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        char **cells = realloc(t->cells, capacity * sizeof(*cells));
        if (!cells) {
            t->failed = 1;
            return;
        }
        t->cells = cells;
        t->capacity = capacity;
    }
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *cell = n < 0 ? NULL : malloc((size_t)n + 1);
    if (cell) {
        vsnprintf(cell, (size_t)n + 1, format, again);
        t->cells[t->n++] = cell;
    } else {
        t->failed = 1;
    }
    va_end(again);
    va_end(args);
}

/* last: no blanks at the end of a line. */
static void print_cell(const out_table *t, FILE *f, const char *cell, size_t c,
                       size_t width, int last) {
    size_t pad = width - out_width(cell);
    if (c) fputs("  ", f);
    if (t->align[c] == 'r') fprintf(f, "%*s", (int)pad, "");
    out_text(f, cell);
    if (t->align[c] != 'r' && !last) fprintf(f, "%*s", (int)pad, "");
}

void out_table_print(const out_table *t, FILE *f, int header) {
    size_t width[OUT_MAX_COLUMNS] = {0};
    size_t columns = (size_t)t->columns;
    for (size_t i = 0; i < t->n; i++) {
        size_t w = out_width(t->cells[i]);
        if (w > width[i % columns]) width[i % columns] = w;
    }
    for (size_t i = 0; i < t->n; i += columns) {
        int bold = header && i == 0;
        size_t n = t->n - i < columns ? t->n - i : columns;
        while (n && !*t->cells[i + n - 1])
            n--; /* empty cells at the end */
        if (bold) fputs(out_color(f, OUT_BOLD), f);
        for (size_t c = 0; c < n; c++) {
            print_cell(t, f, t->cells[i + c], c, width[c], c + 1 == n);
        }
        if (bold) fputs(out_color(f, OUT_PLAIN), f);
        putc('\n', f);
    }
}

void out_table_deinit(out_table *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->cells[i]);
    }
    free(t->cells);
    memset(t, 0, sizeof(*t));
}

/* ---- progress
 * --------------------------------------------------------------------- */

static out_progress *current; /* the bar that is on the terminal, or NULL */

void out_progress_begin(out_progress *p, const char *label, int64_t total,
                        int quiet) {
    memset(p, 0, sizeof(*p));
    p->label = label;
    p->total = total;
    p->start = out_seconds();
    p->shown = !quiet && is_terminal(stderr);
}

static int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0) return 80;
    return size.ws_col;
}

static void draw(out_progress *p, double now) {
    double rate = now > p->start ? (double)p->done / (now - p->start) : 0;
    char tail[96];
    if (p->total && rate > 0) {
        double left = (double)(p->total - p->done) / rate;
        long s = (long)(left + 0.5);
        snprintf(tail, sizeof(tail), "%lld/%lld  %.1f/s  ETA %ld:%02ld",
                 (long long)p->done, (long long)p->total, rate, s / 60, s % 60);
    } else {
        snprintf(tail, sizeof(tail), "%lld  %.1f/s", (long long)p->done, rate);
    }
    int bar =
        terminal_columns() - (int)out_width(p->label) - (int)strlen(tail) - 8;
    fprintf(stderr, "\r\033[K%s  ", p->label);
    if (p->total && bar >= 10) {
        if (bar > 40) bar = 40;
        int full = (int)((double)bar * (double)p->done / (double)p->total);
        putc('[', stderr);
        for (int i = 0; i < bar; i++) {
            putc(i < full ? '#' : '-', stderr);
        }
        fputs("]  ", stderr);
    }
    fputs(tail, stderr);
    fflush(stderr);
    p->drawn = now;
    current = p;
}

void out_progress_add(out_progress *p, int64_t more) {
    p->done += more;
    if (!p->shown) return;
    double now = out_seconds();
    if (now - p->drawn >= 0.1) draw(p, now);
}

void out_progress_hide(out_progress *p) {
    if (!p->shown || p->drawn == 0) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->drawn = 0;
    current = NULL;
}

void out_progress_hide_all(void) {
    if (current) out_progress_hide(current);
}

void out_progress_end(out_progress *p) {
    out_progress_hide(p);
    p->shown = 0;
}
