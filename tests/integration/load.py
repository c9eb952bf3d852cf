"""load.py [HOST:]PORT STOP-FILE [RATE]: POST /embed at a constant rate (200/s) until the file is there, each
request due at its own instant, a fifth of the texts new; prints "ok failed [the first failures]".
STOP-FILE.begun appears when it is under way."""
import http.client
import json
import os
import sys
import threading
import time

host, port = ("127.0.0.1:" + sys.argv[1]).split(":")[-2:]
stop = sys.argv[2]
rate = float(sys.argv[3]) if len(sys.argv) > 3 else 200.0
connections = 40
ok, bad, began = [0] * connections, [], time.time()


def work(k):
    c, i = http.client.HTTPConnection(host, int(port), timeout=20), 0
    while not os.path.exists(stop):
        time.sleep(max(0, began + (i * connections + k) / rate - time.time()))
        text = "new %d of %d at %f" % (i, k, began) if i % 5 == 0 else "common %d" % (i % 50)
        i += 1
        try:
            c.request("POST", "/embed", json.dumps({"texts": [text]}))
            answer = c.getresponse()
            answer.read()
            ok[k] += answer.status == 200
            if i == 2:
                open(stop + ".begun", "w").close()
            if answer.status != 200:
                bad.append(answer.status)
        except (OSError, http.client.HTTPException) as e:
            bad.append(repr(e))
            c = http.client.HTTPConnection(host, int(port), timeout=20)


threads = [threading.Thread(target=work, args=(k,)) for k in range(connections)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sum(ok), len(bad), bad[:3])
