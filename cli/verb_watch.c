/* verb_watch.c - ocelli watch: what changes before a camera, in words. */
#include "describe_json.h"
#include "frames.h"
#include "out.h"
#include "pictures.h"
#include "scene_args.h"
#include "speech_args.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    const cli_args *args;
    cli_viewer viewer;
    frames *frames;
    oc_news *news;
    speaker *speaker; /* or NULL */
    const char *dir;  /* of --out, or NULL */
    int is_json;
    int64_t looked, most;
} run;

/* ---- one picture ----------------------------------------------------------
 */

/* "DIR/000012.jpg": what the models found, all on one picture. */
static int draw(run *r, frame *f) {
    char path[4096];
    oc_error err;
    oc_image copy = {0};
    oc_color from = f->img.channels == 1   ? OC_COLOR_GRAY
                    : f->img.channels == 4 ? OC_COLOR_RGBA
                                           : OC_COLOR_RGB;
    int n = snprintf(path, sizeof path, "%s/%06lld.jpg", r->dir,
                     (long long)f->number);
    if (n < 0 || (size_t)n >= sizeof path)
        return cli_fail(CLI_USAGE, "the name of the folder is too long");
    oc_status st =
        oc_image_convert(&copy, &f->img, from, OC_COLOR_RGB, NULL, &err);
    for (int i = 0; i < r->viewer.n && !st; i++) {
        st = oc_result_draw(&r->viewer.results[i], r->viewer.models[i].vision,
                            &copy, &err);
    }
    if (!st) st = oc_image_save(&copy, path, NULL, &err);
    oc_image_deinit(&copy);
    if (!st) return CLI_OK;
    int code = cli_report(&err, path);
    return st == OC_E_IO ? CLI_FAILED : code;
}

static int print_json(run *r, const frame *f, const oc_scene *scene,
                      const char *news) {
    oc_description d;
    oc_error err;
    json j;
    if (oc_describe(&d, r->viewer.words, scene, NULL, &err))
        return cli_report(&err, NULL);
    json_begin_compact(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "input", f->input);
    json_int(&j, "frame", f->number);
    json_float(&j, "seconds", (float)f->seconds);
    json_int(&j, "dropped", frames_dropped(r->frames));
    json_string(&j, "news", *news ? news : NULL);
    json_string(&j, "short", d.brief);
    describe_json_scene(&j, scene);
    json_end(&j);
    putchar('\n');
    oc_description_deinit(&d);
    return CLI_OK;
}

static int print(run *r, const frame *f, const oc_scene *scene,
                 const char *news) {
    int code = CLI_OK;
    if (r->is_json) {
        code = print_json(r, f, scene, news);
    } else if (*news) {
        printf("%s%8.1f s%s  ", out_color(stdout, OUT_DIM), f->seconds,
               out_color(stdout, OUT_PLAIN));
        out_text(stdout, news);
        putchar('\n');
    }
    /* Somebody reads along. */
    if (!code && fflush(stdout))
        code = cli_fail(CLI_FAILED, "cannot write to standard output");
    return code;
}

/* What is near and dangerous does not wait for what is being said. */
static int is_pressing(const oc_scene *s) {
    if (!s->thing_count) return 0;
    const oc_thing *t = &s->things[0];
    return t->is_sure && t->urgency <= OC_URGENCY_HARM &&
           (t->nearness == OC_NEAR_TOUCH || t->nearness == OC_NEAR_CLOSE);
}

static int tell(run *r, frame *f, const oc_scene *scene) {
    const char *news;
    oc_error err;
    if (oc_news_look(r->news, scene, f->seconds, &news, &err))
        return cli_report(&err, NULL);
    int code = print(r, f, scene, news);
    if (!code && r->dir) code = draw(r, f);
    if (!code && r->speaker && *news)
        code = speaker_say(r->speaker, news, is_pressing(scene));
    return code;
}

static int look_at(run *r, frame *f) {
    oc_scene scene = {0};
    oc_error err;
    if (cli_viewer_look(&r->viewer, &f->img, &scene, &err))
        return cli_report(&err, f->input);
    int code = tell(r, f, &scene);
    oc_scene_deinit(&scene);
    return code;
}

