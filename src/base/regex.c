/* regex.c - the machine; see regex.h. */
#include "base/regex_tree.h"

#include "base/size.h"

#include <string.h>

enum {
    MAX_PROGRAM = 100000,    /* instructions */
    MAX_STEPS = 1000 * 1000, /* of the compiler: repeated nothings */
};

typedef enum op { SET, SPLIT, JUMP, ASSERT, MATCH } op;

typedef struct inst {
    uint8_t op;
    uint8_t place; /* ASSERT */
    uint32_t x, y; /* SPLIT, JUMP: where to */
    const oc__regex_node *set;
    uint64_t ascii[2]; /* SET: bit c for code points below 128 */
} inst;

struct oc__regex {
    oc__arena arena;
    inst *program;
    uint32_t n, capacity;
};

/* ---- compiling ----------------------------------------------------------- */

typedef struct compiler {
    oc__regex *r;
    oc_error *err;
    int steps;
} compiler;

/* Appends an instruction; pointers into the program are stale after it. */
static oc_status emit(compiler *c, op code, uint32_t *at) {
    oc__regex *r = c->r;
    if (r->n == MAX_PROGRAM)
        return oc__fail(c->err, OC_E_LIMIT,
                        "regular expression: it needs more than %d steps",
                        MAX_PROGRAM);
    if (r->n == r->capacity) {
        uint32_t capacity = r->capacity ? r->capacity * 2 : 32;
        inst *p = oc__arena_array(&r->arena, capacity, sizeof(*p));
        if (!p) return oc__fail_nomem(c->err);
        if (r->n) memcpy(p, r->program, r->n * sizeof(*p));
        r->program = p;
        r->capacity = capacity;
    }
    *at = r->n++;
    memset(&r->program[*at], 0, sizeof(inst));
    r->program[*at].op = (uint8_t)code;
    return OC_OK;
}

static oc_status compile(compiler *c, const oc__regex_node *n);

/* One instruction.  ASCII is answered from a bitmap, the rest by bisection. */
static oc_status compile_set(compiler *c, const oc__regex_node *n) {
    uint32_t at;
    OC_TRY(emit(c, SET, &at));
    inst *i = &c->r->program[at];
    i->set = n;
    for (size_t k = 0; k < n->n_ranges; k++)
        for (uint32_t b = n->ranges[k].first; b <= n->ranges[k].last && b < 128;
             b++)
            i->ascii[b / 64] |= UINT64_C(1) << (b % 64);
    return OC_OK;
}

/*   SPLIT this, next; this; JUMP end; next: SPLIT ...; last; end:   */
static oc_status compile_alt(compiler *c, const oc__regex_node *n) {
    uint32_t jumps = UINT32_MAX, at, jump; /* a chain through y */
    for (const oc__regex_node *k = n->child; k; k = k->next) {
        if (!k->next) {
            OC_TRY(compile(c, k));
            break;
        }
        OC_TRY(emit(c, SPLIT, &at));
        OC_TRY(compile(c, k));
        OC_TRY(emit(c, JUMP, &jump));
        c->r->program[at].x = at + 1;
        c->r->program[at].y = c->r->n;
        c->r->program[jump].y = jumps;
        jumps = jump;
    }
    while (jumps != UINT32_MAX) {
        inst *i = &c->r->program[jumps];
        jumps = i->y;
        i->x = c->r->n;
    }
    return OC_OK;
}

/* x{2,4}: x x SPLIT(x SPLIT(x)) with both exits at the end;
   x{2,}:  x x loop: SPLIT(x JUMP loop). */
static oc_status compile_repeat(compiler *c, const oc__regex_node *n) {
    uint32_t at, jump, splits = UINT32_MAX;
    for (int i = 0; i < n->min; i++)
        OC_TRY(compile(c, n->child));
    if (n->max < 0) {
        OC_TRY(emit(c, SPLIT, &at));
        OC_TRY(compile(c, n->child));
        OC_TRY(emit(c, JUMP, &jump));
        c->r->program[jump].x = at;
        c->r->program[at].x = at + 1;
        c->r->program[at].y = c->r->n;
        return OC_OK;
    }
    for (int i = n->min; i < n->max; i++) { /* each may be the way out */
        OC_TRY(emit(c, SPLIT, &at));
        c->r->program[at].x = at + 1;
        c->r->program[at].y = splits;
        splits = at;
        OC_TRY(compile(c, n->child));
    }
    while (splits != UINT32_MAX) {
        inst *i = &c->r->program[splits];
        splits = i->y;
        i->y = c->r->n;
    }
    return OC_OK;
}

/* Depth is bounded by the parser's. */
static oc_status compile(compiler *c, const oc__regex_node *n) {
    uint32_t at;
    if (++c->steps > MAX_STEPS)
        return oc__fail(c->err, OC_E_LIMIT,
                        "regular expression: it repeats too much");
    switch (n->kind) {
    case OC_REGEX_SET: return compile_set(c, n);
    case OC_REGEX_ALT: return compile_alt(c, n);
    case OC_REGEX_REPEAT: return compile_repeat(c, n);
    case OC_REGEX_ASSERT:
        OC_TRY(emit(c, ASSERT, &at));
        c->r->program[at].place = (uint8_t)n->place;
        return OC_OK;
    case OC_REGEX_CAT:
        for (const oc__regex_node *k = n->child; k; k = k->next)
            OC_TRY(compile(c, k));
        return OC_OK;
    default: return OC_OK;
    }
}

