/* prune_tune.c - what `ocelli prune` does with pictures; the card. */
#define _POSIX_C_SOURCE 200809L

#include "pruning.h"

#include "out.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { IMAGES = 200 };

/* ---- gradients ------------------------------------------------------------
 */

/* The model's label for class c of data; -1: it has none. */
static int label_of(const prune *r, const oc_dataset *data, int c) {
    const char *name = oc_dataset_class(data, c);
    if (c < 0) return -1; /* a picture without a label */
    for (int i = 0; i < r->e.labels; i++) {
        const char *label = oc_card_label(r->v.card, i);
        if (name ? label && !strcasecmp(label, name) : r->e.class_of[i] == c)
            return i;
    }
    return -1;
}

static int add_sample(prune *r, const oc_sample *s, int label, int *used) {
    oc_image_options opt = {0};
    oc_image img = {0};
    oc_tensor t;
    oc_error err;
    int n = oc_model_input_count(r->basic), input, code = CLI_OK;
    const oc_tensor **inputs = calloc((size_t)n + 1, sizeof(*inputs));
    if (!inputs) return cli_fail(CLI_RESOURCES, "out of memory");
    oc_vision_load_options(r->v.vision, &opt);
    if (oc_image_load(&img, s->picture, &opt, &err)) {
        /* One bad picture among many costs itself alone. */
        cli_report(&err, s->picture);
    } else {
        oc_status st =
            oc_vision_preprocess(r->v.vision, &img, &t, &input, &err);
        if (!st) {
            inputs[input] = &t;
            st = oc_pruner_add(r->pruner, inputs, n, label, &err);
        }
        if (st) code = cli_report(&err, r->model);
        *used += !st;
    }
    oc_image_deinit(&img);
    free(inputs);
    return code;
}

