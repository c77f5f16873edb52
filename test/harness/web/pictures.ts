import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PNG } from "pngjs";

/** `SHIM_PICTURES=1` stores each picture as the page is now: see what `git diff` shows of it before a commit. */
export const storesPictures = process.env["SHIM_PICTURES"] === "1";

/** A square of so many pixels becomes one, their mean: how a browser smooths the edge of a letter does not count. */
const scale = 5;
/** Of 255: differences in brightness that an eye sees in the reduced picture. */
const visible = 32;

/** The picture in grey, a fifth as wide and high. */
function reduce(screenshot: Buffer): PNG {
  const full = PNG.sync.read(screenshot);
  const reduced = new PNG({ width: Math.ceil(full.width / scale), height: Math.ceil(full.height / scale) });
  for (let y = 0; y < reduced.height; y++)
    for (let x = 0; x < reduced.width; x++) {
      const mean = meanOf(full, x * scale, y * scale);
      reduced.data.set([mean, mean, mean, 255], (y * reduced.width + x) * 4);
    }
  return reduced;
}

function meanOf(full: PNG, left: number, top: number): number {
  const [right, bottom] = [Math.min(left + scale, full.width), Math.min(top + scale, full.height)];
  let sum = 0;
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) {
      const [red = 0, green = 0, blue = 0] = full.data.subarray((y * full.width + x) * 4);
      sum += (red + green + blue) / 3;
    }
  return Math.round(sum / ((right - left) * (bottom - top)));
}

/** The brightness of a pixel; of one outside of the picture a value that differs visibly from every other. */
function brightnessAt({ data, width, height }: PNG, x: number, y: number): number {
  return x < width && y < height ? (data[(y * width + x) * 4] ?? 0) : -visible - 1;
}

/** @returns the share of pixels that differ visibly, 0 to 1; those that only one of the pictures has differ */
function differenceOf(one: PNG, other: PNG): number {
  const [width, height] = [Math.max(one.width, other.width), Math.max(one.height, other.height)];
  let different = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (Math.abs(brightnessAt(one, x, y) - brightnessAt(other, x, y)) > visible) different++;
  return different / (width * height);
}

/**
 * How far a screenshot is from the stored picture. A picture that is not there, or that `SHIM_PICTURES=1` asks for, is stored.
 *
 * @returns the share of pixels that differ visibly, 0 to 1
 */
export function differenceFromStored(screenshot: Buffer, path: string): number {
  const seen = reduce(screenshot);
  if (storesPictures) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, PNG.sync.write(seen, { colorType: 0 }));
  }
  if (!existsSync(path)) return 1;
  return differenceOf(seen, PNG.sync.read(readFileSync(path)));
}
