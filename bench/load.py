"""Load on servers and what it costs them: one after the other, with few of the client's own instructions."""

import glob
import json
import multiprocessing
import os
import sys
import time


class Side:
    """A server under load: how to reach it and what it has used."""

    def __init__(self, name, process, connect, prefix="", token=None):
        self.name, self.process, self.connect, self.prefix = name, process, connect, prefix
        self.bear(token)

    def bear(self, token):
        """Another token from now on."""
        self.head = "Host: localhost\r\nAccept: */*\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")

    def processes(self):
        """It, and what it started."""
        children = {}
        for entry in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(entry) as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                children.setdefault(int(fields[1]), []).append(int(entry.split("/")[2]))
            except OSError:
                pass
        found, queue = [], list(self.process)
        while queue:
            found.append(queue.pop())
            queue += children.get(found[-1], [])
        return found

    def cpu(self):
        ticks = 0
        for process in self.processes():
            try:
                with open(f"/proc/{process}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        kilobytes = 0
        for process in self.processes():
            try:
                with open(f"/proc/{process}/smaps_rollup") as file:
                    kilobytes += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except OSError:
                pass
        return kilobytes / 1024


class Link:
    """One connection that is kept, and requests that cost the client little."""

    def __init__(self, side):
        self.side, self.stream, self.rest = side, side.connect(), b""

    def ask(self, method, path, body=None, raw=None):
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw is not None else "application/json"
        head = (f"{method} {self.side.prefix}{path} HTTP/1.1\r\n{self.side.head}"
                f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n").encode()
        if len(data) < 1 << 16:
            self.stream.sendall(head + bytes(data))
        else:
            self.stream.sendall(head)
            self.stream.sendall(data)
        return self.answer(f"{method} {path}")

    def send(self, method, path, body=b"", **fields):
        """A request with a body of bytes and header fields of its own; the answer's status, header fields and body."""
        own = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        head = f"{method} {self.side.prefix}{path} HTTP/1.1\r\n{self.side.head}{own}Content-Length: {len(body)}\r\n\r\n"
        self.stream.sendall(head.encode())
        self.stream.sendall(body)
        return self.reply(method)

    def more(self):
        piece = self.stream.recv(1 << 18)
        if not piece:
            sys.exit(f"{self.side.name} closed the connection")
        return piece

    def until(self, mark):
        while mark not in self.rest:
            self.rest += self.more()
        found, self.rest = self.rest.split(mark, 1)
        return found

    def exactly(self, count):
        pieces, held = [self.rest], len(self.rest)
        while held < count:
            pieces.append(self.more())
            held += len(pieces[-1])
        whole = b"".join(pieces)
        self.rest = whole[count:]
        return whole[:count]

    def reply(self, method=""):
        """Status, header fields and body of the next answer."""
        head = self.until(b"\r\n\r\n").decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if method == "HEAD":
            body = b""
        elif fields.get("transfer-encoding") == "chunked":
            body = b""
            while length := int(self.until(b"\r\n"), 16):
                body += self.exactly(length)
                self.until(b"\r\n")
            self.until(b"\r\n")
        else:
            body = self.exactly(int(fields.get("content-length", 0)))
        return int(head[0].split()[1]), fields, body

    def answer(self, what):
        status, _, body = self.reply()
        if status != 200:
            sys.exit(f"{self.side.name} refused {what}: {status} {body[:300]!r}")
        return body

    def json(self, *request):
        return json.loads(self.ask(*request))


def worker(side, prepare, call, seconds, pipe):
    link = Link(side)
    subject = prepare(link)
    call(link, subject, 0)
    pipe.send(None)
    pipe.recv()
    times, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        call(link, subject, len(times) + 1)
        times.append(time.perf_counter() - began)
    pipe.send(times)


def crowd(side, prepare, call, clients, seconds):
    """CPU seconds and times of a call by several clients at once, each with what it prepared."""
    context = multiprocessing.get_context("fork")
    pairs = []
    for _ in range(clients):
        ours, theirs = context.Pipe()
        process = context.Process(target=worker, args=(side, prepare, call, seconds, theirs))
        process.start()
        theirs.close()
        pairs.append((process, ours))
    for _, pipe in pairs:
        pipe.recv()
    before = side.cpu()
    for _, pipe in pairs:
        pipe.send(None)
    times = [one for _, pipe in pairs for one in pipe.recv()]
    used = side.cpu() - before
    for process, _ in pairs:
        process.join()
    return used, times


def repeat(side, ask, count):
    before, times = side.cpu(), []
    for number in range(count):
        began = time.perf_counter()
        ask(number)
        times.append(time.perf_counter() - began)
    return side.cpu() - before, times


def share(work, count):
    """Does something in several processes, each with a share: its number and how many there are."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(number, count)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            sys.exit("the load ended badly")


def settle(side):
    """Waits until a server that was started has little to do, a minute at most."""
    for _ in range(30):
        before = side.cpu()
        time.sleep(2)
        if side.cpu() - before < 0.1:
            return


class Table:
    """Prints each work with its figures, ours first."""

    def __init__(self, sides):
        self.sides = sides

    def row(self, work, target, figures):
        print(f"\n{work}" + (f"   (target {target:g} ms of CPU)" if target else ""))
        for side, (used, times) in zip(self.sides, figures):
            if not times:
                continue
            times = sorted(times)
            at = lambda share: times[min(len(times) - 1, int(len(times) * share))] * 1000  # noqa: E731
            cpu = used * 1000 / len(times)
            verdict = "" if side is not self.sides[0] or not target else "  reached" if cpu <= target else "  MISSED"
            print(f"  {side.name:<28} {cpu:9.3f} ms CPU a call   p50 {at(0.5):8.2f}  p99 {at(0.99):8.2f} ms   "
                  f"{len(times)} calls{verdict}", flush=True)
