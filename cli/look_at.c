/* look_at.c - see look_at.h. */
#define _POSIX_C_SOURCE 200809L

#include "look_at.h"

#include "json.h"
#include "out.h"
#include "pictures.h"
#include "result_json.h"
#include "vision_args.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    const cli_args *args;
    oc_task task;
    cli_vision v;
    picture_list pictures;
    output_names names;
    const char *dir; /* of --out, or NULL */
    json *j;
    int quiet;
    int explain;       /* with what follows */
    int explain_class; /* -1: the best one */
    const char *explain_by;
} run;

/* One picture on its way. */
typedef struct look {
    const char *path;
    oc_image img;
    oc_result result;
    double decode_ms;
    char *mask, *picture; /* files written, or NULL */
    oc_heat heat;
    const char *method; /* that made it */
    char *explained;
} look;

/* ---- pictures of the results ----------------------------------------------
 */

/* The ending for a picture like `path`: its own where it can be written. */
static const char *ending_for(const char *path) {
    switch (oc_image_format_of_path(path)) {
    case OC_IMAGE_JPEG: return ".jpg";
    case OC_IMAGE_WEBP:
        return oc_image_format_support(OC_IMAGE_WEBP) & 2 ? ".webp" : ".png";
    default: return ".png";
    }
}

static int save(const oc_image *img, const char *path,
                const oc_image_save_options *opt) {
    oc_error err;
    if (!oc_image_save(img, path, opt, &err)) return CLI_OK;
    int code = cli_report(&err, path);
    return err.status == OC_E_IO ? CLI_FAILED : code;
}

/* An indexed PNG, so that every viewer shows the classes in colours. */
static int save_mask(run *r, look *l) {
    uint8_t palette[3 * 256];
    oc_image_save_options opt = {0};
    oc_palette_fill(palette, 256);
    opt.format = OC_IMAGE_PNG;
    opt.palette = palette;
    opt.palette_count = 256;
    l->mask = output_name(&r->names, r->dir, l->path, ".mask", ".png");
    if (!l->mask) return cli_fail(CLI_RESOURCES, "out of memory");
    return save(&l->result.mask, l->mask, &opt);
}

static int save_drawn(run *r, look *l) {
    oc_error err;
    oc_image copy = {0};
    int code = CLI_OK;
    oc_color from = l->img.channels == 1   ? OC_COLOR_GRAY
                    : l->img.channels == 4 ? OC_COLOR_RGBA
                                           : OC_COLOR_RGB;
    const char *tag = r->task == OC_TASK_SEGMENT ? ".overlay" : "";
    l->picture =
        output_name(&r->names, r->dir, l->path, tag, ending_for(l->path));
    if (!l->picture) return cli_fail(CLI_RESOURCES, "out of memory");
    if (r->task == OC_TASK_RESTORE)
        return save(&l->result.image, l->picture, NULL);
    /* RGB to RGB copies: the picture is drawn on. */
    if (oc_image_convert(&copy, &l->img, from, OC_COLOR_RGB, NULL, &err) ||
        oc_result_draw(&l->result, r->v.vision, &copy, &err))
        code = cli_report(&err, l->path);
    else
        code = save(&copy, l->picture, NULL);
    oc_image_deinit(&copy);
    return code;
}

/* ---- why ------------------------------------------------------------------
 */

/* Grad-CAM, unless another is asked for or the network has no gradient. */
static int explain(run *r, look *l) {
    oc_error err;
    oc_vision *v = r->v.vision;
    int recipro = r->explain_by && !strcmp(r->explain_by, "recipro-cam");
    oc_status st = OC_E_UNSUPPORTED;
    if (!recipro)
        st = oc_vision_explain(v, &l->img, r->explain_class,
                               OC_EXPLAIN_GRAD_CAM, &l->heat, &err);
    if (recipro || (st == OC_E_UNSUPPORTED && !r->explain_by)) {
        recipro = 1;
        st = oc_vision_explain(v, &l->img, r->explain_class,
                               OC_EXPLAIN_RECIPRO_CAM, &l->heat, &err);
    }
    if (st) return cli_report(&err, l->path);
    l->method = recipro ? "recipro-cam" : "grad-cam";
    return CLI_OK;
}

