"""The words of the project as data: standard library only, nothing here measures anything."""
