/*
 * fuse_argmax.c - the end of networks that segment: scores enlarged, then the
 * best class of each pixel, become one node that keeps no enlarged scores.
 *
 *     Resize (linear, of height and width) -> ArgMax of the channels
 */
#include "ops/resample.h"
#include "passes/match.h"

static int is_class_of_channels(const oc__node *n) {
    int64_t axis = oc__attr_int(n, "axis", 0);
    return oc__is_op(n, "ArgMax") && (axis == 1 || axis == -3) &&
           !oc__attr_int(n, "select_last_index", 0);
}

static int is_plain_enlargement(const oc__graph *g, const oc__pass_env *env,
                                const oc__node *n) {
    oc__resize_spec s;
    if (!oc__is_op(n, "Resize") || !oc__is_concrete_f32(g, n->in[0]) ||
        g->values[n->in[0]].rank != 4 || !oc__read_resize(g, env, n, &s))
        return 0;
    for (int i = 0; i < 4; i++)
        if (s.axis[i].resized != (i > 1) || s.axis[i].in < 1) return 0;
    return s.mode == OC_RESIZE_LINEAR && !s.antialias && !s.exclude_outside &&
           s.coord != OC_COORD_TF_CROP_AND_RESIZE && s.axis[2].taps == 2 &&
           s.axis[3].taps == 2;
}

oc_status oc__pass_fuse_argmax(oc__graph *g, const oc__pass_env *env,
                               oc_error *err) {
    const oc__op *op = oc__op_find("ocelli", "ResizeArgMax");
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        if (!is_class_of_channels(n)) continue;
        oc__node *resize = oc__input_op(&ix, n, 0, "Resize");
        if (!resize || !oc__used_once(&ix, n->in[0]) ||
            !is_plain_enlargement(g, env, resize))
            continue;
        size_t n_attrs = (size_t)resize->n_attrs;
        oc__attr *attrs =
            oc__arena_array(g->arena, n_attrs + 1, sizeof(*attrs));
        if (!attrs) {
            st = oc__fail_nomem(err);
            break;
        }
        for (size_t a = 0; a < n_attrs; a++)
            attrs[a] = resize->attrs[a];
        int64_t keep = oc__attr_int(n, "keepdims", 1);
        n->op = op;
        n->version = resize->version;
        n->in = resize->in;
        n->n_in = resize->n_in;
        n->n_explicit = resize->n_explicit;
        n->attrs = attrs;
        n->n_attrs = (int)n_attrs + 1;
        oc__attr_set_int(n, (int)n_attrs, "keepdims", keep);
        resize->dead = 1;
    }
    oc__index_deinit(&ix);
    oc__graph_compact(g);
    return st;
}