/* ---- all of them ----------------------------------------------------------
 */

static int watch(run *r) {
    frame f;
    int code = CLI_OK, ended = CLI_OK;
    while (!code && (!r->most || r->looked < r->most) &&
           frames_next(r->frames, &f, &ended)) {
        code = look_at(r, &f);
        oc_image_deinit(&f.img);
        r->looked++;
    }
    return code ? code : ended;
}

static int take_options(run *r, double *rate, oc_news_options *news) {
    int64_t steady;
    const cli_args *a = r->args;
    int code = cli_get_double(a, "fps", 0.01, 240, 5, rate);
    if (!code)
        code = cli_get_double(a, "cool-down", 0, 86400, 0, &news->cool_down_s);
    if (!code) code = cli_get_int(a, "steady", 1, 4, 0, &steady);
    if (!code) code = cli_get_int(a, "count", 1, INT64_MAX, 0, &r->most);
    if (code) return code;
    news->steady = (int)steady;
    r->dir = cli_get(a, "out", NULL);
    r->is_json = cli_has(a, "json");
    return r->dir ? make_folder(r->dir) : CLI_OK;
}

static int start(run *r) {
    const cli_args *a = r->args;
    oc_news_options news = {0};
    oc_error err;
    double rate;
    int is_spoken = cli_has(a, "speak");
    int code = take_options(r, &rate, &news);
    if (!code && is_spoken) code = speaker_open(&r->speaker, a, "en");
    if (!code) code = cli_viewer_init(&r->viewer, a);
    if (!code && oc_news_create(&r->news, r->viewer.words, &news, NULL, &err))
        code = cli_report(&err, NULL);
    frames_catch_signals();
    if (!code) code = frames_open(&r->frames, a->operands[0], rate, is_spoken);
    return code;
}

static int run_watch(cli_args *args) {
    run r = {0};
    r.args = args;
    int code = start(&r);
    if (!code) code = watch(&r);
    int spoken = speaker_close(r.speaker, !code && !frames_stopped());
    frames_close(r.frames);
    oc_news_destroy(r.news);
    cli_viewer_deinit(&r.viewer);
    return code ? code : spoken;
}

/* clang-format off */
static const cli_option options[] = {
    CLI_OPTS_SCENE,
    {"speak", 0, NULL, "say it aloud", NULL},
    CLI_OPTS_SPEECH,
    {"out", 'o', "DIR", "write every picture that was looked at there, with "
     "what was found", NULL},
    {"fps", 0, "N", "pictures a second to look at, at most (default 5)", NULL},
    {"cool-down", 0, "S", "seconds before the same thing is spoken of again "
     "(default 6)", NULL},
    {"steady", 0, "N", "in how many of the last 4 pictures something must be "
     "to be believed (default 2)", NULL},
    {"count", 0, "N", "end after so many pictures", NULL},
    CLI_OPT_THREADS, CLI_OPT_CPU, CLI_OPT_PRECISION, CLI_OPT_CACHE,
    CLI_OPT_TUNE,
    CLI_OPT_OPTIMIZE,
    {"json", 0, NULL, "print a JSON object on a line for each picture", NULL},
    CLI_OPT_QUIET, CLI_OPT_END,
};
/* clang-format on */

const cli_verb cli_verb_watch = {
    "watch",
    "SOURCE",
    "say what changes before a camera",
    "Looks at a camera (a number, or /dev/video0), a video file, a network "
    "stream (rtsp://...) or a folder of pictures, and says what is new, what "
    "came near, what moved and what is gone: not every picture. What was just "
    "said is not said again for a while; a danger that comes nearer is.\n\n"
    "A camera or a stream is never behind: pictures that come while another is "
    "looked at are left out, except for the latest. So it is with a file that "
    "is spoken of (--speak), whose time passes as when it is shown; without it "
    "every picture that is due by --fps is looked at. SIGINT ends it.\n\n"
    "Videos and cameras need FFmpeg's libraries.",
    options,
    1,
    1,
    run_watch,
};
