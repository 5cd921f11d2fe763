/* verb_describe.c - ocelli describe: pictures in words. */
#include "describe_json.h"
#include "out.h"
#include "pictures.h"
#include "scene_args.h"
#include "speech_args.h"

#include <stdlib.h>

typedef struct run {
    const cli_args *args;
    cli_viewer viewer;
    picture_list pictures;
    json *j;
    speaker *speaker;             /* or NULL */
    int quiet, is_short, is_long; /* as the options say */
} run;

typedef struct picture {
    const char *path;
    describe_times times;
    oc_scene scene;
    oc_description words;
} picture;

/* ---- one picture ----------------------------------------------------------
 */

/* A line to be spoken or piped on when one text is asked for; else all. */
static void print_text(const run *r, const picture *p) {
    if (r->is_short != r->is_long) {
        out_text(stdout, r->is_short ? p->words.brief : p->words.full);
        putchar('\n');
        return;
    }
    printf("%s", out_color(stdout, OUT_BOLD));
    out_text(stdout, p->path);
    printf("%s  %s%d x %d, %.0f ms%s\n    ", out_color(stdout, OUT_PLAIN),
           out_color(stdout, OUT_DIM), p->scene.width, p->scene.height,
           p->times.decode + p->times.look + p->times.words,
           out_color(stdout, OUT_PLAIN));
    out_text(stdout, p->words.brief);
    printf("\n    ");
    out_text(stdout, p->words.full);
    putchar('\n');
}

static int speak(run *r, picture *p, double start) {
    double first = 0;
    if (!r->speaker) return CLI_OK;
    int is_full = r->is_long && !r->is_short;
    int code =
        speaker_say(r->speaker, is_full ? p->words.full : p->words.brief, 0);
    if (!code) code = speaker_wait(r->speaker, &first);
    if (first > 0) p->times.first_audio = 1e3 * (first - start);
    return code;
}

static int look_at(run *r, picture *p) {
    oc_image_options opt = {0};
    oc_image img = {0};
    oc_error err;
    cli_viewer_load_options(&r->viewer, &opt);
    double start = out_seconds();
    if (oc_image_load(&img, p->path, &opt, &err))
        return cli_report(&err, p->path);
    double loaded = out_seconds();
    oc_status st = cli_viewer_look(&r->viewer, &img, &p->scene, &err);
    oc_image_deinit(&img);
    double looked = out_seconds();
    if (!st)
        st = oc_describe(&p->words, r->viewer.words, &p->scene, NULL, &err);
    if (st) return cli_report(&err, p->path);
    p->times.decode = 1e3 * (loaded - start);
    p->times.look = 1e3 * (looked - loaded);
    p->times.words = 1e3 * (out_seconds() - looked);
    out_progress_hide_all();
    /* JSON has the time of the first sound; a text may be read meanwhile. */
    int code = r->j ? speak(r, p, start) : CLI_OK;
    if (code) return code;
    if (r->j) {
        describe_json_item(r->j, p->path, &p->times, &p->scene, &p->words);
        json_end(r->j);
    } else {
        print_text(r, p);
        fflush(stdout);
        return speak(r, p, start);
    }
    return CLI_OK;
}

/* ---- all of them ----------------------------------------------------------
 */

static int look_at_one(void *user, const char *path) {
    picture p = {0};
    p.path = path;
    int code = look_at(user, &p);
    oc_description_deinit(&p.words);
    oc_scene_deinit(&p.scene);
    return code;
}

static void begin_json(run *r, json *j) {
    r->j = j;
    json_begin(j, stdout);
    describe_json_begin(j);
    for (int i = 0; i < r->viewer.n; i++) {
        const cli_scene_model *m = &r->viewer.models[i];
        describe_json_model(j, m->path, oc_card_task(m->card), m->card);
    }
    describe_json_results(j, oc_words_locale(r->viewer.words));
}

static int run_describe(cli_args *args) {
    run r = {0};
    json j;
    int code = CLI_OK;
    r.args = args;
    r.quiet = cli_has(args, "quiet");
    r.is_short = cli_has(args, "short");
    r.is_long = cli_has(args, "long");
    for (int i = 0; i < args->n_operands && !code; i++) {
        code = pictures_add(&r.pictures, args->operands[i]);
    }
    /* The voice is made while the models are. */
    if (!code && cli_has(args, "speak"))
        code = speaker_open(&r.speaker, args, "en");
    if (!code) code = cli_viewer_init(&r.viewer, args);
    if (!code) {
        if (cli_has(args, "json")) begin_json(&r, &j);
        code = pictures_each(&r.pictures, "describe", r.quiet, look_at_one, &r);
        if (r.j) describe_json_end(&j);
    }
    int spoken = speaker_close(r.speaker, !code);
    cli_viewer_deinit(&r.viewer);
    pictures_deinit(&r.pictures);
    return code ? code : spoken;
}

/* clang-format off */
static const cli_option options[] = {
    CLI_OPTS_SCENE,
    {"short", 0, NULL, "print the short sentence only", NULL},
    {"long", 0, NULL, "print the long text only", NULL},
    {"speak", 0, NULL, "say it aloud, the short sentence or with --long the "
     "long text", NULL},
    CLI_OPTS_SPEECH,
    CLI_OPTS_RUN,
};
/* clang-format on */

const cli_verb cli_verb_describe = {
    "describe",
    "PICTURE...",
    "say in words what is in pictures",
    "Puts into words what one or several models find: how many of what, where "
    "(left, ahead, right, or as on a clock whose 12 is ahead), how near and "
    "large, what overlaps. What is dangerous comes first; what is unsure is "
    "said to be. Nothing is said that was not found: --json gives for every "
    "phrase the objects, areas and labels it rests on.\n\n"
    "How near something is is estimated from how high it appears, with the "
    "usual size of such things and the angle of view (--view).\n\n"
    "PICTURE is a file, a folder, a glob pattern or - for standard input. "
    "docs/words.md tells more, and how to add a language.",
    options,
    1,
    -1,
    run_describe,
};
