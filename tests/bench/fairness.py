"""What scripts/bench fairness runs: one tenant's requests while another tenant of the same worker is in trouble."""
import argparse
import time

from stage import Stage, folder
from load import Steady, part
from lib import free_port, produce, request

PARTITIONS = 4
WINDOW = 2000
FLOOD = 3 * WINDOW * PARTITIONS // 2  # fills more than the windows
CASES = (
    # what the other tenant does, its simulator's script, how many requests it gets a second, and at once
    ("is well", "latency 100ms", 20, 0),
    ("answers 429", "limit calls=1 per=60s", 20, 0),
    ("answers 429, floods", "limit calls=1 per=60s", 20, FLOOD),
    ("is not there", None, 20, 0),
    ("is not there, floods", None, 20, FLOOD),
    ("answers after 5 s", "latency 5s", 20, 0),
    ("answers after 5 s, floods", "latency 5s", 20, FLOOD),
    ("answers 503", "on any reply 503", 20, 0),
)
SLACK = 1.10


def tenants(stage, rough):
    login = {"client_id": stage.simulator.client_id, "client_secret": stage.simulator.client_secret}
    url = stage.others["rough"].base_url if rough else f"http://127.0.0.1:{free_port()}/api/v1"
    return [{"name": "calm", "base_url": stage.simulator.base_url, **login},
            {"name": "rough", "base_url": url, **login}]


def flood(stage, count):
    produce(stage.kafka.bootstrap, stage.topics.requests,
            [{"key": f"f{n}".encode(), "value": request(f"f{n}", tenant="rough", ttlMs=3600000)} for n in range(count)])


def measure(parent, number, case, seconds):
    _, script, rate, count = case
    stage = Stage(parent, f"fair{number}", "latency 100ms\n", PARTITIONS,
                  tenants={"rough": (script or "latency 1ms") + "\n"})
    stage.start(tenants=tenants(stage, script), cognigy={"base_url": None, "client_id": None, "client_secret": None},
                worker={"window": WINDOW})
    if count:
        flood(stage, count)
    Steady(stage, stage.topics.requests, rate, seconds + 3, tenant="rough")
    time.sleep(3)
    calm = Steady(stage, stage.topics.requests, 20, seconds, tenant="calm").times()
    for worker in stage.workers:
        worker.kill()
    return calm


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    print("two tenants in one worker; the calm one gets 20 requests/s and answers each call after 100 ms; times in ms")
    print(f"{'the other tenant':28} {'p50':>6} {'p95':>6} {'p99':>6} {'p99 beside one that is well':>28}", flush=True)
    base, ok = None, True
    with folder() as parent:
        for number, case in enumerate(CASES):
            times = measure(parent, number, case, options.seconds)
            base = base or part(times, .99)
            ratio = part(times, .99) / base
            ok = ok and ratio <= SLACK
            print(f"{case[0]:28} {part(times, .5):6} {part(times, .95):6} {part(times, .99):6} {ratio:27.2f}  "
                  f"{'ok' if ratio <= SLACK else 'MISSED'}", flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
