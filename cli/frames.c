/* frames.c - see frames.h. */
#define _XOPEN_SOURCE 700

#include "frames.h"

#include "out.h"
#include "pictures.h"

#include <ocelli/video.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct frames {
    char source[4096];
    double rate;
    int is_folder, is_live; /* else a file at the caller's pace */
    /* A folder. */
    picture_list pictures;
    size_t at;
    int bad_code; /* of a picture that could not be read */
    /* A video; where time passes, the thread's. */
    oc_video *video;
    double due; /* the next picture's time */
    int64_t number;
    /* Shared with the thread. */
    pthread_t thread;
    int has_thread, is_closing;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    frame latest; /* img.pixels NULL: none */
    int is_ended;
    oc_error err; /* why */
    int64_t dropped;
    double looked; /* when the caller took the last one */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

void frames_catch_signals(void) {
    struct sigaction how;
    memset(&how, 0, sizeof how);
    how.sa_handler = on_signal;
    sigemptyset(&how.sa_mask);
    sigaction(SIGINT, &how, NULL);
    sigaction(SIGTERM, &how, NULL);
}

int frames_stopped(void) {
    return stopped;
}

static void sleep_for(double seconds) {
    /* In short naps, so that a signal is seen. */
    double end = out_seconds() + seconds;
    for (double left; !stopped && (left = end - out_seconds()) > 0;) {
        struct timespec t = {0, (long)(1e9 * (left < 0.05 ? left : 0.05))};
        nanosleep(&t, NULL);
    }
}

/* ---- where time passes ----------------------------------------------------
 */

/* A file's picture is due when as much time has passed as in the file. */
static void wait_until_due(const frames *s, double start, double seconds) {
    double left = start + seconds - out_seconds();
    if (!oc_video_is_live(s->video) && left > 0) sleep_for(left);
}

