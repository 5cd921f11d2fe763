"""The files of the page as `ocelli serve` gives them, against server/web/.

Prints TAP.
"""
import gzip
import hashlib
import re

from server_process import *

WEB = os.path.join(os.path.dirname(__file__), "..", "..", "server", "web")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
         ".png": "image/png", ".webp": "image/webp",
         ".webmanifest": "application/manifest+json"}
FOLDER = fresh_folder()


def files():
    """{path: bytes} of the folder; what no build step changes."""
    found = {}
    for folder, _, names in os.walk(WEB):
        for name in names:
            full = os.path.join(folder, name)
            path = "/" + os.path.relpath(full, WEB)
            with open(full, "rb") as f:
                found["/" if path == "/index.html" else path] = f.read()
    return found


FILES = files()


def every_file_is_served_as_it_is():
    assert len(FILES) > 25
    for path, data in FILES.items():
        status, headers, got = S.ask("GET", path)
        end = os.path.splitext(path)[1] or ".html"
        assert status == 200, (path, status)
        assert headers["Content-Type"] == TYPES[end], (path, headers)
        assert headers["Content-Encoding"] is None
        assert int(headers["Content-Length"]) == len(got)
        if path != "/sw.js":
            assert got == data, path


def the_worker_knows_every_file():
    text = S.ask("GET", "/sw.js")[2].decode()
    listed = dict(re.findall(r'\["([^"]+)", "([0-9a-f]{16})"\]', text))
    assert set(listed) == set(FILES) - {"/sw.js"}
    for path, short in listed.items():
        assert hashlib.sha256(FILES[path]).hexdigest().startswith(short), path


def gzip_is_the_same_file():
    saved = 0
    for path, data in FILES.items():
        _, headers, got = S.ask("GET", path, headers={
            "Accept-Encoding": "br, gzip;q=0.8"})
        if path.endswith((".png", ".webp")):
            assert headers["Content-Encoding"] is None and got == data
            continue
        assert headers["Content-Encoding"] == "gzip", path
        assert "Accept-Encoding" in headers["Vary"]
        plain = gzip.decompress(got)
        assert plain == data or path == "/sw.js", path
        assert got[4:8] == bytes(4)  # no time: builds are alike
        saved += len(plain) - len(got)
    assert saved > 50000
    for accept in ("", "br", "gzip;q=0", "identity, gzip; q=0.000", "xgzip",
                   "gzipx", "*;q=0"):
        headers = S.ask("GET", "/", headers={"Accept-Encoding": accept})[1]
        assert headers["Content-Encoding"] is None, accept
    for accept in ("gzip", "GZIP", "deflate,gzip", "*", "*;q=0, gzip"):
        headers = S.ask("GET", "/", headers={"Accept-Encoding": accept})[1]
        assert headers["Content-Encoding"] == "gzip", accept


def a_tag_spares_the_file():
    for coding in ("identity", "gzip"):
        ask = {"Accept-Encoding": coding}
        _, headers, data = S.ask("GET", "/js/app.js", headers=ask)
        tag = headers["ETag"]
        assert re.fullmatch(r'"[0-9a-f]{32}(-gz)?"', tag), tag
        assert data
        for given in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            status, headers, data = S.ask("GET", "/js/app.js", headers={
                **ask, "If-None-Match": given})
            assert status == 304 and data == b"", given
            assert headers["ETag"] == tag
            assert headers["Cache-Control"] == "no-cache"
            assert "Accept-Encoding" in headers["Vary"]
        for given in ('"x"', tag[:-1], tag[1:-1], ""):
            status = S.ask("GET", "/js/app.js", headers={
                **ask, "If-None-Match": given})[0]
            assert status == 200, given
    plain = S.ask("GET", "/")[1]["ETag"]
    status, headers, _ = S.ask("GET", "/", headers={
        "Accept-Encoding": "gzip", "If-None-Match": plain})
    assert status == 200 and headers["ETag"] != plain


def tags_differ_between_files():
    tags = {S.ask("HEAD", path)[1]["ETag"] for path in FILES}
    assert len(tags) == len(set(FILES.values()))


def head_is_get_without_the_body():
    for path in ("/", "/js/app.js", "/icon-512.png"):
        status, got, data = S.ask("HEAD", path)
        want = S.ask("GET", path)[1]
        assert status == 200 and data == b""
        for name in ("Content-Type", "Content-Length", "ETag",
                     "Content-Security-Policy"):
            assert got[name] == want[name] and want[name], (path, name)


