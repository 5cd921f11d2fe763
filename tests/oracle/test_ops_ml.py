"""ai.onnx.ml against ONNX Runtime, with every post_transform."""
import os
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine
from node_call import Call, compare, main, noise, pick, randint, rng

POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def ml(op, inputs, outputs=1, version=3, **attrs):
    return Call(op, inputs, outputs, "ai.onnx.ml", version=version, **attrs)


def floats(n, low=-1.0, high=1.0):
    return [float(v) for v in rng.uniform(low, high, n).astype(np.float32)]


def text(*items):
    return np.array(items, object)


def labels(n):
    if randint(0, 1):
        return {"classlabels_ints": [int(v) for v in rng.permutation(50)[:n]]}
    return {"classlabels_strings": [f"class {i}" for i in range(n)]}


def int64s(of):
    """The trees spell it otherwise."""
    if "classlabels_ints" in of:
        return {"classlabels_int64s": of["classlabels_ints"]}
    return of


def features_match():
    for _ in range(15):
        n, f = randint(1, 4), randint(1, 5)
        for dtype in (np.float32, np.float64, np.int64, np.int32):
            x = (noise(n, f) * 10).astype(dtype)
            one = randint(0, 1)
            compare(ml("Scaler", [x], offset=floats(1 if one else f),
                       scale=floats(1 if one else f)))
            for norm in ("MAX", "L1", "L2"):
                compare(ml("Normalizer", [np.abs(x)], norm=norm))
            if dtype in (np.float32, np.int64):
                holes = x.copy()
                holes[0, 0] = 7
                if dtype == np.float32:
                    compare(ml("Imputer", [holes], replaced_value_float=7.0,
                               imputed_value_floats=floats(f)))
                    holes[0, 0] = np.nan
                    compare(ml("Imputer", [holes],
                               replaced_value_float=float("nan"),
                               imputed_value_floats=floats(1)))
                else:
                    compare(ml("Imputer", [holes], replaced_value_int64=7,
                               imputed_value_int64s=[3]))
            index = rng.integers(0, f, randint(1, 4))
            compare(ml("ArrayFeatureExtractor", [x, index]))
        compare(ml("Binarizer", [noise(n, f)], threshold=0.25))
        parts = [noise(n, randint(1, 3)) for _ in range(3)]
        compare(ml("FeatureVectorizer", parts,
                   inputdimensions=[p.shape[1] for p in parts]))


def encoders_match():
    names = ("a", "b", "c", "zebra", "")
    x = text(*(pick(*names, "other") for _ in range(12))).reshape(3, 4)
    numbers = rng.integers(0, 9, (3, 4))
    keys = [int(v) for v in rng.permutation(9)[:5]]
    for version in (2, 4):
        compare(ml("LabelEncoder", [x], version=version, keys_strings=names,
                   values_int64s=keys, default_int64=-7))
        compare(ml("LabelEncoder", [numbers], version=version,
                   keys_int64s=keys, values_strings=names,
                   default_string="none"))
        compare(ml("LabelEncoder", [numbers], version=version,
                   keys_int64s=keys, values_floats=floats(5),
                   default_float=0.5))
        compare(ml("LabelEncoder", [numbers.astype(np.float32)],
                   version=version, keys_floats=[float(k) for k in keys],
                   values_floats=floats(5)))
        compare(ml("LabelEncoder", [text("a", "q")], version=version,
                   keys_strings=names, values_strings=names[::-1]))
    compare(ml("LabelEncoder", [x], version=1, classes_strings=names,
               default_int64=-3))
    compare(ml("LabelEncoder", [numbers], version=1, classes_strings=names,
               default_string="far"))
    compare(ml("CategoryMapper", [x], cats_strings=names, cats_int64s=keys,
               default_int64=99))
    compare(ml("CategoryMapper", [numbers], cats_strings=names,
               cats_int64s=keys, default_string="?"))
    compare(ml("OneHotEncoder", [numbers], cats_int64s=keys, zeros=1))
    compare(ml("OneHotEncoder", [numbers.astype(np.float32)],
               cats_int64s=keys))
    compare(ml("OneHotEncoder", [x], cats_strings=names))


