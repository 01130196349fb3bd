# The library as one file (docs/embedding.md).

.PHONY: library-objects
library-objects: $(LIB_OBJ)

.PHONY: amalgamation
amalgamation: ## the library as two files, dist/imgrec.c and dist/imgrec.h
	CC='$(CC)' MAKE='$(MAKE)' $(PYTHON) scripts/amalgamate.py dist
