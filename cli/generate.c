/*
 * generate.c - the manual page and shell completions from the table of
 * verbs: `ocelli _docs man|bash|zsh|fish`, called by the build.  What
 * `./dev docs` calls is in generate_tables.c.
 */
#include "cli.h"

#include <string.h>

/* ---- manual page
 * ---------------------------------------------------------------- */

/* roff takes backslashes, and dots or quotes at a line's start, for itself. */
static void roff(const char *text) {
    int at_start = 1;
    for (const char *s = text; *s; s++) {
        if (at_start && (*s == '.' || *s == '\'')) fputs("\\&", stdout);
        at_start = *s == '\n';
        if (s[0] == '\n' && s[1] == '\n') {
            fputs("\n.PP\n", stdout);
            at_start = 1;
            s++;
        } else if (*s == '\\') {
            fputs("\\e", stdout);
        } else if (*s == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(*s);
        }
    }
}

static void man_option(const cli_option *o) {
    fputs(".TP\n", stdout);
    if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", stdout);
    roff(o->name);
    fputs("\\fR", stdout);
    if (o->value) printf(" \\fI%s\\fR", o->value);
    putchar('\n');
    roff(o->help);
    if (o->choices) {
        fputs(": ", stdout);
        roff(o->choices);
    }
    fputs(".\n", stdout);
}

static void print_man(void) {
    printf(".TH OCELLI 1 \"\" \"ocelli %s\" \"User Commands\"\n"
           ".SH NAME\nocelli \\- vision networks from ONNX to the edge\n"
           ".SH SYNOPSIS\n.B ocelli\n\\fIVERB\\fR [\\fIOPTION\\fR...] "
           "\\fIOPERAND\\fR...\n.SH DESCRIPTION\n"
           "Loads a network from an ONNX file, runs it, and says what it "
           "found.\n.SH VERBS\n",
           oc_version());
    for (int i = 0; cli_verbs[i]; i++) {
        const cli_verb *v = cli_verbs[i];
        printf(".SS \"ocelli %s [OPTION...]%s%s\"\n", v->name,
               *v->operands ? " " : "", v->operands);
        roff(v->description);
        putchar('\n');
        for (const cli_option *o = v->options; o->name; o++) {
            man_option(o);
        }
    }
    fputs(".SH EXIT STATUS\n", stdout);
    for (int code = 0; cli_code_text(code); code++) {
        printf(".TP\n%d\n%s\n", code, cli_code_text(code));
    }
    fputs(".SH ENVIRONMENT\n.TP\n\\fBNO_COLOR\\fR\n"
          "When set, nothing is coloured.\n",
          stdout);
}

/* ---- completion
 * ------------------------------------------------------------------ */

/* "a|b" as "a b". */
static void print_choices(const char *choices) {
    for (const char *s = choices; *s; s++) {
        putchar(*s == '|' ? ' ' : *s);
    }
}

static void print_bash(void) {
    fputs("# bash completion for ocelli; made by `ocelli _docs bash`.\n"
          "_ocelli() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
          "    local prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local words=\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        printf("%s ", cli_verbs[i]->name);
    }
    fputs("help --help --version\"\n    else\n"
          "        case ${COMP_WORDS[1]}:$prev in\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        for (const cli_option *o = cli_verbs[i]->options; o->name; o++) {
            if (!o->choices) continue;
            printf("        %s:--%s) words=\"", cli_verbs[i]->name, o->name);
            print_choices(o->choices);
            fputs("\" ;;\n", stdout);
        }
    }
    fputs("        esac\n"
          "        case $words:$cur:${COMP_WORDS[1]} in\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        printf("        :-*:%s) words=\"", cli_verbs[i]->name);
        for (const cli_option *o = cli_verbs[i]->options; o->name; o++) {
            printf("--%s ", o->name);
        }
        fputs("--help\" ;;\n", stdout);
    }
    fputs("        esac\n    fi\n"
          "    if [ -n \"$words\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "    fi\n}\n"
          "complete -o filenames -F _ocelli ocelli\n",
          stdout);
}

/* Inside '...' of a shell, and inside the [...] of a zsh specification. */
static void quoted(const char *text, const char *special) {
    for (const char *s = text; *s; s++) {
        if (*s == '\'') {
            fputs("'\\''", stdout);
            continue;
        }
        if (strchr(special, *s)) putchar('\\');
        putchar(*s);
    }
}

static void print_zsh(void) {
    fputs("#compdef ocelli\n# made by `ocelli _docs zsh`\n"
          "_ocelli() {\n"
          "    if (( CURRENT == 2 )); then\n"
          "        local -a verbs\n        verbs=(\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        printf("            '%s:", cli_verbs[i]->name);
        quoted(cli_verbs[i]->summary, ":");
        fputs("'\n", stdout);
    }
    fputs("        )\n        _describe verb verbs\n        return\n    fi\n"
          "    local verb=$words[2]\n"
          "    shift words\n    (( CURRENT-- ))\n"
          "    case $verb in\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        printf("    %s) _arguments", cli_verbs[i]->name);
        for (const cli_option *o = cli_verbs[i]->options; o->name; o++) {
            printf(" \\\n        '*--%s[", o->name);
            quoted(o->help, "[]:");
            putchar(']');
            if (o->value) {
                printf(":%s:", o->value);
                if (o->choices) {
                    putchar('(');
                    print_choices(o->choices);
                    putchar(')');
                } else if (strstr(o->value, "FILE") ||
                           strstr(o->value, "DIR") ||
                           strstr(o->value, "PICTURE")) {
                    fputs("_files", stdout);
                } else {
                    putchar(' '); /* a number: nothing to offer */
                }
            }
            putchar('\'');
        }
        fputs(" \\\n        '*:file:_files' ;;\n", stdout);
    }
    fputs("    esac\n}\n_ocelli \"$@\"\n", stdout);
}

static void print_fish(void) {
    fputs("# fish completion for ocelli; made by `ocelli _docs fish`.\n",
          stdout);
    for (int i = 0; cli_verbs[i]; i++) {
        const cli_verb *v = cli_verbs[i];
        printf("complete -c ocelli -n __fish_use_subcommand -f -a %s -d '",
               v->name);
        quoted(v->summary, "");
        fputs("'\n", stdout);
        for (const cli_option *o = v->options; o->name; o++) {
            printf("complete -c ocelli -n '__fish_seen_subcommand_from %s' "
                   "-l %s",
                   v->name, o->name);
            if (o->letter) printf(" -s %c", o->letter);
            if (o->value) fputs(" -r", stdout);
            if (o->choices) {
                fputs(" -f -a '", stdout);
                print_choices(o->choices);
                putchar('\'');
            }
            fputs(" -d '", stdout);
            quoted(o->help, "");
            fputs("'\n", stdout);
        }
    }
}

int cli_generate(int argc, char **argv) {
    const char *what = argc == 1 ? argv[0] : "";
    if (!strcmp(what, "man"))
        print_man();
    else if (!strcmp(what, "bash"))
        print_bash();
    else if (!strcmp(what, "zsh"))
        print_zsh();
    else if (!strcmp(what, "fish"))
        print_fish();
    else if (!strcmp(what, "verbs"))
        cli_print_verbs();
    else if (!strcmp(what, "cli"))
        cli_print_reference();
    else if (!strcmp(what, "operators"))
        return cli_print_operators();
    else
        return cli_fail(CLI_USAGE, "_docs takes one of "
                                   "man|bash|zsh|fish|verbs|cli|operators");
    return CLI_OK;
}
