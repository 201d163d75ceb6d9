"""The pixels of a PNG as browsers write them: 8 bits, RGB or RGBA, not interlaced."""
import struct
import zlib


def pixels(data):
    """(width, height, rows of [(r, g, b), ...])"""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
        elif kind == b"IDAT":
            body += chunk
        at += size + 12
    assert depth == 8 and colour in (2, 6) and not interlaced
    step = 3 if colour == 2 else 4
    raw, before, rows = zlib.decompress(body), bytes(width * step), []
    for y in range(height):
        start = y * (width * step + 1)
        line = bytearray(raw[start + 1:start + 1 + width * step])
        unfilter(raw[start], line, before, step)
        rows.append([tuple(line[x:x + 3]) for x in range(0, len(line), step)])
        before = line
    return width, height, rows


def unfilter(kind, line, before, step):
    """The five filters of the format: what is stored is the difference to this guess."""
    for i in range(len(line)):
        left, up, corner = (line[i - step] if i >= step else 0), before[i], (before[i - step] if i >= step else 0)
        line[i] = (line[i] + (0, left, up, (left + up) // 2, nearest(left, up, corner))[kind]) % 256


def nearest(left, up, corner):
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def brightness(rows):
    """Mean of all pixels, 0 black to 255 white."""
    return sum(sum(pixel) for row in rows for pixel in row) / (3 * sum(map(len, rows)))


def count_near(rows, colour, within=24):
    """How many pixels look like this colour."""
    return sum(all(abs(a - b) <= within for a, b in zip(pixel, colour)) for row in rows for pixel in row)
