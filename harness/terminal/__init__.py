"""What commands print: tables, plots, progress and sentences, for people and for machines."""
