/*
 * news.c - what is new from picture to picture.
 *
 * Each name has a track: in how many of the last pictures how many such
 * things were seen, and what was said of them last.  A number is believed once
 * enough of the last pictures agree, so that what flickers is not spoken of.
 */
#include "words/describe.h"

#include "base/size.h"

#include <string.h>

enum { HISTORY = 4, MAX_TRACKS = 64, MAX_NAME = 64 };

/* Even a danger that comes nearer is spoken of once in this time. */
static const double least_pause_s = 1.0;

typedef struct track {
    char name[MAX_NAME];
    oc_urgency urgency;
    int counts[HISTORY]; /* the latest first */
    int masks[2];        /* of places, bit OC_LEFT ... */
    oc_nearness nears[2];
    int believed;
    /* As it was said, and when. */
    int said, said_mask;
    oc_nearness said_near;
    double said_s;
    int was_said;
    const oc__group *group; /* of the scene at hand, or NULL */
} track;

struct oc_news {
    oc_allocator allocator;
    const oc_words *words;
    double cool_down_s;
    int steady;
    oc__arena arena; /* of the last text */
    int n_tracks;
    track tracks[MAX_TRACKS];
};

oc_status oc_news_create(oc_news **out, const oc_words *words,
                         const oc_news_options *opt,
                         const oc_allocator *allocator, oc_error *err) {
    static const oc_news_options none;
    if (!opt) opt = &none;
    if (!(opt->cool_down_s >= 0 && opt->cool_down_s <= 86400))
        return oc__fail(err, OC_E_ARG,
                        "a cool-down is 0 to 86400 seconds, not %g",
                        opt->cool_down_s);
    if (opt->steady < 0 || opt->steady > HISTORY)
        return oc__fail(err, OC_E_ARG, "steady is 1 to %d, not %d", HISTORY,
                        opt->steady);
    if (!allocator) allocator = &oc__default_allocator;
    oc_news *news = oc__calloc(allocator, 1, sizeof *news);
    if (!news) return oc__fail_nomem(err);
    news->allocator = *allocator;
    news->words = words;
    news->cool_down_s = opt->cool_down_s > 0 ? opt->cool_down_s : 6;
    news->steady = opt->steady ? opt->steady : 2;
    oc__arena_init(&news->arena, &news->allocator);
    *out = news;
    return OC_OK;
}

void oc_news_destroy(oc_news *news) {
    if (!news) return;
    oc_allocator allocator = news->allocator;
    oc__arena_deinit(&news->arena);
    oc__release(&allocator, news, sizeof *news);
}

/* ---- tracks ---------------------------------------------------------------
 */

/* Of what was not seen for longest and is no news any more, or a new one. */
static track *free_track(oc_news *news) {
    if (news->n_tracks < MAX_TRACKS) return &news->tracks[news->n_tracks++];
    for (int i = 0; i < MAX_TRACKS; i++) {
        track *t = &news->tracks[i];
        if (!t->believed && !t->said && !t->group) return t;
    }
    return NULL;
}

static track *track_for(oc_news *news, const oc_thing *thing) {
    for (int i = 0; i < news->n_tracks; i++) {
        if (!strncmp(news->tracks[i].name, thing->name, MAX_NAME - 1))
            return &news->tracks[i];
    }
    track *t = free_track(news);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    /* A part of a character at the end would be no UTF-8; it is not shown. */
    size_t n = OC_MIN(strlen(thing->name), (size_t)MAX_NAME - 1);
    memcpy(t->name, thing->name, n);
    t->urgency = thing->urgency;
    return t;
}

static void measure(const oc_scene *s, const oc__group *g, int *mask,
                    oc_nearness *near) {
    *mask = 0;
    *near = OC_NEAR_UNKNOWN;
    for (int i = 0; i < g->n; i++) {
        const oc_thing *t = &s->things[g->members[i]];
        *mask |= 1 << t->place;
        if (t->nearness != OC_NEAR_UNKNOWN &&
            (*near == OC_NEAR_UNKNOWN || t->nearness < *near))
            *near = t->nearness;
    }
}

/* One picture more for a track. */
static void advance(oc_news *news, track *t, const oc_scene *s) {
    int same = 0;
    memmove(t->counts + 1, t->counts, sizeof t->counts - sizeof *t->counts);
    t->masks[1] = t->masks[0];
    t->nears[1] = t->nears[0];
    t->counts[0] = t->group ? t->group->n : 0;
    if (t->group) measure(s, t->group, &t->masks[0], &t->nears[0]);
    for (int i = 0; i < HISTORY; i++) {
        same += t->counts[i] == t->counts[0];
    }
    if (same >= news->steady) t->believed = t->counts[0];
}

