/**
 * What the engine's profilers write, as one tree of frames: who called whom, and how much each took by itself.
 *
 * Owns nothing, and measures nothing. A frame has the file that a reader knows it by (`src/…`, a package's, `node:…`), never
 * one of `dist` and never a path of the machine. Of a CPU profile samples are counted, not their distances in time: those
 * hold what the thread waited for a core as well.
 */

export interface Frame {
  readonly name: string;
  /** `""`: the engine's own code. */
  readonly file: string;
  /** In the unit of the profile: samples, or bytes. */
  readonly self: number;
  readonly children: readonly Frame[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
}

/** As `Profiler.stop` answers. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly hitCount?: number | undefined;
    readonly children?: readonly number[] | undefined;
  }[];
}

/** As `HeapProfiler.stopSampling` answers, from its head on. */
export interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

export const ANONYMOUS = "(anonymous)";
export const GARBAGE = "(garbage collector)";
/** Nothing was done: no part of what a job costs. */
const IDLE = "(idle)";

export function foldCpu({ nodes }: CpuProfile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const below = new Set(nodes.flatMap(({ children = [] }) => children));
  const frameOf = (id: number): Frame[] => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === IDLE) return [];
    const { callFrame, hitCount = 0, children = [] } = node;
    return [{ ...nameOf(callFrame), self: hitCount, children: joined(children.flatMap(frameOf)) }];
  };
  const roots = nodes.filter(({ id }) => !below.has(id)).flatMap(({ id }) => frameOf(id));
  return roots.length === 1 && roots[0] !== undefined
    ? roots[0]
    : { name: "(root)", file: "", self: 0, children: roots };
}

export const foldHeap = ({ callFrame, selfSize, children }: HeapNode): Frame => ({
  ...nameOf(callFrame),
  self: selfSize,
  children: joined(children.map(foldHeap)),
});

const nameOf = ({ functionName, url }: CallFrame): Pick<Frame, "name" | "file"> => ({
  name: functionName === "" ? ANONYMOUS : functionName,
  file: fileOf(url),
});

/** One frame for all of a caller's that a reader can't tell apart. */
export function joined(frames: readonly Frame[]): Frame[] {
  const alike = new Map<string, Frame[]>();
  for (const frame of frames) {
    const key = `${frame.name}\n${frame.file}`;
    const group = alike.get(key);
    if (group === undefined) alike.set(key, [frame]);
    else group.push(frame);
  }
  return [...alike.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined || group.length === 1) return group;
    const self = group.reduce((sum, frame) => sum + frame.self, 0);
    return [{ ...first, self, children: joined(group.flatMap(({ children }) => children)) }];
  });
}

/**
 * `file:///…/dist/kernel/out.js` → `src/kernel/out.ts`, `file:///…/node_modules/amqplib/lib/mux.js` → `amqplib/lib/mux.js`.
 * Of what lies anywhere else the name alone is kept.
 */
export function fileOf(url: string): string {
  if (url === "" || url.startsWith("node:")) return url;
  const path = decodeURI(url.replace(/^file:\/\//, "").replace(/[?#].*$/, "")).replaceAll("\\", "/");
  const [, inPackage] = /.*\/node_modules\/(.+)$/.exec(path) ?? [];
  if (inPackage !== undefined) return inPackage;
  const [, compiled] = /.*\/dist\/(.+)\.js$/.exec(path) ?? [];
  if (compiled !== undefined) return `src/${compiled}.ts`;
  const [, ours] = /.*\/((?:src|bench)\/.+)$/.exec(path) ?? [];
  return ours ?? path.slice(path.lastIndexOf("/") + 1);
}

export const total = (frame: Frame): number =>
  frame.children.reduce((sum, child) => sum + total(child), frame.self);
