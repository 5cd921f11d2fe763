/*
 * scene.c - from results to things: objects that are the same are joined, and
 * each is given its place, nearness and size.  What they have to do with one
 * another is in scene_relate.c.
 */
#include "words/scene.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* Of the picture, so small that a class is a fringe of another. */
static const double least_area = 0.02;
/*
 * Two boxes of one name are one thing where they agree so far (intersection
 * over union), or where the weaker lies so far inside the other and its score
 * is low: detectors often see a part of a thing as one more.
 */
static const double same_iou = 0.5, part_share = 0.75, part_score = 0.6;
/* Two boxes of different names this alike have one thing in them. */
static const double rival_iou = 0.7;

const char *oc_place_name(oc_place place) {
    static const char *const names[] = {"left", "ahead", "right"};
    return (unsigned)place < OC_COUNT(names) ? names[place] : "?";
}

const char *oc_nearness_name(oc_nearness nearness) {
    static const char *const names[] = {"unknown", "touch", "close", "middle",
                                        "far"};
    return (unsigned)nearness < OC_COUNT(names) ? names[nearness] : "?";
}

const char *oc_extent_name(oc_extent extent) {
    static const char *const names[] = {"small", "medium", "large", "filling"};
    return (unsigned)extent < OC_COUNT(names) ? names[extent] : "?";
}

const char *oc_relation_name(oc_relation_kind kind) {
    static const char *const names[] = {"with", "front", "behind", "overlaps"};
    return (unsigned)kind < OC_COUNT(names) ? names[kind] : "?";
}

const char *oc_urgency_name(oc_urgency urgency) {
    static const char *const names[] = {"vehicle", "signal", "harm", "person",
                                        "other"};
    return (unsigned)urgency < OC_COUNT(names) ? names[urgency] : "?";
}

/* ---- boxes ----------------------------------------------------------------
 */

static double area_of(const float b[4]) {
    return (double)OC_MAX(b[2] - b[0], 0.f) * OC_MAX(b[3] - b[1], 0.f);
}

static double common_area(const float a[4], const float b[4]) {
    float both[4] = {OC_MAX(a[0], b[0]), OC_MAX(a[1], b[1]), OC_MIN(a[2], b[2]),
                     OC_MIN(a[3], b[3])};
    return area_of(both);
}

double oc__box_iou(const float a[4], const float b[4]) {
    double common = common_area(a, b);
    double all = area_of(a) + area_of(b) - common;
    return all > 0 ? common / all : 0;
}

double oc__box_share(const float a[4], const float b[4]) {
    double smaller = OC_MIN(area_of(a), area_of(b));
    return smaller > 0 ? common_area(a, b) / smaller : 0;
}

/* ---- place, nearness, size ------------------------------------------------
 */

/* Pixels from the eye to the picture, if it were a window. */
static double focal_px(const oc__scene_work *w) {
    double longer = OC_MAX(w->scene->width, w->scene->height);
    return longer / (2 * tan(w->view_degrees * PI / 360));
}

static void put_place(const oc__scene_work *w, double x_px, double *angle,
                      int *clock, oc_place *place) {
    double off = x_px - w->scene->width / 2.0;
    double degrees = atan2(off, focal_px(w)) * 180 / PI;
    /* A clock's hour is 30 degrees; 12 is ahead. */
    int hours = (int)floor(degrees / 30 + 0.5);
    if (angle) *angle = degrees;
    *clock = (hours + 11) % 12 + 1;
    *place = hours < 0 ? OC_LEFT : hours > 0 ? OC_RIGHT : OC_AHEAD;
}

/* Ten metres are no distance to a vehicle. */
static oc_nearness nearness_of(double metres, oc_urgency urgency) {
    double close = urgency == OC_URGENCY_VEHICLE ? 10 : 5;
    if (!(metres > 0)) return OC_NEAR_UNKNOWN;
    return metres < 1.5         ? OC_NEAR_TOUCH
           : metres < close     ? OC_NEAR_CLOSE
           : metres < 3 * close ? OC_NEAR_MIDDLE
                                : OC_NEAR_FAR;
}

static oc_extent extent_of(double fraction) {
    return fraction < 0.01   ? OC_EXTENT_SMALL
           : fraction < 0.25 ? OC_EXTENT_MEDIUM
           : fraction < 0.6  ? OC_EXTENT_LARGE
                             : OC_EXTENT_FILLING;
}

