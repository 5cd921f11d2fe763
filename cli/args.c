/* args.c - the command line, sorted by a verb's table of options. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const cli_option *find_long(const cli_verb *verb, const char *name,
                                   size_t n) {
    for (const cli_option *o = verb->options; o->name; o++) {
        if (strlen(o->name) == n && !strncmp(o->name, name, n)) return o;
    }
    return NULL;
}

static const cli_option *find_letter(const cli_verb *verb, char letter) {
    for (const cli_option *o = verb->options; o->name; o++) {
        if (o->letter == letter) return o;
    }
    return NULL;
}

/* Whether value is one of "a|b|c". */
static int is_choice(const char *choices, const char *value) {
    size_t n = strlen(value);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (!strncmp(c, value, n) && (c[n] == '|' || !c[n])) return n > 0;
    }
    return 0;
}

static int store(cli_args *args, const cli_option *o, const char *value) {
    if (o->choices && !is_choice(o->choices, value)) {
        return cli_fail(CLI_USAGE, "--%s takes one of %s, not \"%s\"", o->name,
                        o->choices, value);
    }
    args->given[args->n_given].option = o;
    args->given[args->n_given++].value = value ? value : "";
    return CLI_OK;
}

/* --name, --name=value or --name value; *used counts the words taken. */
static int parse_long(cli_args *args, int argc, char **argv, int *used) {
    const char *name = argv[0] + 2;
    size_t n = strcspn(name, "=");
    const cli_option *o = find_long(args->verb, name, n);
    *used = 1;
    if (!o) {
        return cli_fail(CLI_USAGE,
                        "%s has no option --%.*s; see ocelli %s --help",
                        args->verb->name, (int)n, name, args->verb->name);
    }
    if (!o->value) {
        if (!name[n]) return store(args, o, NULL);
        return cli_fail(CLI_USAGE, "--%s takes no value", o->name);
    }
    if (name[n]) return store(args, o, name + n + 1);
    if (argc < 2) {
        return cli_fail(CLI_USAGE, "--%s needs a value: --%s %s", o->name,
                        o->name, o->value);
    }
    *used = 2;
    return store(args, o, argv[1]);
}

/* -abc, -tN or -t N. */
static int parse_short(cli_args *args, int argc, char **argv, int *used) {
    *used = 1;
    for (const char *c = argv[0] + 1; *c; c++) {
        const cli_option *o = find_letter(args->verb, *c);
        if (!o) {
            return cli_fail(CLI_USAGE,
                            "%s has no option -%c; see ocelli %s --help",
                            args->verb->name, *c, args->verb->name);
        }
        if (o->value) {
            if (c[1]) return store(args, o, c + 1);
            if (argc < 2) {
                return cli_fail(CLI_USAGE, "-%c needs a value: -%c %s", *c, *c,
                                o->value);
            }
            *used = 2;
            return store(args, o, argv[1]);
        }
        int code = store(args, o, NULL);
        if (code) return code;
    }
    return CLI_OK;
}

static int check_operands(const cli_args *args) {
    const cli_verb *v = args->verb;
    if (args->n_operands < v->min_operands) {
        return cli_fail(CLI_USAGE, "too few operands: ocelli %s %s", v->name,
                        v->operands);
    }
    if (v->max_operands >= 0 && args->n_operands > v->max_operands) {
        return cli_fail(CLI_USAGE,
                        "\"%s\" is one operand too many: ocelli %s %s",
                        args->operands[v->max_operands], v->name, v->operands);
    }
    return CLI_OK;
}

int cli_parse(cli_args *out, const cli_verb *verb, int argc, char **argv,
              int *help) {
    size_t n = (size_t)argc + 1;
    memset(out, 0, sizeof(*out));
    out->verb = verb;
    out->operands = calloc(n, sizeof(*out->operands));
    /* -abc gives three options in one word. */
    for (int i = 0; i < argc; i++) {
        n += strlen(argv[i]);
    }
    out->given = calloc(n, sizeof(*out->given));
    if (!out->operands || !out->given) {
        return cli_fail(CLI_RESOURCES, "out of memory");
    }
    int only_operands = 0;
    for (int i = 0; i < argc;) {
        const char *word = argv[i];
        int used = 1, code = CLI_OK;
        if (only_operands || word[0] != '-' || !word[1]) {
            out->operands[out->n_operands++] = argv[i]; /* "-" too */
        } else if (!strcmp(word, "--")) {
            only_operands = 1;
        } else if (!strcmp(word, "--help") ||
                   (!strcmp(word, "-h") && !find_letter(verb, 'h'))) {
            *help = 1;
            return CLI_OK;
        } else if (word[1] == '-') {
            code = parse_long(out, argc - i, argv + i, &used);
        } else {
            code = parse_short(out, argc - i, argv + i, &used);
        }
        if (code) return code;
        i += used;
    }
    return check_operands(out);
}

void cli_args_deinit(cli_args *args) {
    free(args->operands);
    free(args->given);
    memset(args, 0, sizeof(*args));
}

const char *cli_get_nth(const cli_args *args, const char *name, int i) {
    for (int k = 0; k < args->n_given; k++) {
        if (strcmp(args->given[k].option->name, name) != 0) continue;
        if (i-- == 0) return args->given[k].value;
    }
    return NULL;
}

const char *cli_get(const cli_args *args, const char *name,
                    const char *fallback) {
    const char *value = fallback;
    for (int k = 0; k < args->n_given; k++) {
        if (!strcmp(args->given[k].option->name, name))
            value = args->given[k].value;
    }
    return value;
}

int cli_has(const cli_args *args, const char *name) {
    return cli_get_nth(args, name, 0) != NULL;
}

int cli_get_int(const cli_args *args, const char *name, int64_t lo, int64_t hi,
                int64_t fallback, int64_t *out) {
    const char *text = cli_get(args, name, NULL);
    *out = fallback;
    if (!text) return CLI_OK;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < lo || v > hi) {
        return cli_fail(CLI_USAGE,
                        "--%s takes a whole number from %lld to %lld, not "
                        "\"%s\"",
                        name, (long long)lo, (long long)hi, text);
    }
    *out = v;
    return CLI_OK;
}

int cli_get_double(const cli_args *args, const char *name, double lo, double hi,
                   double fallback, double *out) {
    const char *text = cli_get(args, name, NULL);
    *out = fallback;
    if (!text) return CLI_OK;
    char *end;
    double v = strtod(text, &end);
    /* The comparison is turned so that NaN fails it. */
    if (end == text || *end || !(v >= lo && v <= hi)) {
        return cli_fail(CLI_USAGE,
                        "--%s takes a number from %g to %g, not "
                        "\"%s\"",
                        name, lo, hi, text);
    }
    *out = v;
    return CLI_OK;
}

int cli_get_size(const cli_args *args, const char *name, size_t *out) {
    const char *text = cli_get(args, name, NULL);
    char *end;
    if (!text) return CLI_OK;
    double v = strtod(text, &end);
    double unit = *end == 'k' || *end == 'K'   ? 1024
                  : *end == 'm' || *end == 'M' ? 1024 * 1024
                  : *end == 'g' || *end == 'G' ? 1024.0 * 1024 * 1024
                                               : 1;
    if (unit > 1) end++;
    if (end == text || *end || !(v > 0 && v * unit < 1e15))
        return cli_fail(CLI_USAGE, "--%s takes a size as 512M, not \"%s\"",
                        name, text);
    *out = (size_t)(v * unit);
    return CLI_OK;
}
