"""`ocelli serve` among the careless and the hostile: malformed requests,
slow and vanished clients, keys, full queues, signals, broken models.

Talks over sockets of its own.  Prints TAP.
"""
import concurrent.futures
import contextlib
import hashlib
import re
import resource
import socket
import ssl

from server_process import *

FOLDER = fresh_folder()


def at(*names):
    return os.path.join(FOLDER, *names)


def raw(server, data, timeout=20, then=None, context=None):
    """Everything the server says to these bytes, until it closes."""
    out = b""
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(
            socket.create_connection((server.host, server.port), timeout))
        if context:
            c = stack.enter_context(
                context.wrap_socket(c, server_hostname=server.host))
        # Under TLS a connection that was closed meanwhile is an SSLEOFError.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError,
                                 ssl.SSLEOFError):
            c.sendall(data)
            if then:
                then(c)
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
            while more := c.recv(65536):
                out += more
    return out


def status_of(answer):
    m = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(m.group(1)) if m else None


def body_of(answer):
    return answer.split(b"\r\n\r\n", 1)[1]


REQUEST = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape":
                      [1, 4], "data": [1, 2, 3, 4]}]}).encode()


def post(body, *headers, path="/v2/models/scale/infer", close=True):
    lines = [f"POST {path} HTTP/1.1", "Host: x",
             f"Content-Length: {len(body)}", *headers]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def slow_request():
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32",
                       "shape": [1], "data": [1]}]}).encode()


def wait_until(what, seconds=20, every=0.05):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(every)
    return found


def metric(server, name, key=None):
    text = server.ask("GET", "/metrics", headers={
        "X-API-Key": key} if key else None)[2].decode()
    total, found = 0.0, False
    for line in text.splitlines():
        if line.startswith(name + "{") or line.startswith(name + " "):
            total += float(line.rsplit(" ", 1)[1])
            found = True
    return total if found else None


# ---- malformed -------------------------------------------------------------

HEAD = b"POST /v2/models/scale/infer HTTP/1.1\r\n"
POST = HEAD + b"Host: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"