/*
 * Something of known height h appears h * focal / distance pixels high.  What
 * the edge of the picture cuts off is nearer than this says.
 */
static double distance_of(const oc__scene_work *w, const float box[4],
                          const oc__concept *c) {
    if (!c || !c->size_cm) return 0;
    double width = box[2] - box[0], height = box[3] - box[1];
    double seen = c->is_longest ? OC_MAX(width, height) : height;
    return seen >= 1 ? c->size_cm / 100.0 * focal_px(w) / seen : 0;
}

static void measure(const oc__scene_work *w, oc_thing *t,
                    const oc__concept *c) {
    double whole = (double)w->scene->width * w->scene->height;
    put_place(w, 0.5 * ((double)t->box[0] + t->box[2]), &t->angle, &t->clock,
              &t->place);
    t->fraction = area_of(t->box) / whole;
    t->extent = extent_of(t->fraction);
    t->distance_m = distance_of(w, t->box, c);
    t->nearness = nearness_of(t->distance_m, t->urgency);
}

/* ---- things ---------------------------------------------------------------
 */

static const char *copy(oc__scene_work *w, const char *s) {
    return oc__arena_strdup(w->arena, s);
}

static int is_box(const float b[4]) {
    for (int k = 0; k < 4; k++) {
        if (!isfinite(b[k])) return 0;
    }
    return b[2] > b[0] && b[3] > b[1];
}

/* The thing an object of this name is seen as already, or NULL. */
static oc_thing *find_same(oc__scene_work *w, const char *name,
                           const oc_object *o) {
    for (int i = 0; i < w->scene->thing_count; i++) {
        oc_thing *t = &w->scene->things[i];
        if (strcmp(t->name, name) != 0) continue;
        if (oc__box_iou(t->box, o->box) > same_iou) return t;
        if (OC_MIN(o->score, t->score) < part_score &&
            oc__box_share(t->box, o->box) > part_share)
            return t;
    }
    return NULL;
}

static oc_status add_thing(oc__scene_work *w, int result, int index,
                           oc_error *err) {
    const oc_object *o = &w->results[result].objects[index];
    const oc__concept *c = oc__concept_find(o->label);
    const char *name = c ? c->name : o->label;
    if (!is_box(o->box)) return OC_OK;
    oc_thing *t = find_same(w, name, o);
    if (t) {
        t->seen++;
        return OC_OK;
    }
    t = &w->scene->things[w->scene->thing_count++];
    t->label = copy(w, *o->label ? o->label : "?");
    t->name = c ? c->name : t->label;
    if (!t->label) return oc__fail_nomem(err);
    t->score = o->score;
    memcpy(t->box, o->box, sizeof t->box);
    t->result = result;
    t->index = index;
    t->seen = 1;
    t->is_sure = o->score >= w->sure;
    t->urgency = c ? c->urgency : OC_URGENCY_OTHER;
    t->rival = -1;
    measure(w, t, c);
    return OC_OK;
}

/* Objects of all results, the best first: what is seen best is kept. */
static oc_status add_things(oc__scene_work *w, oc_error *err) {
    int taken[OC_SCENE_MAX_RESULTS] = {0};
    for (;;) {
        int best = -1;
        float score = 0;
        for (int r = 0; r < w->n_results; r++) {
            const oc_result *res = &w->results[r];
            if (taken[r] >= res->object_count) continue;
            float s = res->objects[taken[r]].score;
            if (best < 0 || s > score) best = r, score = s;
        }
        if (best < 0) return OC_OK;
        OC_TRY(add_thing(w, best, taken[best]++, err));
    }
}

/* A face of a person who is there anyway says nothing. */
static void drop_faces(oc_scene *s) {
    int kept = 0;
    for (int i = 0; i < s->thing_count; i++) {
        const oc_thing *face = &s->things[i];
        int drop = 0;
        for (int k = 0; k < s->thing_count && !strcmp(face->name, "face");
             k++) {
            drop |= !strcmp(s->things[k].name, "person") &&
                    oc__box_share(s->things[k].box, face->box) > part_share;
        }
        if (!drop) s->things[kept++] = *face;
    }
    s->thing_count = kept;
}

