/**
 * Scales a picture (binary PPM, the plainest format there is) down to a width, each pixel the mean of those it covers.
 *
 * Reads and writes files, so only a name and a number travel. The result is written beside its place and then moved
 * there: a body that is killed, or run twice, leaves no half picture.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { defineJob, NonRetryable } from "spillway/job";

export default defineJob({
  name: "resize",
  maxExecutionTime: "10 seconds",
  retry: { levels: [1, 10, 60] },
  perform({ from, to, width }) {
    const picture = parsePpm(readFileSync(from));
    const small = scaled(picture, Math.min(width, picture.width));
    writeFileSync(`${to}.tmp`, toPpm(small));
    renameSync(`${to}.tmp`, to);
    return { width: small.width, height: small.height };
  },
});

function parsePpm(bytes) {
  const [head, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64)) ?? [];
  const picture = { width: Number(width), height: Number(height), pixels: bytes.subarray(head?.length ?? 0) };
  if (head === undefined || picture.pixels.length < picture.width * picture.height * 3)
    throw new NonRetryable("not a binary PPM of 8 bits a colour, or cut short");
  return picture;
}

function toPpm({ width, height, pixels }) {
  return Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), pixels]);
}

function scaled(picture, width) {
  const height = Math.max(1, Math.round((picture.height * width) / picture.width));
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    const rows = span(y, height, picture.height);
    for (let x = 0; x < width; x++) {
      const columns = span(x, width, picture.width);
      for (let colour = 0; colour < 3; colour++)
        pixels[(y * width + x) * 3 + colour] = mean(picture, rows, columns, colour);
    }
  }
  return { width, height, pixels };
}

function span(at, of, length) {
  const first = Math.floor((at * length) / of);
  return [first, Math.max(first + 1, Math.floor(((at + 1) * length) / of))];
}

function mean({ width, pixels }, [top, bottom], [left, right], colour) {
  let sum = 0;
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) sum += pixels[(y * width + x) * 3 + colour];
  return Math.round(sum / ((bottom - top) * (right - left)));
}
