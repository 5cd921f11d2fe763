/* scene_args.c - see scene_args.h. */
#include "scene_args.h"

#include "locale_folder.h"

#include <string.h>

static int load_words(cli_viewer *v, const cli_args *args) {
    char room[4096];
    oc_error err;
    const char *locale = cli_get(args, "locale", "en");
    if (!oc_words_load(&v->words, locale, locale_folder(room, sizeof room),
                       NULL, &err))
        return CLI_OK;
    int code = cli_report(&err, NULL);
    return err.status == OC_E_ARG ? CLI_USAGE : code;
}

static int load_model(cli_viewer *v, const cli_args *args, const char *path,
                      double threshold, int threads) {
    oc_vision_options opt = {0};
    oc_error err;
    cli_scene_model *m = &v->models[v->n++];
    m->path = path;
    int code = cli_load_model(args, path, &m->model);
    if (code) return code;
    if (oc_card_find(&m->card, m->model, &err) ||
        oc_card_complete(m->card, m->model, &err))
        return cli_report(&err, path);
    oc_task task = oc_card_task(m->card);
    if (task != OC_TASK_DETECT && task != OC_TASK_SEGMENT &&
        task != OC_TASK_CLASSIFY)
        return cli_fail(CLI_USAGE,
                        "%s is a model to %s; a picture is described with "
                        "models that detect, segment or classify",
                        path, oc_task_name(task));
    opt.card = m->card;
    opt.session.threads = threads;
    cli_tune(args, &opt.session);
    opt.threshold = task == OC_TASK_DETECT ? threshold : 0;
    if (oc_vision_create(&m->vision, m->model, &opt, &err))
        return cli_report(&err, path);
    return CLI_OK;
}

int cli_viewer_init(cli_viewer *v, const cli_args *args) {
    double threshold;
    int64_t threads;
    const char *path;
    memset(v, 0, sizeof *v);
    int code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    if (!code) code = cli_get_double(args, "threshold", 0, 1, 0, &threshold);
    if (!code) code = cli_get_double(args, "sure", 0, 1, 0, &v->how.sure);
    if (!code)
        code = cli_get_double(args, "view", 5, 170, 0, &v->how.view_degrees);
    if (!code && !cli_has(args, "model"))
        code = cli_fail(CLI_USAGE,
                        "%s needs a model to look with: --model "
                        "DETECTOR.onnx",
                        args->verb->name);
    if (!code && cli_get_nth(args, "model", CLI_MAX_MODELS))
        code = cli_fail(CLI_USAGE, "more than %d models", CLI_MAX_MODELS);
    if (!code) code = load_words(v, args);
    for (int i = 0; !code && (path = cli_get_nth(args, "model", i)); i++) {
        code = load_model(v, args, path, threshold, (int)threads);
    }
    return code;
}

static void forget_results(cli_viewer *v) {
    for (int i = 0; i < v->n; i++) {
        oc_result_deinit(&v->results[i]);
    }
}

void cli_viewer_deinit(cli_viewer *v) {
    forget_results(v);
    for (int i = 0; i < v->n; i++) {
        oc_vision_destroy(v->models[i].vision);
        oc_card_destroy(v->models[i].card);
        oc_model_destroy(v->models[i].model);
    }
    oc_words_destroy(v->words);
    memset(v, 0, sizeof *v);
}

/* One model may need less than the whole picture; several might disagree. */
void cli_viewer_load_options(const cli_viewer *v, oc_image_options *opt) {
    if (v->n == 1 && oc_card_task(v->models[0].card) != OC_TASK_SEGMENT)
        oc_vision_load_options(v->models[0].vision, opt);
}

oc_status cli_viewer_look(cli_viewer *v, const oc_image *img, oc_scene *scene,
                          oc_error *err) {
    oc_status st = OC_OK;
    forget_results(v);
    for (int i = 0; i < v->n && !st; i++) {
        st = oc_vision_run(v->models[i].vision, img, &v->results[i], err);
    }
    if (st) return st;
    return oc_scene_init(scene, v->results, v->n, &v->how, NULL, err);
}
