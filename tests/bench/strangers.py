"""A service among strangers: IDLE connections that say nothing, DRIPPING ones that send a byte of a
body or a head every second and come again when they are closed. Prints how long /health takes
meanwhile, each time on a new connection, and what became of a client that keeps one.

usage: strangers.py PORT [IDLE [DRIPPING [SECONDS]]]"""
import http.client
import resource
import selectors
import socket
import sys
import time

port, n_idle, n_drip, seconds = (int(a) for a in (sys.argv[1:] + ["10000", "1000", "20"][len(sys.argv) - 2:])[:4])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
HEADS = (b"GET /health HTTP/1.1\r\nHost: x\r\nA: ", b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")


def connect(i):
    s = socket.socket()
    s.bind(("127.0.%d.%d" % (1 + i // 200 % 100, 1 + i % 200), 0))
    s.connect(("127.0.0.1", port))
    return s


def drip(i):
    s = connect(i)
    s.sendall(HEADS[i % 2])
    return s


def ask(c):
    began = time.monotonic()
    c.request("GET", "/health")
    answer = c.getresponse()
    answer.read()
    return answer.status, (time.monotonic() - began) * 1e3


idle = [connect(i) for i in range(n_idle)]
dripping = [drip(i) for i in range(n_drip)]
kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
took, failed, lost, asked, again = [], 0, 0, 0, 0
end = time.monotonic() + seconds
second = 0
while time.monotonic() < end:
    if time.monotonic() > second:
        second = time.monotonic() + 1
        for i, s in enumerate(dripping):
            try:
                s.send(b"a")
                if s.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) is not None:
                    raise OSError
            except BlockingIOError:
                pass
            except OSError:
                s.close()
                dripping[i] = drip(i)
                again += 1
    try:
        status, ms = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10))
        failed += status != 200
        took.append(ms)
    except OSError:
        failed += 1
    asked += 1
    try:
        ask(kept)
    except (OSError, http.client.HTTPException):
        lost += 1
        kept.close()
    time.sleep(0.01)
took.sort()
print("idle %d dripping %d came again %d" % (n_idle, n_drip, again))
print("health, new connection: %d asked, %d failed, P50 %.1f ms, P99 %.1f ms, most %.1f ms" % (
    asked, failed, took[len(took) // 2], took[len(took) * 99 // 100], took[-1]))
print("a kept connection: %d asked, %d lost" % (asked, lost))
