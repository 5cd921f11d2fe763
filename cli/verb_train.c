/* verb_train.c - ocelli train: from a folder of pictures to a model. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include "json.h"
#include "out.h"

#include <ocelli/train.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const cli_args *args;
    int json, quiet;
    double drawn; /* when the last step was shown */
    oc_training *fit;
    int line; /* a line of progress is on the terminal */
} job;

/* ---- what is told ---------------------------------------------------------
 */

static const char *const kinds[] = {"note", "warning", "step", "epoch",
                                    "saved"};

static void print_json(const oc_training_event *e) {
    json j;
    json_begin_compact(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "event", kinds[e->kind]);
    if (e->text) json_string(&j, "text", e->text);
    if (e->kind == OC_TRAINING_STEP || e->kind == OC_TRAINING_EPOCH) {
        json_int(&j, "epoch", e->epoch);
        json_int(&j, "epochs", e->epochs);
        json_int(&j, "step", e->step);
        json_int(&j, "steps", e->steps);
        json_double(&j, "loss", e->loss);
        json_double(&j, "accuracy", e->accuracy);
        json_double(&j, "rate", e->rate);
        json_double(&j, "pictures_per_s", e->pictures_per_s);
        json_double(&j, "seconds", e->seconds);
        json_double(&j, "eta_s", e->eta_s);
    }
    if (e->kind == OC_TRAINING_EPOCH) {
        json_double(&j, "val_loss", e->val_loss);
        json_double(&j, "val_accuracy", e->val_accuracy);
        json_bool(&j, "best", e->best);
    }
    json_end(&j);
    putchar('\n');
    fflush(stdout);
}

static void print_time(FILE *f, double seconds) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        fprintf(f, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(f, "%ld:%02ld", s / 60, s % 60);
}

static void clear_line(job *t) {
    if (t->line) fputs("\r\033[K", stderr);
    t->line = 0;
}

/* One line that is written over, ten times a second. */
static void show_step(job *t, const oc_training_event *e) {
    double now = out_seconds();
    if (!*out_color(stderr, OUT_BOLD) || now - t->drawn < 0.1) return;
    t->drawn = now;
    fprintf(stderr,
            "\r\033[Kepoch %d/%d  step %lld/%lld  loss %.3f  %.1f %%  "
            "%.0f pictures/s  ETA ",
            e->epoch, e->epochs, (long long)e->step, (long long)e->steps,
            e->loss, 100 * e->accuracy, e->pictures_per_s);
    print_time(stderr, e->eta_s);
    t->line = 1;
    fflush(stderr);
}

static void print_epoch(const oc_training_event *e) {
    printf("epoch %3d/%d  loss %.4f  train %5.1f %%  val %6.2f %%  (%.4f)  "
           "%4.0f pictures/s  ",
           e->epoch, e->epochs, e->loss, 100 * e->accuracy,
           100 * e->val_accuracy, e->val_loss, e->pictures_per_s);
    print_time(stdout, e->seconds);
    fputs(" + ", stdout);
    print_time(stdout, e->eta_s);
    puts(e->best ? "  best" : "");
    fflush(stdout);
}

static void on_event(void *user, const oc_training_event *e) {
    job *t = user;
    if (t->json) {
        print_json(e);
        return;
    }
    if (e->kind == OC_TRAINING_STEP) {
        if (!t->quiet) show_step(t, e);
        return;
    }
    clear_line(t);
    if (e->kind == OC_TRAINING_EPOCH) {
        if (!t->quiet) print_epoch(e);
    } else if (e->kind == OC_TRAINING_WARNING) {
        fputs("ocelli: ", stderr);
        out_text(stderr, e->text);
        putc('\n', stderr);
    } else if (e->kind == OC_TRAINING_SAVED) {
        fputs("saved ", stdout);
        out_text(stdout, e->text);
        if (t->fit && oc_training_best(t->fit) >= 0)
            printf(", %.2f %% right on val", 100 * oc_training_best(t->fit));
        putchar('\n');
    } else if (!t->quiet) {
        out_text(stdout, e->text);
        putchar('\n');
        fflush(stdout);
    }
}

/* ---- Ctrl-C ---------------------------------------------------------------
 */

static oc_training *volatile running;

static void on_signal(int number) {
    (void)number;
    if (running) oc_training_cancel(running);
}

static void catch_signals(int on) {
    struct sigaction a;
    memset(&a, 0, sizeof(a));
    /* A second one ends the program as usual. */
    a.sa_handler = on ? on_signal : SIG_DFL;
    a.sa_flags = on ? (int)SA_RESETHAND : 0;
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* ---- options --------------------------------------------------------------
 */

/* Place of text in "a|b|c". */
static int choice(const char *choices, const char *text) {
    int i = 0;
    size_t n = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|'), i++) {
        c += *c == '|';
        if (!strncmp(c, text, n) && (c[n] == '|' || !c[n])) return i;
    }
    return 0;
}

