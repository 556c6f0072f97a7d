"""Word tables of the readers, one YAML file each; `lexicon.load_table` checks them."""
