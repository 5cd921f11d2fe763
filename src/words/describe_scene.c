/*
 * describe_scene.c - a scene in words.
 *
 *     things --> groups of one name --> phrases --> texts
 *
 * What is seen well comes first, by urgency, as the scene has it; then what
 * may be there; then areas, then what the picture looks like as a whole.
 */
#include "words/describe.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

enum { BRIEF_GROUPS = 3, BRIEF_AREAS = 3 };

/* A classifier is sure, or worth hearing. */
static const float whole_sure = 0.5f, whole_maybe = 0.2f;
/* A rival's score beside the better one's, from which it is worth saying. */
static const float rival_share = 0.5f;

typedef struct work {
    const oc_words *words;
    const oc_scene *scene;
    oc__arena *arena;
    oc__group *groups;
    int n_groups;
    oc_phrase *phrases;
    int n_phrases, room;
} work;

const char *oc_phrase_name(oc_phrase_kind kind) {
    static const char *const names[] = {"things", "maybe", "more",
                                        "areas",  "whole", "nothing"};
    return (unsigned)kind < OC_COUNT(names) ? names[kind] : "?";
}

/* ---- groups ---------------------------------------------------------------
 */

int oc__scene_group(const oc_scene *s, oc__arena *arena, oc__group **out) {
    int n = 0;
    oc__group *groups =
        oc__arena_array(arena, (size_t)s->thing_count + 1, sizeof *groups);
    int *members =
        oc__arena_array(arena, (size_t)s->thing_count + 1, sizeof *members);
    int *used =
        oc__arena_array(arena, (size_t)s->thing_count + 1, sizeof *used);
    if (!groups || !members || !used) return -1;
    for (int i = 0; i < s->thing_count; i++) {
        const oc_thing *t = &s->things[i];
        if (used[i] || t->is_rival) continue;
        oc__group *g = &groups[n++];
        g->members = members;
        for (int k = i; k < s->thing_count; k++) {
            const oc_thing *o = &s->things[k];
            if (o->is_rival || o->is_sure != t->is_sure ||
                strcmp(o->name, t->name) != 0)
                continue;
            used[k] = 1;
            g->members[g->n++] = k;
        }
        members += g->n;
    }
    *out = groups;
    return n;
}

static const oc_thing *member(const work *w, const oc__group *g, int i) {
    return &w->scene->things[g->members[i]];
}

/* "two buses", or "a bus or perhaps a truck". */
static const char *noun_of(const work *w, const oc__group *g) {
    const oc_thing *t = member(w, g, 0);
    const char *noun = oc__say_noun(w->words, w->arena, t->name, g->n);
    if (g->n > 1 || t->rival < 0) return noun;
    const oc_thing *rival = &w->scene->things[t->rival];
    if (rival->score < rival_share * t->score) return noun;
    return OC_SAY(w->words, w->arena, "either", {"noun", noun},
                  {"other", oc__say_noun(w->words, w->arena, rival->name, 1)});
}

/* ---- traits ---------------------------------------------------------------
 */

static const char *extent_words(const work *w, const oc__group *g) {
    const oc_thing *first = member(w, g, 0);
    for (int i = 1; i < g->n; i++) {
        if (member(w, g, i)->extent != first->extent) return NULL;
    }
    switch (first->extent) {
    case OC_EXTENT_FILLING: return "extent.filling";
    case OC_EXTENT_LARGE:
        /* A person who is "large" would be another thing. */
        return first->urgency == OC_URGENCY_PERSON ? NULL : "extent.large";
    case OC_EXTENT_SMALL:
        /* So would be what is only far away. */
        return first->nearness == OC_NEAR_UNKNOWN ? "extent.small" : NULL;
    default: return NULL;
    }
}

static const char *near_key(oc_nearness near) {
    static const char *const keys[] = {"", "near.touch", "near.close",
                                       "near.middle", "near.far"};
    return keys[near];
}

