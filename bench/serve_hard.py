"""What `ocelli serve` bears: a minute of full load, thousands of silent
connections, bodies that drip, and SIGTERM while all are asking.

    python bench/serve_hard.py OCELLI MODEL PICTURE SECONDS

Prints a line for each; the exit code is the number of those that failed.
"""
import asyncio
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

OCELLI, MODEL, PICTURE = sys.argv[1:4]
SECONDS = float(sys.argv[4])
HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = 64
with open(PICTURE, "rb") as f:
    BODY = f.read()
failures = 0


def tell(what, good, text):
    global failures
    failures += not good
    print(f"    {what}: {text}{'' if good else '  FAILED'}", flush=True)


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [OCELLI, "serve", "--model", f"m={MODEL}", "--listen",
             "127.0.0.1:0", *options],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.port = 0
        for line in self.process.stderr:
            line = json.loads(line)
            if line["message"] == "listening":
                self.port = int(line["address"].rsplit(":", 1)[1])
            if line["message"] == "ready":
                break
        # A line for each request: the pipe would be full some time.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr,
                                      stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def ask(self, method, path, body=None):
        """Status, and milliseconds."""
        start = time.monotonic()
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request(method, path, body)
        status = c.getresponse().status
        c.close()
        return status, 1e3 * (time.monotonic() - start)

    def metric(self, name):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("GET", "/metrics")
        for line in c.getresponse().read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])


def full_load():
    """No error, and memory that is flat once it is warm."""
    with Server() as s:
        wrk = subprocess.Popen(
            ["wrk", "-t", "1", "-c", str(CLIENTS), "-d", f"{SECONDS:.0f}s",
             "--timeout", "30s",
             "-s", os.path.join(HERE, "serve_post.lua"),
             f"http://127.0.0.1:{s.port}/v1/classify"],
            env={**os.environ, "OC_BENCH_PICTURE": PICTURE},
            stdout=subprocess.PIPE, text=True)
        memory = []
        while wrk.poll() is None:
            memory.append(s.resident_mib())
            time.sleep(0.25)
        result = wrk.stdout.read().splitlines()[-1]
    n = len(memory) // 5
    warm, end = max(memory[n:2 * n]), max(memory[-n:])
    tell(f"{SECONDS:.0f} s, {CLIENTS} connections",
         " errors 0," in result and end <= 1.02 * warm + 1,
         f"{result}; {warm:.1f} MiB warm, {end:.1f} at the end")


def silence():
    """10,000 connections that say nothing, or half a line."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    n = min(10000, most - 300)
    with Server() as s:
        before = s.resident_mib()
        held = []
        for i in range(n):
            held.append(socket.create_connection(("127.0.0.1", s.port), 20))
            if i % 3 == 0:
                held[-1].sendall(b"GET /v2 HT")
        while s.metric("ocelli_connections") < n:
            time.sleep(0.05)
        asked = [s.ask("GET", "/v2/health/ready") for _ in range(50)] + [
            s.ask("POST", "/v1/classify", BODY) for _ in range(10)]
        good = n == 10000 and all(a[0] == 200 for a in asked)
        tell(f"{n} silent connections", good,
             f"ready within {max(a[1] for a in asked[:50]):.0f} ms, a picture "
             f"within {max(a[1] for a in asked[50:]):.0f} ms, "
             f"{s.resident_mib() - before:.1f} MiB for them")
        for c in held:
            c.close()
    # More than there are places for: others get them.
    with Server("--max-connections", "1000") as s:
        held = []
        slowest = 0
        for i in range(3000):
            held.append(socket.create_connection(("127.0.0.1", s.port), 20))
            if i % 100 == 0:
                status, took = s.ask("GET", "/v2/health/ready")
                slowest = max(slowest, took if status == 200 else 1e9)
        tell("3000 silent connections for 1000 places", slowest < 5000,
             f"ready within {slowest:.0f} ms")
        for c in held:
            c.close()


async def drip(port, seconds):
    """Sends a byte now and then; how long it was let."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 100000\r\n\r\n")
    start = time.monotonic()
    closed = asyncio.ensure_future(reader.read())
    while not closed.done() and time.monotonic() - start < seconds:
        try:
            writer.write(b"x")
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.wait([closed], timeout=0.1)
    closed.cancel()
    writer.close()
    return time.monotonic() - start


async def dripping(port):
    drips = asyncio.gather(*[drip(port, 20) for _ in range(300)])
    asked = []
    while not drips.done():
        start = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n"
                     b"Connection: close\r\n\r\n")
        asked.append(((await reader.read()).startswith(b"HTTP/1.1 200"),
                      1e3 * (time.monotonic() - start)))
        writer.close()
        await asyncio.sleep(0.05)
    return max(await drips), asked


def slow_bodies():
    with Server("--read-timeout", "2") as s:
        longest, asked = asyncio.run(dripping(s.port))
        tell("300 bodies that drip, --read-timeout 2",
             longest < 10 and all(a[0] for a in asked),
             f"cut off after at most {longest:.1f} s; meanwhile ready within "
             f"{max(a[1] for a in asked):.0f} ms")


async def ask_on(port, counts):
    """Posts the picture again and again, until nobody takes it."""
    head = (f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: "
            f"image/jpeg\r\nContent-Length: {len(BODY)}\r\n\r\n").encode()
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return
        close = False
        while not close:
            try:
                writer.write(head + BODY)
                await writer.drain()
            except ConnectionError:
                return  # not taken: it was not sent whole
            try:
                answer = await reader.readuntil(b"\r\n\r\n")
                length = next(int(h.split(b":")[1]) for h in
                              answer.split(b"\r\n") if
                              h.lower().startswith(b"content-length:"))
                await reader.readexactly(length)
            except (ConnectionError, asyncio.IncompleteReadError):
                counts["lost"] += 1
                return
            good = answer.startswith(b"HTTP/1.1 200")
            counts["answered" if good else "refused"] += 1
            close = b"connection: close" in answer.lower()
        writer.close()


async def end_under_load(s, counts):
    clients = [asyncio.ensure_future(ask_on(s.port, counts))
               for _ in range(CLIENTS)]
    while counts["answered"] < 2 * CLIENTS:
        await asyncio.sleep(0.05)
    before = counts["answered"]
    s.process.send_signal(signal.SIGTERM)
    await asyncio.wait(clients, timeout=60)
    return counts["answered"] - before


def the_end():
    rounds = 3
    counts = {"answered": 0, "refused": 0, "lost": 0}
    after, codes = 0, []
    for _ in range(rounds):
        with Server() as s:
            mine = dict.fromkeys(counts, 0)
            after += asyncio.run(end_under_load(s, mine))
            codes.append(s.process.wait(60))
        for k in counts:
            counts[k] += mine[k]
    tell(f"SIGTERM under {CLIENTS} clients, {rounds} times",
         counts["lost"] == 0 and counts["refused"] == 0 and not any(codes),
         f"{counts['answered']} answered, {after} of them after the signal, "
         f"{counts['refused']} refused, {counts['lost']} lost")


full_load()
silence()
slow_bodies()
the_end()
sys.exit(failures)
