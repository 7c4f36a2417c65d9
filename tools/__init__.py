"""Small programs behind the Makefile; each also runs by itself."""
