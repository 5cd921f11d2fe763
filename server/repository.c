/* repository.c - see repository.h. */
#define _POSIX_C_SOURCE 200809L

#include "repository.h"

#include "basics.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_SPECIFIC = 32, MAX_PATH = 4096 };

typedef struct model_stamp {
    file_stamp model, card[2];
} model_stamp;

typedef struct version {
    struct version *next; /* by number */
    int64_t number;
    char path[MAX_PATH];
    served *serving;   /* or NULL */
    model_stamp seen;  /* at the last look: has it stopped changing? */
    model_stamp tried; /* what was loaded, or could not be */
    char reason[sizeof((oc_error *)0)->message];
    int is_there; /* found by the look that goes on */
    int is_wanted;
    int has_failed; /* the last time it was tried */
    repo_stats stats;
} version;

typedef struct model {
    struct model *next; /* by name */
    char name[REPO_MAX_NAME];
    version *versions;
    int is_unloaded; /* by hand */
} model;

struct repository {
    repo_options opt;
    repo_policy policy;
    int latest; /* how many */
    int64_t specific[MAX_SPECIFIC];
    int n_specific;
    /* Loading takes long, so what may change the list of models holds
       `loading`, and `lock` only while it does. */
    pthread_mutex_t loading, lock;
    model *models; /* never shrinks: names stay valid */
    atomic_int is_loaded;
    atomic_uint_fast64_t state;
    int64_t next_poll_ns;
};

/* ---- options --------------------------------------------------------------
 */

static oc_status read_policy(repository *r, oc_error *err) {
    const char *text = r->opt.versions ? r->opt.versions : "latest";
    int64_t n;
    r->latest = 1;
    if (!strcmp(text, "latest")) return OC_OK;
    if (!strcmp(text, "all")) {
        r->policy = REPO_ALL;
        return OC_OK;
    }
    if (!strncmp(text, "latest:", 7) && !parse_int(text + 7, 1, 1000, &n)) {
        r->latest = (int)n;
        return OC_OK;
    }
    char copy[256], *rest = copy, *word;
    r->policy = REPO_SPECIFIC;
    copy_text(copy, sizeof copy, text);
    while ((word = strtok_r(rest, ",", &rest)) &&
           r->n_specific < MAX_SPECIFIC) {
        if (parse_int(word, 1, INT64_MAX, &n))
            return server_fail(err, OC_E_ARG,
                               "versions are \"latest\", \"latest:N\", "
                               "\"all\" or numbers as \"1,3\", not \"%.80s\"",
                               text);
        r->specific[r->n_specific++] = n;
    }
    return OC_OK;
}

static int is_name(const char *name) {
    size_t n = strlen(name);
    if (!n || n >= REPO_MAX_NAME || *name == '.') return 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 33 || c == 127 || c == '/' || c == '"' || c == '\\') return 0;
    }
    return 1;
}

static oc_status check_named(const repository *r, oc_error *err) {
    for (size_t i = 0; i < r->opt.n_named; i++) {
        const char *pair = r->opt.named[i], *eq = strchr(pair, '=');
        char name[REPO_MAX_NAME];
        if (!eq || (size_t)(eq - pair) >= sizeof name || !eq[1])
            return server_fail(err, OC_E_ARG,
                               "a model is given as NAME=PATH, not \"%.80s\"",
                               pair);
        copy_text(name, (size_t)(eq - pair) + 1, pair);
        if (!is_name(name))
            return server_fail(err, OC_E_ARG,
                               "\"%.80s\" cannot be the name of a model", name);
    }
    return OC_OK;
}

static oc_status check_folder(const char *folder, oc_error *err) {
    DIR *d = opendir(folder);
    if (!d)
        return server_fail(err, OC_E_IO, "cannot read the folder %s: %s",
                           folder, strerror(errno));
    closedir(d);
    return OC_OK;
}

oc_status repo_create(repository **out, const repo_options *opt,
                      oc_error *err) {
    repository *r = calloc(1, sizeof *r);
    if (!r) return server_fail(err, OC_E_NOMEM, "no memory for the models");
    r->opt = *opt;
    pthread_mutex_init(&r->loading, NULL);
    pthread_mutex_init(&r->lock, NULL);
    oc_status st = read_policy(r, err);
    if (!st) st = check_named(r, err);
    if (!st && opt->folder) st = check_folder(opt->folder, err);
    if (st) {
        repo_destroy(r);
        return st;
    }
    *out = r;
    return OC_OK;
}

