#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the digests that test_resize.c, test_transform.c and test_adjust.c
compare with: what Pillow makes of a pattern.  Made with Pillow 11.3.0: later
ones may filter columns before rows, which moves some values by one."""
from PIL import Image, ImageOps


def pattern(height, width, channels):
    return bytes((y * 37 + x * 91 + k * 53 + (y * x) % 23 * 7) & 255
                 for y in range(height)
                 for x in range(width)
                 for k in range(channels))


def image(height, width, channels):
    mode = "RGB" if channels == 3 else "L"
    return Image.frombytes(mode, (width, height),
                           pattern(height, width, channels))


def digest(picture):
    """FNV-1a of the bytes."""
    value = 2166136261
    for byte in picture.tobytes():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def middle(height, width, to_height, to_width):
    if width * to_height > height * to_width:
        size = height * to_width / to_height
        return ((width - size) / 2, 0, (width - size) / 2 + size, height)
    size = width * to_height / to_width
    return (0, (height - size) / 2, width, (height - size) / 2 + size)


STRETCH = [(7, 9, 3, 4, 5), (5, 4, 1, 11, 13), (40, 60, 3, 17, 8),
           (3, 3, 1, 1, 1), (64, 64, 3, 64, 16), (1, 200, 1, 1, 7),
           (33, 20, 3, 50, 20)]
# Boxes whose bounds are whole in the f32 of Pillow.
CROP = [(40, 60, 3, 16, 16), (60, 40, 1, 16, 32), (9, 30, 3, 9, 9),
        (50, 50, 3, 7, 20)]

for rule, sizes in ((0, STRETCH), (1, CROP)):
    for h, w, c, to_h, to_w in sizes:
        box = middle(h, w, to_h, to_w) if rule else None
        made = image(h, w, c).resize((to_w, to_h), Image.BILINEAR, box=box)
        print("resize {%d, %d, %d, %d, %d, %d, 0x%08x}," %
              (h, w, c, to_h, to_w, rule, digest(made)))
print("luma 0x%08x" % digest(image(16, 20, 3).convert("L")))
for h, w, c in [(16, 20, 3), (30, 30, 1), (100, 120, 3), (1, 1, 1)]:
    made = ImageOps.equalize(image(h, w, c))
    print("equalize {%d, %d, %d, 0x%08x}," % (h, w, c, digest(made)))
