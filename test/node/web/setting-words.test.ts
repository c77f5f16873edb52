import { expect, it } from "vitest";
import { parameters } from "#src/learning/experiments/parameters.ts";
import { changeText } from "#src/web/setting-words.ts";

it("each setting that an experiment may change is said in words, with its unit", () => {
  const texts = parameters.map(({ key, min, max }) => changeText({ key, from: min, to: max }));
  expect(texts).toEqual([
    "A chat is saved after 40 calls instead of 2 calls",
    "A chat is saved after 20.0 min instead of 0.5 min",
    "A chat is at risk with a context filled to 90 % instead of 40 %",
    "A chat is at risk when it was not saved for 20.0 min instead of 0.5 min",
    "A chat is at risk with the machine's memory filled to 95 % instead of 50 %",
  ]);
  expect(changeText({ key: "other.setting", from: 1, to: 2 })).toBe("other.setting: 2 instead of 1");
});
