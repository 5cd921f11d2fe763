/*
 * generate_tables.c - what docs/ holds of the program's own knowledge:
 *
 *     ocelli _docs operators    docs/operators.md
 *     ocelli _docs cli          docs/cli.md
 *     ocelli _docs verbs        the table of verbs in README.md
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* ---- operators ----------------------------------------------------------- */

typedef struct operator_row {
    const char *domain, *name;
    int since;
} operator_row;

typedef struct operator_list {
    operator_row *rows;
    size_t n, capacity;
    int failed;
} operator_list;

static void add_operator(void *user, const char *domain, const char *name,
                         int since) {
    operator_list *l = user;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 256;
        operator_row *rows = realloc(l->rows, capacity * sizeof(*rows));
        if (!rows) {
            l->failed = 1;
            return;
        }
        l->rows = rows;
        l->capacity = capacity;
    }
    l->rows[l->n++] = (operator_row){domain, name, since};
}

/* The standard first, our own last. */
static int rank_of(const char *domain) {
    return !*domain ? 0 : !strcmp(domain, "ocelli") ? 2 : 1;
}

static int compare_rows(const void *x, const void *y) {
    const operator_row *a = x, *b = y;
    int order = rank_of(a->domain) - rank_of(b->domain);
    if (!order) order = strcmp(a->domain, b->domain);
    if (!order) order = strcmp(a->name, b->name);
    return order ? order : a->since - b->since;
}

static void print_domain(const operator_row *rows, size_t n) {
    const char *domain = *rows->domain ? rows->domain : "ai.onnx";
    printf("\n## %s\n\n", domain);
    if (rank_of(rows->domain) == 2) {
        printf("What the passes make of others (%zu); no model file has "
               "these.\n\n",
               n);
    } else {
        printf("%zu operators.\n\n", n);
    }
    fputs("| operator | from opset |\n|---|---:|\n", stdout);
    for (size_t i = 0; i < n; i++) {
        printf("| %s | %d |\n", rows[i].name, rows[i].since);
    }
}

int cli_print_operators(void) {
    operator_list l = {NULL, 0, 0, 0};
    oc_operator_each(add_operator, &l);
    if (l.failed) {
        free(l.rows);
        return cli_fail(CLI_RESOURCES, "out of memory");
    }
    qsort(l.rows, l.n, sizeof(*l.rows), compare_rows);
    fputs("# Operators\n\n"
          "Made by `./dev docs` from the library's own table.  \"From opset\" "
          "is the first version\nof the operator set that is served; later "
          "ones are served too, each as its version\nsays.\n",
          stdout);
    for (size_t i = 0, n; i < l.n; i += n) {
        n = 1;
        while (i + n < l.n && !strcmp(l.rows[i].domain, l.rows[i + n].domain)) {
            n++;
        }
        print_domain(l.rows + i, n);
    }
    free(l.rows);
    return CLI_OK;
}

/* ---- verbs -----------------------------------------------------------------
 */

/* Inside a cell of a table a bar would end the cell. */
static void cell(const char *text) {
    for (const char *s = text; *s; s++) {
        if (*s == '|') putchar('\\');
        putchar(*s == '\n' ? ' ' : *s);
    }
}

void cli_print_verbs(void) {
    fputs("| verb | does |\n|---|---|\n", stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        printf("| [`%s`](docs/cli.md#ocelli-%s) | ", cli_verbs[i]->name,
               cli_verbs[i]->name);
        cell(cli_verbs[i]->summary);
        fputs(" |\n", stdout);
    }
}

/* Words that are options, file names or commands look best as they are; only
 * what Markdown takes for itself is escaped. */
static void prose(const char *text) {
    int in_code = 0;
    for (const char *s = text; *s; s++) {
        if (*s == '`') in_code = !in_code;
        if (!in_code && strchr("*_<>|#", *s)) putchar('\\');
        putchar(*s);
    }
}

static void print_options(const cli_verb *v) {
    fputs("\n| option | |\n|---|---|\n", stdout);
    for (const cli_option *o = v->options; o->name; o++) {
        fputs("| `", stdout);
        if (o->letter) printf("-%c, ", o->letter);
        printf("--%s", o->name);
        if (o->value) {
            putchar(' ');
            cell(o->value);
        }
        fputs("` | ", stdout);
        cell(o->help);
        if (o->choices) {
            fputs(": `", stdout);
            cell(o->choices);
            putchar('`');
        }
        fputs(" |\n", stdout);
    }
}

void cli_print_reference(void) {
    fputs("# The program\n\n"
          "Made by `./dev docs` from the table of verbs, as `ocelli VERB "
          "--help`, the manual\npage and shell completion are.\n\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        const cli_verb *v = cli_verbs[i];
        printf("## ocelli %s\n\n    ocelli %s [OPTION...]%s%s\n\n", v->name,
               v->name, *v->operands ? " " : "", v->operands);
        prose(v->description);
        putchar('\n');
        print_options(v);
        putchar('\n');
    }
    fputs("## Exit codes\n\n| code | means |\n|---:|---|\n", stdout);
    for (int code = 0; cli_code_text(code); code++) {
        printf("| %d | %s |\n", code, cli_code_text(code));
    }
}
