"""What every page stands in: who is in, where a form may come from, how a template is filled in, what is told live."""
