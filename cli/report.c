/* report.c - errors as one sentence on standard error. */
#include "cli.h"

#include "out.h"

#include <stdarg.h>
#include <string.h>

int cli_fail(int code, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fflush(stdout); /* keeps the two streams in order on a terminal */
    out_progress_hide_all();
    fputs("ocelli: ", stderr);
    out_text(stderr, text);
    putc('\n', stderr);
    return code;
}

const char *cli_code_text(int code) {
    switch (code) {
    case CLI_OK: return "the work is done";
    case CLI_FAILED: return "the work, or a part of it, failed";
    case CLI_USAGE: return "the command line makes no sense";
    case CLI_BAD_INPUT: return "a bad model or bad data";
    case CLI_RESOURCES: return "out of memory or another resource";
    default: return NULL;
    }
}

int cli_code(oc_status status) {
    switch (status) {
    case OC_OK: return CLI_OK;
    case OC_E_NOMEM:
    case OC_E_LIMIT: return CLI_RESOURCES;
    case OC_E_CANCELLED: return CLI_FAILED;
    default: return CLI_BAD_INPUT;
    }
}

int cli_report(const oc_error *err, const char *what) {
    /* Most sentences of the library name the file or node already. */
    if (what && !strstr(err->message, what)) {
        return cli_fail(cli_code(err->status), "%s: %s", what, err->message);
    }
    return cli_fail(cli_code(err->status), "%s", err->message);
}
