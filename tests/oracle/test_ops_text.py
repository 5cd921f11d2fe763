"""Operators on strings, against ONNX Runtime (whose regular expressions are
RE2's) and Python."""
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node_call import Call, compare, main, pick, randint, rng

WORDS = ("", "a", "ab", "ba", "hello", "Hello World", "x-y_z", "3.14", "42",
         "2024-02-29", "me@example.com", "ÄÖü", "straße", "日本語", "naïve",
         "foo\nbar", "a b  c ", "Ωmega", "tab\there", "ABBA", "aaaa", "ab" * 9,
         "под", "€5", "(x)", "[y]", "a.b", "\\", "-", "^", "K", "ſ", "x" * 40)


def words(*shape):
    out = np.empty(shape, object)
    for i in np.ndindex(*shape):
        out[i] = pick(*WORDS)
    return out


# Every construct of the syntax, some of them more than once.
PATTERNS = r"""
a*|ab*|(ab)+|[a-z]+|[^a-z]*|.*|a?b?|\d+|\D*|\w+|\W*|\s*|\S+|x{40}|x{3,}
(?i)hello.*|(?i:HELLO) World|(?s)foo.bar|foo.bar|(?m)foo$\nbar|foo\nbar
a{4}|a{2,4}|(aa){2}|a{0}|(a|b)*|(?:a|ab)(?:b|)|(a*)*|(a*)+|(|a)+|a**?x|a+?
[[:alpha:]]+|[[:digit:]]+|[[:^digit:]]+|[[:upper:]]+[[:alnum:] ]*|[\d.]+
[\w.\-]+@[\w.\-]+\.com|\d{4}-\d\d-\d\d|[0-9]{2}|\p{L}+|\pL+|\p{Lu}+|\P{L}+
\p{Greek}\w+|\p{Han}+|\p{^Latin}+|\p{Cyrillic}+|[\p{Latin}ï]+|\p{Sc}\d
\Aab\z|^ab$|\bab\b|a\Bb|\b.+\b|.+\B|\Q(x)\E|\Q[y]|\(x\)|\[y\]|[[]y[]]|[]y[]+
\x61b|\x{61}b|\141b|\t|tab\there|[\t\n\x20-\x7e]+|[a-]*|[-a]*|[\^a]*|[+--]
(?P<n>a)b|(?<n>a)b|(?i)äöÜ|(?i)k|(?i)S|(?i)[k-l]|(?i)ß|(?-i)a|(?i)a(?-i)b
hel+o|h.l.o|(hello|Hello World)|.|..|...|[^\n]*|(?U)a+|(?is)FOO.BAR|\\
(((a)))|(a(b(c)?)?)?|[a-cx-z]+|[^[:space:]]+|[[:word:]]+|\w{2}|a|b|^|$|^$
a{,3}|a{1|a{x}|{|x{40,40}|(x{10}){4}|(x{20}x{20})|[x]{1000}|x{0,1000}
""".split()


def patterns():
    """The alternatives above one by one, and each line's words whole."""
    for text in PATTERNS:
        yield text
        depth, part = 0, ""
        for i, ch in enumerate(text):
            escaped = i > 0 and text[i - 1] == "\\"
            if ch in "([" and not escaped:
                depth += 1
            if ch in ")]" and not escaped:
                depth -= 1
            if ch == "|" and depth == 0 and not escaped:
                yield part
                part = ""
            else:
                part += ch
        yield part


def regex_matches():
    x = np.array(WORDS, object)
    compared = 0
    for pattern in patterns():
        call = Call("RegexFullMatch", [x], pattern=pattern, opset=20)
        try:
            want = call.theirs()
        except Exception:
            # What RE2 refuses, we must refuse.
            try:
                call.ours()
            except AssertionError:
                continue
            raise AssertionError(f"{pattern!r} is no pattern") from None
        compare(call, want)
        compared += 1
    assert compared > 100, compared


def random_pattern(depth):
    kind = randint(0, 7) if depth else randint(0, 2)
    if kind == 0:
        return pick("a", "b", "c", ".", "\\w", "x")
    if kind == 1:
        return pick("[ab]", "[^a]", "[a-c]", "\\d", "[[:alpha:]]")
    if kind == 2:
        return pick("", "ab", "\\b", "ba")
    inner = random_pattern(depth - 1)
    if kind in (3, 4):
        return inner + random_pattern(depth - 1)
    if kind == 5:
        return f"(?:{inner}|{random_pattern(depth - 1)})"
    low = randint(0, 3)
    return f"(?:{inner})" + pick("*", "+", "?", f"{{{low}}}", f"{{{low},}}",
                                 f"{{{low},{low + 2}}}", "*?", "+?")