static void follow(oc_news *news, const oc_scene *s, oc__group *groups, int n) {
    for (int i = 0; i < news->n_tracks; i++) {
        news->tracks[i].group = NULL;
    }
    for (int i = 0; i < n; i++) {
        const oc_thing *first = &s->things[groups[i].members[0]];
        track *t = first->is_sure ? track_for(news, first) : NULL;
        if (t) t->group = &groups[i];
    }
    for (int i = 0; i < news->n_tracks; i++) {
        advance(news, &news->tracks[i], s);
    }
}

/* ---- what is news ---------------------------------------------------------
 */

static int came_nearer(const track *t) {
    oc_nearness now = OC_MAX(t->nears[0], t->nears[1]);
    if (!t->said || t->nears[0] == OC_NEAR_UNKNOWN ||
        t->nears[1] == OC_NEAR_UNKNOWN)
        return 0;
    return now <= OC_NEAR_CLOSE &&
           (t->said_near == OC_NEAR_UNKNOWN || now < t->said_near);
}

static int moved(const track *t) {
    return t->masks[0] == t->masks[1] && t->masks[0] != t->said_mask;
}

static int is_news(const oc_news *news, const track *t, double now) {
    double pause = now - t->said_s;
    int is_danger = t->urgency <= OC_URGENCY_HARM;
    if (t->believed && !t->group) return 0; /* just now it is not seen */
    if (t->believed != t->counts[0]) return 0;
    if (!t->believed && !t->said) return 0;
    if (!t->was_said) return 1;
    if (is_danger && came_nearer(t) && pause >= least_pause_s) return 1;
    if (pause < news->cool_down_s) return 0;
    return t->believed != t->said ||
           (t->believed && (came_nearer(t) || moved(t)));
}

static void mark_said(track *t, double now) {
    t->said = t->believed;
    t->said_mask = t->masks[0];
    t->said_near = t->nears[0];
    t->said_s = now;
    t->was_said = 1;
}

/* The most urgent of what is there, or of what is gone. */
static track *next_news(oc_news *news, const int *todo, int is_there) {
    track *best = NULL;
    for (int i = 0; i < news->n_tracks; i++) {
        track *t = &news->tracks[i];
        if (!todo[i] || (t->believed != 0) != is_there) continue;
        if (!best || t->urgency < best->urgency) best = t;
    }
    return best;
}

static const char *join(oc_news *news, const char *all, const char *one) {
    if (!*all) return one;
    return OC_SAY(news->words, &news->arena, "brief.join", {"a", all},
                  {"b", one});
}

/* "a car ahead; a dog on the left" */
static const char *say_there(oc_news *news, const oc_scene *s, int *todo,
                             double now) {
    const char *all = "";
    for (track *t; all && (t = next_news(news, todo, 1));) {
        all = join(news, all,
                   oc__say_group(news->words, s, &news->arena, t->group));
        todo[t - news->tracks] = 0;
        mark_said(t, now);
    }
    return all;
}

/* "no longer there: a bus and three people" */
static const char *say_gone(oc_news *news, int *todo, double now) {
    const char *list[MAX_TRACKS];
    int n = 0;
    for (track *t; (t = next_news(news, todo, 0));) {
        list[n++] = oc__say_noun(news->words, &news->arena, t->name, t->said);
        todo[t - news->tracks] = 0;
        mark_said(t, now);
    }
    if (!n) return "";
    return OC_SAY(news->words, &news->arena, "news.gone",
                  {"noun", oc__say_list(news->words, &news->arena, list, n)});
}

oc_status oc_news_look(oc_news *news, const oc_scene *scene, double seconds,
                       const char **text, oc_error *err) {
    oc__group *groups = NULL;
    int todo[MAX_TRACKS] = {0};
    oc__arena_deinit(&news->arena);
    oc__arena_init(&news->arena, &news->allocator);
    int n = oc__scene_group(scene, &news->arena, &groups);
    if (n < 0) return oc__fail_nomem(err);
    follow(news, scene, groups, n);
    for (int i = 0; i < news->n_tracks; i++) {
        todo[i] = is_news(news, &news->tracks[i], seconds);
    }
    const char *all = say_there(news, scene, todo, seconds);
    const char *gone = say_gone(news, todo, seconds);
    if (all && gone && *gone) all = join(news, all, gone);
    if (all && gone && *all)
        all = OC_SAY(news->words, &news->arena, "sentence",
                     {"text", oc__say_large(&news->arena, all)});
    if (!all || !gone) return oc__fail_nomem(err);
    *text = all;
    return OC_OK;
}
