# SPDX-License-Identifier: MIT
# Evidence that a host is not harmed: counts, system calls, the time to start.

$(BUILD)/tests/counting_host: tests/counting_host.c tests/thread_state.h $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -Itests $(CFLAGS) -fno-builtin $(LDFLAGS) \
		-Wl,--wrap=pthread_create -o $@ $< $(STATIC) $(LIBS)

$(BUILD)/tests/system_calls: tests/system_calls.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIBS)

.PHONY: counting-host
counting-host: $(BUILD)/tests/counting_host ## what each call takes and leaves
	@mkdir -p $(BUILD)/tmp
	$(BUILD)/tests/counting_host $(BUILD)/tmp

.PHONY: check-system-calls
check-system-calls: $(BUILD)/tests/system_calls ## that classify makes none
	sh tests/system_calls.sh $(BUILD)

COLD := $(BUILD)/cold_empty $(BUILD)/cold_recognise $(BUILD)/cold_shared

$(BUILD)/cold_empty: bench/cold_empty.c
	@mkdir -p $(@D)
	$(CC) -O2 -o $@ $<

$(BUILD)/cold_recognise: bench/cold_recognise.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIBS)

$(BUILD)/cold_shared: bench/cold_recognise.c $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $< -L$(BUILD) -limgrec \
		-Wl,-rpath,'$$ORIGIN'

$(BUILD)/cold_start: bench/cold_start.c
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $<

.PHONY: bench-cold-start
bench-cold-start: $(BUILD)/cold_start $(COLD) ## from exec to the first answer
	$(BUILD)/cold_recognise $(BUILD)/cold.imgrec make
	$(BUILD)/cold_start $(BUILD)/cold.imgrec $(COLD)
