# What is installed, and where: make install, make uninstall.

LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d

empty :=
space := $(empty) $(empty)
# They are words of lists, here and in what is installed.
FOLDERS := PREFIX LIBDIR INCLUDEDIR MANDIR BASHDIR ZSHDIR FISHDIR
ifneq ($(filter install install-files uninstall,$(MAKECMDGOALS)),)
$(foreach v,$(FOLDERS),$(if $(findstring $(space),$($v)),$(error $\
	$v is '$($v)'; it must be a folder whose name has no blanks)))
endif

# Below PREFIX both files for build systems name their folders by it, so that a
# tree that was moved is still right.
below = $(patsubst $(PREFIX)/%,$2%,$1)
up = $(subst $(space),/,$(patsubst %,..,$(subst /,$(space),$1)))
CMAKEDIR := $(LIBDIR)/cmake/imgrec
CMAKE_PREFIX := $(if $(filter $(PREFIX)/%,$(CMAKEDIR)),$\
	$${CMAKE_CURRENT_LIST_DIR}/$(call up,$(call below,$(CMAKEDIR))),$(PREFIX))
# Relative to that, unless it is elsewhere.
cmake_path = $(if $(filter $(PREFIX)/%,$1),$\
	$${_imgrec_prefix}/$(call below,$1),$1)

# SOURCE:FOLDER of all files; LINK:TARGET.
DATA_FILES := $(patsubst %,%:$(INCLUDEDIR)/imgrec, \
		$(wildcard include/imgrec/*.h include/imgrec/*.hpp)) \
	$(STATIC):$(LIBDIR) \
	$(BUILD)/install/imgrec.pc:$(LIBDIR)/pkgconfig \
	$(BUILD)/install/imgrec-config.cmake:$(CMAKEDIR) \
	$(BUILD)/install/imgrec-config-version.cmake:$(CMAKEDIR) \
	docs/imgrec.1:$(MANDIR)/man1 \
	$(BUILD)/install/imgrec.3:$(MANDIR)/man3 \
	src/completion/imgrec.bash:$(BASHDIR) \
	src/completion/_imgrec:$(ZSHDIR) \
	src/completion/imgrec.fish:$(FISHDIR)
PROGRAM_FILES := $(BUILD)/imgrec:$(PREFIX)/bin $(SHARED):$(LIBDIR)
LINKS := $(LIBDIR)/$(SONAME):$(notdir $(SHARED)) \
	$(LIBDIR)/libimgrec.so:$(SONAME)

# Written anew each time, as PREFIX may be another.
.PHONY: install-files
install-files: imgrec.pc.in mk/imgrec-config.cmake.in \
		mk/imgrec-config-version.cmake.in
	@mkdir -p $(BUILD)/install
	@for file in $^; do \
		sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
			-e 's|@LIBDIR@|$(call below,$(LIBDIR),$${prefix}/)|' \
			-e 's|@INCLUDEDIR@|$(call below,$(INCLUDEDIR),$${prefix}/)|' \
			-e 's|@LIBS@|$(LIBS)|' -e 's|@SONAME@|$(SONAME)|' \
			-e 's|@CMAKE_PREFIX@|$(CMAKE_PREFIX)|' \
			-e 's|@CMAKE_LIBDIR@|$(call cmake_path,$(LIBDIR))|' \
			-e 's|@CMAKE_INCLUDEDIR@|$(call cmake_path,$(INCLUDEDIR))|' \
			$$file > $(BUILD)/install/$$(basename $$file .in) || exit 1; \
	done
	@awk -v version=$(VERSION) -f scripts/man3.awk include/imgrec/imgrec.h \
		> $(BUILD)/install/imgrec.3

.PHONY: install
install: all install-files ## into DESTDIR/PREFIX (LIBDIR, INCLUDEDIR, MANDIR)
	@put() { \
		install -d "$(DESTDIR)$$3" && \
		install -m $$1 "$$2" "$(DESTDIR)$$3" || exit 1; \
	}; \
	for file in $(DATA_FILES); do \
		put 644 "$${file%:*}" "$${file##*:}"; \
	done; \
	for file in $(PROGRAM_FILES); do \
		put 755 "$${file%:*}" "$${file##*:}"; \
	done; \
	for link in $(LINKS); do \
		ln -sf "$${link#*:}" "$(DESTDIR)$${link%%:*}" || exit 1; \
	done

.PHONY: uninstall
uninstall: ## take away what install put there
	@for file in $(DATA_FILES) $(PROGRAM_FILES); do \
		source=$${file%:*}; \
		rm -f "$(DESTDIR)$${file##*:}/$${source##*/}" || exit 1; \
	done; \
	for link in $(LINKS); do \
		rm -f "$(DESTDIR)$${link%%:*}" || exit 1; \
	done; \
	for folder in $(INCLUDEDIR)/imgrec $(CMAKEDIR); do \
		if [ -d "$(DESTDIR)$$folder" ]; then \
			rmdir "$(DESTDIR)$$folder" || :; \
		fi; \
	done

.PHONY: check-install
check-install: all ## programs of all kinds against an install, and no more
	CC='$(CC)' CXX='$(CXX)' PYTHON=$(PYTHON) sh tests/test_examples.sh $(BUILD)
	CC='$(CC)' CXX='$(CXX)' PYTHON=$(PYTHON) sh tests/test_install.sh $(BUILD)
