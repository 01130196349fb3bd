# The binary interface: what tests/abi/ keeps, and docs/abi.md explains.

ABI_LEVEL ?= strict

.PHONY: check-abi
check-abi: $(SHARED) ## the binary interface against tests/abi/, with abidiff
	CC='$(CC)' PYTHON=$(PYTHON) sh tests/abi/check.sh $(SHARED) $(SONAME) \
		$(BUILD)/abi $(ABI_LEVEL)
ifeq ($(ABI_LEVEL),strict)
	CC='$(CC)' PYTHON=$(PYTHON) sh tests/abi/trial.sh $(SONAME) \
		$(BUILD)/abi/trial
endif

.PHONY: check-old-programs
check-old-programs: $(SHARED) ## programs of older and newer headers
	CC='$(CC)' PYTHON=$(PYTHON) sh tests/abi/old_programs.sh $(BUILD)

.PHONY: check-copies
check-copies: $(STATIC) $(SHARED) ## two copies of the library in one process
	CC='$(CC)' CXX='$(CXX)' LIBS='$(LIBS)' sh tests/abi/copies.sh \
		$(BUILD)

# SYMBOL_PREFIX=foo_ makes, beside the library, a copy of it whose names begin
# with that (docs/embedding.md).
ifneq ($(SYMBOL_PREFIX),)
PREFIXED := $(BUILD)/$(SYMBOL_PREFIX)imgrec

.PHONY: prefixed
prefixed: $(STATIC)
	CC='$(CC)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' LIBS='$(LIBS)' \
		sh scripts/prefix.sh '$(SYMBOL_PREFIX)' $(STATIC) include $(PREFIXED)

all: prefixed
endif

# At a release, whose interface is kept from then on.
.PHONY: renew-abi
renew-abi: ## write what tests/abi/ keeps anew (docs/abi.md says when)
	CC='$(CC)' sh tests/abi/dump.sh include lib/imgrec.map $(SONAME) \
		$(BUILD)/abi/dump > $(BUILD)/libimgrec.abi
	mv $(BUILD)/libimgrec.abi tests/abi
	$(PYTHON) tests/abi/interface.py functions include > tests/abi/symbols.txt
	$(PYTHON) tests/abi/interface.py layout include > $(BUILD)/layout.h
	mv $(BUILD)/layout.h tests/abi