def label_encoder_with_tensors_matches():
    def tensor(values, dtype):
        return numpy_helper.from_array(np.array(values, dtype))
    x = rng.integers(0, 5, (2, 6))
    for key in (np.int64, np.float32, np.float64):
        given = x.astype(key)
        compare(ml("LabelEncoder", [given], version=4,
                   keys_tensor=tensor([1, 3, 4], key),
                   values_tensor=tensor([10, 30, 40], key),
                   default_tensor=tensor([-1], key)))


def zipped(x, **names):
    """ZipMap, and what another operator makes of its first map."""
    return [helper.make_node("ZipMap", ["x"], ["maps"], domain="ai.onnx.ml",
                             **names),
            helper.make_node("SequenceAt", ["maps", "zero"], ["map"])]


def run_nodes(nodes, x, output):
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, x.shape)],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.array(0, np.int64), "zero")])
    model = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    return engine.run(model.SerializeToString(), {"x": x})[0]


def zip_map_matches():
    for names in ({"classlabels_strings": ["a", "b", "c"]},
                  {"classlabels_int64s": [7, 2, 5]}):
        x = noise(3, 3)
        call = ml("ZipMap", [x], **names)
        want, = call.theirs()
        got, = call.ours()
        assert got == want, f"{call}: {got}, want {want}"


def maps_match_the_specification():
    """Examples of the operators' texts."""
    letters = {"classlabels_strings": ["a", "c"]}
    x = np.array([[4, 8]], np.float32)
    node = helper.make_node("DictVectorizer", ["map"], ["y"],
                            domain="ai.onnx.ml",
                            string_vocabulary=["a", "c", "b", "z"])
    got = run_nodes(zipped(x, **letters) + [node], x, "y")
    assert got.tolist() == [4, 8, 0, 0], got
    x = np.array([[0.5, 2, 1]], np.float32)
    numbers = {"classlabels_int64s": [5, 0, 3]}
    for form, want in (("DENSE", [2, 1, 0.5]),
                       ("SPARSE", [2, 0, 0, 1, 0, 0.5, 0])):
        for to, kind in (("TO_FLOAT", float), ("TO_INT64", int)):
            node = helper.make_node("CastMap", ["map"], ["y"], cast_to=to,
                                    domain="ai.onnx.ml", map_form=form,
                                    max_map=7)
            got = run_nodes(zipped(x, **numbers) + [node], x, "y")
            assert got.tolist() == [[kind(v) for v in want]], got


def linear_models_match():
    for post in POSTS:
        for _ in range(4):
            n, f, k = randint(1, 4), randint(1, 5), randint(1, 4)
            if post not in ("NONE", "PROBIT"):
                k += 1  # of one score ONNX Runtime leaves it out
            x = noise(n, f)
            if post != "PROBIT" or k == 1:
                x, scale = (x, 1.0) if post != "PROBIT" else (abs(x), 0.1)
                compare(ml("LinearRegressor", [x], targets=k,
                           coefficients=floats(k * f, 0 if scale < 1 else -1,
                                               scale),
                           intercepts=floats(k, 0.1, 0.3),
                           post_transform=post), atol=1e-4)
            if post == "PROBIT":
                continue  # of negative scores it is not defined
            compare(ml("LinearClassifier", [x], 2, post_transform=post,
                       coefficients=floats(3 * f), intercepts=floats(3),
                       **labels(3)), atol=1e-4)
            # One score for two classes: ONNX Runtime transforms it by
            # LOGISTIC alone.
            call = ml("LinearClassifier", [x], 2, post_transform=post,
                      coefficients=floats(f), intercepts=floats(1),
                      **labels(2))
            got, want = call.ours(), call.reference()
            np.testing.assert_allclose(got[1], want[1], 1e-4, 1e-4)
            if post == "LOGISTIC":
                compare(call, atol=1e-4)
            compare(ml("LinearClassifier", [x], 2, post_transform=post,
                       coefficients=floats(2 * f), intercepts=floats(2),
                       **labels(2)), atol=1e-4)


