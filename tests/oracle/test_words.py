"""Plural categories against babel, which has CLDR's rules for every language.

Each language's rules are written into a file of words as CLDR gives them, and
the library is asked for the category of many numbers.
"""
import ctypes as c
import os
import sys
import traceback

from babel import Locale
from babel.localedata import locale_identifiers

_lib = c.CDLL(os.path.join(os.environ.get("OC_BUILD_DIR", "build"),
                           "libocelli.so"))
_lib.oc_words_plural.restype = c.c_char_p
_lib.oc_words_plural.argtypes = [c.c_void_p, c.c_int64]

NUMBERS = [*range(0, 1300), 9999, 10000, 10001, 10011, 100000, 999999, 1000000,
           1000001, 1000011, 2000000, 123456789, 10**12, 10**15]


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("offset", c.c_int64),
                ("node", c.c_char * 96), ("message", c.c_char * 384)]


def load(call, *args):
    words, error = c.c_void_p(), Error()
    status = call(c.byref(words), *args, None, c.byref(error))
    assert status == 0, error.message.decode()
    return words


def parse(text):
    data = text.encode()
    return load(_lib.oc_words_parse, data, c.c_size_t(len(data)))


def differences(words, rule):
    got = {n: _lib.oc_words_plural(words, n).decode() for n in NUMBERS}
    _lib.oc_words_destroy(words)
    return [(n, got[n], rule(n)) for n in NUMBERS if got[n] != rule(n)]


def every_language_of_cldr():
    seen = {}
    for name in locale_identifiers():
        rule = Locale.parse(name).plural_form
        seen.setdefault(str(sorted(rule.rules.items())), (name, rule))
    assert len(seen) > 25, len(seen)
    for name, rule in seen.values():
        lines = [f"plural.{tag} = {text}" for tag, text in rule.rules.items()]
        words = parse("\n".join([f"locale = {name.replace('_', '-')}"] + lines))
        wrong = differences(words, rule)
        assert not wrong, (name, rule.rules, wrong[:5])


def the_languages_that_come_along():
    names = [f[:-4] for f in os.listdir("locales") if f.endswith(".txt")]
    assert {"en", "de", "pl"} <= set(names), names
    for name in names:
        words = load(_lib.oc_words_load, name.encode(), b"locales")
        wrong = differences(words, Locale.parse(name).plural_form)
        assert not wrong, (name, wrong[:5])


TESTS = [every_language_of_cldr, the_languages_that_come_along]


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    for i, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {i} - {test.__name__}")
        except Exception:
            failed += 1
            print(f"not ok {i} - {test.__name__}")
            for line in traceback.format_exc().splitlines():
                print("#", line)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