void repo_destroy(repository *r) {
    if (!r) return;
    while (r->models) {
        model *m = r->models;
        r->models = m->next;
        while (m->versions) {
            version *v = m->versions;
            m->versions = v->next;
            served_unref(v->serving);
            free(v);
        }
        free(m);
    }
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->loading);
    free(r);
}

/* ---- what is in the folder ------------------------------------------------
 * All of this holds `loading`, and takes `lock` where the list changes.
 */

static model *find_model(const repository *r, const char *name) {
    model *m = r->models;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    return m;
}

static version *find_version(const model *m, int64_t number) {
    version *v = m->versions;
    while (v && v->number != number)
        v = v->next;
    return v;
}

static model *add_model(repository *r, const char *name) {
    model *m = find_model(r, name);
    if (m) return m;
    m = calloc(1, sizeof *m);
    if (!m) return NULL;
    copy_text(m->name, sizeof m->name, name);
    pthread_mutex_lock(&r->lock);
    model **at = &r->models;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    m->next = *at;
    *at = m;
    pthread_mutex_unlock(&r->lock);
    return m;
}

/* A file was found for this version. */
static void found(repository *r, const char *name, int64_t number,
                  const char *path) {
    model *m = add_model(r, name);
    if (!m) return;
    version *v = find_version(m, number);
    if (v && v->is_there) return; /* NAME.onnx beside NAME/1: the first */
    if (!v) {
        v = calloc(1, sizeof *v);
        if (!v) return;
        v->number = number;
        pthread_mutex_lock(&r->lock);
        version **at = &m->versions;
        while (*at && (*at)->number < number)
            at = &(*at)->next;
        v->next = *at;
        *at = v;
        pthread_mutex_unlock(&r->lock);
    }
    copy_text(v->path, sizeof v->path, path);
    v->is_there = 1;
}

static int joined(char *out, const char *a, const char *b, const char *c) {
    int n = snprintf(out, MAX_PATH, "%s/%s%s%s", a, b, *c ? "/" : "", c);
    return n > 0 && n < MAX_PATH;
}

