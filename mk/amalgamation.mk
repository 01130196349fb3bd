# The library as one file (docs/embedding.md).

.PHONY: library-objects
library-objects: $(LIB_OBJ)

.PHONY: amalgamation
amalgamation: ## the library as two files, dist/imgrec.c and dist/imgrec.h
	CC='$(CC)' MAKE='$(MAKE)' $(PYTHON) scripts/amalgamate.py dist \
		$(SYMBOL_PREFIX)

.PHONY: check-amalgamation-quick
check-amalgamation-quick: ## ... its names and, in short, its bits
	MAKE='$(MAKE)' PYTHON=$(PYTHON) sh tests/test_amalgamation.sh $(BUILD) \
		quick

.PHONY: check-amalgamation
check-amalgamation: ## ... its bits, by gcc and clang; other machines' compilers
	MAKE='$(MAKE)' PYTHON=$(PYTHON) sh tests/test_amalgamation.sh $(BUILD)
