#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says what is in an image: recognise.py MODEL IMAGE"""
import sys

import imgrec

model = imgrec.Model.load(sys.argv[1])
for label, probability, _ in model.classify(sys.argv[2], top=3):
    print(label, "%.3f" % probability)