/* Of two names for one thing the weaker is the rival of the better. */
static void find_rivals(oc_scene *s) {
    for (int i = 0; i < s->thing_count; i++) {
        oc_thing *t = &s->things[i];
        for (int k = 0; k < s->thing_count && !t->is_rival; k++) {
            oc_thing *o = &s->things[k];
            if (k == i || o->is_rival || !strcmp(t->name, o->name) ||
                o->score < t->score || (o->score == t->score && k > i) ||
                oc__box_iou(t->box, o->box) < rival_iou)
                continue;
            t->is_rival = 1;
            if (o->rival < 0 || s->things[o->rival].score < t->score)
                o->rival = i;
        }
    }
}

/* ---- areas and guesses ----------------------------------------------------
 */

/* The centre of each class's pixels, 0..1. */
static void find_centres(oc_area *areas, int n, const oc_image *mask) {
    double x[256] = {0}, y[256] = {0};
    size_t count[256] = {0};
    for (int row = 0; row < mask->height; row++) {
        const uint8_t *p = mask->pixels + (size_t)row * mask->stride;
        for (int col = 0; col < mask->width; col++) {
            x[p[col]] += col;
            y[p[col]] += row;
            count[p[col]]++;
        }
    }
    for (int i = 0; i < n; i++) {
        int c = areas[i].index;
        areas[i].x = areas[i].y = 0.5;
        if (c < 0 || c > 255 || !count[c]) continue;
        areas[i].x = (x[c] / (double)count[c] + 0.5) / mask->width;
        areas[i].y = (y[c] / (double)count[c] + 0.5) / mask->height;
    }
}

static oc_status add_areas(oc__scene_work *w, int result, oc_error *err) {
    const oc_result *res = &w->results[result];
    oc_scene *s = w->scene;
    oc_area *first = s->areas + s->area_count;
    int n = 0;
    for (int i = 0; i < res->class_count; i++) {
        const oc_class_share *c = &res->classes[i];
        const oc__concept *known = oc__concept_find(c->label);
        if (c->fraction < least_area || oc__concept_is_nothing(c->label))
            continue;
        oc_area *a = &first[n++];
        a->label = copy(w, c->label);
        if (!a->label) return oc__fail_nomem(err);
        a->name = known ? known->name : a->label;
        a->urgency = known ? known->urgency : OC_URGENCY_OTHER;
        a->result = result;
        a->index = c->index;
        a->fraction = c->fraction;
    }
    if (n && res->mask.pixels && res->mask.channels == 1)
        find_centres(first, n, &res->mask);
    for (int i = 0; i < n; i++) {
        put_place(w, first[i].x * s->width, NULL, &first[i].clock,
                  &first[i].place);
    }
    s->area_count += n;
    return OC_OK;
}

static oc_status add_guess(oc__scene_work *w, int result, oc_error *err) {
    const oc_result *res = &w->results[result];
    if (!res->label_count) return OC_OK;
    oc_guess *g = &w->scene->guesses[w->scene->guess_count++];
    g->label = copy(w, res->labels[0].label);
    if (!g->label) return oc__fail_nomem(err);
    g->score = res->labels[0].score;
    g->result = result;
    return OC_OK;
}

/* ---- order ----------------------------------------------------------------
 */

/* Nonzero: b is to be said before a. */
static int is_later(const oc_thing *a, const oc_thing *b) {
    double da = a->distance_m > 0 ? a->distance_m : 1e9;
    double db = b->distance_m > 0 ? b->distance_m : 1e9;
    if (a->is_sure != b->is_sure) return b->is_sure;
    if (a->urgency != b->urgency) return b->urgency < a->urgency;
    if (da != db) return db < da;
    return b->fraction > a->fraction;
}

static void sort_things(oc_scene *s) {
    for (int i = 1; i < s->thing_count; i++) {
        oc_thing t = s->things[i];
        int k = i;
        for (; k && is_later(&s->things[k - 1], &t); k--) {
            s->things[k] = s->things[k - 1];
        }
        s->things[k] = t;
    }
}

static int is_later_area(const oc_area *a, const oc_area *b) {
    int danger_a = a->urgency <= OC_URGENCY_PERSON;
    int danger_b = b->urgency <= OC_URGENCY_PERSON;
    if (danger_a != danger_b) return danger_b;
    if (danger_a && a->urgency != b->urgency) return b->urgency < a->urgency;
    return b->fraction > a->fraction;
}

static void sort_areas(oc_scene *s) {
    for (int i = 1; i < s->area_count; i++) {
        oc_area a = s->areas[i];
        int k = i;
        for (; k && is_later_area(&s->areas[k - 1], &a); k--) {
            s->areas[k] = s->areas[k - 1];
        }
        s->areas[k] = a;
    }
}

