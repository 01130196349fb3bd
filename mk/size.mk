# How large the library is; the limits are for CFLAGS of -O2, on x86-64.

SIZE_LIMIT := $(if $(findstring -Oz,$(SMALL)),710000,635000)

.PHONY: check-size
check-size: $(SHARED) ## what the library takes, and that it is not too much
ifeq ($(MACHINE)$(if $(SMALL),,no),x86_64)
	sh scripts/size.sh $(BUILD)/lib $(SHARED) $(SIZE_LIMIT)
else
	sh scripts/size.sh $(BUILD)/lib $(SHARED) 10000000
endif

INFER_LIMIT := $(if $(findstring -Oz,$(SMALL)),465000,410000)

.PHONY: check-infer
check-infer: $(STATIC) ## the library that recognises only (PROFILE=infer)
	$(MAKE) PROFILE=infer BUILD=$(BUILD)/infer all
	CC='$(CC)' LIBS='$(LIBS)' sh tests/test_infer.sh $(BUILD) $(INFER_LIMIT)
