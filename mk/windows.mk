# Windows on x86-64, by mingw-w64 and Wine (docs/platforms.md).

MINGW ?= x86_64-w64-mingw32-
WINE ?= wine

# GCC takes Windows' stack for one aligned to 32 bytes where it keeps vectors
# there (its bug 54412); the assembler makes such moves ones that need not be.
ifeq ($(WINDOWS),1)
WINDOWS_FLAGS := -D__USE_MINGW_ANSI_STDIO=1 -Wa,-muse-unaligned-vector-move \
	-Wno-float-conversion -isystem $(BUILD)/include
COMMON += $(WINDOWS_FLAGS)
LIB_FLAGS := $(filter-out -fPIC,$(LIB_FLAGS)) $(WINDOWS_FLAGS)
LIBS := $(filter -lz,$(LIBS)) -lm -pthread
DLL := $(BUILD)/libimgrec-$(MAJOR).dll
WINDOWS_ONLY ?= $(TEST_SRC:tests/%.c=%)
WINDOWS_TESTS := $(patsubst %,$(BUILD)/tests/%.exe, \
	$(sort $(WINDOWS_ONLY) test_digest))

# The headers that the library takes in, without all others of this machine.
$(LIB_OBJ) $(CMD_OBJ) $(WINDOWS_TESTS): | $(BUILD)/include
$(BUILD)/include:
	@mkdir -p $@
	printf '#include <jsmn.h>\n#include <stb/stb_image.h>\n' | cc -M -x c - | \
		tr ' ' '\n' | sed -n 's|/jsmn.h$$|&|p; s|/stb_image.h$$||p' | \
		xargs -I{} ln -sf {} $@

# Its exports are what lib/imgrec.map has.
$(BUILD)/imgrec.def: lib/imgrec.map
	@mkdir -p $(@D)
	(echo EXPORTS; sed -n 's/^ *\(imgrec_[a-z0-9_]*\);$$/\1/p' $<) > $@

$(DLL): $(LIB_OBJ) $(BUILD)/imgrec.def
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -static -o $@ $^ \
		-Wl,--out-implib,$(BUILD)/libimgrec.dll.a $(LIBS)

$(BUILD)/imgrec.exe: $(CMD_OBJ) $(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ $(LIBS) -lpsapi

$(BUILD)/tests/%.exe: tests/%.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Wno-conversion -Wno-unused-value -Ilib -Itests \
		-Itests/without_cmocka -Itests/on_windows -include tests/on_windows/posix.h \
		$(CFLAGS) $(EXACT) $(LDFLAGS) -static -o $@ $< $(STATIC) $(LIBS)

$(BUILD)/tests/program.exe: tests/on_windows/program.c $(DLL)
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -o $@ $< $(BUILD)/libimgrec.dll.a

.PHONY: windows-files windows-tests
windows-files: $(STATIC) $(DLL) $(BUILD)/imgrec.exe
windows-tests: $(WINDOWS_TESTS) $(BUILD)/tests/program.exe
endif

# All that is linked is static; zlib is of Debian's libz-mingw-w64-dev.
MINGW_ZLIB := $(wildcard /usr/$(MINGW:%-=%)/lib/libz.a)
IN_WINDOWS = $(MAKE) WINDOWS=1 BUILD=$(BUILD)/windows CC=$(MINGW)gcc \
	AR=$(MINGW)ar WITH_ZLIB=$(if $(MINGW_ZLIB),1,0)

.PHONY: windows
windows: ## DLL, import library, static library, imgrec.exe; by mingw-w64
	+$(IN_WINDOWS) windows-files

# WINDOWS_ONLY names the library's tests to run, where not all of them.
.PHONY: check-windows
check-windows: $(BUILD)/imgrec ## ... and tests of them, by Wine
	+$(IN_WINDOWS) windows-files windows-tests
	CC=$(MINGW)gcc WINE='$(WINE)' sh tests/test_windows.sh \
		$(BUILD)/windows $(BUILD)/imgrec $(strip $(WINDOWS_ONLY))
