# PROFILE=infer (docs/embedding.md): what it is without.

ifeq ($(PROFILE),infer)
LEFT_OUT := $(wildcard lib/train/*.c lib/data/*.c lib/image/augment*.c) \
	$(addprefix lib/,image/adjust.c image/fingerprint.c image/requantize.c \
	image/warp.c recognise/calibrate.c recognise/quantize.c \
	recognise/explain.c format/adapt.c model/freeze.c)
LIB_FLAGS += -DIMGREC_INFER
else ifneq ($(PROFILE),)
$(error PROFILE=$(PROFILE) is not known; there is 'infer')
endif
