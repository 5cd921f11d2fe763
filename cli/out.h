/*
 * out.h - output for people: colours, tables, progress.
 *
 * Colours and progress appear on terminals only, and not when NO_COLOR is
 * set or TERM is "dumb" (progress needs a terminal that can return to the
 * start of a line).
 */
#ifndef OCELLI_CLI_OUT_H
#define OCELLI_CLI_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum out_style {
    OUT_PLAIN,
    OUT_BOLD,
    OUT_DIM,
    OUT_RED,
    OUT_GREEN,
    OUT_YELLOW,
    OUT_BLUE,
} out_style;

/** The escape sequence of a style for a stream, "" where it has no colours. */
const char *out_color(FILE *f, out_style style);
/** Prints text that comes from outside: control characters become "?". */
void out_text(FILE *f, const char *text);
/** Columns text takes on a terminal (UTF-8 characters counted as one). */
size_t out_width(const char *text);
/** Monotonic seconds. */
double out_seconds(void);
/** Memory of this process that is in RAM; 0 where the system does not say. */
size_t out_resident_bytes(void);
/** "1.5 MiB", "312 B": bytes for people, into out (16 bytes are enough). */
char *out_bytes(double bytes, char *out, size_t room);
/** "1.3 M", "12 k": counts for people. */
char *out_count(double count, char *out, size_t room);

/* ---- tables
 * ------------------------------------------------------------------ */

enum { OUT_MAX_COLUMNS = 16 };

/** Cells are collected, then printed with aligned columns. */
typedef struct out_table {
    int columns;
    char align[OUT_MAX_COLUMNS]; /* 'l' or 'r' */
    char **cells;
    size_t n, capacity;
    int failed; /* out of memory: rows are missing */
} out_table;

/** align: one of 'l', 'r' for each column, "lrr". */
void out_table_init(out_table *t, const char *align);
/** Adds a cell; rows fill from left to right.  "" leaves it empty. */
void out_cell(out_table *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Prints the rows; with header, the first one stands out. */
void out_table_print(const out_table *t, FILE *f, int header);
void out_table_deinit(out_table *t);

/* ---- progress
 * ----------------------------------------------------------------- */

/** A bar on standard error: "eval  [####------] 40/100  12.3/s  ETA 0:05". */
typedef struct out_progress {
    const char *label;
    int64_t total, done;
    double start, drawn;
    int shown; /* standard error is a terminal */
} out_progress;

/** quiet: never show.  total 0: unknown, no bar and no ETA. */
void out_progress_begin(out_progress *p, const char *label, int64_t total,
                        int quiet);
/** Counts `more` items; redraws at most ten times a second. */
void out_progress_add(out_progress *p, int64_t more);
/** Takes the bar away, so that other lines can be printed. */
void out_progress_hide(out_progress *p);
/** The same for whichever bar there is; errors begin with it. */
void out_progress_hide_all(void);
void out_progress_end(out_progress *p);

#endif
