# Packages of the sources.

TARBALL := $(BUILD)/imgrec-$(VERSION).tar.gz
# Files are of the time of the last commit, unless told.
EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct))

# What git has, as it is here.  The same sources give the same bytes, whoever
# packs them, and where.
.PHONY: dist
dist: ## the sources as a tarball, the same bytes each time
	@mkdir -p $(BUILD)
	git ls-files | LC_ALL=C sort | tar --create --files-from=- --no-recursion \
		--format=ustar --owner=0 --group=0 --numeric-owner \
		--mode=a+rX,u+w,go-w --mtime=@$(EPOCH) \
		--transform='s,^,imgrec-$(VERSION)/,' | gzip -9 -n > $(TARBALL)

.PHONY: check-dist
check-dist: ## ... and whether it has all that is needed to build
	sh tests/test_dist.sh $(BUILD) build

.PHONY: check-deb
check-deb: ## Debian packages, built from the tarball, unpacked and used
	sh tests/test_deb.sh $(BUILD)

.PHONY: check-conan
check-conan: ## the recipe for Conan 2, where that is installed; shared and static
	@command -v conan >/dev/null || { echo "skipped: no conan"; exit 0; }; \
	set -e; export CONAN_HOME=$(abspath $(BUILD))/conan; \
	conan profile detect --exist-ok; \
	for shared in False True; do \
		conan create . --test-folder tests/conan \
			-o "imgrec/*:shared=$$shared"; \
	done
