/* verb_speak.c - ocelli speak: text to the loudspeaker or into a file. */
#define _POSIX_C_SOURCE 200809L

#include "json.h"
#include "out.h"
#include "speech_args.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    const cli_args *args;
    oc_voice *voice;
    oc_player *player; /* or NULL */
    const char *path;  /* of -o, or NULL */
    int16_t *samples;  /* for the file */
    size_t n, room;
    double begun, first; /* seconds; first 0: nothing heard yet */
    size_t total;        /* samples */
    int code;            /* of take()'s failure */
} run;

/* ---- where sound goes -----------------------------------------------------
 */

static int keep(run *r, const int16_t *samples, size_t n) {
    if (n > r->room - r->n) {
        size_t room = r->room ? r->room : 1 << 16;
        while (room - r->n < n) {
            if (room > SIZE_MAX / 4) return 1;
            room *= 2;
        }
        int16_t *more = realloc(r->samples, room * sizeof *more);
        if (!more) return 1;
        r->samples = more;
        r->room = room;
    }
    memcpy(r->samples + r->n, samples, n * sizeof *samples);
    r->n += n;
    return 0;
}

/* WAV of a length nobody knows yet, as it is made. */
static int stream(run *r, const int16_t *samples, size_t n) {
    uint8_t header[OC_WAV_HEADER];
    if (!r->total) {
        oc_wav_header(header, oc_voice_rate(r->voice), SIZE_MAX);
        fwrite(header, 1, sizeof header, stdout);
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t v = (uint16_t)samples[i];
        putchar(v & 255);
        putchar(v >> 8);
    }
    return fflush(stdout) != 0;
}

static int take(void *user, const int16_t *samples, size_t n) {
    run *r = user;
    oc_error err;
    int code = CLI_OK;
    if (r->first <= 0) r->first = out_seconds();
    if (r->player && oc_player_write(r->player, samples, n, &err))
        code = cli_fail(CLI_FAILED, "%s", err.message);
    if (!code && r->path && !strcmp(r->path, "-") && stream(r, samples, n))
        code = cli_fail(CLI_FAILED, "cannot write to standard output");
    else if (!code && r->path && strcmp(r->path, "-") != 0 &&
             keep(r, samples, n))
        code = cli_fail(CLI_RESOURCES, "out of memory");
    r->total += n;
    r->code = code;
    return code;
}

/* The file appears under its name when it is complete. */
static int write_file(run *r) {
    uint8_t header[OC_WAV_HEADER];
    char name[4096];
    if (!r->path || !strcmp(r->path, "-")) return CLI_OK;
    int length = snprintf(name, sizeof name, "%s.part", r->path);
    if (length < 0 || (size_t)length >= sizeof name)
        return cli_fail(CLI_USAGE, "the name of the file is too long");
    FILE *f = fopen(name, "wb");
    if (!f) return cli_fail(CLI_FAILED, "cannot write %s", r->path);
    oc_wav_header(header, oc_voice_rate(r->voice), r->n);
    fwrite(header, 1, sizeof header, f);
    for (size_t i = 0; i < r->n; i++) {
        uint16_t v = (uint16_t)r->samples[i];
        putc(v & 255, f);
        putc(v >> 8, f);
    }
    int failed = ferror(f);
    failed |= fclose(f);
    if (!failed && !rename(name, r->path)) return CLI_OK;
    remove(name);
    return cli_fail(CLI_FAILED, "cannot write %s", r->path);
}

/* ---- what is said ---------------------------------------------------------
 */

/* *wordless (may be NULL): there was nothing to say, which is no failure. */
static int say(run *r, const char *text, int *wordless) {
    oc_error err;
    if (r->begun <= 0) r->begun = out_seconds();
    oc_status st = oc_voice_speak(r->voice, text, take, r, &err);
    if (wordless) *wordless = st == OC_E_ARG;
    if (!st || (wordless && *wordless)) return CLI_OK;
    return r->code ? r->code : speech_report(&err);
}

