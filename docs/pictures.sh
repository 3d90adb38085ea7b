#!/usr/bin/env bash
# Draws the pictures of the book and the README anew, with Bellwether and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
images=docs/src/images
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
bellwether() { cargo run --release --quiet -- "$@"; }

bellwether bench --svg "$images/efficiency.svg" >/dev/null
bellwether rate networks/single-link.toml --sweep fibre.length=0km..300km:61 --svg "$images/rate.svg" >/dev/null

# The first chart of a report, with the report's style inside, stands alone.
bellwether simulate networks/eavesdropper.toml --out "$results" >/dev/null
{
  sed -n '/<svg class="chart"/{s/<svg /<svg xmlns="http:\/\/www.w3.org\/2000\/svg" /;s/>.*/>/;p;q;}' "$results/report.html"
  sed -n '/<style>/,/<\/style>/p' "$results/report.html"
  sed -n '/<svg class="chart"/,/<\/svg>/p' "$results/report.html" | sed '1s/^[^>]*>//;/<\/svg>/q'
} >"$images/eavesdropper.svg"
