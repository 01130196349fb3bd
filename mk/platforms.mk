# The library on other machines and C libraries (docs/platforms.md).

PLATFORMS := i386 musl aarch64 s390x x86-old

.PHONY: check-platforms
check-platforms: ## check-i386 check-musl check-aarch64 check-s390x check-x86-old
	for name in $(PLATFORMS); do $(MAKE) check-$$name || exit 1; done

.PHONY: $(PLATFORMS:%=check-%)
# The usual build, run by another processor.
check-x86-old: $(BUILD)/tests/test_digest $(BUILD)/tests/test_context
$(PLATFORMS:%=check-%): check-%:
	+MAKE='$(MAKE)' sh tests/test_platform.sh $* $(BUILD)

.PHONY: show-digests
show-digests: $(BUILD)/tests/test_digest ## digests of training on all platforms checked, side by side
	sh tests/digests.sh $(BUILD)
