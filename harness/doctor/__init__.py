"""What of the harness works on this machine, found out by doing it: everything is run on a case with a known answer."""
