"""The reproduction report: generated from a store, nothing in it written by hand."""
