"""What grows with what: memory with the calls in flight, cost with partitions, backlog and workers; and what a limit lets
through."""
import rate
from cost import Case, in_turns
from crew import PATIENCE, Crew
from stage import wait_until

IN_FLIGHT = 1000
LONG_DELAY_MS = 4000
BASE = Case(128, 0)
SECONDS = 1.2
BACKLOG = 100000
ROUNDS = 3
LIMIT, LIMIT_RATE = "calls=60 per=1s kind=bucket burst=6", 60


def memory(machine, tls=False):
    """KiB that each handoff in flight adds to a worker that has none."""
    with machine.origin(delay_ms=LONG_DELAY_MS, tls=tls) as origin:
        crew = Crew(machine, origin, IN_FLIGHT, limits={"adaptive_concurrency": False}).start()
        worker, = crew.workers
        before = worker.memory_mb()
        crew.ask(IN_FLIGHT)

        def all_open():
            return origin.book()["fetches"] >= IN_FLIGHT
        wait_until(all_open, PATIENCE, "all calls to be open")
        added = worker.memory_mb() - before
        worker.kill()
    return added * 1024 / IN_FLIGHT


def rows(machine):
    """Each beside the yardstick, all in turns."""
    with BASE.origin(machine) as origin:
        crews = {"8 partitions, 1 worker": Crew(machine, origin, BASE.in_flight).start(),
                 "128 partitions": Crew(machine, origin, BASE.in_flight, partitions=128).start(),
                 "2 workers": Crew(machine, origin, BASE.in_flight).start(2),
                 "4 workers": Crew(machine, origin, BASE.in_flight).start(4)}
        found = in_turns(BASE, origin, crews, ROUNDS)
        for crew in crews.values():
            crew.stop()
        found += with_backlog(machine, origin)
    return found


def with_backlog(machine, origin):
    """It never comes to the end of it, so it is stopped for the time of the yardstick's turns."""
    crew = Crew(machine, origin, BASE.in_flight).start()
    crew.ask(BACKLOG)

    def work(crew):
        crew.workers[0].thaw()
        run = crew.work_off(BASE.warm_up(), SECONDS)
        crew.workers[0].freeze()
        return run
    found = in_turns(BASE, origin, {f"a backlog of {BACKLOG:,}": crew}, ROUNDS, work)
    crew.workers[0].kill()
    return found


def goodput(machine):
    """(handoffs in parts of what the limit allows, part of the calls that was answered 429)"""
    result = rate.measure(machine.path, rate.Row(LIMIT, LIMIT_RATE, seconds=15), "goodput", machine.kafka)
    return result["goodput"], result["refused"]
