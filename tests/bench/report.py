"""What was measured, as a table with a verdict a line, and as a chart."""
import dataclasses

from chart import bars


@dataclasses.dataclass
class Finding:
    """A figure that is no cost beside the yardstick's."""
    what: str
    measured: str
    target: str = ""
    met: bool = True

    def verdict(self):
        return ("met" if self.met else "MISSED") if self.target else ""


def at(times, part):
    """The time within which that part of the sorted times lies."""
    return times[min(len(times) - 1, int(len(times) * part))]


def quantiles(times):
    return f"p50 {at(times, .5):.1f} ms, p99 {at(times, .99):.1f} ms, most {times[-1]:.1f} ms"


def verdict(row):
    return ("met" if row.met() else "MISSED") if row.target else ""


def cost_table(rows):
    yield "| calls in flight, each takes | worker | yardstick | ratio (spread) | target | | handoffs/s | yardstick's noise |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        ratios, target = row.ratios(), f"≤ {row.target}" if row.target else ""
        yield (f"| {row.title} | {row.cpu_us():.0f} µs | {row.bare_us():.0f} µs | {row.ratio():.2f} "
               f"({min(ratios):.2f}-{max(ratios):.2f}) | {target} | {verdict(row)} | {row.per_second():.0f} | "
               f"{row.noise():.0%} |")


def finding_table(findings):
    yield "| | measured | target | |"
    yield "|---|---|---|---|"
    for finding in findings:
        yield f"| {finding.what} | {finding.measured} | {finding.target} | {finding.verdict()} |"


def text(remark, rows, findings):
    lines = [remark, ""]
    if rows:
        lines += [*cost_table(rows), ""]
    if findings:
        lines += [*finding_table(findings), ""]
    return "\n".join(lines)


def chart(rows):
    return bars("CPU of a handoff, as a multiple of the yardstick's",
                [(row.title, row.ratio(), min(row.ratios()), max(row.ratios()), row.target) for row in rows])


def all_met(rows, findings):
    return all(row.met() for row in rows) and all(finding.met for finding in findings)
