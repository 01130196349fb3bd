# The Python package.

.PHONY: python-header
python-header: ## python/imgrec/_header.py anew, from imgrec.h
	@mkdir -p $(BUILD)
	$(PYTHON) scripts/python_header.py include > $(BUILD)/_header.py
	mv $(BUILD)/_header.py python/imgrec/_header.py

.PHONY: wheel
wheel: $(SHARED) ## the Python package: wheel and source package into dist/
	BUILD=$(BUILD) $(PYTHON) python/build_backend.py dist

.PHONY: check-wheel
check-wheel: all ## ... installed into fresh environments, with NumPy and without
	PYTHON=$(PYTHON) sh tests/test_wheel.sh $(BUILD)