def kernel():
    name = pick("LINEAR", "POLY", "RBF", "SIGMOID")
    return {"kernel_type": name,
            "kernel_params": [0.4, 0.3, 3.0 if name == "POLY" else 0.0]}


def svm_regressors_match():
    for post in POSTS[:4]:
        for _ in range(6):
            n, f, v = randint(1, 4), randint(1, 5), randint(1, 6)
            compare(ml("SVMRegressor", [noise(n, f)], n_supports=v,
                       support_vectors=floats(v * f), coefficients=floats(v),
                       rho=floats(1), one_class=randint(0, 1),
                       post_transform="NONE", **kernel()), atol=1e-4)
            compare(ml("SVMRegressor", [noise(n, f)], coefficients=floats(f),
                       rho=floats(1), post_transform="NONE",
                       kernel_type="LINEAR", kernel_params=[0.0] * 3),
                    atol=1e-4)


def svm_classifiers_match():
    for post in POSTS[:4]:
        for _ in range(8):
            n, f, k = randint(1, 4), randint(1, 4), randint(2, 4)
            if post.startswith("SOFTMAX"):
                k = randint(3, 4)  # of two, ONNX Runtime leaves it out
            per = [randint(1, 3) for _ in range(k)]
            v, pairs = sum(per), k * (k - 1) // 2
            how = dict(support_vectors=floats(v * f), vectors_per_class=per,
                       coefficients=floats(v * (k - 1)), rho=floats(pairs),
                       post_transform=post, **kernel(), **labels(k))
            compare(ml("SVMClassifier", [noise(n, f)], 2, **how), atol=1e-4)
            if post == "NONE":
                how.update(prob_a=floats(pairs), prob_b=floats(pairs))
                compare(ml("SVMClassifier", [noise(n, f)], 2, **how),
                        rtol=1e-3, atol=1e-4)
            k = randint(3, 4)  # of two, ONNX Runtime prefers the second
            compare(ml("SVMClassifier", [noise(n, f)], 2, rho=floats(1),
                       coefficients=floats(k * f), post_transform=post,
                       kernel_type="LINEAR", kernel_params=[0.0] * 3,
                       **labels(k)), atol=1e-4)


class Tree:
    """Random trees in the older encoding."""

    def __init__(self, features, targets, trees, low=-1.0):
        self.nodes, self.votes = [], []
        self.features, self.targets, self.low = features, targets, low
        for self.tree in range(trees):
            self.count = 0
            self.grow(randint(0, 3))

    def grow(self, depth):
        me = self.count
        self.count += 1
        row = [self.tree, me, 0, 0.0, "LEAF", 0, 0, randint(0, 1)]
        self.nodes.append(row)
        if depth == 0:
            # All of them: ONNX Runtime forgets the base value of others.
            for target in rng.permutation(self.targets):
                self.votes.append((self.tree, me, int(target),
                                   floats(1, self.low)[0]))
            return me
        row[2] = randint(0, self.features - 1)
        row[3] = floats(1)[0]
        row[4] = "BRANCH_" + pick("LEQ", "LT", "GTE", "GT", "EQ", "NEQ")
        row[5], row[6] = self.grow(depth - 1), self.grow(depth - 1)
        return me

    def attrs(self, what):
        names = ("treeids", "nodeids", "featureids", "values", "modes",
                 "truenodeids", "falsenodeids", "missing_value_tracks_true")
        out = {f"nodes_{n}": list(v)
               for n, v in zip(names, zip(*self.nodes))}
        names = ("treeids", "nodeids", "ids", "weights")
        out |= {f"{what}_{n}": list(v)
                for n, v in zip(names, zip(*self.votes))}
        return out