/* The nearest's where they differ: "some close". */
static const char *near_words(const work *w, const oc__group *g) {
    oc_nearness least = OC_NEAR_FAR, most = OC_NEAR_TOUCH;
    for (int i = 0; i < g->n; i++) {
        oc_nearness near = member(w, g, i)->nearness;
        if (near == OC_NEAR_UNKNOWN) return "";
        least = OC_MIN(least, near);
        most = OC_MAX(most, near);
    }
    const char *near = OC_SAY(w->words, w->arena, near_key(least), {"", ""});
    if (least == most) return near;
    return OC_SAY(w->words, w->arena, "near.some", {"near", near});
}

/* ", large and close", or "". */
static const char *traits_of(const work *w, const oc__group *g) {
    const char *list[2];
    int n = 0;
    const char *extent = extent_words(w, g);
    const char *near = near_words(w, g);
    if (extent) list[n++] = OC_SAY(w->words, w->arena, extent, {"", ""});
    if (!near || *near) list[n++] = near;
    if (!n) return "";
    return OC_SAY(w->words, w->arena, "traits",
                  {"list", oc__say_list(w->words, w->arena, list, n)});
}

/* ---- where ----------------------------------------------------------------
 */

static const char *place_words(const work *w, oc_place place) {
    static const char *const keys[] = {"place.left", "place.ahead",
                                       "place.right"};
    return OC_SAY(w->words, w->arena, keys[place], {"", ""});
}

/* "on the left and ahead" */
static const char *places_of(const work *w, const oc__group *g) {
    const char *list[3];
    int n = 0;
    for (int p = OC_LEFT; p <= OC_RIGHT; p++) {
        int there = 0;
        for (int i = 0; i < g->n; i++) {
            there |= (int)member(w, g, i)->place == p;
        }
        if (there) list[n++] = place_words(w, (oc_place)p);
    }
    return oc__say_list(w->words, w->arena, list, n);
}

static const char *clock_words(const work *w, int hour) {
    /* Digits: every voice reads an hour right. */
    char digits[4] = {(char)(hour > 9 ? '1' : '0' + hour),
                      (char)(hour > 9 ? '0' + hour - 10 : '\0')};
    return OC_SAY(w->words, w->arena, "clock", {"hour", digits});
}

/* Hours from the far left (7) over 12 to the far right (6). */
static int hour_at(int i) {
    return (6 + i) % 12 + 1;
}

static int count_at(const work *w, const oc__group *g, int hour) {
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        n += member(w, g, i)->clock == hour;
    }
    return n;
}

/* "two at 11 o'clock and one at 1 o'clock" */
static const char *parts_of(const work *w, const oc__group *g) {
    const char *list[12];
    int n = 0;
    for (int i = 0; i < 12; i++) {
        int hour = hour_at(i), count = count_at(w, g, hour);
        if (!count) continue;
        list[n++] = OC_SAY(w->words, w->arena, "full.part",
                           {"n", oc__say_number(w->words, w->arena, count)},
                           {"noun", oc__say_noun(w->words, w->arena,
                                                 member(w, g, 0)->name, count)},
                           {"clock", clock_words(w, hour)});
    }
    return oc__say_list(w->words, w->arena, list, n);
}

/* ---- relations ------------------------------------------------------------
 */

static int is_in(const oc__group *g, int thing) {
    for (int i = 0; i < g->n; i++) {
        if (g->members[i] == thing) return 1;
    }
    return 0;
}

/* How many of g stand so to any of `other`. */
static int count_related(const work *w, const oc__group *g,
                         const oc__group *other, oc_relation_kind kind) {
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        const oc_thing *t = member(w, g, i);
        int found = 0;
        for (int k = 0; k < t->relation_count && !found; k++) {
            found = t->relations[k].kind == kind &&
                    is_in(other, t->relations[k].thing);
        }
        n += found;
    }
    return n;
}