#define CRITERIA   "auto|cross-entropy|bce|focal|dice|l1|l2|huber|kl"
#define OPTIMIZERS "auto|sgd|adamw"
#define SCHEDULES  "cosine|step|plateau|constant"
#define FREEZES    "none|half|backbone"

/* A number that "0" turns off and that is chosen where it is not given. */
static int get_off(const cli_args *args, const char *name, double hi,
                   double *out) {
    int code = cli_get_double(args, name, 0, hi, 0, out);
    if (!code && cli_has(args, name) && *out == 0) *out = -1;
    return code;
}

static int get_size(const cli_args *args, oc_training_options *o) {
    const char *text = cli_get(args, "size", NULL);
    char *end;
    if (!text) return CLI_OK;
    long h = strtol(text, &end, 10), w = h;
    if (end != text && *end == 'x') w = strtol(end + 1, &end, 10);
    if (end == text || *end || h < 8 || w < 8 || h > 4096 || w > 4096)
        return cli_fail(CLI_USAGE,
                        "--size takes pixels as 128 or 96x128, not \"%s\"",
                        text);
    o->height = (int)h;
    o->width = (int)w;
    return CLI_OK;
}

static int get_numbers(const cli_args *args, oc_training_options *o) {
    int64_t epochs = 0, batch = 0, patience = 0, seed = 0, threads = 0;
    int code = cli_get_int(args, "epochs", 1, 100000, 0, &epochs);
    if (!code) code = cli_get_int(args, "batch", 1, 4096, 0, &batch);
    if (!code) code = cli_get_int(args, "patience", 0, 100000, 0, &patience);
    if (!code) code = cli_get_int(args, "seed", 0, INT64_MAX, 1, &seed);
    if (!code) code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    if (!code)
        code = cli_get_double(args, "minutes", 0.01, 1e6, 0, &o->minutes);
    if (!code) code = cli_get_double(args, "rate", 1e-9, 100, 0, &o->rate);
    if (!code)
        code = cli_get_double(args, "width", 0.05, 8, 0, &o->width_factor);
    if (!code) code = cli_get_double(args, "balance", 0, 1, 0, &o->balance);
    if (!code) code = cli_get_double(args, "distill", 0, 1, 0, &o->distill);
    if (!code)
        code =
            cli_get_double(args, "temperature", 0.1, 100, 0, &o->temperature);
    if (!code) code = get_off(args, "decay", 10, &o->decay);
    if (!code) code = get_off(args, "momentum", 1, &o->momentum);
    if (!code) code = get_off(args, "warmup", 1000, &o->warmup);
    if (!code) code = get_off(args, "last-rate", 1, &o->last_rate);
    if (!code) code = cli_get_double(args, "grow", 0, 0.9, 0, &o->grow);
    if (!code) code = get_off(args, "smoothing", 0.9, &o->smoothing);
    if (!code) code = get_off(args, "hierarchy", 1, &o->hierarchy);
    if (!code) code = get_off(args, "clip", 1e9, &o->clip);
    if (!code) code = get_off(args, "ema", 0.99999, &o->ema);
    if (!code) code = cli_get_size(args, "memory", &o->memory_bytes);
    if (!code) code = get_size(args, o);
    o->epochs = (int)epochs;
    o->batch = (int)batch;
    o->patience = cli_has(args, "patience") && !patience ? -1 : (int)patience;
    o->seed = (uint64_t)seed;
    o->threads = (int)threads;
    return code;
}

static int run_train(cli_args *args) {
    job t = {.args = args};
    oc_training_options o = {.event = on_event, .user = &t};
    oc_error err;
    t.json = cli_has(args, "json");
    t.quiet = cli_has(args, "quiet");
    o.data = cli_get(args, "data", NULL);
    if (!o.data)
        return cli_fail(CLI_USAGE, "train needs labelled pictures: --data DIR");
    o.out = cli_get(args, "out", "model.onnx");
    o.labels = cli_get(args, "labels", NULL);
    o.val = cli_get(args, "val", NULL);
    o.model = cli_get(args, "model", NULL);
    o.arch = cli_get(args, "arch", NULL);
    o.checkpoint = cli_get(args, "checkpoint", NULL);
    o.report = cli_get(args, "report", NULL);
    o.curves = cli_get(args, "curves", NULL);
    o.augment = cli_get(args, "augment", NULL);
    o.teacher = cli_get(args, "teacher", NULL);
    o.keep_classes = cli_has(args, "keep-classes");
    o.resume = cli_has(args, "resume");
    o.freeze_norm = cli_has(args, "freeze-norm");
    o.qat = cli_has(args, "qat");
    o.cpu_mask = cli_cpu_mask(args);
    o.criterion = (oc_criterion)choice(CRITERIA, cli_get(args, "loss", "auto"));
    o.optimizer =
        (oc_optimizer)choice(OPTIMIZERS, cli_get(args, "optimizer", "auto"));
    o.schedule =
        (oc_schedule)choice(SCHEDULES, cli_get(args, "schedule", "cosine"));
    o.freeze = (oc_freeze)choice(FREEZES, cli_get(args, "freeze", "none"));
    int code = get_numbers(args, &o);
    if (code) return code;
    if (oc_training_create(&t.fit, &o, &err)) {
        clear_line(&t);
        return err.status == OC_E_ARG ? cli_fail(CLI_USAGE, "%s", err.message)
                                      : cli_report(&err, NULL);
    }
    running = t.fit;
    catch_signals(1);
    if (oc_training_run(t.fit, &err)) {
        clear_line(&t);
        code = cli_report(&err, NULL);
        if (err.status == OC_E_IO) code = CLI_FAILED;
    }
    catch_signals(0);
    running = NULL;
    oc_training_destroy(t.fit);
    return code;
}

