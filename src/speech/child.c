/* child.c - see child.h. */
#define _GNU_SOURCE /* pipe2 */

#include "speech/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int oc__child_is_there(const char *name) {
    const char *path = getenv("PATH");
    char file[4096];
    while (path && *path) {
        size_t n = strcspn(path, ":");
        int k = snprintf(file, sizeof file, "%.*s/%s", (int)n, path, name);
        if (n && k > 0 && (size_t)k < sizeof file && !access(file, X_OK))
            return 1;
        path += n + (path[n] == ':');
    }
    return 0;
}

static void close_pipe(int fd[2]) {
    if (fd[0] >= 0) close(fd[0]);
    if (fd[1] >= 0) close(fd[1]);
}

/*
 * Its input is a pair of sockets, since only sending on one can be told not to
 * raise SIGPIPE, which is not ours to ignore in somebody's program.
 */
static int make_pipes(int in[2], int out[2], int has_output) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in)) return 1;
    shutdown(in[0], SHUT_WR);
    return has_output && pipe2(out, O_CLOEXEC);
}

oc_status oc__child_start(oc__child *c, const char *const *argv, int has_output,
                          oc_error *err) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = 1;
    posix_spawn_file_actions_t files;
    if (make_pipes(in, out, has_output) ||
        posix_spawn_file_actions_init(&files)) {
        close_pipe(in);
        close_pipe(out);
        return oc__fail(err, OC_E_IO, "%s cannot be started: %s", argv[0],
                        strerror(errno));
    }
    int failed =
        posix_spawn_file_actions_adddup2(&files, in[0], 0) ||
        (has_output ? posix_spawn_file_actions_adddup2(&files, out[1], 1)
                    : posix_spawn_file_actions_addopen(&files, 1, "/dev/null",
                                                       O_WRONLY, 0)) ||
        posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    /* It takes texts for what we do not change: posix_spawn() copies. */
    if (!failed)
        rc = posix_spawnp(&c->pid, argv[0], &files, NULL,
                          (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    if (out[1] >= 0) close(out[1]);
    c->to = in[1];
    c->from = out[0];
    if (!rc) return OC_OK;
    close(c->to);
    if (c->from >= 0) close(c->from);
    return oc__fail(err, OC_E_IO, "%s cannot be started: %s", argv[0],
                    strerror(rc));
}

int oc__child_write(oc__child *c, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes) {
        ssize_t n = send(c->to, at, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 1;
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

int oc__child_end(oc__child *c, int kill_it) {
    int status = 0;
    pid_t got;
    if (kill_it) kill(c->pid, SIGKILL);
    if (c->to >= 0) close(c->to);
    if (c->from >= 0) close(c->from);
    c->to = c->from = -1;
    do {
        got = waitpid(c->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    return got == c->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