def headers_keep_strangers_out():
    for path in FILES:
        h = S.ask("GET", path)[1]
        policy = dict(
            part.strip().split(" ", 1)
            for part in h["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        for name in ("script-src", "style-src", "connect-src"):
            assert policy[name] == "'self'", (name, policy)
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in h["Content-Security-Policy"]
        assert "http" not in h["Content-Security-Policy"]
        assert h["X-Content-Type-Options"] == "nosniff"
        assert h["Referrer-Policy"] == "no-referrer"
        assert "camera=(self)" in h["Permissions-Policy"]
        assert "microphone=()" in h["Permissions-Policy"]
        assert len(h.get_all("Cache-Control")) == 1


def there_is_nothing_inline():
    page = FILES["/"].decode()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    for path, data in FILES.items():
        if not path.endswith((".png", ".webp")):
            # Names of things, which are not fetched, may look like addresses.
            text = data.decode().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|@import|url\(['\"]?//", text), path


def all_that_is_named_is_there():
    page = FILES["/"].decode()
    named = set(re.findall(r'(?:src|href)="(/[^"#]*)', page))
    for path, data in FILES.items():
        if path.endswith(".js"):
            named |= {"/js/" + n for n in re.findall(
                r'from "\./([^"]+)"|^import "\./([^"]+)"', data.decode(), re.M)
                for n in n if n}
            named |= set(re.findall(r'"(/samples/[^"]+)"', data.decode()))
    named |= {i["src"] for i in json.loads(
        FILES["/manifest.webmanifest"])["icons"]}
    assert len(named) > 25
    for path in named:
        assert path in FILES or path == "/openapi.json", path


def other_methods_are_refused():
    for method in ("POST", "PUT", "DELETE"):
        status, headers, data = S.ask(method, "/", b"x")
        assert status == 405 and headers["Allow"] == "GET", (method, status)
        assert json.loads(data)["error"]


def raw(target):
    """The status of a request whose target no client would send."""
    c = S.connect()
    c.putrequest("GET", "/", skip_host=False)
    c._buffer[0] = b"GET " + target + b" HTTP/1.1"
    c.endheaders()
    answer = c.getresponse()
    answer.read()
    c.close()
    return answer.status


def no_path_leads_elsewhere():
    for target in (b"/../etc/passwd", b"/js/../../CMakeLists.txt",
                   b"/js/..%2f..%2fCMakeLists.txt", b"/%2e%2e/%2e%2e/etc/passwd",
                   b"/js/%00app.js", b"/js/app.js%00", b"/js/app.js%00.png",
                   b"/js//app.js", b"//js/app.js", b"/js", b"/js/",
                   b"/index.html", b"/JS/APP.JS", b"/js\\app.js",
                   b"/server/web/js/app.js", b"/./js/app.js",
                   b"/js/app.js/../theme.js", b"/.git/config",
                   b"/" + b"a" * 600, b"/js/app.js" + b"/" * 3):
        assert raw(target) == 404, target
    # One slash too many is forgiven, as with all routes; a query is nothing.
    for target in (b"/js/app.js?x=1", b"/js/app.js/", b"/?", b"/js/%61pp.js"):
        assert raw(target) == 200, target
    S.alive()


def a_key_is_not_needed_for_the_page():
    keys = os.path.join(FOLDER, "keys")
    with open(keys, "w") as f:
        f.write(hashlib.sha256(b"secret").hexdigest() + "  me\n")
    with Server(os.path.join(FOLDER, "m"), "--keys", keys) as s:
        for path in FILES:
            assert s.ask("GET", path)[0] == 200, path
        # What is no page is not told about without one.
        for path in ("/v2/models", "/nothing", "/js/nothing.js"):
            assert s.ask("GET", path)[0] == 401, path
        assert s.ask("GET", "/v2/models", headers={
            "Authorization": "Bearer secret"})[0] == 200


def other_pages_may_not_have_it():
    status, _, _ = S.ask("GET", "/", headers={"Origin": "http://evil.test"})
    assert status == 403
    status, _, _ = S.ask("GET", "/", headers={"Origin": f"http://{S.at}"})
    assert status == 200


def the_page_is_no_part_of_the_interface():
    paths = S.json("GET", "/openapi.json")[1]["paths"]
    assert not [p for p in paths if p in FILES or "{file}" in p]
    S.ask("GET", "/")
    text = S.ask("GET", "/metrics")[2].decode()
    assert re.search(
        r'ocelli_requests_total\{[^}]*route="page"[^}]*\} [1-9]', text), text


TESTS = [
    every_file_is_served_as_it_is, the_worker_knows_every_file,
    gzip_is_the_same_file, a_tag_spares_the_file, tags_differ_between_files,
    head_is_get_without_the_body, headers_keep_strangers_out,
    there_is_nothing_inline, all_that_is_named_is_there,
    other_methods_are_refused, no_path_leads_elsewhere,
    a_key_is_not_needed_for_the_page, other_pages_may_not_have_it,
    the_page_is_no_part_of_the_interface,
]

try:
    scale_model(os.path.join(FOLDER, "m", "scale", "1", "model.onnx"), 2)
    with Server(os.path.join(FOLDER, "m")) as S:
        code = run_all(TESTS)
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
sys.exit(code)
