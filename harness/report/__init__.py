"""Reports: what panels read (a study), the panels, and the page, the site and the pictures that they are put on."""
