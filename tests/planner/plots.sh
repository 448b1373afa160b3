#!/bin/sh
# Draws the simulator's series as SVG, a picture a scenario: plots.sh SIMULATOR DIRECTORY
# draw NAME TITLE HIGHEST EVERY LOWEST
set -eu

program=$1
directory=$2
series=$(mktemp)
trap 'rm -f "$series"' EXIT
mkdir -p "$directory"
"$program" --series >"$series"

draw() {
    gnuplot <<PLOT
set terminal svg size 760,360 font 'sans,11' background '#ffffff'
set output '$directory/$1.svg'
set title '$2'
set xlabel 'seconds'
set ylabel 'max / mean of load'
set yrange [$5:$3]
set grid ytics lc rgb '#dddddd'
set key outside right
plot for [policy in 'modulo hashing count slicer oracle planner'] \
    "< awk -v p=" . policy . " '\$1 == \"$1\" && \$2 == p { print \$3, \$4 }' $series" \
    every $4 using 1:2 with lines lw (policy eq 'planner' ? 2.5 : 1) title policy
PLOT
}

draw zipf 'From an even load to zipf 0.99' 1.8 1 0.95
draw jump 'A hotspot with a fifth of the load jumps every 300 s' 2.7 2 0.95
draw sine 'Every shard swings by 70 % in its own phase of the day' 1.4 10 0.95
draw add 'A worker is added' 1.3 1 0.95
draw drain 'A worker is drained' 1.5 1 0.85
draw kill 'A worker is killed' 1.5 1 0.95
