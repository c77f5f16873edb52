import { expect, it } from "vitest";
import { brief, composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { score } from "#src/machine/recovery/brief/score.ts";
import { aRestoration, prompts } from "#harness/machine/restorations.ts";
import { aState } from "#harness/machine/work-states.ts";
import { T0 } from "#harness/store/temp-store.ts";

const edited = { path: "/p/a", hash: "h", action: "edited" } as const;
const words = [{ text: "Painted.", at: T0 + 9_000 }];

it("it counts prompts quoted of prompts made, the end of the conversation, and files as left; the total is their mean", () => {
  const state = aState({ prompts: prompts("one", "two", "three"), droppedPrompts: 1, words, turnEndedAt: T0 + 9_000 });
  const files = [
    { now: "same", action: "edited", hash: "h" },
    { now: "deleted", action: "created", hash: null },
    { now: "changed", action: "edited", hash: "h" },
    { now: "unknown", action: "noted", hash: null },
  ] as const;
  expect(score(state, files, new Set([0, 2]))).toEqual({
    total: 67,
    parts: [
      { name: "prompts", share: 0.5, text: "2 of 4 prompts quoted" },
      { name: "end", share: 1, text: "the end of the conversation is there" },
      {
        name: "files",
        share: 0.5,
        text: "2 of 4 files as left (compared: 2 by content, 1 by existence), 1 not verified",
      },
    ],
  });
});

it("where no file could be verified only their number is given", () => {
  const texts = [1, 2].map((count) => {
    const files = Array.from({ length: count }, () => ({ now: "unknown", action: "edited", hash: null }) as const);
    return score(aState(), files, new Set()).parts[0];
  });
  expect(texts).toEqual([
    { name: "files", share: 0, text: "1 file not verified" },
    { name: "files", share: 0, text: "2 files not verified" },
  ]);
});

it("without words of the chat the end is missing; a file that is missing or not verified is not as left", () => {
  const state = aState({ prompts: prompts("one") });
  const { parts } = score(state, [{ now: "missing", action: "edited", hash: "h" }], new Set([0]));
  expect(parts.map(({ name, share }) => [name, share])).toEqual([
    ["prompts", 1],
    ["end", 0],
    ["files", 0],
  ]);
});

it("what does not apply is left out: files that were only read or are committed, and all of an empty session", () => {
  expect(score(aState(), [], new Set())).toEqual({ total: 0, parts: [] });
  const files = [
    { now: "changed", action: "read", hash: "h" },
    { now: "same", action: "edited", hash: "h", isCommitted: true },
  ] as const;
  expect(score(aState(), files, new Set()).parts).toEqual([]);
});

it("the score of a brief is of what that brief quotes, whoever reads it, and stands in it", () => {
  const many = Array.from({ length: 200 }, (_, n) => `Paint boat ${n}: ${"leave the deck as it is. ".repeat(8)}`);
  const from = aRestoration(
    { prompts: prompts(...many), words, turnEndedAt: T0 + 300_000 },
    { files: [{ ...edited, now: "same" }] },
  );
  const text = brief(from, T0 + 360_000, "ask");
  const quoted = many.filter((one) => text.includes(one.slice(0, one.indexOf(":") + 1))).length;
  expect(quoted).toBeGreaterThan(20);
  expect(quoted).toBeLessThan(200);
  expect(composeBrief(from, from.knownUntil).score.parts[0]?.text).toBe(`${quoted} of 200 prompts quoted`);
  expect(text).toContain(
    `\nof the session: ${quoted} of 200 prompts quoted; the end of the conversation is there; 1 of 1 files as left (compared: 1 by content). Not verified:`,
  );
});

it("prompts that the brief quotes of an earlier session are not counted as those of this one", () => {
  const continues = { session: "before", prompts: prompts("build the pier", "use oak") };
  const from = aRestoration({ prompts: prompts("go on with the pier"), words, continues });
  expect(composeBrief(from, from.knownUntil).score.parts[0]).toEqual({
    name: "prompts",
    share: 1,
    text: "1 of 1 prompts quoted",
  });
});
