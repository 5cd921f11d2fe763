/*
 * main.c - ocelli VERB [OPTION...] OPERAND...
 */
#define _XOPEN_SOURCE 700 /* SIGXFSZ */

#include "cli.h"

#include <signal.h>
#include <string.h>

/* The verb somebody may have meant: it differs by one or two letters. */
static const cli_verb *closest_verb(const char *word) {
    const cli_verb *best = NULL;
    size_t best_distance = 3;
    size_t n = strlen(word);
    if (n > 20) return NULL;
    for (int v = 0; cli_verbs[v]; v++) {
        /* Edit distance, one row at a time. */
        const char *name = cli_verbs[v]->name;
        size_t row[32];
        for (size_t j = 0; j <= n; j++) {
            row[j] = j;
        }
        for (size_t i = 0; name[i]; i++) {
            size_t diagonal = row[0];
            row[0] = i + 1;
            for (size_t j = 0; j < n; j++) {
                size_t change = diagonal + (name[i] != word[j]);
                diagonal = row[j + 1];
                if (row[j] + 1 < change) change = row[j] + 1;
                if (diagonal + 1 < change) change = diagonal + 1;
                row[j + 1] = change;
            }
        }
        if (row[n] < best_distance) {
            best_distance = row[n];
            best = cli_verbs[v];
        }
    }
    return best;
}

static int unknown_verb(const char *word) {
    const cli_verb *meant = closest_verb(word);
    if (meant) {
        return cli_fail(CLI_USAGE, "there is no verb \"%s\"; did you mean %s?",
                        word, meant->name);
    }
    return cli_fail(CLI_USAGE, "there is no %s \"%s\"; see ocelli --help",
                    *word == '-' ? "option" : "verb", word);
}

static int show_help(int argc, char **argv) {
    if (argc > 0) {
        const cli_verb *verb = cli_find_verb(argv[0]);
        if (!verb) return unknown_verb(argv[0]);
        cli_print_verb_help(stdout, verb);
    } else {
        cli_print_help(stdout);
    }
    return CLI_OK;
}

static int run_verb(const cli_verb *verb, int argc, char **argv) {
    cli_args args;
    int help = 0;
    int code = cli_parse(&args, verb, argc, argv, &help);
    if (code == CLI_OK && help) cli_print_verb_help(stdout, verb);
    if (code == CLI_OK && !help) code = verb->run(&args);
    cli_args_deinit(&args);
    return code;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        cli_print_help(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("ocelli %s\n", oc_version());
        return CLI_OK;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
        !strcmp(word, "help")) {
        return show_help(argc - 2, argv + 2);
    }
    if (!strcmp(word, "_docs")) return cli_generate(argc - 2, argv + 2);
    const cli_verb *verb = cli_find_verb(word);
    if (!verb) return unknown_verb(word);
    return run_verb(verb, argc - 2, argv + 2);
}

/*
 * setlocale() is never called, so that printf and strtod mean a point in
 * flags, JSON and tables whatever LANG says.
 */
int main(int argc, char **argv) {
    /* A closed pipe, or a limit on the size of files, is seen as a failed
       write, not as a death that leaves half a file behind. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int code = dispatch(argc, argv);
    /* A full disk shows only when the last bytes go out. */
    if ((fflush(stdout) || ferror(stdout)) && code == CLI_OK) {
        code = cli_fail(CLI_FAILED, "cannot write to standard output");
    }
    return code;
}
