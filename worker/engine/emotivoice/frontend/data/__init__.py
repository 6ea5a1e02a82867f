"""English pronunciations: data of other projects, see LICENSES.txt."""