static int save_explained(run *r, look *l) {
    oc_error err;
    oc_image copy = {0};
    int code;
    oc_color from = l->img.channels == 1   ? OC_COLOR_GRAY
                    : l->img.channels == 4 ? OC_COLOR_RGBA
                                           : OC_COLOR_RGB;
    l->explained = output_name(&r->names, r->dir, l->path, ".explain",
                               ending_for(l->path));
    if (!l->explained) return cli_fail(CLI_RESOURCES, "out of memory");
    if (oc_image_convert(&copy, &l->img, from, OC_COLOR_RGB, NULL, &err) ||
        oc_heat_draw(&l->heat, &copy, &err))
        code = cli_report(&err, l->path);
    else
        code = save(&copy, l->explained, NULL);
    oc_image_deinit(&copy);
    return code;
}

static void json_explained(json *j, const look *l, const oc_card *card) {
    const oc_heat *h = &l->heat;
    const char *label = oc_card_label(card, h->index);
    json_object(j, "explained");
    json_string(j, "method", l->method);
    json_int(j, "index", h->index);
    if (label) json_string(j, "label", label);
    json_row(j, "box");
    for (int i = 0; i < 4; i++) {
        json_double(j, NULL, h->box[i]);
    }
    json_end(j);
    json_array(j, "map");
    for (int y = 0; y < h->height; y++) {
        json_row(j, NULL);
        for (int x = 0; x < h->width; x++) {
            json_float(j, NULL, h->values[y * h->width + x]);
        }
        json_end(j);
    }
    json_end(j);
    if (l->explained) json_string(j, "picture", l->explained);
    json_end(j);
}

static int save_pictures(run *r, look *l) {
    int code = CLI_OK;
    if (!r->dir) return CLI_OK;
    if (r->task == OC_TASK_SEGMENT) code = save_mask(r, l);
    return code ? code : save_drawn(r, l);
}

static void json_result(run *r, const look *l) {
    json *j = r->j;
    result_json_item(j, l->path, l->decode_ms, &l->result);
    if (l->mask) json_string(j, "mask", l->mask);
    if (l->picture)
        json_string(j,
                    r->task == OC_TASK_SEGMENT   ? "overlay"
                    : r->task == OC_TASK_RESTORE ? "output"
                                                 : "annotated",
                    l->picture);
    if (l->method) json_explained(j, l, r->v.card);
    json_end(j);
}

/* ---- text -----------------------------------------------------------------
 */

static void cell_label(out_table *t, const char *label, int index) {
    if (*label)
        out_cell(t, "    %s", label);
    else
        out_cell(t, "    %d", index);
}

static void text_written(const char *path) {
    if (!path) return;
    printf("  %s-> ", out_color(stdout, OUT_DIM));
    out_text(stdout, path);
    printf("%s\n", out_color(stdout, OUT_PLAIN));
}

/* Boxes need to be told what their numbers are. */
static void head_boxes(out_table *t) {
    static const char *const head[] = {"    object", "score", "x1",
                                       "y1",         "x2",    "y2"};
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        out_cell(t, "%s", head[i]);
    }
}

static void text_result(run *r, const look *l) {
    const oc_result *res = &l->result;
    out_table t;
    double ms = l->decode_ms + res->preprocess_ms + res->infer_ms +
                res->decode_output_ms;
    printf("%s", out_color(stdout, OUT_BOLD));
    out_text(stdout, l->path);
    printf("%s  %s%d x %d, %.0f ms%s\n", out_color(stdout, OUT_PLAIN),
           out_color(stdout, OUT_DIM), res->width, res->height, ms,
           out_color(stdout, OUT_PLAIN));
    out_table_init(&t, r->task == OC_TASK_DETECT ? "lrrrrr" : "lr");
    if (res->object_count && !r->quiet) head_boxes(&t);
    for (int i = 0; i < res->group_count; i++) {
        cell_label(&t, res->groups[i].label, -1);
        out_cell(&t, "%.3f", res->groups[i].score);
    }
    for (int i = 0; i < res->label_count; i++) {
        cell_label(&t, res->labels[i].label, res->labels[i].index);
        out_cell(&t, "%.3f", res->labels[i].score);
    }
    for (int i = 0; i < res->object_count; i++) {
        const oc_object *o = &res->objects[i];
        cell_label(&t, o->label, o->index);
        out_cell(&t, "%.2f", o->score);
        for (int k = 0; k < 4; k++) {
            out_cell(&t, "%.0f", o->box[k]);
        }
    }
    for (int i = 0; i < res->class_count; i++) {
        cell_label(&t, res->classes[i].label, res->classes[i].index);
        out_cell(&t, "%.1f %%", 100 * res->classes[i].fraction);
    }
    out_table_print(&t, stdout, res->object_count && !r->quiet);
    out_table_deinit(&t);
    if ((r->task == OC_TASK_DETECT && !res->object_count) ||
        (r->task == OC_TASK_CLASSIFY && !res->label_count))
        puts("    nothing reaches the threshold");
    text_written(l->mask);
    text_written(l->picture);
    text_written(l->explained);
}

