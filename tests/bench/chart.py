"""A bar chart as SVG that is readable on light and on dark pages."""
from xml.sax.saxutils import escape

LEFT, WIDTH, RIGHT = 250, 420, 60
BAR, GAP, TOP = 16, 8, 44
LONGEST = 3  # what is more is cut there: its number tells
STYLE = """text { font: 13px sans-serif; fill: #1f2328 } .bar { fill: #2f81a8 } .over { fill: #c2571a }
.spread { stroke: #1f2328; stroke-width: 1.5 } .target { stroke: #1a7f37; stroke-width: 3 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #58a6c9 } .over { fill: #e08a4f }
.spread { stroke: #e6edf3 } .target { stroke: #4ac26b } }"""


def bars(title, rows):
    """`rows`: (name, value, least, most, target or None); the thin line is the spread, the thick one the target"""
    largest = min(LONGEST, max(max(most, target or 0) for _, _, _, most, target in rows))
    height = TOP + len(rows) * (BAR + GAP)

    def x(value):
        return f"{LEFT + WIDTH * min(value, largest) / largest:.1f}"
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" '
             f'width="{LEFT + WIDTH + RIGHT}" height="{height}" role="img"><title>{escape(title)}</title>',
             f"<style>{STYLE}</style>", f'<text x="8" y="22">{escape(title)} (line: spread; green: target)</text>']
    for number, (name, value, least, most, target) in enumerate(rows):
        y = TOP + number * (BAR + GAP)
        middle = y + BAR / 2
        colour = "over" if target and value > target else "bar"
        lines += [f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                  f'<rect class="{colour}" x="{LEFT}" y="{y}" width="{float(x(value)) - LEFT:.1f}" height="{BAR}"/>',
                  f'<line class="spread" x1="{x(least)}" x2="{x(most)}" y1="{middle}" y2="{middle}"/>',
                  f'<text x="{float(x(most)) + 6:.1f}" y="{y + 12}">{value:.2f}</text>']
        if target:
            lines.append(f'<line class="target" x1="{x(target)}" x2="{x(target)}" y1="{y - 2}" y2="{y + BAR + 2}"/>')
    return "\n".join([*lines, "</svg>\n"])
