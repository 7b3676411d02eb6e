"""Variable-length texts of HDF5 files, taken from the bytes of the file.

HDF5 itself is not asked for them: on a damaged file it walks a heap for ever where a free piece has size 0,
and allocates the four gigabytes that a damaged length declares. A text is a reference of 16 bytes (length,
address of a heap, number in it), little-endian; the heap is a sequence of numbered pieces [HDF5 file format
specification, III.E global heap; IV.A.2.m attribute message].
"""
from __future__ import annotations

REFERENCE = 16


def heap_text(data, base, reference, limit):
    """Bytes of the text behind a reference, cut at `limit`; None when it does not lead to a text in a sound
    heap."""
    length, address, number = (int.from_bytes(reference[a:b], "little") for a,
                               b in ((0, 4), (4, 12), (12, 16)))
    if len(reference) < REFERENCE or length > len(data) or address > len(data):
        return None
    if length == 0:
        return b""
    start = base + address
    if data[start:start + 5] != b"GCOL\x01":
        return None
    place, end, found = start + 16, min(start + int.from_bytes(data[start + 8:start + 16], "little"),
                                        len(data)), None
    while place + 16 <= end:  # to the end, so that a text found is one in a sound heap
        index, size = int.from_bytes(data[place:place + 2],
                                     "little"), int.from_bytes(data[place + 8:place + 16], "little")
        if index == 0 and size == 0:
            return None
        if index == number and index > 0 and length <= size and place + 16 + size <= end:
            found = data[place + 16:place + 16 + min(length, limit)]
        place += size if index == 0 else 16 + -(-size // 8) * 8
    return found


def attribute_references(data, name):
    """The 16 bytes of every scalar attribute of that name with a variable-length text, found by its
    message."""
    found, key = set(), name.encode() + b"\0"
    place = data.find(key)
    while place >= 0:
        for version, before in ((1, 8), (3, 9)):
            head = data[max(0, place - before):place]
            if len(head) == before and head[0] == version and int.from_bytes(head[2:4], "little") == len(key):
                sizes = [len(key), *(int.from_bytes(head[k:k + 2], "little") for k in (4, 6))]
                start = place + sum(-(-s // 8) * 8 if version == 1 else s for s in sizes)
                found.add(bytes(data[start:start + REFERENCE]))
        place = data.find(key, place + 1)
    return found