/* ", in front of the bus": to what was spoken of before, or "". */
static const char *relation_of(const work *w, const oc__group *g) {
    static const char *const keys[] = {"relation.with", "relation.front",
                                       "relation.behind", "relation.overlaps"};
    const oc__group *other = NULL;
    int kind = 0, most = 0;
    for (const oc__group *o = w->groups; o < g; o++) {
        for (int k = 0; k < (int)OC_COUNT(keys); k++) {
            int n = count_related(w, g, o, (oc_relation_kind)k);
            if (n > most) most = n, kind = k, other = o;
        }
    }
    if (!other) return "";
    const char *thing =
        oc__say_form(w->words, w->arena, member(w, other, 0)->name,
                     other->n == 1 ? OC_FORM_THE : OC_FORM_BY);
    oc__hole hole = {"relation",
                     OC_SAY(w->words, w->arena, keys[kind], {"thing", thing})};
    if (most == g->n)
        return oc__say(w->words, w->arena, "relation.all", &hole, 1);
    return oc__say_count(w->words, w->arena, "relation.some", most, &hole, 1);
}

/* "a; b; c", for what has commas of its own. */
static const char *joined(const work *w, const char *const *list, int n) {
    const char *text = list[0];
    for (int i = 1; i < n; i++) {
        text = OC_SAY(w->words, w->arena, "brief.join", {"a", text},
                      {"b", list[i]});
    }
    return text;
}

/* ---- phrases --------------------------------------------------------------
 */

/* Text NULL: no memory, which the end finds out. */
static void add(work *w, oc_phrase_kind kind, int is_brief, const char *text,
                const int *facts, int n) {
    oc_phrase *p = &w->phrases[w->n_phrases++];
    p->kind = kind;
    p->is_brief = is_brief;
    p->text = text;
    p->facts = facts;
    p->fact_count = n;
}

const char *oc__say_group(const oc_words *words, const oc_scene *s,
                          oc__arena *arena, const oc__group *g) {
    work w = {words, s, arena, NULL, 0, NULL, 0, 0};
    return OC_SAY(words, arena, "brief.thing", {"noun", noun_of(&w, g)},
                  {"places", places_of(&w, g)}, {"traits", traits_of(&w, g)});
}

static const char *full_group(const work *w, const oc__group *g) {
    int hour = member(w, g, 0)->clock;
    if (count_at(w, g, hour) == g->n)
        return OC_SAY(w->words, w->arena, "full.one", {"noun", noun_of(w, g)},
                      {"clock", clock_words(w, hour)},
                      {"traits", traits_of(w, g)},
                      {"relation", relation_of(w, g)});
    return OC_SAY(w->words, w->arena, "full.many", {"noun", noun_of(w, g)},
                  {"parts", parts_of(w, g)}, {"traits", traits_of(w, g)},
                  {"relation", relation_of(w, g)});
}

/* Members of groups from..to-1 that are sure or not, as one list. */
static const int *all_members(const work *w, int from, int to, int sure,
                              int *n) {
    int *all = oc__arena_array(w->arena, (size_t)w->scene->thing_count + 1,
                               sizeof *all);
    *n = 0;
    for (int i = from; all && i < to; i++) {
        const oc__group *g = &w->groups[i];
        if (member(w, g, 0)->is_sure != sure) continue;
        memcpy(all + *n, g->members, (size_t)g->n * sizeof *all);
        *n += g->n;
    }
    return all;
}

/* Groups are in the scene's order, so those that are sure come first. */
static int count_sure(const work *w) {
    int n = 0;
    while (n < w->n_groups && member(w, &w->groups[n], 0)->is_sure)
        n++;
    return n;
}

static void brief_things(work *w, int sure) {
    int shown = OC_MIN(sure, (int)BRIEF_GROUPS), n;
    for (int i = 0; i < shown; i++) {
        const oc__group *g = &w->groups[i];
        add(w, OC_PHRASE_THINGS, 1,
            oc__say_group(w->words, w->scene, w->arena, g), g->members, g->n);
    }
    if (shown < sure) {
        const int *rest = all_members(w, shown, sure, 1, &n);
        add(w, OC_PHRASE_MORE, 1,
            oc__say_count(w->words, w->arena, "more", n, NULL, 0), rest, n);
    }
}

