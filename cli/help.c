/* help.c - help texts from the table of verbs. */
#include "cli.h"

#include "out.h"

#include <string.h>

enum { WIDTH = 79, OPTION_COLUMN = 26 };

/* Prints words from column `at` on, wrapped, with `indent` on new lines. */
static void wrap(FILE *to, const char *text, int at, int indent) {
    int column = at, blank = 0; /* blank: one is due before the next word */
    while (*text) {
        if (text[0] == '\n' && text[1] == '\n') {
            fprintf(to, "\n\n%*s", indent, "");
            column = indent;
            blank = 0;
            text += 2;
        } else if (*text == ' ' || *text == '\n') {
            blank = 1;
            text++;
        } else {
            int n = (int)strcspn(text, " \n");
            if (column > indent && column + blank + n > WIDTH) {
                fprintf(to, "\n%*s", indent, "");
                column = indent;
                blank = 0;
            }
            fprintf(to, "%*s%.*s", blank, "", n, text);
            column += blank + n;
            blank = 0;
            text += n;
        }
    }
    putc('\n', to);
}

void cli_print_help(FILE *to) {
    fprintf(to,
            "%socelli%s - vision networks from ONNX to the edge\n\n"
            "usage: ocelli VERB [OPTION...] OPERAND...\n\n",
            out_color(to, OUT_BOLD), out_color(to, OUT_PLAIN));
    for (int i = 0; cli_verbs[i]; i++) {
        fprintf(to, "  %s%-10s%s  %s\n", out_color(to, OUT_BOLD),
                cli_verbs[i]->name, out_color(to, OUT_PLAIN),
                cli_verbs[i]->summary);
    }
    fputs("\nfor example: ocelli inspect model.onnx\n"
          "             ocelli detect model.onnx photo.jpg --out marked\n\n"
          "ocelli VERB --help tells more; ocelli --version tells the "
          "version.\n",
          to);
}

static void print_option(FILE *to, const cli_option *o) {
    char left[64];
    int n =
        snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
                 o->value ? " " : "", o->value ? o->value : "");
    fputs(left, to);
    if (n >= OPTION_COLUMN - 1) {
        putc('\n', to);
        n = 0;
    }
    fprintf(to, "%*s", OPTION_COLUMN - n, "");
    char text[512];
    snprintf(text, sizeof(text), "%s%s%s", o->help, o->choices ? ": " : "",
             o->choices ? o->choices : "");
    wrap(to, text, OPTION_COLUMN, OPTION_COLUMN);
}

void cli_print_verb_help(FILE *to, const cli_verb *verb) {
    static const cli_option help = {"help", 'h', NULL, "print this", NULL};
    fprintf(to, "usage: ocelli %s%s%s [OPTION...]%s%s\n\n",
            out_color(to, OUT_BOLD), verb->name, out_color(to, OUT_PLAIN),
            *verb->operands ? " " : "", verb->operands);
    wrap(to, verb->description, 0, 0);
    putc('\n', to);
    for (const cli_option *o = verb->options; o->name; o++) {
        print_option(to, o);
    }
    print_option(to, &help);
}
