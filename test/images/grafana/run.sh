#!/bin/sh
# Stands in for the start script of Grafana's image. What that does to GF_*__FILE, the program does here.
exec grafana server "$@"
