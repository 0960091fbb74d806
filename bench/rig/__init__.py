"""What measurements are made with: daemons, loads, merchants, backlogs. Nothing here is a measurement of its own."""
