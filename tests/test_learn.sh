#!/bin/sh
# SPDX-License-Identifier: MIT
# Teaches examples/learn.c two classes on a screen that nobody sees, and asks it
# about drawings that it has not seen:
#   sh tests/test_learn.sh BUILD_DIR
# Leaves a picture of the window in BUILD_DIR/tmp/learn.png.
set -u

build=${1:-build}
tmp=$build/tmp
mkdir -p "$tmp"

for tool in Xvfb xdotool pkg-config; do
  if ! command -v "$tool" >/dev/null; then
    echo "learn: skipped, there is no $tool"
    exit 0
  fi
done
if ! pkg-config --exists sdl2; then
  echo "learn: skipped, there is no SDL 2"
  exit 0
fi

# shellcheck disable=SC2046 # a list of words
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -Iinclude \
  $(pkg-config --cflags sdl2) -o "$tmp/learn" examples/learn.c \
  "$build/libimgrec.a" $(pkg-config --libs sdl2) -lm -lz -pthread || exit 1
"$build/imgrec" train examples/data/digits --epochs 8 --lr 0.003 \
  -o "$tmp/learn.imgrec" >"$tmp/learn.log" 2>&1 || exit 1

number=97
while [ -e "/tmp/.X$number-lock" ]; do number=$((number + 1)); done
Xvfb ":$number" -screen 0 500x500x24 >>"$tmp/learn.log" 2>&1 &
screen=$!
DISPLAY=:$number
export DISPLAY
program=
trap 'kill $program $screen 2>/dev/null' EXIT
tries=0
until xdotool getmouselocation >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "learn: Xvfb does not start"; exit 1; }
  sleep 0.1
done
SDL_VIDEODRIVER=x11 "$tmp/learn" "$tmp/learn.imgrec" >>"$tmp/learn.log" 2>&1 &
program=$!
window=$(timeout 20 xdotool search --sync --onlyvisible --name '^(learn|class)' |
  head -n 1)
[ -n "$window" ] || { echo "learn: no window appears"; exit 1; }

# From here to there, with the button down.
stroke() {
  xdotool mousemove "$1" "$2" mousedown 1
  step=1
  while [ "$step" -le 12 ]; do
    xdotool mousemove $(($1 + ($3 - $1) * step / 12)) \
      $(($2 + ($4 - $2) * step / 12))
    step=$((step + 1))
    sleep 0.005
  done
  xdotool mouseup 1
}

# Upright lines are class 1, level ones class 2; each near $1.
upright() { stroke "$1" 70 "$1" 310; }
level() { stroke 70 "$1" 310 "$1"; }

new_sheet() { xdotool key --window "$window" space; sleep 0.1; }

# says CLASS DRAWING: in the end the title is this.
says() {
  tries=0
  while [ "$tries" -lt 100 ]; do
    title=$(xdotool getwindowname "$window")
    case $title in "class $1: "*) return 0 ;; esac
    tries=$((tries + 1))
    sleep 0.1
  done
  echo "learn: $2 is taken for '$title'"
  return 1
}

xdotool windowfocus "$window" 2>/dev/null
for at in 130 190 250; do
  upright "$at"
  sleep 0.1
  xdotool key --window "$window" 1
  sleep 0.1
  new_sheet
  level "$at"
  sleep 0.1
  xdotool key --window "$window" 2
  sleep 0.1
  new_sheet
done
sleep 2
upright 160
says 1 "an upright line" || exit 1
new_sheet
level 220
says 2 "a level line" || exit 1
case $(xdotool getwindowname "$window") in
*'of 6 drawings') ;;
*) echo "learn: it has not learned from 6 drawings"; exit 1 ;;
esac
if command -v import >/dev/null; then
  import -window root "$tmp/learn.png"
fi
xdotool key --window "$window" Escape
wait "$program"
status=$?
program=
[ "$status" -eq 0 ] || { echo "learn: it ends with $status"; exit 1; }
echo "learn: two classes from six drawings"
