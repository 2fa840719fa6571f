// The curves and diagrams of a class, by Vega-Lite: each a specification of a table.

import { script } from "study";

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"];
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 2, 2, 2],
  [1, 0],
];

// Draw a specification into `place`; description: for those who do not see it.
export async function draw(place, description, specification) {
  await script("vega.js");
  const config = { font: "system-ui, DejaVu Sans, sans-serif", axis: { labelFontSize: 11 } };
  await vegaEmbed(
    place,
    { description, config, ...specification },
    { renderer: "svg", actions: false },
  );
}

// Persistence diagrams at every level, on equal axes. bars: by level, then by dimension, pairs;
// nulls: by level the longest H1 bar of null clouds, or null for none.
export function diagrams(levels, bars, nulls) {
  const points = bars.flatMap((dims, level) =>
    dims.flatMap((pairs, dim) =>
      pairs.map(([birth, death]) => ({
        level: `noise ${levels[level]}`,
        dimension: `H${dim}`,
        birth,
        death,
      })),
    ),
  );
  const most = 1.05 * Math.max(...points.map((each) => each.death), 0) || 0.1;
  const least = 0;
  const lines = levels
    .map((each) => `noise ${each}`)
    .flatMap((level, i) => [
      { level, birth: least, death: least, line: "death = birth" },
      { level, birth: most, death: most, line: "death = birth" },
      ...(nulls?.[i]
        ? [
            { level, birth: least, death: least + nulls[i], line: "longest H1 bar of null clouds" },
            { level, birth: most - nulls[i], death: most, line: "longest H1 bar of null clouds" },
          ]
        : []),
    ]);
  const axis = (field) => ({
    field,
    type: "quantitative",
    title: field,
    scale: { domain: [least, most] },
    axis: { tickCount: 3 },
  });
  return {
    data: { values: [...points, ...lines] },
    facet: { field: "level", type: "nominal", title: null },
    columns: 2,
    spacing: 12,
    spec: {
      width: 145,
      height: 145,
      layer: [
        {
          transform: [{ filter: "datum.line" }],
          mark: { type: "line", strokeWidth: 1 },
          encoding: {
            x: axis("birth"),
            y: axis("death"),
            strokeDash: {
              field: "line",
              type: "nominal",
              title: null,
              scale: {
                domain: ["death = birth", "longest H1 bar of null clouds"],
                range: [
                  [1, 0],
                  [5, 3],
                ],
              },
            },
            color: { value: "#444444" },
          },
        },
        {
          transform: [{ filter: "!datum.line" }],
          mark: { type: "point", filled: true, size: 14, opacity: 0.75 },
          encoding: {
            x: axis("birth"),
            y: axis("death"),
            color: {
              field: "dimension",
              type: "nominal",
              title: null,
              scale: { domain: ["H0", "H1", "H2"].slice(0, bars[0].length), range: COLOURS },
            },
            shape: {
              field: "dimension",
              type: "nominal",
              title: null,
              scale: {
                domain: ["H0", "H1", "H2"].slice(0, bars[0].length),
                range: ["circle", "triangle-up", "square"],
              },
            },
            tooltip: ["dimension", "birth", "death"].map((field) => ({ field })),
          },
        },
      ],
    },
    config: { legend: { orient: "bottom" } },
  };
}

// Accuracy at every level, a line for each classifier, with intervals where there are any.
export function accuracy(rows) {
  return {
    width: 300,
    height: 150,
    data: { values: rows },
    encoding: {
      x: { field: "noise", type: "quantitative", title: "noise level", axis: { tickCount: 5 } },
      color: colour("classifier"),
      strokeDash: dash("classifier"),
    },
    layer: [
      ...(rows.some((each) => each.low !== undefined)
        ? [
            {
              mark: { type: "rule", opacity: 0.5 },
              encoding: { y: percent("low"), y2: { field: "high" } },
            },
          ]
        : []),
      {
        mark: { type: "line", point: { size: 30 } },
        encoding: {
          y: percent("accuracy"),
          tooltip: [
            { field: "classifier" },
            { field: "noise" },
            { field: "accuracy", format: ".1%" },
            { field: "n", title: "test images" },
          ],
        },
      },
    ],
  };
}

// Distances of diagrams over their baseline, a panel for each baseline; 1 is no more than that.
export function distances(rows) {
  const named = rows.map((each) => ({ ...each, what: `${each.metric}, H${each.dim}` }));
  return {
    data: { values: named },
    facet: {
      row: {
        field: "baseline",
        type: "nominal",
        title: null,
        header: { labelOrient: "top", labelAnchor: "start" },
      },
    },
    spec: {
      width: 300,
      height: 110,
      layer: [
        {
          mark: { type: "rule", color: "#444444", strokeDash: [5, 3] },
          encoding: { y: { datum: 1 } },
        },
        {
          mark: { type: "line", point: { size: 30 } },
          encoding: {
            x: {
              field: "noise",
              type: "quantitative",
              title: "noise level",
              axis: { tickCount: 5 },
            },
            y: {
              field: "ratio",
              type: "quantitative",
              title: "distance / baseline",
              scale: { zero: true },
            },
            color: colour("what"),
            strokeDash: dash("what"),
            tooltip: [
              { field: "what", title: "distance" },
              { field: "noise" },
              { field: "ratio", format: ".2f" },
            ],
          },
        },
      ],
    },
  };
}

const legend = {
  orient: "bottom",
  columns: 2,
  labelLimit: 220,
  symbolType: "stroke",
  symbolSize: 300,
};
const colour = (field) => ({
  field,
  type: "nominal",
  title: null,
  sort: null,
  scale: { range: COLOURS },
  legend,
});
const dash = (field) => ({
  field,
  type: "nominal",
  title: null,
  sort: null,
  scale: { range: DASHES },
  legend,
});
const percent = (field) => ({
  field,
  type: "quantitative",
  title: "accuracy",
  scale: { domain: [0, 1] },
  axis: { format: "%" },
});
