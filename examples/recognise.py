#!/usr/bin/env python3
import sys
import imgrec

model = imgrec.Model.load(sys.argv[1])
for label, probability in model.predict(sys.argv[2]):
    print(label, "%.3f" % probability)