/* clang-format off */
static const cli_option options[] = {
    {"data", 'd', "DIR", "labelled pictures: a folder, or a table", NULL},
    {"labels", 0, "FILE", "table of labels (default: looked for in DIR)", NULL},
    {"val", 0, "DIR", "pictures to measure on (default: looked for, else split "
     "off)", NULL},
    {"model", 'm', "FILE", "ONNX classifier to train further", NULL},
    {"arch", 'a', "NAME", "architecture to train from scratch",
     "mobilenetv2|resnet8|resnet18|resnet50|convnext|vit"},
    {"out", 'o', "FILE", "the model to write (default model.onnx)", NULL},
    {"width", 0, "F", "factor for an architecture's channels", NULL},
    {"size", 0, "HxW", "size of the pictures the network sees", NULL},
    {"epochs", 'e', "N", "times to go over the pictures, at most", NULL},
    {"minutes", 0, "M", "time to use: epochs are chosen to fit", NULL},
    {"batch", 'b', "N", "pictures a step", NULL},
    {"rate", 'r', "F", "learning rate at its highest", NULL},
    {"optimizer", 0, "NAME", "what changes the weights", OPTIMIZERS},
    {"momentum", 0, "F", "of the optimizer (default 0.9)", NULL},
    {"decay", 0, "F", "weight decay, not of biases and norms", NULL},
    {"schedule", 0, "NAME", "course of the rate (default cosine)", SCHEDULES},
    {"warmup", 0, "N", "epochs of rising rate", NULL},
    {"last-rate", 0, "F", "share of the rate at the end of a cosine", NULL},
    {"grow", 0, "F", "share of epochs, the first, with smaller pictures",
     NULL},
    {"loss", 0, "NAME", "what is minimised", CRITERIA},
    {"smoothing", 0, "F", "share of a label that is spread over all", NULL},
    {"hierarchy", 0, "F", "share of the loss that is of classes above, where "
     "classes are paths as animal/cat (default 0.3)", NULL},
    {"balance", 0, "F", "0: every picture alike, 1: every class alike", NULL},
    {"clip", 0, "F", "greatest norm of the gradients", NULL},
    {"ema", 0, "F", "share of the averaged weights that stays a step", NULL},
    {"augment", 0, "HOW", "none, light, usual, strong, or a list as "
     "flip-h=0.5,mixup=0.2", NULL},
    {"teacher", 0, "FILE", "ONNX classifier of these classes to learn from",
     NULL},
    {"distill", 0, "F", "share of the loss that is the teacher's word", NULL},
    {"temperature", 0, "T", "that softens its word (default 2)", NULL},
    {"keep-classes", 0, NULL, "the model's classes stay, the data's are added",
     NULL},
    {"freeze", 0, "WHAT", "what of a model stays as it is", FREEZES},
    {"freeze-norm", 0, NULL, "batch norms keep their statistics", NULL},
    {"qat", 0, NULL, "--model learns to be in 8 bits", NULL},
    {"patience", 0, "N", "end after N epochs without a better one", NULL},
    {"seed", 0, "N", "of all that is drawn (default 1)", NULL},
    {"memory", 0, "SIZE", "stay below, as 512M", NULL},
    {"checkpoint", 0, "FILE", "where to go on from (default OUT.ckpt)", NULL},
    {"resume", 0, NULL, "go on from the checkpoint, with its recipe", NULL},
    {"report", 0, "FILE", "write an HTML page about it", NULL},
    {"curves", 0, "FILE", "keep writing the curves as SVG", NULL},
    CLI_OPT_THREADS,
    CLI_OPT_CPU,
    {"json", 0, NULL, "print one JSON document for everything that happens",
     NULL},
    CLI_OPT_QUIET,
    CLI_OPT_END,
};
/* clang-format on */

const cli_verb cli_verb_train = {
    "train",
    "--data DIR",
    "learn a classifier from labelled pictures",
    "Looks at the pictures, chooses what is not given (network, size, batch, "
    "rate, augmentation, length) and says what and why. The best model on val "
    "is kept: an ONNX file with its card, that every verb of this program and "
    "other runtimes take.\n\n"
    "DIR has a folder for each class, in train and val where there are parts; "
    "or a table of files and labels.\n\n"
    "A checkpoint is written after every epoch, and on Ctrl-C. With --resume "
    "the run goes on from there and gives the same bits as an unbroken one.",
    options,
    0,
    0,
    run_train,
};
