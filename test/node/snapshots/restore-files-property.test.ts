import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { displayPath } from "#src/snapshots/git.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import { apply, edit } from "#harness/machine/git-edits.ts";
import { contents, HOST, LIMITS, makeProject, taken } from "#harness/machine/git-project.ts";

it(
  "any sequence of edits comes back byte for byte, but for what is named as left out @night",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 12 }), fc.nat({ max: 11 }), async (steps, at) => {
        const from = makeProject({
          "b.txt": "b\n",
          "d/c": "c\n",
          ".gitignore": "*.log\n",
          big: Buffer.alloc(3_000, "y"),
        });
        try {
          const limits = { ...LIMITS, maxFileBytes: 2_000 };
          for (const [index, step] of steps.entries()) {
            apply(from, step);
            if (index === at) await taken(from, { checkpointId: "before", limits });
          }
          const snapshot = await taken(from, { limits });
          const work = contents(from.project);
          const leftOut = new Set(snapshot.leftOut.map(({ path }) => path));
          rmSync(join(from.project, ".git"), { recursive: true });
          const { repository, commit } = snapshot;
          const into = join(from.root, "into");
          const result = await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 });
          expect(result).toMatchObject({ ok: true, value: { notRestored: [] } });
          const back = contents(join(from.root, "into"));
          const isExpected = ([path]: [string, string]) => !leftOut.has(displayPath(path));
          const expected = Object.entries(work).filter((each) => isExpected(each) && !each[0].endsWith(".log"));
          expect(Object.fromEntries(Object.entries(back).filter(isExpected))).toEqual(Object.fromEntries(expected));
          for (const path of leftOut) {
            const isSecret = path === ".env" || path === "k.pem";
            expect(isSecret || statSync(join(from.project, path)).size > limits.maxFileBytes).toBe(true);
          }
        } finally {
          rmSync(from.root, { recursive: true, force: true });
        }
      }),
      { numRuns: Number(process.env["SHIM_RESTORED_EDITS"] ?? 8) },
    );
  },
);