/* A line at a time, as they come: somebody may still be writing. */
static int say_input(run *r) {
    char *line = NULL;
    size_t room = 0;
    int code = CLI_OK, any = 0, wordless;
    while (!code && getline(&line, &room, stdin) > 0) {
        code = say(r, line, &wordless);
        any |= !wordless;
    }
    free(line);
    if (!code && !any)
        return cli_fail(CLI_BAD_INPUT, "there is nothing to say");
    return code;
}

/* The words of the command line, as echo has them. */
static int say_words(run *r) {
    const cli_args *a = r->args;
    size_t n = 1;
    for (int i = 0; i < a->n_operands; i++) {
        n += strlen(a->operands[i]) + 1;
    }
    char *text = calloc(n, 1);
    if (!text) return cli_fail(CLI_RESOURCES, "out of memory");
    for (int i = 0; i < a->n_operands; i++) {
        if (i) strcat(text, " ");
        strcat(text, a->operands[i]);
    }
    int code = say(r, text, NULL);
    free(text);
    return code;
}

static void print_json(const run *r) {
    json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "voice", oc_voice_who(r->voice));
    json_int(&j, "rate_hz", oc_voice_rate(r->voice));
    json_double(&j, "seconds", (double)r->total / oc_voice_rate(r->voice));
    json_object(&j, "time_ms");
    json_float(&j, "first_audio", (float)(1e3 * (r->first - r->begun)));
    json_float(&j, "all", (float)(1e3 * (out_seconds() - r->begun)));
    json_end(&j);
    json_end(&j);
}

static int speak(run *r) {
    const cli_args *a = r->args;
    oc_error err;
    int code = speech_voice(a, "en", &r->voice);
    if (!code && (cli_has(a, "play") || !r->path) &&
        oc_player_open(&r->player, oc_voice_rate(r->voice), &err))
        code = cli_fail(CLI_FAILED, "%s", err.message);
    if (code) return code;
    int is_input = a->n_operands == 1 && !strcmp(a->operands[0], "-");
    code = is_input ? say_input(r) : say_words(r);
    if (oc_player_close(r->player, !code, &err) && !code)
        code = cli_fail(CLI_FAILED, "%s", err.message);
    if (!code) code = write_file(r);
    if (!code && cli_has(a, "json")) print_json(r);
    return code;
}

static int run_speak(cli_args *args) {
    run r = {0};
    r.args = args;
    r.path = cli_get(args, "out", NULL);
    if (cli_has(args, "voices")) return speech_list_voices();
    if (!args->n_operands)
        return cli_fail(CLI_USAGE, "too few operands: ocelli speak %s",
                        args->verb->operands);
    if (r.path && !strcmp(r.path, "-") && cli_has(args, "json"))
        return cli_fail(CLI_USAGE, "--json and -o - both want standard output");
    int code = speak(&r);
    oc_voice_destroy(r.voice);
    free(r.samples);
    return code;
}

/* clang-format off */
static const cli_option options[] = {
    {"out", 'o', "FILE", "write a WAV file; - is standard output, as it is "
     "made", NULL},
    {"play", 0, NULL, "play it (the default without -o)", NULL},
    CLI_OPTS_SPEECH,
    {"locale", 0, "LANGUAGE", "language of the text (default en)", NULL},
    {"voices", 0, NULL, "list the voices there are", NULL},
    CLI_OPT_JSON, CLI_OPT_QUIET, CLI_OPT_END,
};
/* clang-format on */

const cli_verb cli_verb_speak = {
    "speak",
    "TEXT...",
    "say a text aloud",
    "Speaks a text, or with - what comes on standard input, line by line. "
    "Sound is made and played a few words at a time.\n\n"
    "English voices are flite's; other languages are spoken by espeak-ng where "
    "it is installed, by a voice's or a language's name. Sound is played by "
    "aplay, pacat or play.",
    options,
    0,
    -1,
    run_speak,
};
