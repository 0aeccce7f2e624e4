"""What tests of several rooms need: the command, recorded runs, and a launcher without processes."""