def random_regex_matches_python():
    texts = ["".join(rng.choice(list("abcx1 \n"), randint(0, 8)))
             for _ in range(60)] + list(WORDS)
    x = np.array(texts, object)
    for _ in range(150):
        pattern = random_pattern(4)
        want = [bool(re.fullmatch(pattern.replace("[[:alpha:]]", "[A-Za-z]"),
                                  t, re.ASCII)) for t in texts]
        compare(Call("RegexFullMatch", [x], pattern=pattern, opset=20),
                [np.array(want)])


def regex_takes_linear_time_matches():
    """These take a backtracker longer than there is."""
    x = np.array(["a" * 3000, "a" * 3000 + "b"], object)
    for pattern in ("(a*)*b", "(a|aa)+b", "(a|a)*b", "(.*)(.*)(.*)(.*)b"):
        compare(Call("RegexFullMatch", [x], pattern=pattern, opset=20),
                [np.array([False, True])])


def string_concat_matches():
    for _ in range(15):
        a, b = words(randint(1, 3), randint(1, 3)), words(1)
        if randint(0, 1):
            b = words(a.shape[0], 1)
        compare(Call("StringConcat", [a, b], opset=20))


def string_split_matches():
    for _ in range(30):
        x = words(randint(1, 4), randint(1, 3))
        for delimiter in (None, "b", "l", "ab", " ", "-"):
            limit = pick(None, 0, 1, 2)
            flat = [s.split(delimiter) if limit is None
                    else s.split(delimiter, limit) for s in x.ravel()]
            most = max(map(len, flat))
            out = np.empty((len(flat), most), object)
            for row, parts in zip(out, flat):
                row[:] = parts + [""] * (most - len(parts))
            count = np.array([len(p) for p in flat], np.int64)
            compare(Call("StringSplit", [x], 2, delimiter=delimiter,
                         maxsplit=limit, opset=20),
                    [out.reshape(*x.shape, most), count.reshape(x.shape)])


def string_normalizer_matches():
    plain = ("monday", "Tuesday", "SUNDAY", "x", "Y", "42")
    for _ in range(30):
        x = np.array([pick(*plain) for _ in range(randint(1, 6))], object)
        stop = [pick(*plain, "MONDAY", "sunday") for _ in range(randint(0, 3))]
        compare(Call("StringNormalizer", [x], opset=10,
                     stopwords=stop or None,
                     is_case_sensitive=randint(0, 1),
                     locale="C",
                     case_change_action=pick("NONE", "LOWER", "UPPER")))
    # Beyond ASCII: Python knows.
    x = np.array(["ÄÖü", "Ωmega", "под", "naïve", "éÉ"], object)
    for action, how in (("LOWER", str.lower), ("UPPER", str.upper)):
        compare(Call("StringNormalizer", [x], opset=10,
                     case_change_action=action),
                [np.array([how(s) for s in x], object)])


def tfidf_matches():
    for _ in range(40):
        singles = [int(v) for v in rng.permutation(6)[:3]]
        pairs = [randint(0, 5) for _ in range(8)]
        pairs = [v for p in dict.fromkeys(zip(pairs[::2], pairs[1::2]))
                 for v in p]
        n = len(singles) + len(pairs) // 2
        low = randint(1, 2)
        pool = singles + pairs
        how = dict(mode=pick("TF", "IDF", "TFIDF"), min_gram_length=low,
                   max_gram_length=2, max_skip_count=randint(0, 3),
                   ngram_counts=[0, 3], opset=9,
                   ngram_indexes=[int(i) for i in rng.permutation(n)],
                   weights=[float(w) for w in rng.random(n).round(3)])
        x = rng.integers(0, 6, pick((9,), (3, 7)))
        compare(Call("TfIdfVectorizer", [x.astype(pick(np.int64, np.int32))],
                     pool_int64s=pool, **how))
        letters = np.array(list("uvwxyz"), object)
        compare(Call("TfIdfVectorizer", [letters[x]],
                     pool_strings=[str(letters[i]) for i in pool], **how))


if __name__ == "__main__":
    sys.exit(main(globals()))
