"""Writes tests/unit/figures_tables.inc: what scikit-learn and SciPy make of
scores.  Needs them besides NumPy:

    python3 tests/oracle/make_figures_tables.py > tests/unit/figures_tables.inc
"""
import numpy as np
import scipy
import sklearn
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax
from sklearn import metrics

N, CLASSES = 83, 4


def draw():
    """The generator of test_figures.c: coarse numbers, so some are equal."""
    state = 99
    z, y = np.zeros((N, CLASSES), np.float32), np.zeros(N, np.int64)
    hot = np.zeros((N, CLASSES), np.float32)

    def byte():
        nonlocal state
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        return state >> 24

    for i in range(N):
        y[i] = byte() % CLASSES
        for c in range(CLASSES):
            hot[i, c] = byte() % 3 == 0
            z[i, c] = (byte() % 33 - 16) / 4.0
            if c == y[i]:
                z[i, c] += 2.25
            if hot[i, c]:
                z[i, c] += 1
    return z, y, hot


def number(name, value):
    print(f"static const double {name} = {float(value)!r};")


def numbers(name, values):
    text = ",\n    ".join(repr(float(v)) for v in np.ravel(values))
    print(f"static const double {name}[] = {{\n    {text}}};")


def main():
    z, y, hot = draw()
    z64 = z.astype(np.float64)
    p = softmax(z64, 1)
    guess = z.argmax(1)
    print("/* Written by tests/oracle/make_figures_tables.py with scikit-learn "
          f"{sklearn.__version__}\n   and SciPy {scipy.__version__}. */")
    number("single_loss", metrics.log_loss(y, p, labels=range(CLASSES)))
    number("single_accuracy", metrics.accuracy_score(y, guess))
    number("single_balanced", metrics.balanced_accuracy_score(y, guess))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        y, guess, labels=range(CLASSES))
    numbers("single_precision", precision)
    numbers("single_recall", recall)
    numbers("single_f1", f1)
    number("single_macro", metrics.f1_score(y, guess, average="macro"))
    numbers("single_confusion", metrics.confusion_matrix(y, guess))
    number("single_brier", ((p - np.eye(CLASSES)[y]) ** 2).sum(1).mean())
    # Guo et al., arXiv:1706.04599: bins of equal width.
    top, right = p.max(1), guess == y
    where = np.digitize(top, np.linspace(0, 1, 16)[1:-1])
    number("single_ece", sum(
        (where == b).mean() * abs(top[where == b].mean()
                                  - right[where == b].mean())
        for b in range(15) if (where == b).any()))

    def nll(t, z=z64, y=y):
        return -log_softmax(z / t, 1)[np.arange(len(y)), y].mean()

    for name, scale in (("one", 1.0), ("sharp", 7.0), ("dull", 0.11)):
        # By the slope: a minimum's place is known only to the root of f64's
        # precision, a zero's to all of it.
        zs = z64 * scale

        def slope(b):
            q = softmax(zs * b, 1)
            return ((q * zs).sum(1) - zs[np.arange(N), y]).mean()

        t = 1 / brentq(slope, 1e-3, 1e3, xtol=1e-14)
        number(f"temperature_{name}", t)
        number(f"loss_{name}", nll(t, zs))

    s = 1 / (1 + np.exp(-z64))
    number("multi_loss", np.mean([metrics.log_loss(
        hot[:, c], s[:, c], labels=[0, 1]) for c in range(CLASSES)]))
    numbers("multi_ap", [metrics.average_precision_score(hot[:, c], z64[:, c])
                         for c in range(CLASSES)])
    number("multi_map", metrics.average_precision_score(hot, z64))
    number("multi_micro", metrics.f1_score(hot, z > 0, average="micro"))
    number("multi_macro", metrics.f1_score(hot, z > 0, average="macro"))
    number("multi_accuracy", ((z > 0) == (hot > 0)).mean())
    best = []
    for c in range(CLASSES):
        a, b, t = metrics.precision_recall_curve(hot[:, c], z64[:, c])
        with np.errstate(invalid="ignore"):
            f = np.nan_to_num(2 * a * b / (a + b))
        best.append(f.max())
    numbers("multi_best_f1", best)


main()
