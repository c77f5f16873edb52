/** Pure. Where a JSON object ends in a text that holds more, in linear time. */

const structural = /["{}]/g;
const stringEnd = /["\\]/g;

/** @returns the position behind the object that begins at `start`; null: it has no end */
export function endOfObject(text: string, start: number): number | null {
  let depth = 0;
  for (let at = start; ;) {
    structural.lastIndex = at;
    const found = structural.exec(text);
    if (found === null) return null;
    at = found.index + 1;
    if (found[0] === "{") depth += 1;
    else if (found[0] === "}") {
      depth -= 1;
      if (depth === 0) return at;
    } else {
      const end = endOfString(text, at);
      if (end === null) return null;
      at = end;
    }
  }
}

function endOfString(text: string, start: number): number | null {
  for (let at = start; ;) {
    stringEnd.lastIndex = at;
    const found = stringEnd.exec(text);
    if (found === null) return null;
    if (found[0] === '"') return found.index + 1;
    at = found.index + 2;
  }
}
