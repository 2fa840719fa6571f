#!/usr/bin/env bash
# Make regl-scatterplot.js and LICENCES.txt from the packages that package-lock.json pins.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
cd "$work"
npm ci --silent --no-fund --no-audit
node node_modules/esbuild/install.js
echo 'export { createRenderer, default as createScatterplot } from "regl-scatterplot";' > entry.js
node_modules/.bin/esbuild entry.js --bundle --minify --format=iife --target=es2020 \
    --global-name=ReglScatterplot --legal-comments=none \
    --banner:js="/* regl-scatterplot and what it needs; see LICENCES.txt */" \
    --outfile="$here/regl-scatterplot.js"
# All packages that it needs: regl-scatterplot brings its own within its file.
node -e '
const fs = require("fs"), path = require("path");
const { packages } = JSON.parse(fs.readFileSync("package-lock.json"));
const needed = Object.keys(packages).filter((each) => each && !packages[each].dev).sort();
process.stdout.write(needed.map((each) => {
  const about = JSON.parse(fs.readFileSync(path.join(each, "package.json")));
  const file = fs.readdirSync(each).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? fs.readFileSync(path.join(each, file), "utf8").trim() : "No licence file.";
  return `${about.name} ${about.version}: ${about.license}\n\n${text}\n`;
}).join("\n" + "-".repeat(80) + "\n\n"));
' > "$here/LICENCES.txt"
