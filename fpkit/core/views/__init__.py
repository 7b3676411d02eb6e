"""How results show themselves elsewhere: tables, data frames, labelled arrays, CSV, notebooks."""
