/* scene_relate.c - which things overlap, and how they stand to each other. */
#include "words/scene.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* Of the smaller box, inside the other: less may be a shadow or a corner. */
static const double least_share = 0.25;
/* Of a bag or a bicycle, inside its person. */
static const double least_carried = 0.3;
/* Of the picture's height, between the lower edges of two boxes. */
static const double least_drop = 0.03;
/* A scene of a hundred things has few of these per thing. */
enum { MAX_RELATIONS = 16 };

static int is_person(const oc_thing *t) {
    return t->urgency == OC_URGENCY_PERSON;
}

static oc__bearing bearing_of(const oc_thing *t) {
    const oc__concept *c = oc__concept_find(t->name);
    return c ? c->bearing : OC_BEARING_NONE;
}

/* The person of whom most of a carried thing is seen, -1: none. */
static int carrier_of(const oc_scene *s, int i) {
    int best = -1;
    double most = least_carried;
    if (bearing_of(&s->things[i]) != OC_BEARING_CARRIED) return -1;
    for (int k = 0; k < s->thing_count; k++) {
        const oc_thing *p = &s->things[k];
        if (!is_person(p) || p->is_rival || !p->is_sure) continue;
        double share = oc__box_share(s->things[i].box, p->box);
        if (share > most) most = share, best = k;
    }
    return best;
}

/*
 * What stands on the same ground appears lower the nearer it is, so of two
 * that overlap the one with the lower edge hides the other.
 */
static oc_relation_kind stands_to(const oc_scene *s, int i, int k) {
    const oc_thing *a = &s->things[i], *b = &s->things[k];
    double drop = ((double)a->box[3] - b->box[3]) / s->height;
    if (bearing_of(a) != OC_BEARING_STANDS ||
        bearing_of(b) != OC_BEARING_STANDS)
        return OC_RELATION_OVERLAPS;
    return drop > least_drop    ? OC_RELATION_FRONT
           : drop < -least_drop ? OC_RELATION_BEHIND
                                : OC_RELATION_OVERLAPS;
}

/* It is where its person is; its own size says less, seen in part. */
static void move_to_carrier(oc_scene *s, int i, int carrier) {
    if (carrier < 0 || s->things[carrier].nearness == OC_NEAR_UNKNOWN) return;
    s->things[i].nearness = s->things[carrier].nearness;
    s->things[i].distance_m = s->things[carrier].distance_m;
}

static int compare(const void *a, const void *b) {
    const oc_relation *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? 1 : -1;
    return x->thing - y->thing;
}

static oc_status relate(oc__scene_work *w, const int *carriers, int i,
                        oc_error *err) {
    oc_scene *s = w->scene;
    oc_thing *t = &s->things[i];
    oc_relation found[MAX_RELATIONS];
    int n = 0;
    for (int k = 0; k < s->thing_count && n < MAX_RELATIONS; k++) {
        const oc_thing *o = &s->things[k];
        if (k == i || o->is_rival) continue;
        double share = oc__box_share(t->box, o->box);
        int together = carriers[i] == k || carriers[k] == i;
        if (!together && share < least_share) continue;
        /* What one person carries is before others by chance. */
        if (!together && (carriers[i] >= 0 || carriers[k] >= 0)) continue;
        found[n].thing = k;
        found[n].kind = together ? OC_RELATION_WITH : stands_to(s, i, k);
        found[n++].share = share;
    }
    if (!n) return OC_OK;
    qsort(found, (size_t)n, sizeof *found, compare);
    t->relations = oc__arena_dup(w->arena, found, (size_t)n * sizeof *found);
    if (!t->relations) return oc__fail_nomem(err);
    t->relation_count = n;
    return OC_OK;
}

oc_status oc__scene_relate(oc__scene_work *w, oc_error *err) {
    oc_scene *s = w->scene;
    int *carriers =
        oc__arena_array(w->arena, (size_t)s->thing_count + 1, sizeof *carriers);
    if (!carriers) return oc__fail_nomem(err);
    for (int i = 0; i < s->thing_count; i++) {
        carriers[i] = s->things[i].is_rival ? -1 : carrier_of(s, i);
        move_to_carrier(s, i, carriers[i]);
    }
    for (int i = 0; i < s->thing_count; i++) {
        if (!s->things[i].is_rival) OC_TRY(relate(w, carriers, i, err));
    }
    return OC_OK;
}
