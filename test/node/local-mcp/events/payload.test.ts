import * as fc from "fast-check";
import { expect, it } from "vitest";
import { readPayload } from "#src/local-mcp/events/payload.ts";

const object = { session_id: "s", cwd: "/p", prompt: 'say "}" \\ and 🧩' };
const text = JSON.stringify(object);
const none = { objects: [object], problem: null };

it("byte order marks, NULs and blanks beside an object are not read, nor is a NUL within it", () => {
  for (const [before, behind] of [
    ["\ufeff", ""],
    ["\0\0", "\0"],
    ["\0\ufeff\n", "\n\0\ufeff"],
  ] as const)
    expect(readPayload(before + text + behind)).toEqual(none);
  expect(readPayload(text.replaceAll(/\W/g, "\0$&\0"))).toEqual(none);
});

it("each of several objects counts, up to eight; text beside them is a problem", () => {
  for (const between of ["", "\n", "\0\n"])
    expect(readPayload(text + between + text)).toEqual({ objects: [object, object], problem: null });
  const problem = "input has text beside its JSON object";
  for (const damaged of [`${text} it's "{`.slice(0, -1), `log: ${text}`, `${text}]`])
    expect(readPayload(damaged)).toEqual({ objects: [object], problem });
  expect(readPayload(text.repeat(100))).toEqual({ objects: Array.from({ length: 8 }, () => object), problem });
});

it("of an object that is cut at any place the complete fields count, and of the prompt what there is", () => {
  const whole = JSON.stringify({ ...object, duration_ms: 123, more: [{ a: 1 }] });
  const values = fc.record({ a: fc.string(), n: fc.integer(), prompt: fc.string(), z: fc.jsonValue() });
  const cut = fc.tuple(
    fc.oneof(
      fc.constant(whole),
      values.map((value) => JSON.stringify(value)),
    ),
    fc.nat(200),
  );
  fc.assert(
    fc.property(cut, ([given, chars]) => {
      const part = given.slice(0, Math.max(1, given.length - 1 - chars));
      const { objects, problem } = readPayload(part);
      expect(problem).toBe("input ends in the middle of its JSON object");
      const { prompt, ...rest } = (objects[0] ?? {}) as Record<string, unknown>;
      const full = JSON.parse(given) as Record<string, unknown>;
      for (const [name, value] of Object.entries(rest)) expect(value).toEqual(full[name]);
      if (prompt === undefined || prompt === full["prompt"]) return;
      const [said = "", mark] = (prompt as string).split(" [cut off: ");
      expect([String(full["prompt"]).startsWith(said), mark]).toEqual([true, "the rest did not arrive]"]);
    }),
    { numRuns: 500 },
  );
  expect(readPayload('{"session_id":"half').objects).toEqual([{}]);
  expect(readPayload('{"duration_ms":12').objects).toEqual([{}]);
  expect(readPayload('{"prompt":"all of it"').objects).toEqual([{ prompt: "all of it" }]);
  for (const escape of ["\\", "\\u", "\\u00e"])
    expect(readPayload(`{"prompt":"half${escape}`).objects).toEqual([
      { prompt: "half [cut off: the rest did not arrive]" },
    ]);
});

it("a field that is not JSON costs no other field, and no name of a field changes what an object is", () => {
  const { objects, problem } = readPayload('{"session_id":"s","n":NaN,"prompt":"p"}');
  expect([objects, problem]).toEqual([[{ session_id: "s", prompt: "p" }], "a field of the input is not JSON"]);
  const [odd] = readPayload('{"__proto__":{"prompt":"p"},"n":NaN}').objects;
  expect(odd?.["prompt"]).toBeUndefined();
});

it("what is no object has none, and a long one of any kind is read in linear time", () => {
  for (const [given, problem] of [
    ["", "input is empty"],
    ["\0\ufeff \n", "input is empty"],
    ["no json", "input is not JSON"],
    ['[{"a":1}]', "input is not a JSON object"],
    ['"{}"', "input is not a JSON object"],
  ] as const)
    expect(readPayload(given)).toEqual({ objects: [], problem });
  for (const part of ["{", '{"a":', "}", '"', "\\", "{}", "[", ',"prompt":"', "\0", " {"])
    expect(readPayload(part.repeat(500_000)).objects.length).toBeLessThan(9);
});
