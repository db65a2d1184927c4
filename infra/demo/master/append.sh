#!/bin/sh
# The database by way of the web server: what is posted are rows, what is answered is what the database says to them.
printf 'Content-Type: text/plain\r\n\r\n'
exec nc 127.0.0.1 5433
