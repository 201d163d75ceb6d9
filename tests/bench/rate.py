"""What scripts/bench rate runs: pools that share a rate, and workers that have to find one."""
import argparse
import concurrent.futures
import dataclasses
import time

from stage import Stage, folder, start_apache
from lib import produce, request, wait_until

PARTITIONS = 8
GOODPUT_TOLD, REFUSED_TOLD = 0.98, 0.005
GOODPUT_FOUND, REFUSED_FOUND = 0.90, 0.03
GOODPUT_SKEWED = 0.96  # of what is possible: a handoff more or less is a percent of what the cold partitions have


@dataclasses.dataclass
class Row:
    """A limit of the tenant's, and how many workers with how much work live with it."""
    limit: str          # as in the simulator's script
    rate: float         # calls a second that it allows
    workers: int = 1
    told: bool = True   # does the configuration say the rate?
    hot: int = 0        # percent of the requests that one partition has; 0: all have equally many
    learn: float = 0    # seconds before it is measured
    seconds: float = 60

    def title(self):
        keys = f"{self.hot} % of one partition" if self.hot else "even"
        return f"{self.limit:38} {'told' if self.told else 'not told':9} {self.workers:7}  {keys:21}"


COGNIGY = 1000 / 300  # Cognigy's own limit, calls a second
SLOW = [Row("calls=1000 per=300s kind=bucket burst=6", COGNIGY, workers, seconds=120) for workers in (1, 2, 4)] + [
    Row("calls=1000 per=300s kind=bucket burst=6", COGNIGY, 4, hot=50, seconds=120)]
FAST = [Row(f"calls={rate} per=1s kind=bucket burst={max(6, rate // 20)}", rate, workers, seconds=20)
        for rate in (60, 600) for workers in (1, 2, 4)] + [
    Row("calls=600 per=1s kind=window", 600, workers, seconds=20) for workers in (1, 2, 4)]
FOUND = [Row("calls=600 per=1s kind=bucket burst=60", 600, workers, told=False, learn=60) for workers in (1, 2, 4)] + [
    Row("calls=60 per=1s kind=bucket burst=6", 60, workers, told=False, learn=60) for workers in (1, 2, 4)] + [
    Row("calls=1000 per=10s kind=window", 100, workers, told=False, learn=60) for workers in (1, 4)] + [
    Row("calls=1000 per=300s kind=bucket burst=10", COGNIGY, workers, told=False, learn=60, seconds=180)
    for workers in (1, 4)]


def calls(simulator):
    """(handled, refused, all) calls of handoffs so far"""
    book = simulator.book()
    steps = [book["steps"][name] for name in ("fetch", "update", "trigger")]
    refused = sum(step["status"].get("429", 0) for step in steps)
    sent = sum(step["sent"] for step in steps)
    return book["steps"]["trigger"]["executed"], refused, sent


def partition_of(row, n):
    """Evenly over the partitions, or so many percent to the first and the rest over the others."""
    if not row.hot:
        return n % PARTITIONS
    others = n - n * row.hot // 100
    return 0 if (n + 1) * row.hot // 100 > n * row.hot // 100 else 1 + others % (PARTITIONS - 1)


def requests(row, count):
    for n in range(count):
        yield {"key": f"s{n}".encode(), "value": request(f"s{n}", ttlMs=3600000), "partition": partition_of(row, n)}


def possible(row):
    """What of the rate can be used: each worker has the share of its partitions (range: neighbours), and no more work
    than what is in them."""
    count, own = backlog(row), PARTITIONS // row.workers
    work = [0.0] * row.workers
    for n in range(count):
        work[partition_of(row, n) // own] += 1 / count
    return sum(min(part, 1 / row.workers) for part in work) if row.hot else 1.0


def backlog(row):
    """More than can be done while it is measured; with skewed keys what could just be done."""
    if row.hot:
        return int(row.seconds * row.rate / 3)
    return int((row.learn + row.seconds + 15) * row.rate / 3 * 2) + 200


def settled(stage):
    """Every partition is owned, and each worker's share has begun to flow."""
    def owned():
        return sum(worker.owned(stage.topics.requests) for worker in stage.workers) == PARTITIONS
    wait_until(owned, 90, "the pool to own all partitions")


def measure(parent, row, number, apache):
    stage = Stage(parent, f"row{number}", f"latency 20ms\nlimit {row.limit}\n", PARTITIONS, apache)
    stage.start(row.workers, limits={"requests_per_second": row.rate if row.told else 0.0})
    settled(stage)
    produce(stage.kafka.bootstrap, stage.topics.requests, list(requests(row, backlog(row))))
    wait_until(lambda: calls(stage.simulator)[0] > 0, 60, "the first handoff")
    begin = time.monotonic()
    before = calls(stage.simulator)
    time.sleep(row.learn)
    learnt, middle = time.monotonic(), calls(stage.simulator)
    time.sleep(row.seconds)
    seconds, after = time.monotonic() - learnt, calls(stage.simulator)
    whole = (after[0] - before[0]) / (time.monotonic() - begin) / (row.rate / 3)
    stage.end()
    # In calls: at 3.3 a second a handoff more or less is a percent of a minute's.
    handled = (after[2] - after[1]) - (middle[2] - middle[1])
    return {"row": row, "goodput": handled / seconds / row.rate, "whole": whole,
            "refused": (after[1] - middle[1]) / max(1, after[2] - middle[2]),
            "refused_whole": after[1] / max(1, after[2])}


def verdict(result):
    row = result["row"]
    least, most = (GOODPUT_TOLD, REFUSED_TOLD) if row.told else (GOODPUT_FOUND, REFUSED_FOUND)
    least = GOODPUT_SKEWED if row.hot else least
    good = result["goodput"] >= least * possible(row) and result["refused"] < most
    return ("ok" if good else "MISSED") + (f" ({possible(row):.2f} is possible)" if row.hot else "")


def show(result):
    learnt = f"{result['whole']:6.3f} {result['refused_whole'] * 100:6.2f} %" if result["row"].learn else ""
    print(f"{result['row'].title()} {result['goodput']:7.3f} {result['refused'] * 100:6.2f} %  {verdict(result):7} {learnt}",
          flush=True)


def run(parent, rows, apache):
    """Rows of few calls a second are run side by side: they leave the machine idle, and late turns cost them nothing."""
    results = []
    for at_once, some in ((4, [row for row in rows if row.rate <= 10]), (1, [row for row in rows if row.rate > 10])):
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            jobs = [pool.submit(measure, parent, row, f"{id(some)}-{n}", apache) for n, row in enumerate(some)]
            for job in jobs:
                results.append(job.result())
                show(results[-1])
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--apache-kafka", action="store_true")
    parser.add_argument("--only", choices=["slow", "fast", "found"])
    options = parser.parse_args()
    with folder() as parent:
        apache = start_apache(parent) if options.apache_kafka else None
        print(f"{'limit of the tenant, calls':38} {'rate':9} {'workers':>7}  {'keys':21} {'goodput':>7} {'429':>8}  "
              f"{'':7} from the first call on", flush=True)
        sets = {"slow": SLOW, "fast": FAST, "found": FOUND}
        results = [result for name, rows in sets.items() if options.only in (None, name)
                   for result in run(parent, rows, apache)]
    return 1 if any(verdict(result).startswith("MISSED") for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