oc_status oc__regex_create(oc__regex **out, const oc_allocator *a,
                           const char *pattern, size_t bytes, oc_error *err) {
    oc__regex *r = oc__calloc(a, 1, sizeof(*r));
    if (!r) return oc__fail_nomem(err);
    oc__arena_init(&r->arena, a);
    compiler c = {r, err, 0};
    oc__regex_node *tree;
    uint32_t at;
    oc_status st = oc__regex_parse(&tree, &r->arena, pattern, bytes, err);
    if (st == OC_OK) st = compile(&c, tree);
    if (st == OC_OK) st = emit(&c, MATCH, &at);
    if (st != OC_OK) {
        oc__regex_destroy(r);
        return st;
    }
    *out = r;
    return OC_OK;
}

void oc__regex_destroy(oc__regex *r) {
    if (!r) return;
    const oc_allocator *a = r->arena.allocator;
    oc__arena_deinit(&r->arena);
    oc__release(a, r, sizeof(*r));
}

/* ---- matching ------------------------------------------------------------ */

/* A set of instructions that can be emptied at once: i is in it when
   dense[sparse[i]] == i.  sparse is never initialised past zero. */
typedef struct threads {
    uint32_t *dense, *sparse, n;
} threads;

typedef struct machine {
    const oc__regex *r;
    uint32_t *stack;
    int64_t before, after; /* code points around the place; -1: the end */
} machine;

size_t oc__regex_work_bytes(const oc__regex *r) {
    return (size_t)r->n * 6 * sizeof(uint32_t);
}

static int is_word(int64_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_';
}

/* Whether an assertion holds between the code points before and after. */
static int holds(const machine *m, int place) {
    switch (place) {
    case OC_REGEX_TEXT_BEGIN: return m->before < 0;
    case OC_REGEX_TEXT_END: return m->after < 0;
    case OC_REGEX_LINE_BEGIN: return m->before < 0 || m->before == '\n';
    case OC_REGEX_LINE_END: return m->after < 0 || m->after == '\n';
    case OC_REGEX_WORD_EDGE: return is_word(m->before) != is_word(m->after);
    default: return is_word(m->before) == is_word(m->after);
    }
}

/* Adds pc and all that is reached from it without taking a code point. */
static void follow(machine *m, threads *t, uint32_t pc) {
    uint32_t depth = 0;
    m->stack[depth++] = pc;
    while (depth) {
        pc = m->stack[--depth];
        if (t->sparse[pc] < t->n && t->dense[t->sparse[pc]] == pc) continue;
        t->sparse[pc] = t->n;
        t->dense[t->n++] = pc;
        const inst *i = &m->r->program[pc];
        if (i->op == JUMP) m->stack[depth++] = i->x;
        if (i->op == SPLIT) {
            m->stack[depth++] = i->y;
            m->stack[depth++] = i->x;
        }
        if (i->op == ASSERT && holds(m, i->place)) m->stack[depth++] = pc + 1;
    }
}

static int in_set(const inst *i, uint32_t c) {
    if (c < 128) return (int)(i->ascii[c / 64] >> (c % 64) & 1);
    const oc__regex_range *r = i->set->ranges;
    size_t lo = 0, hi = i->set->n_ranges;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < i->set->n_ranges && r[lo].first <= c;
}

/* One step a code point: all instructions that wait for one either take it or
   die.  Equal states merge, so there are never more than instructions. */
int oc__regex_full_match(const oc__regex *r, const char *text, size_t bytes,
                         void *work) {
    uint32_t *w = work, n = r->n;
    const char *at = text, *end = text ? text + bytes : text;
    threads now = {w, w + n, 0}, then = {w + 2 * n, w + 3 * n, 0};
    machine m = {r, w + 4 * n, -1, -1}; /* each instruction pushes two */
    memset(w, 0, oc__regex_work_bytes(r));
    if (at < end) m.after = oc__utf8_next(&at, end);
    follow(&m, &now, 0);
    while (m.after >= 0 && now.n) {
        uint32_t c = (uint32_t)m.after;
        m.before = m.after;
        m.after = at < end ? (int64_t)oc__utf8_next(&at, end) : -1;
        then.n = 0;
        for (uint32_t k = 0; k < now.n; k++) {
            const inst *i = &r->program[now.dense[k]];
            if (i->op == SET && in_set(i, c))
                follow(&m, &then, now.dense[k] + 1);
        }
        threads swap = now;
        now = then;
        then = swap;
    }
    /* MATCH is the last instruction. */
    return m.after < 0 && now.sparse[n - 1] < now.n &&
           now.dense[now.sparse[n - 1]] == n - 1;
}