/* Of what is not sure, the brief text has dangers, or all when that is all. */
static void brief_maybe(work *w, int sure) {
    const char *list[BRIEF_GROUPS];
    int n = 0, to = sure, facts;
    for (int i = sure; i < w->n_groups && n < BRIEF_GROUPS; i++) {
        const oc__group *g = &w->groups[i];
        if (sure && member(w, g, 0)->urgency > OC_URGENCY_HARM) break;
        list[n++] = oc__say_group(w->words, w->scene, w->arena, g);
        to = i + 1;
    }
    if (!n) return;
    const char *text =
        OC_SAY(w->words, w->arena, "brief.maybe", {"list", joined(w, list, n)});
    const int *members = all_members(w, sure, to, 0, &facts);
    add(w, OC_PHRASE_MAYBE, 1, text, members, facts);
}

static void full_things(work *w, int sure) {
    for (int i = 0; i < sure; i++) {
        const oc__group *g = &w->groups[i];
        add(w, OC_PHRASE_THINGS, 0, full_group(w, g), g->members, g->n);
    }
    int n = w->n_groups - sure, facts;
    if (!n) return;
    const char **list = oc__arena_array(w->arena, (size_t)n, sizeof *list);
    for (int i = 0; list && i < n; i++) {
        list[i] =
            oc__say_group(w->words, w->scene, w->arena, &w->groups[sure + i]);
    }
    const char *all = list ? joined(w, list, n) : NULL;
    const int *members = all_members(w, sure, w->n_groups, 0, &facts);
    add(w, OC_PHRASE_MAYBE, 0,
        OC_SAY(w->words, w->arena, "full.maybe", {"list", all}), members,
        facts);
}

/* ---- areas and the whole --------------------------------------------------
 */

static const char *percent_of(const work *w, const oc_area *a) {
    int percent = (int)floor(100 * OC_MIN(OC_MAX(a->fraction, 0.0), 1.0) + 0.5);
    return oc__arena_printf(w->arena, "%d", percent);
}

static const char *area_words(const work *w, const oc_area *a, int is_brief) {
    const char *name = oc__say_form(w->words, w->arena, a->name, OC_FORM_NAME);
    const char *percent = percent_of(w, a);
    if (!is_brief)
        return OC_SAY(w->words, w->arena, "full.area", {"name", name},
                      {"percent", percent});
    return OC_SAY(w->words, w->arena, "brief.area", {"name", name},
                  {"place", place_words(w, a->place)}, {"percent", percent});
}

static int *numbers(const work *w, int n) {
    int *list = oc__arena_array(w->arena, (size_t)n + 1, sizeof *list);
    for (int i = 0; list && i < n; i++) {
        list[i] = i;
    }
    return list;
}

static void brief_areas(work *w) {
    int n = OC_MIN(w->scene->area_count, (int)BRIEF_AREAS);
    const int *facts = numbers(w, n);
    for (int i = 0; i < n; i++) {
        add(w, OC_PHRASE_AREAS, 1, area_words(w, &w->scene->areas[i], 1),
            facts ? facts + i : NULL, 1);
    }
}

static void full_areas(work *w) {
    int n = w->scene->area_count;
    if (!n) return;
    const char **list = oc__arena_array(w->arena, (size_t)n, sizeof *list);
    for (int i = 0; list && i < n; i++) {
        list[i] = area_words(w, &w->scene->areas[i], 0);
    }
    const char *all = list ? oc__say_list(w->words, w->arena, list, n) : NULL;
    add(w, OC_PHRASE_AREAS, 0,
        OC_SAY(w->words, w->arena, "full.areas", {"list", all}), numbers(w, n),
        n);
}

