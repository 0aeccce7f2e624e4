"""What is wrong with this machine for measuring, and what to do about it. Nothing on the machine is changed."""
