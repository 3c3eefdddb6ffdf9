/**
 * The little of SVG that pictures need: texts, lines, boxes, scales, and one sheet of colours for light and dark.
 *
 * Owns nothing. Colours are classes, so that the reader's scheme decides; the card has its own ground and is readable on
 * any page. What comes from rows is escaped.
 */

const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 16px; font-weight: 600 }
  .head { font-size: 12px; font-weight: 600 }
  .strong { font-weight: 600 }
  .soft { fill: #59636e }
  .small { font-size: 11px }
  .end { text-anchor: end }
  .middle { text-anchor: middle }
  .grid { stroke: #e6eaef }
  .axis { stroke: #8c959f }
  .ours { fill: #5b8def }
  .base { fill: #c4ccd6 }
  .range { stroke: #172554; stroke-width: 1.5 }
  .goal { stroke: #c2410c; stroke-width: 2; stroke-dasharray: 4 2 }
  .good { fill: #1a7f37 }
  .bad { fill: #cf222e }
  .curve { fill: none; stroke: #2563eb; stroke-width: 2.5; stroke-linejoin: round }
  .beside { fill: none; stroke: #9aa4b0; stroke-width: 2; stroke-linejoin: round }
  .dot { fill: #9aa4b0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .card { fill: #0d1117; stroke: #3d444d }
    .soft { fill: #9aa4ae }
    .grid { stroke: #22282f }
    .axis { stroke: #6e7681 }
    .ours { fill: #3b7ae8 }
    .base { fill: #4a525c }
    .range { stroke: #e3edff }
    .goal { stroke: #f0a04b }
    .good { fill: #3fb950 }
    .bad { fill: #ff6a61 }
    .curve { stroke: #4c8dff }
    .beside { stroke: #7d8794 }
    .dot { fill: #7d8794 }
  }`;

/** A whole picture: a card with a title. `about` is what a reader who cannot see it is told; `style`, colours of its own. */
export function picture(
  size: { width: number; height: number },
  about: string,
  parts: readonly string[],
  style = "",
): string {
  const { width, height } = size;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(about)}">`,
    `<style>${STYLE}${style}\n</style>`,
    `<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** One decimal is a tenth of a pixel: enough, and the file stays small. */
const px = (value: number): string => String(Math.round(value * 10) / 10);

export const text = (x: number, y: number, words: string, classes = ""): string =>
  `<text x="${px(x)}" y="${px(y)}"${classes === "" ? "" : ` class="${classes}"`}>${escaped(words)}</text>`;

export const box = (x: number, y: number, width: number, height: number, classes: string): string =>
  `<rect x="${px(x)}" y="${px(y)}" width="${px(Math.max(width, 1))}" height="${px(height)}" rx="2" class="${classes}"/>`;

export const line = (x1: number, y1: number, x2: number, y2: number, classes: string): string =>
  `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" class="${classes}"/>`;

export const dot = (x: number, y: number, classes: string): string =>
  `<circle cx="${px(x)}" cy="${px(y)}" r="3.5" class="${classes}"/>`;

export const path = (points: readonly (readonly [number, number])[], classes: string): string =>
  `<polyline points="${points.map(([x, y]) => `${px(x)},${px(y)}`).join(" ")}" class="${classes}"/>`;

/** A range: a bar with a cap at each end. */
export const whisker = (from: number, to: number, y: number): string =>
  line(from, y, to, y, "range") +
  line(from, y - 3, from, y + 3, "range") +
  line(to, y - 3, to, y + 3, "range");

/** What belongs together, with words that a pointer over it shows. */
export const titled = (words: string, parts: readonly string[]): string =>
  `<g><title>${escaped(words)}</title>${parts.join("")}</g>`;

/** Nothing of the words shows outside of the box, whatever font there is. Read aloud is the title that it stands below. */
export const textWithin = (x: number, y: number, width: number, height: number, words: string): string =>
  `<svg x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(height)}" aria-hidden="true">${text(4, height - 5, words, "small")}</svg>`;

export const clip = (words: string, most: number): string =>
  words.length <= most ? words : `${words.slice(0, most - 1)}…`;

/** Round numbers from 0 to at least `most`, some four of them. */
export function ticks(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? 10 * power;
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** 1,500,000 → `1.5M`: for axes, where room is short. */
export function short(value: number): string {
  const [unit, by] = value >= 1e6 ? ["M", 1e6] : value >= 1e3 ? ["k", 1e3] : ["", 1];
  return `${Number((value / by).toPrecision(3))}${unit}`;
}
