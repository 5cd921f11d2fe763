/* describe_json.c - see describe_json.h. */
#include "describe_json.h"

#include "result_json.h"

void describe_json_begin(json *j) {
    json_object(j, NULL);
    json_array(j, "models");
}

void describe_json_model(json *j, const char *model, oc_task task,
                         const oc_card *card) {
    json_object(j, NULL);
    json_string(j, "model", model);
    json_string(j, "task", oc_task_name(task));
    result_json_guesses(j, card);
    json_end(j);
}

void describe_json_results(json *j, const char *locale) {
    json_end(j);
    json_string(j, "locale", locale);
    json_array(j, "results");
}

/* ---- facts ----------------------------------------------------------------
 */

static void put_where(json *j, oc_place place, int clock) {
    json_string(j, "place", oc_place_name(place));
    json_int(j, "clock", clock);
}

static void put_relations(json *j, const oc_thing *t) {
    json_array(j, "relations");
    for (int i = 0; i < t->relation_count; i++) {
        const oc_relation *r = &t->relations[i];
        json_object(j, NULL);
        json_string(j, "kind", oc_relation_name(r->kind));
        json_int(j, "thing", r->thing);
        json_float(j, "share", (float)r->share);
        json_end(j);
    }
    json_end(j);
}

static void put_thing(json *j, const oc_thing *t) {
    json_object(j, NULL);
    json_string(j, "label", t->label);
    json_string(j, "name", t->name);
    json_float(j, "score", t->score);
    json_row(j, "box");
    for (int k = 0; k < 4; k++) {
        json_float(j, NULL, t->box[k]);
    }
    json_end(j);
    json_int(j, "model", t->result);
    json_int(j, "object", t->index);
    json_int(j, "seen", t->seen);
    json_bool(j, "sure", t->is_sure);
    json_string(j, "urgency", oc_urgency_name(t->urgency));
    put_where(j, t->place, t->clock);
    json_float(j, "angle_degrees", (float)t->angle);
    json_string(j, "nearness", oc_nearness_name(t->nearness));
    if (t->distance_m > 0)
        json_float(j, "distance_m", (float)t->distance_m);
    else
        json_null(j, "distance_m");
    json_string(j, "extent", oc_extent_name(t->extent));
    json_float(j, "fraction", (float)t->fraction);
    if (t->rival >= 0) json_int(j, "rival", t->rival);
    if (t->is_rival) json_bool(j, "is_rival", 1);
    put_relations(j, t);
    json_end(j);
}

static void put_area(json *j, const oc_area *a) {
    json_object(j, NULL);
    json_string(j, "label", a->label);
    json_string(j, "name", a->name);
    json_int(j, "model", a->result);
    json_int(j, "index", a->index);
    json_double(j, "fraction", a->fraction);
    json_row(j, "centre");
    json_float(j, NULL, (float)a->x);
    json_float(j, NULL, (float)a->y);
    json_end(j);
    json_string(j, "urgency", oc_urgency_name(a->urgency));
    put_where(j, a->place, a->clock);
    json_end(j);
}

void describe_json_scene(json *j, const oc_scene *s) {
    json_array(j, "things");
    for (int i = 0; i < s->thing_count; i++) {
        put_thing(j, &s->things[i]);
    }
    json_end(j);
    json_array(j, "areas");
    for (int i = 0; i < s->area_count; i++) {
        put_area(j, &s->areas[i]);
    }
    json_end(j);
    json_array(j, "labels");
    for (int i = 0; i < s->guess_count; i++) {
        json_object(j, NULL);
        json_string(j, "label", s->guesses[i].label);
        json_float(j, "score", s->guesses[i].score);
        json_int(j, "model", s->guesses[i].result);
        json_end(j);
    }
    json_end(j);
}

/* ---- phrases --------------------------------------------------------------
 */

/* In which of the lists a phrase's facts are. */
static const char *list_of(oc_phrase_kind kind) {
    switch (kind) {
    case OC_PHRASE_AREAS: return "areas";
    case OC_PHRASE_WHOLE: return "labels";
    default: return "things";
    }
}

static void put_phrase(json *j, const oc_phrase *p) {
    json_object(j, NULL);
    json_string(j, "text", p->text);
    json_string(j, "of", p->is_brief ? "short" : "long");
    json_string(j, "kind", oc_phrase_name(p->kind));
    json_row(j, list_of(p->kind));
    for (int i = 0; i < p->fact_count; i++) {
        json_int(j, NULL, p->facts[i]);
    }
    json_end(j);
    json_end(j);
}

void describe_json_item(json *j, const char *input, const describe_times *t,
                        const oc_scene *s, const oc_description *d) {
    json_object(j, NULL);
    json_string(j, "input", input);
    json_int(j, "width", s->width);
    json_int(j, "height", s->height);
    json_object(j, "time_ms");
    json_float(j, "decode", (float)t->decode);
    json_float(j, "look", (float)t->look);
    json_float(j, "words", (float)t->words);
    if (t->first_audio > 0) json_float(j, "first_audio", (float)t->first_audio);
    json_end(j);
    json_string(j, "short", d->brief);
    json_string(j, "long", d->full);
    json_array(j, "phrases");
    for (int i = 0; i < d->phrase_count; i++) {
        put_phrase(j, &d->phrases[i]);
    }
    json_end(j);
    describe_json_scene(j, s);
}

void describe_json_end(json *j) {
    json_end(j);
    json_end(j);
}
