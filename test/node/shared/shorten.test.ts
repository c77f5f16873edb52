import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import { beginningOf, wholeLength, withoutMark } from "#src/shared/shorten.ts";

const texts = fc.string({ unit: "grapheme", minLength: 0, maxLength: 400 });
const limits = fc.array(fc.integer({ min: 60, max: 300 }), { minLength: 1, maxLength: 4 });

it("the beginning of a text fits its limit with its mark, which counts what all cuts before have left out", () => {
  forAll(300, [texts, limits], (text, all) => {
    let cut = text;
    for (const max of all) {
      cut = beginningOf(cut, max);
      expect(cut.length).toBeLessThanOrEqual(max);
      expect(beginningOf(cut, max)).toBe(cut);
    }
    expect(wholeLength(cut)).toBe(text.length);
    expect(text.startsWith(withoutMark(cut))).toBe(true);
  });
});
