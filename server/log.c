/* log.c - see log.h. */
#define _POSIX_C_SOURCE 200809L

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static log_level least = LOG_INFO;

void log_init(log_level level) {
    least = level;
}

int log_wants(log_level level) {
    return level <= least;
}

static void put_time(json *j) {
    struct timespec now;
    struct tm parts;
    char text[48], whole[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03dZ", whole,
             (int)(now.tv_nsec / 1000000));
    json_string(j, "time", text);
}

int log_begin(log_line *l, log_level level, const char *message) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if (!log_wants(level)) return 0;
    FILE *f = open_memstream(&l->text, &l->bytes);
    if (!f) return 0;
    json_begin_compact(&l->j, f);
    json_object(&l->j, NULL);
    put_time(&l->j);
    json_string(&l->j, "level", names[level]);
    json_string(&l->j, "message", message);
    return 1;
}

void log_end(log_line *l) {
    json_end(&l->j);
    putc('\n', l->j.f);
    if (!fclose(l->j.f)) {
        /* Who cannot read the log (a closed pipe) does not stop the work. */
        for (size_t done = 0; done < l->bytes;) {
            ssize_t n = write(STDERR_FILENO, l->text + done, l->bytes - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            done += (size_t)n;
        }
    }
    free(l->text);
}

void log_say(log_level level, const char *message, const char *key,
             const char *value) {
    log_line l;
    if (!log_begin(&l, level, message)) return;
    if (key) json_string(&l.j, key, value);
    log_end(&l);
}
