"""`fedward logs`: what the processes of a job say, as far as it can be seen from here."""
