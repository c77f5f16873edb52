import * as fc from "fast-check";
import { Job } from "#src/contract/plans.ts";
import type { Json } from "#src/contract/values.ts";

/** What jobs look like; all of it passes the contract. */

export function aJob(fields: Partial<Omit<Job, "files">> & { readonly files?: readonly string[] } = {}): Job {
  const { files = [], ...rest } = fields;
  return Job.parse({ title: "Work", ...rest, files: files.map((path) => ({ path })) });
}

const anyPath = fc
  .array(fc.constantFrom("a", "b", "c", "src", "ü"), { minLength: 1, maxLength: 4 })
  .map((p) => p.join("/"));
const anyWeight = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 }));

export const anyFiles = fc.uniqueArray(fc.record({ path: anyPath, weight: anyWeight }), {
  selector: ({ path }) => path,
  maxLength: 40,
});

const anyText = fc
  .array(fc.constantFrom("- do it", "1. then rename", "Finally, test.", "migrate", "a bug", "x".repeat(300), ""))
  .map((lines) => lines.join("\n"));

export const anyJob: fc.Arbitrary<Job> = fc
  .record({
    title: fc.constantFrom("Work", "Refactor the store", "Fix it"),
    text: anyText,
    payload: fc.jsonValue() as fc.Arbitrary<Json>,
    files: anyFiles,
    kinds: fc.subarray(["refactor", "migrate", "test", "fix", "document"]),
  })
  .map((fields) => Job.parse(fields));
