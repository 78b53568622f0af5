#!/usr/bin/env bash
# timed_compile.sh COMPILER ARGUMENTS…: in ccache's place, compiles and appends "user system object", with
# times in seconds, to the file named by BERTH_COMPILE_TIMES.
TIMEFORMAT='%3U %3S'
for argument in "$@"; do
  [ "${previous:-}" = -o ] && object=$argument
  previous=$argument
done
exec 3>&1 4>&2
times=$({ time "$@" >&3 2>&4; } 2>&1)
status=$?
echo "$times ${object:-none}" >>"$BERTH_COMPILE_TIMES"
exit $status
