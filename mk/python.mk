# The Python package.

.PHONY: python-header
python-header: ## python/imgrec/_header.py anew, from imgrec.h
	@mkdir -p $(BUILD)
	$(PYTHON) scripts/python_header.py include > $(BUILD)/_header.py
	mv $(BUILD)/_header.py python/imgrec/_header.py
