"""The posterior of theta with all effects integrated out: assembled once on the host, evaluated by compiled code."""