def with_holes(*shape):
    x = noise(*shape)
    x[rng.random(shape) < 0.1] = np.nan
    return x


def tree_regressors_match():
    for how in ("SUM", "AVERAGE", "MIN", "MAX"):
        for post in POSTS[:4]:
            f, k = randint(1, 4), pick(1, 2, 3)
            tree = Tree(f, k, randint(1, 5))
            base = {"base_values": floats(k)} if randint(0, 1) else {}
            compare(ml("TreeEnsembleRegressor", [with_holes(6, f)],
                       n_targets=k, aggregate_function=how,
                       post_transform=post if k > 1 else "NONE", **base,
                       **tree.attrs("target")), atol=1e-4)


def tree_classifiers_match():
    for post in POSTS[:4]:
        for _ in range(6):
            f, k = randint(1, 4), randint(3, 5)
            tree = Tree(f, k, randint(1, 5), pick(-1.0, 0.0))
            base = {"base_values": floats(k)} if randint(0, 1) else {}
            compare(ml("TreeEnsembleClassifier", [with_holes(6, f)], 2,
                       post_transform=post, **base, **int64s(labels(k)),
                       **tree.attrs("class")), atol=1e-4)


def binary_tree_classifiers_match():
    """All votes for one class of two."""
    for post in POSTS[:4]:
        for positive in (0, 1):
            for target in (0, 1):
                if target == 0 and post.startswith("SOFTMAX"):
                    continue  # ONNX Runtime leaves it out
                f = randint(1, 4)
                tree = Tree(f, 1, randint(1, 4), 0.01 if positive else -1.0)
                attrs = tree.attrs("class")
                attrs["class_ids"] = [target] * len(attrs["class_ids"])
                compare(ml("TreeEnsembleClassifier", [noise(6, f)], 2,
                           post_transform=post, **int64s(labels(2)), **attrs),
                        atol=1e-4)


def double_trees_match():
    for _ in range(6):
        f = randint(1, 4)
        tree = Tree(f, 3, 3)
        attrs = tree.attrs("class")
        for name in ("nodes_values", "class_weights"):
            values = attrs.pop(name)
            attrs[name + "_as_tensor"] = helper.make_tensor(
                name, 11, [len(values)], values)
        compare(ml("TreeEnsembleClassifier",
                   [noise(5, f).astype(np.float64)], 2,
                   **int64s(labels(3)), **attrs), atol=1e-4)


def tree_ensembles_match():
    def tensor(values, dtype):
        return numpy_helper.from_array(np.array(values, dtype))
    for how in range(4):
        for post in (0, 1, 2):
            for dtype in (np.float32, np.float64):
                n = randint(1, 4)  # a list: each node's no-branch is the next
                modes = [randint(0, 5) for _ in range(n)]
                given = dict(
                    inputs=[noise(6, 2).astype(dtype)], version=5,
                    n_targets=3, aggregate_function=how, tree_roots=[0],
                    nodes_featureids=[randint(0, 1) for _ in range(n)],
                    nodes_modes=tensor(modes, np.uint8),
                    nodes_splits=tensor(floats(n), dtype),
                    nodes_truenodeids=list(range(n)),
                    nodes_trueleafs=[1] * n,
                    nodes_falsenodeids=list(range(1, n)) + [n],
                    nodes_falseleafs=[0] * (n - 1) + [1],
                    leaf_targetids=[randint(0, 2) for _ in range(n + 1)],
                    leaf_weights=tensor(floats(n + 1), dtype))
                # The specification numbers softmax 1 and logistic 2, ONNX
                # Runtime the other way round.
                theirs = ml("TreeEnsemble", post_transform=(0, 2, 1)[post],
                            **given).theirs()
                compare(ml("TreeEnsemble", post_transform=post, **given),
                        theirs, atol=1e-4)


if __name__ == "__main__":
    sys.exit(main(globals()))
