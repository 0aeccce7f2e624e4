"""Does a tool see what is there, and only that? The same code against itself, and against planted slowdowns."""
