/**
 * A bar chart of what was counted.
 */
import { Error as ERROR, logger, parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { far } from "../../scripts/lib/counts.ts";
import { bare, type LinesRow } from "./report.ts";

const OURS = "numakit";
const OTHERS = "without it";

/** A bar for each of Bun's rows, in groups by scene. */
function specification(rows: readonly LinesRow[]): TopLevelSpec {
  const values = rows.filter(({ runtime }) => runtime === "bun").map((row) => ({
    scene: `${row.scene} (${row.guest}), per ${bare(row.operation)}`,
    way: row.variant,
    lines: far(row.counts),
    label: far(row.counts).toFixed(3),
    whose: row.ours ? OURS : OTHERS,
  }));
  const y = { field: "way", type: "nominal", sort: null, title: null } as const;
  const x = { field: "lines", type: "quantitative", axis: null } as const;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 12,
    title: {
      text:
        "Cache lines that crossed nodes, per operation (Bun; fewer is better; each group has its own scale)",
      anchor: "start",
    },
    data: { values },
    facet: {
      field: "scene",
      type: "nominal",
      sort: [...new Set(values.map(({ scene }) => scene))],
      header: { title: null, labelAnchor: "start", labelFontWeight: "bold", labelLimit: 1200 },
    },
    columns: 1,
    spacing: 14,
    resolve: { scale: { x: "independent", y: "independent" } },
    spec: {
      width: 380,
      height: { step: 17 },
      layer: [
        {
          mark: { type: "bar" },
          encoding: {
            y: { ...y, axis: { labelLimit: 480, ticks: false, domain: false } },
            x,
            color: {
              field: "whose",
              type: "nominal",
              scale: { domain: [OURS, OTHERS], range: ["#0b7285", "#adb5bd"] },
              legend: { title: null, orient: "top" },
            },
          },
        },
        {
          mark: { type: "text", align: "left", dx: 4 },
          encoding: { y, x, text: { field: "label", type: "nominal" } },
        },
      ],
    },
    config: { view: { stroke: null }, font: "sans-serif" },
  };
}

/**
 * Draws the chart.
 *
 * @param rows What was counted.
 * @returns The SVG.
 */
export async function chart(rows: readonly LinesRow[]): Promise<string> {
  const view = new View(parse(compile(specification(rows), { logger: logger(ERROR) }).spec), {
    renderer: "none",
  });
  return `${await view.toSVG()}\n`;
}
