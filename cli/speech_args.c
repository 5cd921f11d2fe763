/* speech_args.c - see speech_args.h. */
#define _XOPEN_SOURCE 700

#include "speech_args.h"

#include "out.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int take_options(const cli_args *args, const char *locale,
                        oc_voice_options *opt) {
    memset(opt, 0, sizeof *opt);
    opt->name = cli_get(args, "voice", NULL);
    opt->locale = cli_get(args, "locale", locale);
    /* A file of words says nothing a voice would know. */
    if (strchr(opt->locale, '/')) opt->locale = locale;
    return cli_get_double(args, "rate", 0.25, 4, 0, &opt->rate);
}

/* What is not there is no fault of the data. */
int speech_report(const oc_error *err) {
    int code = err->status == OC_E_ARG && strstr(err->message, "no voice")
                   ? CLI_USAGE
               : err->status == OC_E_UNSUPPORTED || err->status == OC_E_IO
                   ? CLI_FAILED
                   : cli_code(err->status);
    return cli_fail(code, "%s", err->message);
}

int speech_voice(const cli_args *args, const char *locale, oc_voice **out) {
    oc_voice_options opt;
    oc_error err;
    int code = take_options(args, locale, &opt);
    if (code) return code;
    return oc_voice_create(out, &opt, NULL, &err) ? speech_report(&err)
                                                  : CLI_OK;
}

int speech_list_voices(void) {
    const char *name;
    int any = 0;
    for (int i = 0; (name = oc_voice_name(i)); i++) {
        if (!oc_voice_is_there(i)) continue;
        printf("%s  flite, English\n", name);
        any = 1;
    }
    if (oc_voice_has_espeak())
        puts("espeak-ng's: espeak-ng --voices lists them");
    else if (!any)
        return cli_fail(CLI_FAILED, "nothing here can speak: install flite or "
                                    "espeak-ng");
    return CLI_OK;
}

/* ---- beside the work ------------------------------------------------------
 */

struct speaker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    oc_voice_options opt;
    char *next; /* waits to be said, or NULL */
    int is_busy, is_ending, cut;
    double first_s;
    oc_error err; /* err.status: what went wrong */
    /* The thread's alone. */
    oc_voice *voice;
    oc_player *player;
};

static int failed(speaker *s) {
    return s->err.status != OC_OK;
}

static int take(void *user, const int16_t *samples, size_t n) {
    speaker *s = user;
    oc_error err = {0};
    pthread_mutex_lock(&s->lock);
    int stop = s->cut;
    if (s->first_s <= 0) s->first_s = out_seconds();
    pthread_mutex_unlock(&s->lock);
    if (stop) return 1;
    if (!oc_player_write(s->player, samples, n, &err)) return 0;
    pthread_mutex_lock(&s->lock);
    s->err = err;
    pthread_mutex_unlock(&s->lock);
    return 1;
}

/* The first words of a voice take longer than those after them. */
static int take_nothing(void *user, const int16_t *samples, size_t n) {
    (void)user, (void)samples, (void)n;
    return 0;
}

static oc_status prepare(speaker *s, oc_error *err) {
    oc_status st = oc_voice_create(&s->voice, &s->opt, NULL, err);
    if (!st) st = oc_player_open(&s->player, oc_voice_rate(s->voice), err);
    if (!st && !strncmp(oc_voice_who(s->voice), "flite", 5))
        st = oc_voice_speak(s->voice, "a", take_nothing, NULL, err);
    return st;
}

/* What was written and not heard yet goes with the player. */
static oc_status restart_player(speaker *s, oc_error *err) {
    oc_player_close(s->player, 0, NULL);
    s->player = NULL;
    return oc_player_open(&s->player, oc_voice_rate(s->voice), err);
}

static void speak_next(speaker *s) {
    oc_error err = {0};
    char *text = s->next;
    s->next = NULL;
    s->is_busy = 1;
    s->cut = 0;
    s->first_s = 0;
    pthread_mutex_unlock(&s->lock);
    oc_status st = oc_voice_speak(s->voice, text, take, s, &err);
    free(text);
    if (st == OC_E_CANCELLED) st = restart_player(s, &err);
    pthread_mutex_lock(&s->lock);
    if (st && !failed(s)) s->err = err;
    s->is_busy = 0;
    pthread_cond_broadcast(&s->changed);
}

static void *speaker_main(void *user) {
    speaker *s = user;
    oc_error err = {0};
    oc_status st = prepare(s, &err);
    pthread_mutex_lock(&s->lock);
    if (st) s->err = err;
    s->is_busy = 0;
    pthread_cond_broadcast(&s->changed);
    while (!failed(s)) {
        if (s->next)
            speak_next(s);
        else if (s->is_ending)
            break;
        else
            pthread_cond_wait(&s->changed, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int report(speaker *s) {
    return failed(s) ? speech_report(&s->err) : CLI_OK;
}

int speaker_open(speaker **out, const cli_args *args, const char *locale) {
    speaker *s = calloc(1, sizeof *s);
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    int code = take_options(args, locale, &s->opt);
    if (code) {
        free(s);
        return code;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->is_busy = 1; /* until the voice is there */
    if (pthread_create(&s->thread, NULL, speaker_main, s)) {
        free(s);
        return cli_fail(CLI_RESOURCES, "no thread for the voice");
    }
    *out = s;
    return CLI_OK;
}

int speaker_say(speaker *s, const char *text, int now) {
    char *copy = strdup(text);
    if (!copy) return cli_fail(CLI_RESOURCES, "out of memory");
    pthread_mutex_lock(&s->lock);
    int code = report(s);
    if (!code) {
        free(s->next);
        s->next = copy;
        copy = NULL;
        if (now) s->cut = 1;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    free(copy);
    return code;
}

int speaker_wait(speaker *s, double *first_s) {
    pthread_mutex_lock(&s->lock);
    while (!failed(s) && (s->next || s->is_busy))
        pthread_cond_wait(&s->changed, &s->lock);
    int code = report(s);
    if (first_s) *first_s = s->first_s;
    pthread_mutex_unlock(&s->lock);
    return code;
}

int speaker_close(speaker *s, int wait) {
    oc_error err;
    int code = CLI_OK;
    if (!s) return CLI_OK;
    pthread_mutex_lock(&s->lock);
    s->is_ending = 1;
    if (!wait) {
        s->cut = 1;
        free(s->next);
        s->next = NULL;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    if (oc_player_close(s->player, wait && !failed(s), &err))
        code = cli_fail(CLI_FAILED, "%s", err.message);
    oc_voice_destroy(s->voice);
    free(s->next);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return code;
}