# RFC 9112: what is no request, or could be read as two different ones.
UNCLEAR = [
    (400, b"GET /v2 HTTP/1.1\r\n\r\n"),
    (400, b"GET /v2 HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    (400, b"GET /v2 /x HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /v2 HTTP/1.1\r\nHost: x\r\nA name: 1\r\n\r\n"),
    (400, b"GET /v2 HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"),
    (400, POST + b"Content-Length : 5\r\n\r\n12345"),
    (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
    (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n"),
    (400, HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
     b"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    (501, POST + b"Transfer-Encoding: gzip\r\n\r\nabc"),
    (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
]

# What libmicrohttpd answers itself; None: it closes.
UNREADABLE = [
    (None, b"\r\n\r\n\r\n"), (None, b"hello\r\n\r\n"),
    (None, b"GET\r\n\r\n"),
    (None, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300)),
    (400, b"GET /v2\r\n\r\n"), (400, b"GET /v2 http/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /v2 HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
    (505, b"GET / HTTP/9.9\r\n\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, POST + b"Content-Length: -5\r\n\r\n"),
    (400, POST + b"Content-Length: +5\r\n\r\n12345"),
    (400, POST + b"Content-Length: ten\r\n\r\n0123456789"),
    (400, POST + b"Content-Length:\r\n\r\n"),
    (413, POST + b"Content-Length: 99999999999999999999999\r\n\r\n"),
    (None, POST + b"Content-Length: 50\r\n\r\nabc"),
    (400, CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n"),
    (400, CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n"),
    (413, CHUNKED + b"fffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    (414, b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    (431, b"GET /v2 HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200000 + b"\r\n\r\n"),
    (431, b"GET /v2 HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n"),
]


def refuse_all(s, context=None):
    for status, data in UNCLEAR:
        answer = raw(s, data + NEXT, context=context)
        assert status_of(answer) == status, (data, answer)
        # And what comes behind is not answered: it may not be a request.
        assert list(json.loads(body_of(answer))) == ["error"], (data, answer)
    for status, data in UNREADABLE:
        if context and data.startswith(b"\x16"):
            continue
        answer = raw(s, data, context=context)
        # Who sends on after a refusal may find the answer thrown away.
        large = len(data) > 100000 and not answer
        assert large or status_of(answer) == status, (data[:60], answer)
    assert s.ask("GET", "/v2/health/live", context=context)[0] == 200


def malformed_requests_are_refused():
    with Server(at("m"), "--idle-timeout", "1", "--read-timeout", "1") as s:
        refuse_all(s)
        s.alive()


def malformed_requests_are_refused_under_tls():
    cert, key = self_signed(FOLDER, "strict")
    with Server(at("m"), "--idle-timeout", "1", "--read-timeout", "1",
                "--tls-cert", cert, "--tls-key", key, scheme="https") as s:
        refuse_all(s, trusting(cert))


def whole_addresses_are_taken():
    """RFC 9112, 3.2.2: as clients ask a proxy."""
    for where in ("http://x/v2", "HTTPS://x:1/v2", "http://x/v2?a=b"):
        answer = raw(S, f"GET {where} HTTP/1.1\r\nHost: x\r\n"
                        "Connection: close\r\n\r\n".encode())
        assert status_of(answer) == 200, (where, answer)
        assert json.loads(body_of(answer))["name"] == "ocelli"
    answer = raw(S, b"GET http://x HTTP/1.0\r\n\r\n")
    assert status_of(answer) == 200 and b"<html" in answer


def tricks_with_paths_find_nothing():
    for path in ("/../../etc/passwd", "/v2/models/../../etc/passwd",
                 "/v2/models/%2e%2e%2fscale", "/v2/models/%00scale",
                 "/v2/models//ready", "//v2", "/v2/models/scale%00",
                 "/v2/models/" + "a" * 400, "/v2/models/.", "/%ff%fe",
                 "/v2/models/scale/versions/1%2f..", "/openapi.json/x"):
        answer = raw(S, f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                        "Connection: close\r\n\r\n".encode())
        assert status_of(answer) in (400, 404), (path, answer[:60])
    answer = raw(S, b"POST /v2/repository/models/..%2f..%2fx/load HTTP/1.1\r\n"
                    b"Host: x\r\nContent-Length: 0\r\n"
                    b"Connection: close\r\n\r\n")
    assert status_of(answer) == 404


def large_bodies_are_refused_before_they_come():
    head = (b"POST /v1/classify HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2000000\r\n\r\n")
    start = time.monotonic()
    answer = raw(S, head)
    assert status_of(answer) == 413 and time.monotonic() - start < 5
    assert json.loads(body_of(answer)) == {
        "error": "the body is larger than 1048576 bytes"}
    # One that asks first gets its answer instead of a "100 Continue".
    answer = raw(S, head.replace(b"\r\n\r\n",
                                 b"\r\nExpect: 100-continue\r\n\r\n"))
    assert status_of(answer) == 413


def large_chunked_bodies_are_refused():
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    answer = raw(S, b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nConnection: "
                    b"close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                 chunk * 40 + b"0\r\n\r\n")
    assert status_of(answer) == 413, answer[:100]


def a_body_of_the_limit_is_taken():
    status, d = S.json("POST", "/v1/classify", bytes(1048576))
    assert status == 404 or "known format" in d["error"], d


def bodies_are_limited_altogether():
    with Server(at("m"), "--max-body", "2", "--max-bodies", "3") as s:
        head = (b"POST /v1/classify HTTP/1.1\r\nHost: x\r\n"
                b"Connection: close\r\nContent-Length: 2000000\r\n\r\n")
        first = socket.create_connection((s.host, s.port), 20)
        first.sendall(head + bytes(1000))
        def refused():
            answer = raw(s, head + bytes(2000000), 5)
            return status_of(answer) == 503 and b"Retry-After" in answer
        wait_until(refused)
        first.close()
        wait_until(lambda: s.ask("POST", "/v1/classify",
                                 bytes(2000000))[0] in (400, 404))


# ---- slow ------------------------------------------------------------------

def drip(c, data, seconds):
    for i in range(len(data)):
        c.sendall(data[i:i + 1])
        time.sleep(seconds)


def slow_clients_are_cut_off():
    with Server(at("m"), "--read-timeout", "1", "--idle-timeout", "3") as s:
        for what, data, most in (
                ("nothing", b"", 6), ("half a line", b"GET /v2/he", 6),
                ("half a header", b"GET /v2 HTTP/1.1\r\nHost: x\r\n", 4),
                ("half a body", post(REQUEST)[:-20], 4)):
            start = time.monotonic()
            raw(s, data)
            assert time.monotonic() - start < most, what
        for data in (b"GET /v2 HTTP/1.1\r\nX-Slow: " + b"a" * 400,
                     post(b"[" * 400)):
            start = time.monotonic()
            # A byte now and then is not silence, and no help.
            raw(s, data[:30], then=lambda c: drip(c, data[30:], 0.05))
            assert time.monotonic() - start < 10, data[:30]
        s.alive()


def half_a_request_is_given_up_with_its_client():
    """Also where the end comes together with the last bytes."""
    half = post(REQUEST)[:-5]
    with Server(at("m")) as s:
        for data in (half, half[:len(half) - len(REQUEST) - 9]):
            for _ in range(30):
                with socket.create_connection((s.host, s.port), 20) as c:
                    c.sendall(data)
        wait_until(lambda: metric(s, "ocelli_connections") <= 1, 15)
        # One that stays has all of its time.
        with socket.create_connection((s.host, s.port), 20) as c:
            c.sendall(half)
            time.sleep(1.5)
            c.sendall(REQUEST[-5:])
            assert status_of(c.recv(100)) == 200
        # And nobody waits for what cannot come.
        for _ in range(30):
            with socket.create_connection((s.host, s.port), 20) as c:
                c.sendall(half)
        start = time.monotonic()
        assert s.stop() == 0 and time.monotonic() - start < 10


def idle_connections_do_no_harm():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(10000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10200), hard))
    held = []
    try:
        # The server takes the limit over, and raises it itself.
        with Server(at("m")) as s:
            for i in range(most):
                c = socket.create_connection((s.host, s.port), 20)
                if i % 3 == 0:
                    c.sendall(b"GET /v2 HT")
                held.append(c)
            wait_until(lambda: metric(s, "ocelli_connections") >= most)
            start = time.monotonic()
            for _ in range(20):
                assert s.infer("scale", [[1, 2, 3, 4]])[0] == 200
            assert time.monotonic() - start < 5
            for c in held:
                c.close()
            wait_until(lambda: metric(s, "ocelli_connections") < 10)
    finally:
        for c in held:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return None if most == 10000 else f"only {most} connections here"


def silent_connections_make_places():
    silent = []
    with Server(at("slow"), "--max-connections", "64", "--workers",
                "1") as s, concurrent.futures.ThreadPoolExecutor(1) as pool:
        kept = s.connect()
        try:
            # Who is being served, and who asks now and then, keep theirs.
            job = pool.submit(s.ask, "POST", "/v2/models/slow/infer",
                              slow_request())
            wait_until(lambda: metric(s, "ocelli_running") == 1)
            for i in range(400):
                silent.append(socket.create_connection((s.host, s.port), 20))
                if i % 2:
                    silent[-1].sendall(b"GET /v2 HT")
                if i % 20 == 0:
                    kept.request("GET", "/v2/health/ready")
                    assert kept.getresponse().read() == b""
                    start = time.monotonic()
                    assert s.ask("GET", "/v2/health/ready")[0] == 200
                    assert time.monotonic() - start < 5, i
            assert job.result()[0] == 200
            assert metric(s, "ocelli_connections") <= 64
            assert metric(s, "ocelli_refused_total") >= 300
        finally:
            kept.close()
            for c in silent:
                c.close()


# ---- keys ------------------------------------------------------------------

def key_line(key, rest):
    return f"{hashlib.sha256(key.encode()).hexdigest()} {rest}\n"


def keys_open_everything_but_health():
    with open(at("keys"), "w") as f:
        f.write("# keys\n\n" + key_line("alpha", "a") +
                key_line("beta", "b admin  # may load"))
    with Server(at("m"), "--keys", at("keys")) as s:
        for method, path in (("GET", "/v2"), ("GET", "/metrics"),
                             ("GET", "/openapi.json"), ("GET", "/nothing"),
                             ("POST", "/v2/models/scale/infer"),
                             ("POST", "/v1/classify"),
                             ("GET", "/v2/models/scale/ready"),
                             ("POST", "/v2/repository/index")):
            for headers in ({}, {"X-API-Key": "gamma"}, {"X-API-Key": ""},
                            {"Authorization": "Bearer alph"},
                            {"Authorization": "Basic alpha"}):
                status, head, data = s.ask(method, path, b"{}", headers)
                assert status == 401, (path, headers, status)
                assert head["WWW-Authenticate"] == "Bearer"
                assert json.loads(data)["error"]
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert s.ask("GET", path)[0] == 200
        for headers in ({"X-API-Key": "alpha"},
                        {"Authorization": "Bearer alpha"},
                        {"authorization": "bearer beta"}):
            assert s.ask("GET", "/v2", headers=headers)[0] == 200, headers
        load = "/v2/repository/models/scale/load"
        assert s.ask("POST", load, b"", {"X-API-Key": "alpha"})[0] == 403
        assert s.ask("POST", load, b"", {"X-API-Key": "beta"})[0] == 200
        named = s.wait_for("request", path="/v2", status=200, key="a")
        assert "alpha" not in json.dumps(s.lines), named
        keys_change_while_it_runs(s)


def keys_change_while_it_runs(s):
    def status(key):
        return s.ask("GET", "/v2", headers={"X-API-Key": key})[0]
    with open(at("keys"), "a") as f:
        f.write("no key at all\n")
    s.wait_for("keys not read: the old ones stay")
    assert status("alpha") == 200
    with open(at("keys"), "w") as f:
        f.write(key_line("delta", "d"))
    wait_until(lambda: status("delta") == 200)
    assert status("alpha") == 401
    with open(at("keys"), "w") as f:
        f.write(key_line("delta2", "d2"))
    s.process.send_signal(signal.SIGHUP)
    wait_until(lambda: status("delta2") == 200)


def rates_are_limited_by_key():
    with open(at("keys"), "w") as f:
        f.write(key_line("slow", "slow rate=1 burst=3") +
                key_line("fast", "fast"))
    with Server(at("m"), "--keys", at("keys")) as s:
        answers = [s.ask("GET", "/v2", headers={"X-API-Key": "slow"})
                   for _ in range(6)]
        statuses = [a[0] for a in answers]
        assert statuses[:3] == [200] * 3 and statuses[3:] == [429] * 3
        assert answers[5][1]["Retry-After"] == "1"
        for _ in range(20):
            assert s.ask("GET", "/v2", headers={"X-API-Key": "fast"})[0] == 200
        time.sleep(1.2)
        assert s.ask("GET", "/v2", headers={"X-API-Key": "slow"})[0] == 200
        assert metric(s, "ocelli_refused_total", "fast") == 3


# ---- queues ----------------------------------------------------------------

def full_queues_answer_at_once():
    with Server(at("slow"), "--workers", "1", "--queue", "2") as s:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def ask():
                return pool.submit(s.ask, "POST", "/v2/models/slow/infer",
                                   slow_request())
            jobs = [ask()]
            wait_until(lambda: metric(s, "ocelli_running") == 1)
            jobs += [ask() for _ in range(7)]
            answers = [j.result() for j in jobs]
        statuses = sorted(a[0] for a in answers)
        assert statuses == [200] * 3 + [503] * 5, statuses
        for status, headers, data in answers:
            if status == 503:
                assert 1 <= int(headers["Retry-After"]) <= 60
                assert "full" in json.loads(data)["error"]


def deadlines_are_kept():
    with Server(at("slow"), "--workers", "1") as s:
        whole = timed(lambda: s.ask("POST", "/v2/models/slow/infer",
                                    slow_request()))[1]
        if whole < 0.5:
            return "this machine is too fast for it"
        (status, _, data), took = timed(lambda: s.ask(
            "POST", "/v2/models/slow/infer?timeout_ms=200", slow_request()))
        assert status == 504 and "time" in json.loads(data)["error"]
        assert took < whole / 2 + 0.5
        # Triton's own parameter, in microseconds.
        d = json.loads(slow_request())
        d["parameters"] = {"timeout": 200000}
        (status, _, data), took = timed(lambda: s.ask(
            "POST", "/v2/models/slow/infer", json.dumps(d)))
        assert status == 504 and took < whole / 2 + 0.5, (status, took)
        # Who waits behind somebody slow gives up in time as well.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(s.ask, "POST", "/v2/models/slow/infer",
                                slow_request())
            wait_until(lambda: metric(s, "ocelli_running") == 1)
            (status, _, _), took = timed(lambda: s.ask(
                "POST", "/v2/models/slow/infer?timeout_ms=100",
                slow_request()))
            assert status == 504 and took < whole / 2 + 0.5
            assert first.result()[0] == 200
        with Server(at("slow"), "--timeout", "0.2") as t:
            assert t.ask("POST", "/v2/models/slow/infer?timeout_ms=9999999",
                         slow_request())[0] == 504


def timed(call):
    start = time.monotonic()
    result = call()
    return result, time.monotonic() - start


def work_of_vanished_clients_ends():
    with Server(at("slow"), "--workers", "1", "--queue", "50") as s:
        whole = timed(lambda: s.ask("POST", "/v2/models/slow/infer",
                                    slow_request()))[1]
        clients = []
        for _ in range(20):
            c = socket.create_connection((s.host, s.port), 20)
            c.sendall(post(slow_request(), path="/v2/models/slow/infer"))
            clients.append(c)
        wait_until(lambda: metric(s, "ocelli_running") == 1 and
                   metric(s, "ocelli_queue_depth") == 19)
        for c in clients:
            c.close()
        start = time.monotonic()
        wait_until(lambda: metric(s, "ocelli_running") == 0 and
                   metric(s, "ocelli_queue_depth") == 0)
        assert time.monotonic() - start < max(1, 5 * whole)
        gone = [x for x in s.lines if x["message"] == "request" and
                x["status"] == 499]
        assert len(gone) >= 19, len(gone)
        assert s.ask("POST", "/v2/models/slow/infer", slow_request())[0] == 200


def the_urgent_go_first():
    with Server(at("slow"), "--workers", "1") as s:
        order = []

        def ask(name, **how):
            assert s.ask("POST", "/v2/models/slow/infer" + how.get("q", ""),
                         slow_request(), how.get("h"))[0] == 200
            order.append(name)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(ask, "first")]
            wait_until(lambda: metric(s, "ocelli_running") == 1)
            for n, (name, how) in enumerate((
                    ("late", {"q": "?priority=7"}), ("middle", {}),
                    ("urgent", {"h": {"Priority": "u=0, i"}})), 1):
                jobs.append(pool.submit(ask, name, **how))
                wait_until(lambda: metric(s, "ocelli_queue_depth") == n)
            for j in jobs:
                j.result()
        assert order == ["first", "urgent", "middle", "late"], order


def the_urgent_take_places_of_a_full_queue():
    with Server(at("slow"), "--workers", "1", "--queue", "2") as s:
        def ask(priority):
            return s.ask("POST", f"/v2/models/slow/infer?priority={priority}",
                         slow_request())
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            first = pool.submit(ask, 7)
            wait_until(lambda: metric(s, "ocelli_running") == 1)
            waiting = []
            for n in (1, 2):
                waiting.append(pool.submit(ask, 5))
                wait_until(lambda: metric(s, "ocelli_queue_depth") == n)
            for priority in (5, 7):  # no more urgent than those who wait
                assert ask(priority)[0] == 503
            urgent = pool.submit(ask, 4)
            status, headers, data = waiting[1].result()
            assert status == 503 and int(headers["Retry-After"]) >= 1
            assert json.loads(data) == {"error": "the queue is full"}
            assert metric(s, "ocelli_running") == 1, "it waited for nothing"
            assert [j.result()[0] for j in (first, waiting[0], urgent)] == [
                200] * 3
        assert metric(s, "ocelli_refused_total") == 3


# ---- answers that are kept --------------------------------------------------

def kept(s):
    return metric(s, "ocelli_answers") or 0


def found(headers):
    return headers["Cache-Status"] == "ocelli; hit"


def answers_are_kept_while_the_models_stay():
    path = at("keep", "hot", "1", "model.onnx")
    scale_model(path, 2)
    route = "/v2/models/hot/infer"
    with Server(at("keep"), "--keep-answers", "1", "--poll", "0.1",
                "--batch", "4") as s:
        status, headers, first = s.ask("POST", route, REQUEST)
        assert status == 200 and headers["Cache-Status"] == "ocelli; fwd=miss"
        status, headers, again = s.ask("POST", route + "?priority=1", REQUEST)
        assert status == 200 and found(headers) and again == first
        # Another body, form or query is another question.
        other = REQUEST.replace(b"[1, 2, 3, 4]", b"[1, 2, 3, 5]")
        assert not found(s.ask("POST", route, other)[1])
        assert not found(s.ask("POST", route + "?x=1", REQUEST)[1])
        x = np.arange(4, dtype=np.float32).tobytes()
        raw_form = {"Inference-Header-Content-Length": "0"}
        one = s.ask("POST", route, x, raw_form)
        two = s.ask("POST", route, x, raw_form)
        assert found(two[1]) and one[2] == two[2]
        name = "Inference-Header-Content-Length"
        assert one[1][name] == two[1][name]
        # What is wrong is told anew.
        for _ in range(2):
            status, headers, _ = s.ask("POST", route, b"{}")
            assert status == 400 and not found(headers)
        scale_model(path, 5)
        wait_until(lambda: scaled(s) == (5, "1"))
        status, headers, data = s.ask("POST", route, REQUEST)
        assert json.loads(data)["outputs"][0]["data"] == [5, 10, 15, 20]
        s.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not found(s.ask("POST", route, REQUEST)[1]))
        # There is an end to it, and the last ones are there.
        def ask(i):
            return s.ask("POST", route, json.dumps({"inputs": [{
                "name": "x", "datatype": "FP32", "shape": [64, 4],
                "data": [i] * 256}]}))
        for i in range(1500):
            assert ask(i)[0] == 200
        assert metric(s, "ocelli_answers_bytes") <= 1 << 20
        assert 100 < kept(s) < 1500
        assert found(ask(1499)[1]) and not found(ask(0)[1])
    assert metric(S, "ocelli_answers") is None
    assert "Cache-Status" not in S.ask(
        "POST", "/v2/models/scale/infer", REQUEST)[1]


# ---- browsers --------------------------------------------------------------

def pages_need_leave():
    origin = {"Origin": "https://page.example"}
    status, headers, _ = S.ask("GET", "/v2", headers=origin)
    assert status == 403 and "Access-Control-Allow-Origin" not in headers
    assert S.ask("POST", "/v2/repository/models/scale/unload", b"",
                 origin)[0] == 403
    own = {"Origin": f"http://{S.at}"}
    assert S.ask("GET", "/v2", headers=own)[0] == 200
    with Server(at("m"), "--cors", "https://page.example") as s:
        status, headers, _ = s.ask("GET", "/v2", headers=origin)
        assert status == 200
        assert headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert s.ask("GET", "/v2", headers={
            "Origin": "https://page.example.evil"})[0] == 403
        status, headers, _ = s.ask("OPTIONS", "/v1/classify", headers={
            **origin, "Access-Control-Request-Method": "POST"})
        assert status == 204 and "POST" in headers[
            "Access-Control-Allow-Methods"]


# ---- life ------------------------------------------------------------------

def sigterm_loses_no_request():
    with Server(at("m"), "--workers", "2") as s:
        stop, results = threading.Event(), []

        def hammer():
            c = s.connect()
            while True:
                if stop.is_set():
                    break
                try:
                    c.request("POST", "/v2/models/scale/infer", REQUEST)
                except (ConnectionRefusedError, ConnectionResetError,
                        BrokenPipeError):
                    break  # it never took the request
                try:
                    a = c.getresponse()
                    results.append((a.status, a.read()))
                except (http.client.RemoteDisconnected,
                        ConnectionResetError) as e:
                    results.append((0, repr(e)))
                    break
                if a.headers.get("Connection") == "close":
                    c.close()
                    c = s.connect()
            c.close()
        threads = [threading.Thread(target=hammer) for _ in range(8)]
        for t in threads:
            t.start()
        wait_until(lambda: len(results) > 200)
        code = s.stop()
        stop.set()
        for t in threads:
            t.join()
        assert code == 0
        bad = [r for r in results if r[0] != 200]
        assert not bad, bad[:3]


def draining_finishes_slow_work():
    with Server(at("slow"), "--workers", "1", "--drain-delay", "1") as s:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(s.ask, "POST", "/v2/models/slow/infer",
                                slow_request()) for _ in range(3)]
            wait_until(lambda: metric(s, "ocelli_queue_depth") == 2)
            s.process.send_signal(signal.SIGTERM)
            s.wait_for("draining")
            # Still open for a while, so that whoever sends here hears of it.
            assert s.ask("GET", "/v2/health/ready")[0] == 503
            assert s.ask("GET", "/v2/health/live")[0] == 200
            assert [j.result()[0] for j in jobs] == [200] * 3
        assert s.stop() == 0


def draining_ends_in_time():
    with Server(at("slow"), "--workers", "1", "--drain", "0.2") as s:
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            jobs = [pool.submit(s.ask, "POST", "/v2/models/slow/infer",
                                slow_request()) for _ in range(9)]
            wait_until(lambda: metric(s, "ocelli_queue_depth") == 8)
            code, took = timed(s.stop)
            assert code == 0 and took < 5
            for j in jobs:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    assert j.result()[0] in (200, 504)


def a_wrong_start_is_one_sentence():
    with open(at("text"), "w") as f:
        f.write("nothing\n")
    busy = socket.create_server(("127.0.0.1", 0))
    port = busy.getsockname()[1]
    for args, sentence in (
            (["--models", at("gone")], "cannot read the folder"),
            ([], "nothing to serve"),
            (["--models", at("m"), "--listen", "nowhere"], "ADDRESS:PORT"),
            (["--models", at("m"), "--listen", "::1:80"], "ADDRESS:PORT"),
            (["--models", at("m"), "--listen", f"127.0.0.1:{port}"],
             "cannot listen"),
            (["--models", at("m"), "--keys", at("gone")], "cannot read"),
            (["--models", at("m"), "--keys", at("text")], "line 1"),
            (["--models", at("m"), "--tls-cert", at("text")], "together"),
            (["--models", at("m"), "--tls-cert", at("text"), "--tls-key",
              at("text")], "certificate"),
            (["--models", at("m"), "--versions", "newest"], "\"latest\""),
            (["--model", "x"], "NAME=PATH"),
            (["--models", at("m"), "--workers", "0"], "workers")):
        r = subprocess.run([OCELLI, "serve", *args], capture_output=True,
                           text=True, timeout=30)
        last = r.stderr.strip().splitlines()[-1]
        assert r.returncode in (1, 2, 3), (args, r.returncode)
        assert sentence in last and last.startswith("ocelli: "), (args, last)
    busy.close()


def it_writes_nothing_and_needs_no_rights():
    def lower():
        # No file may grow, and nobody's rights.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        os.chdir("/")
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
    os.chmod(FOLDER, 0o755)
    with Server(at("m"), preexec=lower,
                env={**os.environ, "HOME": "/nonexistent"}) as s:
        assert s.infer("scale", [[1, 2, 3, 4]])[0] == 200


# ---- models come and go ----------------------------------------------------

def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def scaled(s, model="hot"):
    status, d = s.infer(model, [[1, 1, 1, 1]])
    return (d["outputs"][0]["data"][0], d["model_version"]) \
        if status == 200 else (status, None)


def bad_models_leave_the_old_ones_serving():
    path = at("hot", "hot", "1", "model.onnx")
    scale_model(path, 2)
    with open(path, "rb") as f:
        good = f.read()
    with Server(at("hot"), "--poll", "0.2") as s:
        assert scaled(s) == (2, "1")
        for i, bad in enumerate((b"", b"no model", good[:-30],
                                 bytes(len(good)))):
            seen = len(s.lines)
            write(path, bad)  # over it, in place
            line = s.wait_for("model not loaded", after=seen)
            assert line["former_serves"] and line["model"] == "hot", line
            for _ in range(20):
                assert scaled(s) == (2, "1"), i
            index = s.json("POST", "/v2/repository/index")[1][0]
            assert index["state"] == "READY" and index["reason"], index
            status, d = s.json("POST", "/v2/repository/models/hot/load")
            assert status in (400, 500) and d["error"]
            assert scaled(s) == (2, "1")
        write(at("hot", "hot", "2", "model.onnx"), b"bad from the start")
        s.wait_for("model not loaded", version=2)
        assert scaled(s) == (2, "1")
        scale_model(at("hot", "hot", "2", "model.onnx"), 7)
        wait_until(lambda: scaled(s) == (7, "2"))
        # Only the latest is served, once it does serve.
        wait_until(lambda: s.ask("GET", "/v2/models/hot/versions/1")[0] == 503)
        shutil.rmtree(at("hot", "hot", "2"))
        write(path, good)
        wait_until(lambda: scaled(s) == (2, "1"))
        shutil.rmtree(at("hot", "hot"))
        wait_until(lambda: s.infer("hot", [[1, 1, 1, 1]])[0] == 503)


def sighup_reads_models_anew():
    scale_model(at("hup", "scale.onnx"), 2)
    write(at("hup", "late.onnx"), b"not yet a model")
    with Server(at("hup"), "--poll", "0") as s:
        assert scaled(s, "scale") == (2, "1")
        assert scaled(s, "late")[0] == 503
        scale_model(at("hup", "late.onnx"), 4)
        scale_model(at("hup", "new.onnx"), 5)
        scale_model(at("hup", "scale.onnx"), 3)
        time.sleep(1)  # nobody looks by himself
        assert scaled(s, "scale") == (2, "1")
        assert scaled(s, "new")[0] == 404
        s.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (scaled(s, "scale"), scaled(s, "late"), scaled(
            s, "new")) == ((3, "1"), (4, "1"), (5, "1")))


def models_change_under_load():
    path = at("swap", "hot", "1", "model.onnx")
    scale_model(path, 1)
    with Server(at("swap"), "--poll", "0.1", "--workers", "2") as s:
        stop, seen, bad = threading.Event(), set(), []

        def hammer():
            while not stop.is_set():
                value, version = scaled(s)
                (seen.add(value) if version else bad.append(value))
        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for t in threads:
            t.start()
        for factor in (2, 3, 4, 5):
            scale_model(path, factor)
            wait_until(lambda: factor in seen)
            assert s.ask("POST", "/v2/repository/models/hot/load")[0] == 200
        stop.set()
        for t in threads:
            t.join()
        assert not bad, bad[:5]
        assert seen == {1, 2, 3, 4, 5}, seen


def cards_lie_beside_models():
    if needs_shared():
        return needs_shared()
    os.makedirs(at("cards"), exist_ok=True)
    shutil.copy(os.path.join(SHARED, "models", "mnist.onnx"),
                at("cards", "digits.onnx"))
    card = at("cards", "digits.card.json")

    def labels(s):
        return s.json("GET", "/v2/models")[1]["models"][0]["labels"]
    with open(card, "w") as f:
        json.dump({"ocelli": 1, "name": "d", "labels": list("abcdefghij")}, f)
    with Server(at("cards"), "--poll", "0.2") as s:
        assert labels(s) == list("abcdefghij")
        with open(card, "w") as f:
            json.dump({"ocelli": 1, "name": "d",
                       "labels": list("klmnopqrst")}, f)
        wait_until(lambda: labels(s) == list("klmnopqrst"))
        with open(card, "w") as f:
            f.write("{")
        s.wait_for("model not loaded")
        assert labels(s) == list("klmnopqrst")


def a_missing_folder_unloads_nothing():
    scale_model(at("moved", "scale.onnx"), 2)
    with Server(at("moved"), "--poll", "0.1") as s:
        os.rename(at("moved"), at("away"))
        s.wait_for("the folder of models cannot be read")
        assert scaled(s, "scale") == (2, "1")
        os.rename(at("away"), at("moved"))


# ---- TLS -------------------------------------------------------------------

def tls_certificates_are_read_again():
    cert, key = self_signed(FOLDER, "one")
    second, second_key = self_signed(FOLDER, "two")
    with Server(at("m"), "--tls-cert", cert, "--tls-key", key,
                scheme="https") as s:
        one, two = trusting(cert), trusting(second)
        kept = s.connect(context=one)

        def ask(context):
            return s.ask("GET", "/v2/health/live", context=context)[0]
        kept.request("GET", "/v2")
        assert kept.getresponse().read()
        assert ask(one) == 200
        # HTTP without TLS gets nothing, and does no harm.
        assert status_of(raw(s, b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")) is None
        # A key that is not the certificate's: the old pair stays.
        shutil.copy(second, cert)
        s.wait_for("certificate not read: the old one stays")
        assert ask(one) == 200
        shutil.copy(second_key, key)
        s.process.send_signal(signal.SIGHUP)

        def changed():
            try:
                return ask(two) == 200
            except ssl.SSLError:
                return False
        wait_until(changed)
        kept.request("GET", "/v2")  # connections live on
        assert kept.getresponse().status == 200
        kept.close()
        body = REQUEST
        status, _, data = s.ask("POST", "/v2/models/scale/infer", body,
                                context=two)
        assert status == 200 and json.loads(data)["outputs"]


# ---- watching --------------------------------------------------------------

def requests_have_names():
    status, headers, _ = S.ask("GET", "/v2")
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
    S.wait_for("request", request_id=headers["X-Request-Id"])
    trace = "00-" + "a1" * 16 + "-" + "b2" * 8 + "-01"
    status, headers, _ = S.ask("POST", "/v2/models/scale/infer", REQUEST, {
        "X-Request-Id": "my.id:7", "traceparent": trace})
    assert status == 200 and headers["X-Request-Id"] == "my.id:7"
    parts = headers["traceparent"].split("-")
    assert parts[1] == "a1" * 16 and parts[3] == "01"
    assert re.fullmatch("[0-9a-f]{16}", parts[2]) and parts[2] != "b2" * 8
    line = S.wait_for("request", request_id="my.id:7")
    assert line["trace_id"] == "a1" * 16 and line["status"] == 200
    assert line["model"] == "scale" and line["bytes_in"] == len(REQUEST)
    assert line["ms"] >= line["infer_ms"] > 0
    for bad in ("\"", "a" * 65, "x y"):
        _, headers, _ = S.ask("GET", "/v2", headers={"X-Request-Id": bad})
        assert headers["X-Request-Id"] != bad
    for bad in (trace[:-1], trace.replace("a", "A"), "ff" + trace[2:],
                "00-" + "0" * 32 + trace[35:]):
        _, headers, _ = S.ask("GET", "/v2", headers={"traceparent": bad})
        assert "traceparent" not in headers, bad


def metrics_are_prometheus_text():
    for _ in range(3):
        S.infer("scale", [[1, 2, 3, 4]])
    status, headers, data = S.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    sample = re.compile(
        r"([a-z_]+)(\{([a-z]+=\"(\\.|[^\"\\])*\",?)+\})? (\S+)$")
    types, buckets = {}, {}
    for line in data.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, name
            types[name] = kind
        elif not line.startswith("#"):
            m = sample.match(line)
            assert m, line
            float(m.group(5))
            base = re.sub("_(bucket|sum|count)$", "", m.group(1))
            assert base in types or m.group(1) in types, line
            if m.group(1).endswith("_bucket"):
                key = re.sub(",?le=\"[^\"]*\"", "", line.rsplit(" ", 1)[0])
                assert float(m.group(5)) >= buckets.get(key, 0), line
                buckets[key] = float(m.group(5))
    text = data.decode()
    for stage in ("queue", "decode", "infer", "encode"):
        assert (f"ocelli_stage_duration_seconds_count{{route=\"infer\","
                f"model=\"scale\",stage=\"{stage}\"}}") in text
    assert "ocelli_requests_total{route=\"infer\",model=\"scale\"," in text
    assert types["ocelli_request_duration_seconds"] == "histogram"


def memory_stays_flat_under_load():
    with Server(at("m"), "--workers", "2") as s:
        rng = np.random.default_rng(1)

        def some(n):
            c = s.connect()
            for i in range(n):
                x = rng.standard_normal((1 + i % 5, 4)).astype(np.float32)
                c.request("POST", "/v2/models/scale/infer", json.dumps({
                    "inputs": [{"name": "x", "datatype": "FP32",
                                "shape": list(x.shape),
                                "data": x.ravel().tolist()}]}))
                d = json.loads(c.getresponse().read())
                got = np.array(d["outputs"][0]["data"], np.float32)
                assert np.array_equal(got, (x * 3).ravel())
            c.close()

        def load(n):
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                for j in [pool.submit(some, n) for _ in range(16)]:
                    j.result()
        load(60)
        before = metric(s, "process_resident_memory_bytes")
        load(30 if SLOW else 300)
        after = metric(s, "process_resident_memory_bytes")
        if SLOW:
            return "sanitizers keep freed memory"
        assert after - before < 8 << 20, (before, after)


def prepare():
    scale_model(at("m", "scale", "1", "model.onnx"), 3)
    slow_model(at("slow", "slow", "1", "model.onnx"))


TESTS = [
    malformed_requests_are_refused, malformed_requests_are_refused_under_tls,
    whole_addresses_are_taken, tricks_with_paths_find_nothing,
    large_bodies_are_refused_before_they_come,
    large_chunked_bodies_are_refused, a_body_of_the_limit_is_taken,
    bodies_are_limited_altogether, slow_clients_are_cut_off,
    half_a_request_is_given_up_with_its_client,
    idle_connections_do_no_harm, silent_connections_make_places,
    answers_are_kept_while_the_models_stay, keys_open_everything_but_health,
    rates_are_limited_by_key, full_queues_answer_at_once, deadlines_are_kept,
    work_of_vanished_clients_ends, the_urgent_go_first,
    the_urgent_take_places_of_a_full_queue, pages_need_leave,
    sigterm_loses_no_request, draining_finishes_slow_work,
    draining_ends_in_time, a_wrong_start_is_one_sentence,
    it_writes_nothing_and_needs_no_rights,
    bad_models_leave_the_old_ones_serving, sighup_reads_models_anew,
    models_change_under_load,
    cards_lie_beside_models, a_missing_folder_unloads_nothing,
    tls_certificates_are_read_again, requests_have_names,
    metrics_are_prometheus_text, memory_stays_flat_under_load,
]

try:
    prepare()
    with Server(at("m"), "--max-body", "1") as S:
        code = run_all(TESTS)
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
sys.exit(code)
