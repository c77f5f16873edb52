import * as fc from "fast-check";
import { expect, it } from "vitest";
import { visible } from "#src/shared/visible-text.ts";
import { excerpt, isNod, tail, withoutPasted } from "#src/machine/text/excerpt.ts";

/** Texts of any script, with sentences, lists, code fences, quotations and text without spaces. */
const word = fc.constantFrom(
  "Move",
  "the",
  "boats.",
  "never!",
  "ポート",
  "必ず",
  "。",
  "…",
  "\n",
  "\n- ",
  "ж",
  "😀",
  "x1",
);
const block = fc.constantFrom(
  "```\na\nb\nc\nd\n```\n",
  "```sh\nls\n```",
  "\n> a\n> b\n> c\n> d\n",
  "q".repeat(90),
  "\n\n",
);
const anyText = fc.oneof(
  fc.array(fc.oneof(word, block), { maxLength: 120 }).map((parts) => parts.join(" ")),
  // What acts on a terminal is left out of any line.
  fc.string({ maxLength: 400, unit: "binary" }).map(visible),
);

function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** Every part between the marks of an omission stands in the text. */
function expectQuotation(shown: string, text: string): void {
  const sources = [squeezed(text), squeezed(withoutPasted(text))];
  const parts = shown.split(/ ?… ?/).filter((part) => part !== "");
  const whole = sources.map((source) => source.replaceAll(/ ?… ?/g, "|"));
  expect(parts.filter((part) => !whole.some((source) => source.includes(part)))).toEqual([]);
}

it("an excerpt is one line, never longer than its limit, and all of it stands in the text", () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 10, max: 600 }), (text, max) => {
      const shown = excerpt(text, max);
      expect(shown.length).toBeLessThanOrEqual(max);
      expect(shown).not.toContain("\n");
      expectQuotation(shown, text);
      if (squeezed(text).length <= max) expect(shown).toBe(squeezed(text));
    }),
    { numRuns: 400 },
  );
});

it("the end of a text is one line, never longer than its limit, and stands in the text", () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 10, max: 600 }), (text, max) => {
      const shown = tail(text, max);
      expect(shown.length).toBeLessThanOrEqual(max);
      expect(shown).not.toContain("\n");
      expectQuotation(shown, text);
    }),
    { numRuns: 400 },
  );
});

/** Shorter than any limit, so that none is kept for its size. */
const filler = Array.from({ length: 80 }, (_, n) => `Row ${n}.`);

it.each([
  "Never paint the hull red.",
  "Do not touch the winch.",
  "Den Motor niemals ohne Öl starten.",
  "Ne pas ouvrir la vanne.",
  "No abrir nunca la puerta.",
  "Никогда не открывай люк.",
  "倉庫の鍵は渡さないでください。",
  "不要删除旧的日志。",
  "창고 문을 열지 마세요, 금지입니다.",
])("a long prompt keeps its beginning, its end and what it forbids: %s", (limit) => {
  const text = ["Refit the boat.", ...filler.slice(0, 40), limit, ...filler.slice(40), "Send me the list."].join(" ");
  const shown = excerpt(text, 300);
  expect(shown.startsWith("Refit the boat.")).toBe(true);
  expect(shown.endsWith("Send me the list.")).toBe(true);
  expect(shown).toContain(limit);
});

it("a sentence between the first and the last is whole or left out: half may say the opposite", () => {
  const long = `Never start the pump ${"while the gate is open and the lamp is lit ".repeat(12)}unless told by radio.`;
  const shown = excerpt(["Check the dock.", long, ...filler, "Then stop."].join(" "), 200);
  expect(shown).not.toContain("Never start the pump");
  expect(shown).toContain("Check the dock.");
});

it("a title is followed by what comes right after it, before sentences that forbid something", () => {
  const rules = Array.from({ length: 20 }, (_, n) => `Never paint door ${n} without a primer.`).join(" ");
  const text = `# The doors\n\n## Context\nAll doors are to be green by May.\n\n${rules}\n\nBegin with the hall.`;
  expect(excerpt(text, 300)).toMatch(
    /^# The doors ## Context All doors are to be green by May\. Never .*Begin with the hall\.$/,
  );
});

it("the number of a list's item stands with its text, or goes with it", () => {
  const items = Array.from({ length: 40 }, (_, n) => `${n + 1}. Paint the deck of boat ${n + 1} in the old harbour`);
  const shown = excerpt(["Do this:", ...items, "Then stop."].join("\n"), 300);
  expect(shown).toContain("1. Paint the deck of boat 1 in");
  expect(shown).not.toMatch(/\d\. …/);
});

it("a pasted block is named by its size before a sentence goes; a few lines stay", () => {
  const log = Array.from({ length: 30 }, (_, n) => `2031-02-03 pump ${n} on`).join("\n");
  const text = `Here is the log:\n\`\`\`\n${log}\n\`\`\`\nFind out why it stops.`;
  expect(excerpt(text, 200)).toBe("Here is the log: [30 lines left out] Find out why it stops.");
  expect(withoutPasted("```\none\ntwo\n```")).toBe("```\none\ntwo\n```");
  expect(withoutPasted("> a\n> b\n> c\n> d\n> e\nWhy?")).toBe("[5 lines left out]\nWhy?");
  // A fence that was cut is one all the same.
  expect(withoutPasted(`See:\n\`\`\`\n${log}`)).toBe("See:\n[30 lines left out]");
});

it("Japanese is cut at its own full stops", () => {
  const text = `港の地図を作ってください。${"船は青く塗ります。".repeat(60)}赤は使わないでください。${"灯台は白です。".repeat(60)}最後に印刷します。`;
  const shown = excerpt(text, 160);
  expect(shown.length).toBeLessThanOrEqual(160);
  expect(shown.startsWith("港の地図を作ってください。")).toBe(true);
  expect(shown).toContain("赤は使わないでください。");
  expect(shown.endsWith("最後に印刷します。")).toBe(true);
});

it("no character is cut in two", () => {
  for (let max = 10; max < 40; max++) expect(excerpt("🚤".repeat(100), max).isWellFormed()).toBe(true);
  for (let max = 10; max < 40; max++) expect(tail("🚤".repeat(100), max).isWellFormed()).toBe(true);
});

it("a nod is a short prompt that only lets the work go on; it says nothing of the work", () => {
  for (const nod of [
    "yes",
    "Go ahead.",
    "ok, thanks",
    "looks good!",
    "weiter",
    "mach weiter!",
    "続けてください。",
    "继续",
    "sí",
  ])
    expect([nod, isNod(nod)]).toEqual([nod, true]);
  for (const prompt of ["yes, but in blue", "no", "stop", "go to the harbour", "ok then delete it", "continue with 12"])
    expect([prompt, isNod(prompt)]).toEqual([prompt, false]);
});