static int add_whole(work *w, int is_brief) {
    int n = 0;
    const int *facts = numbers(w, w->scene->guess_count);
    for (int i = 0; i < w->scene->guess_count; i++) {
        const oc_guess *g = &w->scene->guesses[i];
        if (!(g->score >= whole_maybe)) continue;
        const char *key = g->score >= whole_sure ? "whole.sure" : "whole.maybe";
        const char *label =
            oc__concept_find(g->label)
                ? oc__say_form(w->words, w->arena,
                               oc__concept_find(g->label)->name, OC_FORM_NAME)
                : g->label;
        add(w, OC_PHRASE_WHOLE, is_brief,
            OC_SAY(w->words, w->arena, key, {"label", label}),
            facts ? facts + i : NULL, 1);
        n++;
    }
    return n;
}

static void add_nothing(work *w, int is_brief) {
    add(w, OC_PHRASE_NOTHING, is_brief,
        OC_SAY(w->words, w->arena, "nothing", {"", ""}), NULL, 0);
}

/* ---- the texts ------------------------------------------------------------
 */

static const char *sentence(const work *w, const char *text) {
    return OC_SAY(w->words, w->arena, "sentence",
                  {"text", oc__say_large(w->arena, text)});
}

static const char *brief_text(const work *w) {
    const char *text = NULL;
    for (int i = 0; i < w->n_phrases; i++) {
        const oc_phrase *p = &w->phrases[i];
        if (!p->is_brief) continue;
        text = i ? OC_SAY(w->words, w->arena, "brief.join", {"a", text},
                          {"b", p->text})
                 : p->text;
    }
    return sentence(w, text);
}

static const char *full_text(const work *w) {
    const char *text = "";
    for (int i = 0; i < w->n_phrases && text; i++) {
        const oc_phrase *p = &w->phrases[i];
        if (p->is_brief) continue;
        const char *one = sentence(w, p->text);
        text = one ? oc__arena_printf(w->arena, "%s%s%s", text,
                                      *text ? " " : "", one)
                   : NULL;
    }
    return text;
}

static void make_phrases(work *w) {
    int sure = count_sure(w), before;
    brief_things(w, sure);
    brief_maybe(w, sure);
    if (!w->n_phrases) brief_areas(w);
    if (!w->n_phrases) add_whole(w, 1);
    if (!w->n_phrases) add_nothing(w, 1);
    before = w->n_phrases;
    full_things(w, sure);
    full_areas(w);
    add_whole(w, 0);
    if (w->n_phrases == before) add_nothing(w, 0);
}

oc_status oc_describe(oc_description *out, const oc_words *words,
                      const oc_scene *scene, const oc_allocator *allocator,
                      oc_error *err) {
    oc__kept *kept = oc__kept_create(allocator, err);
    if (!kept) return OC_E_NOMEM;
    work w = {words, scene, &kept->arena, NULL, 0, NULL, 0, 0};
    w.n_groups = oc__scene_group(scene, w.arena, &w.groups);
    /* Each group at most once in either text, and a handful beside them. */
    w.room = 2 * (w.n_groups + scene->guess_count) + BRIEF_AREAS + 8;
    if (w.n_groups >= 0)
        w.phrases = oc__arena_array(w.arena, (size_t)w.room, sizeof *w.phrases);
    const char *brief = NULL, *full = NULL;
    if (w.phrases) {
        make_phrases(&w);
        brief = brief_text(&w);
        full = full_text(&w);
    }
    int failed = !brief || !full;
    for (int i = 0; i < w.n_phrases; i++) {
        failed |= !w.phrases[i].text ||
                  (w.phrases[i].fact_count && !w.phrases[i].facts);
    }
    if (failed) {
        oc__kept_destroy(kept);
        return oc__fail_nomem(err);
    }
    *out = (oc_description){brief, full, w.n_phrases, w.phrases, kept};
    return OC_OK;
}

void oc_description_deinit(oc_description *d) {
    if (!d) return;
    oc__kept_destroy(d->owned);
    memset(d, 0, sizeof *d);
}