/* ---- all of it ------------------------------------------------------------
 */

static oc_status check(const oc_result *results, int n,
                       const oc_scene_options *opt, oc_error *err) {
    if (n < 0 || n > OC_SCENE_MAX_RESULTS)
        return oc__fail(err, OC_E_ARG, "%d results, a scene has at most %d", n,
                        OC_SCENE_MAX_RESULTS);
    for (int i = 0; i < n; i++) {
        if (results[i].width < 1 || results[i].height < 1)
            return oc__fail(err, OC_E_ARG, "result %d is of no picture", i);
        if (results[i].width != results[0].width ||
            results[i].height != results[0].height)
            return oc__fail(err, OC_E_ARG,
                            "result %d is of a picture of %d x %d, result 0 "
                            "of %d x %d",
                            i, results[i].width, results[i].height,
                            results[0].width, results[0].height);
    }
    /* The comparisons are turned so that NaN fails them. */
    if (opt && opt->view_degrees != 0 &&
        !(opt->view_degrees >= 5 && opt->view_degrees <= 170))
        return oc__fail(err, OC_E_ARG,
                        "an angle of view is 5 to 170 degrees, not %g",
                        opt->view_degrees);
    if (opt && opt->sure != 0 && !(opt->sure > 0 && opt->sure <= 1))
        return oc__fail(err, OC_E_ARG, "a score is 0 to 1, not %g", opt->sure);
    return OC_OK;
}

static oc_status fill(oc__scene_work *w, oc_error *err) {
    oc_scene *s = w->scene;
    size_t things = 0, areas = 0, guesses = 0;
    for (int i = 0; i < w->n_results; i++) {
        things += (size_t)w->results[i].object_count;
        areas += (size_t)w->results[i].class_count;
        guesses += w->results[i].label_count > 0;
    }
    s->things = oc__arena_array(w->arena, things + 1, sizeof *s->things);
    s->areas = oc__arena_array(w->arena, areas + 1, sizeof *s->areas);
    s->guesses = oc__arena_array(w->arena, guesses + 1, sizeof *s->guesses);
    if (!s->things || !s->areas || !s->guesses) return oc__fail_nomem(err);
    OC_TRY(add_things(w, err));
    for (int i = 0; i < w->n_results; i++) {
        OC_TRY(add_areas(w, i, err));
        OC_TRY(add_guess(w, i, err));
    }
    drop_faces(s);
    sort_things(s);
    sort_areas(s);
    find_rivals(s);
    return oc__scene_relate(w, err);
}

oc_status oc_scene_init(oc_scene *out, const oc_result *results, int count,
                        const oc_scene_options *opt,
                        const oc_allocator *allocator, oc_error *err) {
    oc_scene s = {0};
    oc__scene_work w = {0};
    OC_TRY(check(results, count, opt, err));
    oc__kept *kept = oc__kept_create(allocator, err);
    if (!kept) return OC_E_NOMEM;
    if (count) s.width = results[0].width, s.height = results[0].height;
    s.owned = kept;
    w.scene = &s;
    w.arena = &kept->arena;
    w.results = results;
    w.n_results = count;
    w.view_degrees = opt && opt->view_degrees > 0 ? opt->view_degrees : 66;
    w.sure = opt && opt->sure > 0 ? opt->sure : 0.5;
    oc_status st = fill(&w, err);
    if (st)
        oc__kept_destroy(kept);
    else
        *out = s;
    return st;
}

void oc_scene_deinit(oc_scene *s) {
    if (!s) return;
    oc__kept_destroy(s->owned);
    memset(s, 0, sizeof *s);
}

/* ---- memory ---------------------------------------------------------------
 */

oc__kept *oc__kept_create(const oc_allocator *allocator, oc_error *err) {
    if (!allocator) allocator = &oc__default_allocator;
    oc__kept *kept = oc__calloc(allocator, 1, sizeof *kept);
    if (!kept) {
        oc__fail_nomem(err);
        return NULL;
    }
    kept->allocator = *allocator;
    oc__arena_init(&kept->arena, &kept->allocator);
    return kept;
}

void oc__kept_destroy(oc__kept *kept) {
    if (!kept) return;
    oc_allocator allocator = kept->allocator;
    oc__arena_deinit(&kept->arena);
    oc__release(&allocator, kept, sizeof *kept);
}
