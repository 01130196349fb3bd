# libimgrec: library, command, tests.  `make help` lists what can be made.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

PREFIX ?= /usr/local
CC ?= cc
CXX ?= c++
CFLAGS ?= -O2 -g
# PROFILE=infer: a library that recognises, and does not train.
PROFILE ?=
BUILD ?= build$(PROFILE:%=/%)
PYTHON ?= python3

# gzip-packed data sets need zlib; WITH_ZLIB=0 leaves it out.
WITH_ZLIB ?= 1
# The tests are groups of CMocka; WITH_CMOCKA=0 runs them without it.
WITH_CMOCKA ?= 1

part = $(shell sed -n 's/^\#define IMGREC_VERSION_$(1) //p' \
	include/imgrec/version.h)
MAJOR := $(call part,MAJOR)
VERSION := $(MAJOR).$(call part,MINOR).$(call part,PATCH)
SONAME := libimgrec.so.$(MAJOR)
# As the compiler calls it with these flags, which may have -m32.
MACHINE := $(shell $(CC) $(CFLAGS) -dM -E -x c /dev/null | sed -n \
	-e 's/^\#define __\(x86_64\|i386\|s390x\)__ 1$$/\1/p' \
	-e 's/^\#define __AARCH64EL__ 1$$/aarch64/p')

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
POSIX := -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE
COMMON := -std=c11 $(POSIX) -Iinclude $(WARNINGS) -MMD -MP
# Floats are computed as floats: not by x87, which has only longer ones, nor as
# doubles, which GCC takes for s390's custom.
ifeq ($(MACHINE),i386)
COMMON += -msse2 -mfpmath=sse
else ifeq ($(MACHINE),s390x)
COMMON += -fexcess-precision=fast
endif
LIBS := -lm -pthread
ifeq ($(WITH_ZLIB),1)
COMMON += -DIMGREC_HAVE_ZLIB
LIBS += -lz
endif
LIB_FLAGS := $(COMMON) -Ilib -fPIC -fvisibility=hidden
# Identical bits rest on these: no fused or reordered arithmetic.  They stand
# behind CFLAGS, so that those cannot undo them.  errno is the host's, and no
# square root may set it.
EXACT := -ffp-contract=off -fno-fast-math -fno-math-errno

# What makes the library small.  Code that computes is quick where it is told
# to unroll, and not by what compilers add; debuggers find what they need to
# walk the stack in .debug_frame, which -g makes.
LIB_FLAGS += -fno-asynchronous-unwind-tables -ffunction-sections \
	-fdata-sections
LEAN := -fno-unroll-loops -fno-tree-vectorize -fno-tree-slp-vectorize
SO_FLAGS := -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,--hash-style=gnu \
	-Wl,-O2
# Most of it is not what takes the time.  Only where CFLAGS ask for speed:
# debuggers and sanitizers want code as it is written.
ifneq ($(filter -O2 -O3,$(CFLAGS)),)
SMALL := $(if $(findstring clang,$(shell $(CC) --version)),-Oz,-Os)
endif
# ... but for what does something to each number by itself, and, without what
# makes code longer, for what is done for each small product.
QUICK := $(addprefix $(BUILD)/lib/,image/decode.o image/warp.o image/resize.o \
	ops/conv2d.o ops/conv_rows.o)
