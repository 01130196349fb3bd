# WebAssembly, by Emscripten and node (docs/platforms.md).

EMCC ?= emcc
EMAR ?= emar
NODE ?= node

ifeq ($(WASM),1)
# Where there is no other table, that in plain C is not one to be small.
ISA_FLAGS_scalar := -O3 -msimd128
SMALL :=
WASM_FLAGS := -isystem $(BUILD)/include
COMMON += $(WASM_FLAGS)
LIB_FLAGS := $(filter-out -fPIC,$(LIB_FLAGS)) $(WASM_FLAGS)
LIBS := -lm

# The headers that the library takes in, without all others of this machine.
$(LIB_OBJ): | $(BUILD)/include
$(BUILD)/include:
	@mkdir -p $@
	printf '#include <jsmn.h>\n#include <stb/stb_image.h>\n' | cc -M -x c - | \
		tr ' ' '\n' | sed -n 's|/jsmn.h$$|&|p; s|/stb_image.h$$||p' | \
		xargs -I{} ln -sf {} $@

WASM_EXPORTS := _malloc,_free,_imgrec_model_classes,_imgrec_model_label,$\
	_imgrec_model_destroy,_imgrec_version_string
# Emscripten's own scripts want Debian's modules of node.
export NODE_PATH ?= /usr/share/nodejs
$(BUILD)/imgrec.js: wasm/glue.c wasm/api.js wasm/node.js $(STATIC)
	$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -o $@ wasm/glue.c $(STATIC) $(LIBS) \
		--pre-js wasm/node.js --post-js wasm/api.js -sMODULARIZE=1 -sEXPORT_NAME=createImgrec \
		-sALLOW_MEMORY_GROWTH=1 -sENVIRONMENT=web,worker,node \
		-sEXPORTED_FUNCTIONS=$(WASM_EXPORTS)

# Tests read their files where they are.
$(BUILD)/tests/%.js: tests/%.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Wno-conversion -Ilib -Itests -Itests/without_cmocka \
		$(CFLAGS) $(EXACT) -o $@ $< $(STATIC) $(LIBS) -sNODERAWFS=1 \
		-sALLOW_MEMORY_GROWTH=1 -sEXIT_RUNTIME=1
endif

IN_WASM = $(MAKE) WASM=1 BUILD=$(BUILD)/wasm CC=$(EMCC) AR=$(EMAR) WITH_ZLIB=0

.PHONY: wasm
wasm: ## imgrec.js and imgrec.wasm, by Emscripten
	+$(IN_WASM) $(BUILD)/wasm/imgrec.js

.PHONY: wasm-page
wasm-page: wasm $(BUILD)/imgrec ## ... with the page of examples/web and its model
	@mkdir -p $(BUILD)/wasm/page
	cp examples/web/index.html $(BUILD)/wasm/imgrec.js \
		$(BUILD)/wasm/imgrec.wasm $(BUILD)/wasm/page
	$(BUILD)/imgrec train examples/data/digits --preset tiny --epochs 40 \
		--seed 1 -o $(BUILD)/wasm/page/digits.imgrec > $(BUILD)/wasm/train.log

# Others want threads, processes, another rounding, or compare with fmaf(), which
# rounds twice there.
WASM_TESTS := test_digest test_kernels test_safetensors
.PHONY: check-wasm
check-wasm: wasm-page ## ... and tests of them, by node and Chromium
	+$(IN_WASM) $(WASM_TESTS:%=$(BUILD)/wasm/tests/%.js)
	NODE='$(NODE)' sh tests/test_wasm.sh $(BUILD)/wasm $(BUILD)/imgrec