static int is_file(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* models/NAME: its versions. */
static void look_into(repository *r, const char *name, const char *folder) {
    char path[MAX_PATH], file[MAX_PATH];
    struct dirent *e;
    int64_t number;
    DIR *d = opendir(folder);
    while (d && (e = readdir(d))) {
        if (parse_int(e->d_name, 1, INT64_MAX, &number)) continue;
        if (joined(path, folder, e->d_name, "") &&
            joined(file, path, "model.onnx", "") && is_file(file))
            found(r, name, number, file);
    }
    if (d) closedir(d);
}

/* NAME.onnx, or a folder of versions. */
static void look_at(repository *r, const char *name, const char *path) {
    struct stat st;
    if (stat(path, &st)) return;
    if (S_ISDIR(st.st_mode))
        look_into(r, name, path);
    else if (S_ISREG(st.st_mode))
        found(r, name, 1, path);
}

static void look_at_entry(repository *r, const char *entry) {
    char path[MAX_PATH], name[REPO_MAX_NAME];
    size_t n = strlen(entry);
    struct stat st;
    if (n >= sizeof name || !joined(path, r->opt.folder, entry, "")) return;
    copy_text(name, sizeof name, entry);
    if (stat(path, &st)) return;
    if (S_ISREG(st.st_mode)) {
        if (n < 6 || strcmp(entry + n - 5, ".onnx") != 0) return;
        name[n - 5] = '\0';
    }
    if (is_name(name)) look_at(r, name, path);
}

/* Marks what is there.  Nonzero: the folder itself cannot be read now. */
static int look_around(repository *r) {
    for (model *m = r->models; m; m = m->next) {
        for (version *v = m->versions; v; v = v->next) {
            v->is_there = 0;
        }
    }
    for (size_t i = 0; i < r->opt.n_named; i++) {
        const char *eq = strchr(r->opt.named[i], '=');
        char name[REPO_MAX_NAME];
        copy_text(name, (size_t)(eq - r->opt.named[i]) + 1, r->opt.named[i]);
        look_at(r, name, eq + 1);
    }
    if (!r->opt.folder) return 0;
    struct dirent *e;
    DIR *d = opendir(r->opt.folder);
    if (!d) return 1;
    while ((e = readdir(d))) {
        look_at_entry(r, e->d_name);
    }
    closedir(d);
    return 0;
}

/* ---- loading --------------------------------------------------------------
 */

static void say_loaded(const model *m, const version *v, int64_t took_ns) {
    log_line l;
    if (!log_begin(&l, LOG_INFO, "model loaded")) return;
    json_string(&l.j, "model", m->name);
    json_int(&l.j, "version", v->number);
    json_string(&l.j, "task", oc_task_name(served_task(v->serving)));
    json_float(&l.j, "ms", 1e-6f * (float)took_ns);
    log_end(&l);
}

static void say_failed(const model *m, const version *v) {
    log_line l;
    if (!log_begin(&l, LOG_ERROR, "model not loaded")) return;
    json_string(&l.j, "model", m->name);
    json_int(&l.j, "version", v->number);
    json_string(&l.j, "reason", v->reason);
    json_bool(&l.j, "former_serves", v->serving != NULL);
    log_end(&l);
}

/* A card that changes is another model too. */
static model_stamp stamp_model(const char *path) {
    model_stamp s;
    char card[MAX_PATH + 16];
    size_t n = strlen(path);
    s.model = stamp_of(path);
    snprintf(card, sizeof card, "%s.card.json", path);
    s.card[0] = stamp_of(card);
    snprintf(card, sizeof card, "%.*s.card.json", (int)(n > 5 ? n - 5 : n),
             path);
    s.card[1] = stamp_of(card);
    return s;
}

static int same_model(const model_stamp *a, const model_stamp *b) {
    return same_stamp(&a->model, &b->model) &&
           same_stamp(&a->card[0], &b->card[0]) &&
           same_stamp(&a->card[1], &b->card[1]);
}

/*
 * Behind the change, under the lock: who saw the number before may still have
 * been answered by the new model, which nobody will ask for by that number.
 */
static void count_change(repository *r) {
    atomic_fetch_add(&r->state, 1);
}

uint64_t repo_state(const repository *r) {
    return atomic_load(&((repository *)r)->state);
}

/* What serves is replaced only by what has been loaded. */
static oc_status load_version(repository *r, model *m, version *v,
                              oc_error *err) {
    served *fresh = NULL, *old = NULL;
    int64_t start = now_ns();
    v->tried = stamp_model(v->path);
    oc_status st =
        served_load(&fresh, m->name, v->number, v->path, &r->opt.served, err);
    pthread_mutex_lock(&r->lock);
    v->has_failed = st != OC_OK;
    if (st) {
        copy_text(v->reason, sizeof v->reason, err->message);
    } else {
        old = v->serving;
        v->serving = fresh;
        v->reason[0] = '\0';
        count_change(r);
    }
    pthread_mutex_unlock(&r->lock);
    served_unref(old);
    if (st)
        say_failed(m, v);
    else
        say_loaded(m, v, now_ns() - start);
    return st;
}

static void stop_version(repository *r, model *m, version *v,
                         const char *reason) {
    log_line l;
    pthread_mutex_lock(&r->lock);
    served *old = v->serving;
    v->serving = NULL;
    if (old) count_change(r);
    v->has_failed = 0;
    copy_text(v->reason, sizeof v->reason, reason);
    pthread_mutex_unlock(&r->lock);
    memset(&v->tried, 0, sizeof v->tried);
    if (!old) return;
    served_unref(old);
    if (!log_begin(&l, LOG_INFO, "model unloaded")) return;
    json_string(&l.j, "model", m->name);
    json_int(&l.j, "version", v->number);
    json_string(&l.j, "reason", reason);
    log_end(&l);
}

static int is_specific(const repository *r, int64_t number) {
    for (int i = 0; i < r->n_specific; i++) {
        if (r->specific[i] == number) return 1;
    }
    return 0;
}

/* Which versions should serve, by the policy. */
static void choose_versions(const repository *r, model *m) {
    int there = 0;
    for (version *v = m->versions; v; v = v->next) {
        there += v->is_there;
    }
    for (version *v = m->versions; v; v = v->next) {
        v->is_wanted = v->is_there && !m->is_unloaded;
        if (r->policy == REPO_LATEST && v->is_there && there-- > r->latest)
            v->is_wanted = 0;
        if (r->policy == REPO_SPECIFIC && !is_specific(r, v->number))
            v->is_wanted = 0;
    }
}

/* Whether all that should serve does, so that older ones may go. */
static int all_serve(const model *m) {
    for (const version *v = m->versions; v; v = v->next) {
        if (v->is_wanted && !v->serving) return 0;
    }
    return 1;
}

enum { SETTLED_ONLY, NOW, AGAIN };

static void update_model(repository *r, model *m, int how) {
    oc_error err;
    choose_versions(r, m);
    for (version *v = m->versions; v; v = v->next) {
        if (!v->is_wanted) continue;
        model_stamp stamp = stamp_model(v->path);
        int changed = !same_model(&stamp, &v->tried);
        int settled = same_model(&stamp, &v->seen);
        v->seen = stamp;
        if (how == AGAIN && !v->serving) changed = 1;
        if (changed && (settled || how != SETTLED_ONLY))
            load_version(r, m, v, &err);
    }
    int go = all_serve(m);
    for (version *v = m->versions; v; v = v->next) {
        if (v->is_wanted) continue;
        if (!v->is_there)
            stop_version(r, m, v, "its file is gone");
        else if (m->is_unloaded)
            stop_version(r, m, v, "unloaded");
        else if (go)
            stop_version(r, m, v, "not among the versions to serve");
    }
}

static void update(repository *r, int how) {
    pthread_mutex_lock(&r->loading);
    if (look_around(r)) {
        log_say(LOG_ERROR, "the folder of models cannot be read", "folder",
                r->opt.folder);
    } else {
        for (model *m = r->models; m; m = m->next) {
            update_model(r, m, how);
        }
    }
    pthread_mutex_unlock(&r->loading);
}

void repo_load_all(repository *r) {
    update(r, NOW);
    r->next_poll_ns = now_ns() + (int64_t)(r->opt.poll_s * 1e9);
    atomic_store(&r->is_loaded, 1);
}

int repo_is_loaded(const repository *r) {
    return atomic_load(&((repository *)r)->is_loaded);
}

void repo_poll(repository *r) {
    if (r->opt.poll_s <= 0 || now_ns() < r->next_poll_ns) return;
    update(r, SETTLED_ONLY);
    r->next_poll_ns = now_ns() + (int64_t)(r->opt.poll_s * 1e9);
}

void repo_reload(repository *r) {
    update(r, AGAIN);
    count_change(r); /* what else answers rest on is read anew too */
}

oc_status repo_load(repository *r, const char *name, oc_error *err) {
    oc_status st = OC_OK;
    int any = 0;
    pthread_mutex_lock(&r->loading);
    int unseen = look_around(r);
    model *m = unseen ? NULL : find_model(r, name);
    if (m) {
        m->is_unloaded = 0;
        choose_versions(r, m);
        for (version *v = m->versions; v; v = v->next) {
            if (!v->is_wanted) continue;
            any = 1;
            oc_status one = load_version(r, m, v, err);
            if (one) st = one;
        }
        update_model(r, m, SETTLED_ONLY); /* stops what is not wanted */
    }
    pthread_mutex_unlock(&r->loading);
    if (unseen)
        return server_fail(err, OC_E_IO, "the folder of models cannot be read");
    if (!any)
        return server_fail(err, OC_E_ARG, "there is no model \"%.100s\"", name);
    return st;
}

oc_status repo_unload(repository *r, const char *name, oc_error *err) {
    pthread_mutex_lock(&r->loading);
    model *m = find_model(r, name);
    if (m) {
        m->is_unloaded = 1;
        for (version *v = m->versions; v; v = v->next) {
            stop_version(r, m, v, "unloaded");
        }
    }
    pthread_mutex_unlock(&r->loading);
    if (m) return OC_OK;
    return server_fail(err, OC_E_ARG, "there is no model \"%.100s\"", name);
}

/* ---- for requests ---------------------------------------------------------
 */

/* The version asked for, or the highest that serves. */
static version *serving_version(const model *m, int64_t number) {
    version *best = NULL;
    for (version *v = m->versions; v; v = v->next) {
        if (v->serving && (!number || v->number == number)) best = v;
    }
    return best;
}

served *repo_find(repository *r, const char *name, int64_t number, int *known) {
    served *s = NULL;
    pthread_mutex_lock(&r->lock);
    model *m = find_model(r, name);
    version *v = m ? serving_version(m, number) : NULL;
    if (v) s = served_ref(v->serving);
    if (known) *known = m && (!number || find_version(m, number));
    pthread_mutex_unlock(&r->lock);
    return s;
}

/* The models for a task; their names go to list. */
static int models_for(repository *r, oc_task task, served **only, char *list,
                      size_t room) {
    int n = 0;
    size_t used = 0;
    *list = '\0';
    pthread_mutex_lock(&r->lock);
    for (model *m = r->models; m; m = m->next) {
        version *v = serving_version(m, 0);
        if (!v || served_task(v->serving) != task) continue;
        if (!n++) *only = served_ref(v->serving);
        int k = snprintf(list + used, room - used, "%s%s", used ? ", " : "",
                         m->name);
        if (k > 0 && (size_t)k < room - used) used += (size_t)k;
    }
    pthread_mutex_unlock(&r->lock);
    list[used] = '\0';
    return n;
}

oc_status repo_find_task(repository *r, oc_task task, const char *name,
                         int64_t number, served **out, oc_error *err) {
    char list[256];
    served *s = NULL;
    int known = 0;
    if (name) {
        s = repo_find(r, name, number, &known);
        if (!s)
            return server_fail(err, known ? OC_E_IO : OC_E_ARG,
                               known ? "the model \"%.100s\" does not serve now"
                                     : "there is no model \"%.100s\"",
                               name);
        if (served_task(s) != task) {
            oc_task has = served_task(s);
            if (has == OC_TASK_NONE)
                server_fail(err, OC_E_UNSUPPORTED,
                            "the model \"%.60s\" takes tensors only: %.280s",
                            name, served_why(s));
            else
                server_fail(err, OC_E_UNSUPPORTED,
                            "the model \"%.100s\" is there to %s, not to %s",
                            name, oc_task_name(has), oc_task_name(task));
            served_unref(s);
            return OC_E_UNSUPPORTED;
        }
        *out = s;
        return OC_OK;
    }
    int n = models_for(r, task, &s, list, sizeof list);
    if (n == 1) {
        *out = s;
        return OC_OK;
    }
    served_unref(s);
    if (!n)
        return server_fail(err, OC_E_ARG, "there is no model to %s",
                           oc_task_name(task));
    return server_fail(err, OC_E_UNSUPPORTED,
                       "there are several models to %s, so say which with "
                       "model=: %s",
                       oc_task_name(task), list);
}

void repo_each(repository *r, void (*visit)(void *user, const repo_entry *e),
               void *user) {
    pthread_mutex_lock(&r->lock);
    for (model *m = r->models; m; m = m->next) {
        for (version *v = m->versions; v; v = v->next) {
            repo_entry e = {m->name, v->number, v->serving != NULL, v->reason};
            visit(user, &e);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

void repo_count(repository *r, size_t *ready, size_t *failed) {
    *ready = *failed = 0;
    pthread_mutex_lock(&r->lock);
    for (model *m = r->models; m; m = m->next) {
        for (version *v = m->versions; v; v = v->next) {
            *ready += v->serving != NULL;
            *failed += (size_t)v->has_failed;
        }
    }
    pthread_mutex_unlock(&r->lock);
}

void repo_add_stats(repository *r, const char *name, int64_t number,
                    const repo_stats *more) {
    pthread_mutex_lock(&r->lock);
    model *m = find_model(r, name);
    version *v = m ? find_version(m, number) : NULL;
    if (v) {
        repo_stats *s = &v->stats;
        s->inferences += more->inferences;
        s->executions += more->executions;
        s->failures += more->failures;
        s->success_ns += more->success_ns;
        s->failure_ns += more->failure_ns;
        s->queue_ns += more->queue_ns;
        s->input_ns += more->input_ns;
        s->infer_ns += more->infer_ns;
        s->output_ns += more->output_ns;
        if (more->last_ms) s->last_ms = more->last_ms;
    }
    pthread_mutex_unlock(&r->lock);
}

void repo_get_stats(repository *r, const char *name, int64_t number,
                    repo_stats *out) {
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&r->lock);
    model *m = find_model(r, name);
    version *v = m ? find_version(m, number) : NULL;
    if (v) *out = v->stats;
    pthread_mutex_unlock(&r->lock);
}