BRISK := $(filter-out $(QUICK),$(addprefix $(BUILD)/lib/,gemm.o im2col.o \
	qgemm.o) $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/ops/*.c)))

# One table of kernels for each instruction set, all from isa.c.
ISAS := scalar
# Its fused multiply-adds are calls, which no unrolling makes quicker.
ISA_FLAGS_scalar := $(SMALL)
ISA_FLAGS_avx2 := -mavx2 -mfma
ISA_FLAGS_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma \
	-mprefer-vector-width=512
ifeq ($(MACHINE),x86_64)
ISAS += avx2 avx512
else ifeq ($(MACHINE),aarch64)
ISAS += neon
endif
# Those of products of bytes, from qisa.c: VNNI is one more.
QISAS := $(ISAS) $(if $(filter avx512,$(ISAS)),avx512vnni)
ISA_FLAGS_avx512vnni := $(ISA_FLAGS_avx512) -mavx512vnni -DIMGREC_VNNI

include mk/profile.mk

TEMPLATES := $(wildcard lib/kernels/*_tmpl.c) lib/kernels/isa.c \
	lib/kernels/qisa.c
LIB_SRC := $(filter-out $(TEMPLATES) $(LEFT_OUT),$(wildcard lib/*.c lib/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) \
	$(ISAS:%=$(BUILD)/lib/kernels/isa_%.o) \
	$(QISAS:%=$(BUILD)/lib/kernels/qisa_%.o)
CMD_SRC := $(wildcard src/*.c)
CMD_OBJ := $(CMD_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(wildcard tests/test_*.c)
TESTS := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
REPLAYS := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/replay_%)
BENCHES := $(BUILD)/bench_kernels $(BUILD)/bench_count

# It trains, which not every library can.
COMMAND := $(if $(PROFILE),,$(BUILD)/imgrec)

STATIC := $(BUILD)/libimgrec.a
SHARED := $(BUILD)/libimgrec.so.$(VERSION)

.PHONY: all
all: $(STATIC) $(SHARED) $(COMMAND) ## library and command

$(STATIC): $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(SHARED): $(LIB_OBJ) lib/imgrec.map
	$(CC) $(CFLAGS) $(LDFLAGS) $(SO_FLAGS) -shared -Wl,-soname,$(SONAME) \
		-Wl,--version-script=lib/imgrec.map -Wl,--no-undefined \
		-o $@ $(LIB_OBJ) $(LIBS)
	ln -sf $(notdir $@) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $(BUILD)/libimgrec.so

$(BUILD)/imgrec: $(CMD_OBJ) $(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/lib/kernels/isa_%.o: lib/kernels/isa.c
	@mkdir -p $(@D)
	$(CC) $(LIB_FLAGS) $(CFLAGS) $(EXACT) $(LEAN) $(ISA_FLAGS_$*) \
		-DIMGREC_ISA=$* -c -o $@ $<

$(BUILD)/lib/kernels/qisa_%.o: lib/kernels/qisa.c
	@mkdir -p $(@D)
	$(CC) $(LIB_FLAGS) $(CFLAGS) $(EXACT) $(LEAN) $(ISA_FLAGS_$*) \
		-DIMGREC_ISA=$(*:%vnni=%) -c -o $@ $<

$(BUILD)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(LIB_FLAGS) $(CFLAGS) $(EXACT) $(SMALL) -c -o $@ $<

$(QUICK): SMALL :=
$(BRISK): SMALL := $(if $(SMALL),$(LEAN))

# Called only where the processor has them.
ifeq ($(MACHINE),x86_64)
$(BUILD)/lib/sha256_x86.o: LIB_FLAGS += -msse4.1 -msha
endif

# stb multiplies what files say as int, where overflow must be defined.
$(BUILD)/lib/image/decode.o: LIB_FLAGS += -fwrapv

$(BUILD)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) -c -o $@ $<

# Its bursts are of fused multiply-adds.
$(BUILD)/src/machine.o: COMMON += -ffp-contract=fast

# stb shifts bits out of an int.
$(BUILD)/src/picture.o: COMMON += -fwrapv

# ---- Tests -------------------------------------------------------------------

ifeq ($(WITH_CMOCKA),1)
TEST_LIBS := -lcmocka
else
TEST_FLAGS := -Itests/without_cmocka
endif

$(BUILD)/tests/test_%: tests/test_%.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Wno-conversion -Ilib -Itests $(TEST_FLAGS) $(CFLAGS) \
		$(EXACT) $(LDFLAGS) -o $@ $< $(STATIC) $(TEST_LIBS) $(LIBS)

# Each fuzz target as a program that replays files.
$(BUILD)/tests/replay_%: tests/fuzz/%.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Ilib -DIMGREC_FUZZ_STANDALONE $(CFLAGS) $(LDFLAGS) \
		-o $@ $< $(STATIC) $(LIBS)

.PHONY: tests
tests: all units $(BENCHES) ## build the tests without running them

# What sanitizers can link: all but the shared library.
.PHONY: units
units: $(STATIC) $(BUILD)/imgrec $(TESTS) $(REPLAYS)

.PHONY: check
check: tests ## build and run all tests
	sh tests/run.sh $(BUILD)

.PHONY: check-asan check-ubsan check-tsan check-valgrind
check-asan: ## tests of the library under AddressSanitizer
	$(MAKE) BUILD=$(BUILD)/asan \
		CFLAGS='-O1 -g -DIMGREC_ASSERTS -fsanitize=address \
		-fno-omit-frame-pointer' \
		check-units
check-ubsan: ## ... under UndefinedBehaviorSanitizer
	$(MAKE) BUILD=$(BUILD)/ubsan CFLAGS='-O1 -g -DIMGREC_ASSERTS \
		-fsanitize=undefined -fno-sanitize-recover=all' check-units
check-tsan: ## ... under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan CFLAGS='-O1 -g -DIMGREC_ASSERTS \
		-fsanitize=thread' check-units
# Left out: test_digest takes hours there; test_kernels compares bits, while
# valgrind's own fused multiply-add gets the sign of an underflow wrong; of the
# floating-point state that test_host sets it knows the rounding alone.
check-valgrind: ## ... under valgrind
	$(MAKE) units
	SKIP='test_digest test_kernels test_host' RUNNER='valgrind -q --error-exitcode=9 --leak-check=full' \
		sh tests/run.sh $(BUILD) units

.PHONY: check-units
check-units: units
	sh tests/run.sh $(BUILD) units

include mk/host.mk
include mk/abi.mk
include mk/amalgamation.mk
include mk/platforms.mk
include mk/size.mk

.PHONY: demo
demo: all ## train on real images, recognise some, show them
	sh scripts/demo.sh $(BUILD)

.PHONY: bench
bench: $(BUILD)/imgrec ## time forward and training steps of the presets
	for network in 'tiny --batch 64' 'lenet5 --batch 1' 'lenet5 --batch 64' \
		'small --batch 32' 'seed --batch 1' 'seed --batch 16'; do \
		$(BUILD)/imgrec bench --preset $$network && \
		$(BUILD)/imgrec bench --preset $$network --train || exit 1; \
	done

.PHONY: bench-int8
bench-int8: $(BUILD)/bench_int8 ## time forward in floats and in 8 bits
	$(BUILD)/bench_int8

$(BUILD)/bench/%.o: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Ilib -Isrc $(CFLAGS) -c -o $@ $<

$(BENCHES): $(BUILD)/bench_%: $(BUILD)/bench/bench_%.o \
		$(BUILD)/bench/kernel_table.o $(BUILD)/src/machine.o $(BUILD)/src/os_posix.o \
		$(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: bench-kernels
bench-kernels: $(BUILD)/bench_kernels ## speed and bits of each kernel
	$(BUILD)/bench_kernels

# With flags of its own, as instructions depend on them.
COUNT_BUILD = $(BUILD)/count/$(notdir $(lastword $(CC)))
.PHONY: bench-check
bench-check: ## instruction counts against bench/instructions.txt (UPDATE=1: store)
	$(MAKE) -s BUILD=$(COUNT_BUILD) CFLAGS='-O2 -g' $(COUNT_BUILD)/bench_count
	sh bench/instructions.sh $(if $(UPDATE),update,check) \
		$(COUNT_BUILD)/bench_count '$(CC)'

# The other benchmarks look inside of the library.
$(BUILD)/bench_%: bench/bench_%.c $(STATIC)
	$(CC) $(COMMON) -Ilib $(CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIBS)

# ---- Form --------------------------------------------------------------------

C_FILES = $(shell git ls-files --cached --others --exclude-standard \
	'*.c' '*.h' '*.cpp' '*.hpp')

.PHONY: lint
lint: ## format, floors, names, sizes, headers
	clang-format --dry-run --Werror $(C_FILES)
	$(PYTHON) scripts/lint.py
	sh tests/header/check.sh

.PHONY: format
format: ## put every C file into form
	clang-format -i $(C_FILES)

# ---- Packages ----------------------------------------------------------------

include mk/install.mk
include mk/windows.mk
include mk/wasm.mk
include mk/python.mk
include mk/dist.mk

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | \
		expand -t 24

-include $(LIB_OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(TESTS:=.d) $(REPLAYS:=.d) \
	$(wildcard $(BUILD)/bench_*.d $(BUILD)/bench/*.d)