/* ---- one picture ----------------------------------------------------------
 */

static int look_at(run *r, look *l) {
    oc_image_options opt = {0};
    oc_error err;
    /* Drawn pictures and masks need every pixel, labels do not. */
    if (!r->dir && r->task != OC_TASK_SEGMENT)
        oc_vision_load_options(r->v.vision, &opt);
    double start = out_seconds();
    if (oc_image_load(&l->img, l->path, &opt, &err))
        return cli_report(&err, l->path);
    l->decode_ms = 1e3 * (out_seconds() - start);
    if (oc_vision_run(r->v.vision, &l->img, &l->result, &err))
        return cli_report(&err, l->path);
    int code = r->explain ? explain(r, l) : CLI_OK;
    if (!code) code = save_pictures(r, l);
    if (!code && r->dir && r->explain) code = save_explained(r, l);
    if (code) return code;
    out_progress_hide_all();
    if (r->j)
        json_result(r, l);
    else
        text_result(r, l);
    return CLI_OK;
}

static void look_free(look *l) {
    oc_result_deinit(&l->result);
    oc_image_deinit(&l->img);
    oc_heat_deinit(&l->heat);
    free(l->explained);
    free(l->mask);
    free(l->picture);
}

/* ---- all of them ----------------------------------------------------------
 */

static int look_at_one(void *user, const char *path) {
    look l = {0};
    l.path = path;
    int code = look_at(user, &l);
    look_free(&l);
    return code;
}

static void begin_output(run *r, json *j) {
    if (!cli_has(r->args, "json")) {
        if (!r->quiet) cli_vision_guesses(r->v.card, NULL);
        return;
    }
    r->j = j;
    json_begin(j, stdout);
    result_json_begin(j, r->args->operands[0], r->task, r->v.card);
}

/* What --explain and its companions ask for. */
static int take_explain(run *r, const cli_args *args) {
    int64_t index;
    r->explain_class = -1;
    if (r->task != OC_TASK_CLASSIFY) return CLI_OK;
    r->explain_by = cli_get(args, "explain-by", NULL);
    r->explain = cli_has(args, "explain") || r->explain_by ||
                 cli_has(args, "explain-class");
    if (r->explain && !r->dir && !cli_has(args, "json"))
        return cli_fail(CLI_USAGE,
                        "--explain draws: give a folder with --out DIR, or "
                        "ask for numbers with --json");
    int code = cli_get_int(args, "explain-class", 0, INT32_MAX, -1, &index);
    r->explain_class = (int)index;
    return code;
}

int cli_look(const cli_args *args, oc_task task) {
    run r = {0};
    json j;
    int64_t top;
    double threshold;
    r.args = args;
    r.task = task;
    r.dir = cli_get(args, "out", NULL);
    r.quiet = cli_has(args, "quiet");
    if (task == OC_TASK_RESTORE && !r.dir)
        return cli_fail(CLI_USAGE,
                        "restore needs a folder for its pictures: --out DIR");
    int code = take_explain(&r, args);
    if (!code) code = cli_get_int(args, "top", 1, 1000000, 0, &top);
    if (!code) code = cli_get_double(args, "threshold", 0, 1, 0, &threshold);
    for (int i = 1; i < args->n_operands && !code; i++) {
        code = pictures_add(&r.pictures, args->operands[i]);
    }
    if (!code) code = cli_vision_init(&r.v, args, task, threshold, (int)top);
    int labels = code ? 0 : oc_card_label_count(r.v.card);
    if (labels && r.explain_class >= labels)
        code = cli_fail(CLI_USAGE,
                        "--explain-class: there is no class %d, the model has "
                        "%d",
                        r.explain_class, labels);
    if (!code && r.dir) code = make_folder(r.dir);
    if (!code) {
        begin_output(&r, &j);
        code = pictures_each(&r.pictures, oc_task_name(r.task), r.quiet,
                             look_at_one, &r);
        if (r.j) result_json_end(&j);
    }
    cli_vision_deinit(&r.v);
    pictures_deinit(&r.pictures);
    output_names_deinit(&r.names);
    return code;
}