static void show(frames *s, oc_image *img, double seconds, int64_t number) {
    pthread_mutex_lock(&s->lock);
    if (s->latest.img.pixels) {
        s->dropped++;
        oc_image_deinit(&s->latest.img);
    }
    s->latest.img = *img;
    s->latest.seconds = seconds;
    s->latest.number = number;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int is_closing(frames *s) {
    pthread_mutex_lock(&s->lock);
    int closing = s->is_closing || stopped;
    pthread_mutex_unlock(&s->lock);
    return closing;
}

static void *read_frames(void *user) {
    frames *s = user;
    oc_image img;
    oc_error err = {0};
    double seconds, start = out_seconds();
    for (int64_t n = 0; !is_closing(s); n++) {
        memset(&img, 0, sizeof img);
        if (oc_video_next(s->video, &seconds, &err)) break;
        wait_until_due(s, start, seconds);
        if (oc_video_picture(s->video, &img, NULL, &err)) break;
        show(s, &img, seconds, n);
    }
    pthread_mutex_lock(&s->lock);
    s->is_ended = 1;
    s->err = err;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Waits a little for the thread. */
static void wait_for_thread(frames *s) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 50000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

static int end_with(const frames *s, const oc_error *err, int *code) {
    if (err->status == OC_OK || err->status == OC_E_LIMIT ||
        err->status == OC_E_CANCELLED)
        *code = CLI_OK;
    else
        *code = cli_report(err, s->source);
    return 0;
}

static int next_live(frames *s, frame *f, int *code) {
    double rest = s->looked + 1 / s->rate - out_seconds();
    if (s->looked > 0 && rest > 0) sleep_for(rest);
    pthread_mutex_lock(&s->lock);
    while (!s->latest.img.pixels && !s->is_ended && !stopped)
        wait_for_thread(s);
    int has = s->latest.img.pixels && !stopped;
    oc_error err = s->err;
    if (has) {
        *f = s->latest;
        memset(&s->latest, 0, sizeof s->latest);
    }
    pthread_mutex_unlock(&s->lock);
    s->looked = out_seconds();
    f->input = s->source;
    return has ? 1 : end_with(s, &err, code);
}

/* ---- at the caller's pace -------------------------------------------------
 */

static int next_picture(frames *s, frame *f, int *code) {
    oc_error err;
    while (s->at < s->pictures.n && !stopped) {
        const char *path = s->pictures.paths[s->at];
        f->number = (int64_t)s->at++;
        f->seconds = (double)f->number / s->rate;
        f->input = path;
        if (!oc_image_load(&f->img, path, NULL, &err)) return 1;
        s->bad_code = cli_report(&err, path); /* and on to the next */
    }
    *code = s->bad_code;
    return 0;
}

static int next_of_file(frames *s, frame *f, int *code) {
    oc_error err = {0};
    do {
        if (stopped || oc_video_next(s->video, &f->seconds, &err))
            return end_with(s, &err, code);
        f->number = s->number++;
    } while (f->seconds < s->due);
    s->due = f->seconds + 1 / s->rate - 1e-6;
    f->input = s->source;
    if (!oc_video_picture(s->video, &f->img, NULL, &err)) return 1;
    return end_with(s, &err, code);
}

int frames_next(frames *s, frame *f, int *code) {
    memset(f, 0, sizeof *f);
    *code = CLI_OK;
    return s->is_folder    ? next_picture(s, f, code)
           : s->has_thread ? next_live(s, f, code)
                           : next_of_file(s, f, code);
}

/* ---- open and close -------------------------------------------------------
 */

static int should_stop(void *user) {
    return stopped || is_closing(user);
}

/* A number is a camera's. */
static int name_source(frames *s, const char *source) {
    int is_number = *source && strspn(source, "0123456789") == strlen(source);
    int n =
        snprintf(s->source, sizeof s->source, "%s%s",
                 is_number && strlen(source) < 4 ? "/dev/video" : "", source);
    if (n > 0 && (size_t)n < sizeof s->source) return CLI_OK;
    return cli_fail(CLI_USAGE, "the name of the source is too long");
}

static int is_pictures(const char *source) {
    struct stat st;
    int has_star = strpbrk(source, "*?[") != NULL && !strstr(source, "://");
    return has_star || (!stat(source, &st) && S_ISDIR(st.st_mode)) ||
           oc_image_format_of_path(source) != OC_IMAGE_UNKNOWN;
}

static int open_video(frames *s, int paced) {
    oc_video_options opt = {0};
    oc_error err;
    opt.stop = should_stop;
    opt.user = s;
    if (oc_video_open(&s->video, s->source, &opt, &err)) {
        int code = cli_report(&err, NULL);
        return err.status == OC_E_UNSUPPORTED ? CLI_FAILED : code;
    }
    if (!paced && !oc_video_is_live(s->video)) return CLI_OK;
    if (pthread_create(&s->thread, NULL, read_frames, s))
        return cli_fail(CLI_RESOURCES, "no thread to read the video");
    s->has_thread = 1;
    return CLI_OK;
}

int frames_open(frames **out, const char *source, double rate, int paced) {
    frames *s = calloc(1, sizeof *s);
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->rate = rate;
    int code = name_source(s, source);
    if (!code && is_pictures(s->source)) {
        s->is_folder = 1;
        code = pictures_add(&s->pictures, s->source);
    } else if (!code) {
        code = open_video(s, paced);
    }
    if (code)
        frames_close(s);
    else
        *out = s;
    return code;
}

int64_t frames_dropped(const frames *s) {
    frames *shared = (frames *)(uintptr_t)s;
    pthread_mutex_lock(&shared->lock);
    int64_t n = s->dropped;
    pthread_mutex_unlock(&shared->lock);
    return n;
}

void frames_close(frames *s) {
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->is_closing = 1;
    pthread_mutex_unlock(&s->lock);
    if (s->has_thread) pthread_join(s->thread, NULL);
    oc_image_deinit(&s->latest.img);
    oc_video_close(s->video);
    pictures_deinit(&s->pictures);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
