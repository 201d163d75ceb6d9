"""What a handoff costs the worker, beside the yardstick and in turns with it: the machine may be busy otherwise."""
import dataclasses
import statistics

from crew import LONG, SHORT, Crew, Run, yardstick

SECONDS = 1.2      # that one run is to last
MOST = 4000        # handoffs of a run
ROUNDS, ROUNDS_OF_TARGETS = 3, 15  # a shared machine's runs of the same lie up to two thirds apart


@dataclasses.dataclass
class Case:
    in_flight: int
    delay_ms: int
    tls: bool = False
    token_bytes: int = SHORT
    target: float = None  # the worker's CPU as a multiple of the yardstick's

    def title(self):
        return (f"{self.in_flight:,} in flight, {self.delay_ms} ms" + (", TLS" if self.tls else "") +
                (", 1 KB token" if self.token_bytes == LONG else ""))

    def count(self):
        per_second = self.in_flight / (3 * (self.delay_ms + 0.1) / 1000)
        return max(3, min(MOST, int(per_second * SECONDS)))

    def warm_up(self):
        """As many as the yardstick's."""
        return 2 * self.in_flight

    def origin(self, machine):
        return machine.origin(delay_ms=self.delay_ms, tls=self.tls, token_bytes=self.token_bytes)


TARGETS = {(128, 0): 1.4, (128, 20): 1.3, (1000, 200): 1.3}
PLAIN = [Case(n, ms, target=TARGETS.get((n, ms))) for ms in (0, 20, 200) for n in (1, 16, 128, 1000)]
EXTRA = [Case(128, 0, tls=True, target=1.3), Case(128, 20, tls=True, target=1.3), Case(128, 20, token_bytes=LONG),
         Case(128, 20, tls=True, token_bytes=LONG)]
CASES = PLAIN + EXTRA
QUICK = [case for case in CASES if case.target]


@dataclasses.dataclass
class Row:
    """Runs of a crew, and for each of them the two of the yardstick between which it ran."""
    title: str
    crew: list
    yardstick: list  # of pairs
    target: float = None

    def ratios(self):
        return [run.cpu_us / statistics.mean(y.cpu_us for y in pair) for run, pair in zip(self.crew, self.yardstick)]

    def ratio(self):
        return statistics.median(self.ratios())

    def cpu_us(self):
        return statistics.median(run.cpu_us for run in self.crew)

    def bare_us(self):
        return statistics.median(run.cpu_us for pair in self.yardstick for run in pair)

    def per_second(self):
        return statistics.median(run.per_second for run in self.crew)

    def noise(self):
        """How far the yardstick's runs lie apart, though they do the same."""
        costs = [run.cpu_us for pair in self.yardstick for run in pair]
        return (max(costs) - min(costs)) / statistics.median(costs)

    def met(self):
        return self.target is None or self.ratio() <= self.target


def in_turns(case, origin, crews, rounds, flood=None):
    """A row for each of `crews` (title -> crew)."""
    def bare():
        return yardstick(origin, case.in_flight, case.count(), case.token_bytes)

    def run(crew):
        return flood(crew) if flood else crew.flood(case.warm_up(), case.count())
    rows = {title: Row(title, [], [], case.target) for title in crews}
    for crew in crews.values():
        run(crew)  # a worker's first calls are few at a time
    before = bare()
    for _ in range(rounds):
        for title, crew in crews.items():
            rows[title].crew.append(run(crew))
            after = bare()
            rows[title].yardstick.append((before, after))
            before = after
    return list(rows.values())


def measure(machine, case):
    with case.origin(machine) as origin:
        crew = Crew(machine, origin, case.in_flight).start()
        row, = in_turns(case, origin, {case.title(): crew}, ROUNDS_OF_TARGETS if case.target else ROUNDS)
        crew.stop()
    return row


def measure_deliveries(machine):
    """Exactly once and at least once, in turns."""
    case = Case(128, 0)
    with case.origin(machine) as origin:
        crews = {f"{case.title()}, {delivery}": Crew(machine, origin, case.in_flight,
                                                     kafka={"delivery": delivery}).start()
                 for delivery in ("exactly-once", "at-least-once")}
        rows = in_turns(case, origin, crews, ROUNDS_OF_TARGETS)
        for crew in crews.values():
            crew.stop()
    return rows


__all__ = ["CASES", "Case", "QUICK", "Row", "Run", "in_turns", "measure", "measure_deliveries"]
