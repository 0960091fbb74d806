"""The seam to the store, cut by who asks. A method is one transaction; its docstring says what a crash leaves."""
