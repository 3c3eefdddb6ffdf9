/**
 * The flame of a profile as a still picture: each frame as wide as what it and all below it took, its callees beneath it.
 *
 * Owns nothing. The widest stands first, colours are stages, and the legend says what each stage took by itself. A frame too
 * narrow to be seen is left out with all below it, so that its caller shows bare there; no script, since a page shows none.
 */
import { box, clip, picture, text, textWithin, titled } from "../report/svg.ts";
import { ANONYMOUS, total } from "./frames.ts";
import { byStage, STAGES, type Stage, type Staged } from "./stages.ts";

const WIDTH = 1_200;
const SIDE = 20;
const ROW = 19;
const TOP = 68;
const LEGEND = { columns: 3, row: 20, head: 26 };
/** Of the whole. */
const LEAST = 0.003;
const LEAST_TOLD = 0.0005;
/** Of the picture's small letters, in the widest of the fonts that it may meet, on the average. */
const LETTER = 6.4;
const FEWEST_LETTERS = 3;

export interface FlameOptions {
  readonly title: string;
  /** Below the title, softly. */
  readonly about: string;
  readonly tree: Staged;
  /** What so much of the tree's unit is, in words: `3.1 µs`. */
  readonly figure: (amount: number) => string;
}

interface Drawn {
  readonly parts: string[];
  depth: number;
}

export function flame({ title, about, tree, figure }: FlameOptions): string {
  const whole = total(tree);
  const perUnit = (WIDTH - 2 * SIDE) / (whole === 0 ? 1 : whole);
  const drawn: Drawn = { parts: [], depth: 0 };
  const say = (amount: number) => `${figure(amount)}, ${percent(amount, whole)}`;
  const draw = (frame: Staged, x: number, depth: number) => {
    const amount = total(frame);
    if (amount === 0 || amount < whole * LEAST) return;
    drawn.depth = Math.max(drawn.depth, depth + 1);
    drawn.parts.push(oneFrame(frame, x, amount * perUnit, depth, say(amount)));
    let from = x;
    for (const child of widestFirst(frame.children)) {
      draw(child, from, depth + 1);
      from += total(child) * perUnit;
    }
  };
  let from = SIDE;
  for (const child of widestFirst(tree.children)) {
    draw(child, from, 0);
    from += total(child) * perUnit;
  }
  const below = TOP + drawn.depth * ROW + LEGEND.head;
  const { parts: legend, height } = legendOf(tree, below, say);
  const head = [text(SIDE, 30, title, "title"), text(SIDE, 50, about, "soft")];
  const size = { width: WIDTH, height: below + height };
  return picture(size, `${title}. ${about}`, [...head, ...drawn.parts, ...legend], STYLE);
}

function widestFirst(frames: readonly Staged[]): Staged[] {
  return [...frames].sort((a, b) => total(b) - total(a));
}

function oneFrame(frame: Staged, x: number, width: number, depth: number, told: string): string {
  const y = TOP + depth * ROW;
  const { name, file } = frame;
  const letters = Math.floor((width - 8) / LETTER);
  return titled(`${file === "" ? name : `${name}, ${file}`}: ${told}`, [
    box(x, y, width - 0.6, ROW - 1, colourOf(frame.stage)),
    ...(letters < FEWEST_LETTERS ? [] : [textWithin(x, y, width - 1, ROW - 1, labelOf(frame, letters))]),
  ]);
}

/** As much as there is room for; of a function without a name, its file says more. */
function labelOf({ name, file }: Staged, letters: number): string {
  if (file === "") return clip(name, letters);
  const base = file.slice(file.lastIndexOf("/") + 1);
  const ways = [`${name} · ${file.replace(/^src\//, "")}`, `${name} · ${base}`];
  return ways.find((way) => way.length <= letters) ?? clip(name === ANONYMOUS ? base : name, letters);
}

function legendOf(tree: Staged, top: number, say: (amount: number) => string) {
  const sums = byStage(tree);
  const whole = total(tree);
  const shown = STAGES.filter((stage) => (sums.get(stage) ?? 0) > whole * LEAST_TOLD);
  const rows = Math.ceil(shown.length / LEGEND.columns);
  const column = (WIDTH - 2 * SIDE) / LEGEND.columns;
  const parts = shown.flatMap((stage, i) => {
    const x = SIDE + Math.floor(i / rows) * column;
    const y = top + (i % rows) * LEGEND.row;
    return [
      box(x, y - 10, 13, 12, colourOf(stage)),
      text(x + 20, y, shortName(stage), "small"),
      text(x + column - 24, y, say(sums.get(stage) ?? 0), "small soft end"),
    ];
  });
  return { parts, height: rows * LEGEND.row + 4 };
}

/** `waking threads: one post …` → `waking threads`. */
const shortName = ({ name }: Stage): string => name.replace(/:.*/, "");

const percent = (amount: number, whole: number): string => {
  const part = (100 * amount) / (whole === 0 ? 1 : whole);
  return `${part < 9.95 ? part.toFixed(1) : Math.round(part)} %`;
};

const colourOf = (stage: Stage): string => `stage${STAGES.indexOf(stage)}`;

const DEFAULT_LIGHTNESS = 79;
const DARKER = { saturation: 0.62, lightness: 0.42 };

const colours = (saturated: number, light: number): string =>
  STAGES.map((stage) => {
    const lightness = Math.round((stage.lightness ?? DEFAULT_LIGHTNESS) * light);
    return `.${colourOf(stage)} { fill: hsl(${stage.hue}, ${Math.round(stage.saturation * saturated)}%, ${lightness}%) }`;
  }).join("\n  ");

const STYLE = `
  ${colours(1, 1)}
  @media (prefers-color-scheme: dark) {
  ${colours(DARKER.saturation, DARKER.lightness)}
  }`;
