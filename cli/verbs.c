/* verbs.c - the table of verbs; see cli.h. */
#include "cli.h"

#include <string.h>

#define CLI_VERB(name) extern const cli_verb cli_verb_##name;
#include "verbs.def"
#undef CLI_VERB

const cli_verb *const cli_verbs[] = {
#define CLI_VERB(name) &cli_verb_##name,
#include "verbs.def"
#undef CLI_VERB
    NULL,
};

const cli_verb *cli_find_verb(const char *name) {
    for (int i = 0; cli_verbs[i]; i++) {
        if (!strcmp(cli_verbs[i]->name, name)) return cli_verbs[i];
    }
    return NULL;
}
