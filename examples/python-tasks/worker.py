"""A worker of the example: counts primes. Its words are the gateway's port and its number."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../clients/python"))

from spillway_client import Worker, job  # noqa: E402

WID = sys.argv[2]


@job("primes")
def primes(args, context):
    count = 0
    for n in range(args["from"], args["to"]):
        context.check()
        count += n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
    time.sleep(0.1)  # so that the example can be watched
    return {"primes": count, "worker": WID, "pid": os.getpid()}


worker = Worker("python", ("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGTERM, lambda *_: worker.stop())
worker.run()