static int add_all(prune *r, const oc_dataset *data) {
    int64_t most;
    int used = 0, n = oc_dataset_count(data);
    out_progress bar;
    int code = cli_get_int(r->args, "images", 1, 1000000, IMAGES, &most);
    if (code) return code;
    int take = n < most ? n : (int)most;
    out_progress_begin(&bar, "gradients", take, r->quiet);
    for (int i = 0; i < take && !code; i++) {
        const oc_sample *s =
            oc_dataset_sample(data, (int)((int64_t)i * n / take));
        int label = label_of(r, data, s->label);
        if (label >= 0) code = add_sample(r, s, label, &used);
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    if (!code && !used)
        code = cli_fail(CLI_BAD_INPUT,
                        "%s: none of the pictures is of a class the model "
                        "knows",
                        r->data);
    return code;
}

/* Those to train with, where there are parts: val must not choose. */
int prune_add_samples(prune *r) {
    oc_dataset *data = NULL;
    oc_error err;
    if (oc_dataset_open(&data, r->data, OC_TASK_CLASSIFY, "train", NULL,
                        &err) &&
        oc_dataset_open(&data, r->data, OC_TASK_CLASSIFY, NULL, NULL, &err))
        return cli_report(&err, r->data);
    int code = add_all(r, data);
    oc_dataset_destroy(data);
    return code;
}

/* ---- the card -------------------------------------------------------------
 */

/* From `from` to r->output with a card that holds for it. */
static int seal(prune *r, const char *from, oc_card *card) {
    oc_options opt = {.cpu_mask = cli_cpu_mask(r->args)};
    oc_model *m = NULL;
    oc_error err;
    oc_status st = oc_model_load(&m, from, &opt, &err);
    if (!st) st = oc_card_verify(card, m, &err);
    if (!st) st = oc_card_make_golden(card, m, NULL, &err);
    if (!st) st = oc_card_seal(card, m, r->output, &err);
    oc_model_destroy(m);
    if (!st) return CLI_OK;
    int code = cli_report(&err, r->output);
    return st == OC_E_IO ? CLI_FAILED : code;
}

int prune_seal(prune *r) {
    if (r->has_card) return seal(r, r->part, r->v.card);
    if (!rename(r->part, r->output)) return CLI_OK;
    return cli_fail(CLI_FAILED, "%s cannot be written", r->output);
}

/* ---- learning again -------------------------------------------------------
 */

static void on_event(void *user, const oc_training_event *e) {
    const prune *r = user;
    if (e->kind == OC_TRAINING_WARNING) {
        fputs("ocelli: ", stderr);
        out_text(stderr, e->text);
        putc('\n', stderr);
    }
    if (r->quiet || r->json || e->kind != OC_TRAINING_EPOCH) return;
    printf("epoch %3d/%d  loss %.4f  val %6.2f %%  %4.0f pictures/s%s\n",
           e->epoch, e->epochs, e->loss, 100 * e->val_accuracy,
           e->pictures_per_s, e->best ? "  best" : "");
    fflush(stdout);
}

static oc_training *volatile running;

static void on_signal(int number) {
    (void)number;
    if (running) oc_training_cancel(running);
}

static void catch_signals(oc_training *t) {
    struct sigaction a;
    memset(&a, 0, sizeof(a));
    running = t;
    /* A second one ends the program as usual. */
    a.sa_handler = t ? on_signal : SIG_DFL;
    a.sa_flags = t ? (int)SA_RESETHAND : 0;
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* Ctrl-C leaves what there is, and no files on the way to it. */
static int fit(const prune *r, oc_training *t) {
    oc_error err;
    catch_signals(t);
    oc_status st = oc_training_run(t, &err);
    catch_signals(NULL);
    if (!st) return CLI_OK;
    if (st != OC_E_CANCELLED) {
        int code = cli_report(&err, NULL);
        return st == OC_E_IO ? CLI_FAILED : code;
    }
    if (oc_training_best(t) < 0)
        return cli_fail(CLI_FAILED,
                        "stopped in the first epoch, so %s is not "
                        "written",
                        r->output);
    return cli_fail(CLI_FAILED, "stopped; %s is the best model so far",
                    r->output);
}

static int train(prune *r, const char *checkpoint) {
    oc_training_options o = {.data = r->data,
                             .model = r->part,
                             .out = r->output,
                             .checkpoint = checkpoint,
                             .epochs = r->epochs,
                             .patience = -1,
                             .threads = r->threads,
                             .cpu_mask = cli_cpu_mask(r->args),
                             .event = on_event,
                             .user = r};
    oc_training *t = NULL;
    oc_error err;
    int64_t batch = 0, seed = 1;
    int code = cli_get_int(r->args, "batch", 1, 4096, 0, &batch);
    if (!code) code = cli_get_int(r->args, "seed", 0, INT64_MAX, 1, &seed);
    if (!code) code = cli_get_double(r->args, "rate", 1e-9, 100, 0, &o.rate);
    if (code) return code;
    o.batch = (int)batch;
    o.seed = (uint64_t)seed;
    code =
        oc_training_create(&t, &o, &err) ? cli_report(&err, NULL) : fit(r, t);
    oc_training_destroy(t);
    return code;
}

/* What a fit cannot know of where the model comes from. */
static int keep_origin(prune *r) {
    static const char *const fields[] = {"license", "source"};
    oc_options opt = {.cpu_mask = cli_cpu_mask(r->args)};
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_error err;
    int any = 0;
    oc_status st = oc_model_load(&m, r->output, &opt, &err);
    if (!st) st = oc_card_find(&card, m, &err);
    for (size_t i = 0; !st && i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *text = oc_card_text(r->v.card, fields[i]);
        if (!text) continue;
        st = oc_card_set(card, fields[i], text, &err);
        any = 1;
    }
    if (!st && any) st = oc_card_seal(card, m, r->output, &err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return st ? cli_report(&err, r->output) : CLI_OK;
}

/* Zeros, once more: learning has filled them. */
static int thin_again(prune *r) {
    oc_options basic = {.cpu_mask = cli_cpu_mask(r->args), .optimize = 1};
    oc_prune_options o = {.sparsity = r->opt.sparsity};
    oc_model *m = NULL;
    oc_pruner *p = NULL;
    oc_card *card = NULL;
    oc_error err;
    oc_status st = oc_model_load(&m, r->output, &basic, &err);
    if (!st) st = oc_pruner_create(&p, m, &o, &err);
    if (!st) st = oc_pruner_save(p, r->part, &err);
    if (!st) st = oc_card_find(&card, m, &err);
    int code = st ? cli_report(&err, r->output) : seal(r, r->part, card);
    oc_card_destroy(card);
    oc_pruner_destroy(p);
    oc_model_destroy(m);
    return code;
}

/* The fit reads labels and preprocessing from the model's card. */
int prune_tune(prune *r) {
    char *wanted = r->output, *name = malloc(strlen(r->part) + 16);
    if (!name) return cli_fail(CLI_RESOURCES, "out of memory");
    sprintf(name, "%s.onnx", r->part);
    r->output = name;
    int code = seal(r, r->part, r->v.card);
    r->output = wanted;
    if (!code && rename(name, r->part))
        code = cli_fail(CLI_FAILED, "%s cannot be written", r->part);
    sprintf(name, "%s.ckpt", r->part);
    if (!code) code = train(r, name);
    remove(name);
    free(name);
    if (!code) code = keep_origin(r);
    if (!code && r->opt.sparsity > 0) code = thin_again(r);
    return code;
}

/* ---- measuring ------------------------------------------------------------
 */

int prune_measure(prune *r, const char *model, double *out) {
    oc_options load = {.cpu_mask = cli_cpu_mask(r->args)};
    oc_vision_options opt = {.session = {.threads = r->threads}};
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_vision *v = NULL;
    oc_error err;
    int code = CLI_OK;
    if (!r->data) return CLI_OK;
    evaluation_limits(r->e.task, &opt.threshold, &opt.top);
    oc_status st = model ? oc_model_load(&m, model, &load, &err) : OC_OK;
    /* A fit has written a card of its own. */
    if (!st && model && r->epochs) st = oc_card_find(&card, m, &err);
    if (!st && card) st = oc_card_complete(card, m, &err);
    opt.card = card ? card : r->v.card;
    if (!st) st = oc_vision_create(&v, model ? m : r->v.model, &opt, &err);
    if (st) code = cli_report(&err, model ? model : r->model);
    if (!code) code = evaluation_measure(&r->e, v, model ? "after" : "before");
    if (!code) *out = evaluation_figure(&r->e, &r->metric);
    oc_vision_destroy(v);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return code;
}
