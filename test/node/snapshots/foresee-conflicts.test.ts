import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { clearForeseen, foreseeConflicts, type Forecast, type MadeSide } from "#src/snapshots/foresee-conflicts.ts";
import { commitAll, fingerprint, git, HOST, LIMITS } from "#harness/machine/git-project.ts";
import { makeProject, T0, write, type GitProject } from "#harness/machine/git-project.ts";

const lines = (count: number): string => Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join("");

/** A project with a second work tree on a branch of its own. */
function twoTrees(files: Record<string, string>): GitProject & { readonly other: string } {
  const from = makeProject(files);
  const other = join(from.root, "other");
  git(from.project, "worktree", "add", "--quiet", "-b", "other", other);
  return { ...from, other };
}

function foresee(
  { snapshots }: Pick<GitProject, "snapshots">,
  sides: readonly (string | MadeSide)[],
): Promise<Forecast> {
  const keep = sides.flatMap((one) => (typeof one === "string" ? [] : [one.scratch]));
  const given = sides.map((one) =>
    typeof one === "string" ? { name: one, last: null, isSame: false } : { name: one.name, last: one, isSame: true },
  );
  return foreseeConflicts({ ...HOST, sides: given, keep, snapshots, limits: LIMITS, timeoutMs: 60_000, now: T0 });
}

it("merges uncommitted files of two work trees, and writes into no project", async () => {
  const from = twoTrees({ "src/a.ts": lines(30), "b.ts": lines(9) });
  write(from.project, { "src/a.ts": lines(30).replace("line 12\n", "one\ntwo\n"), "free.ts": "x\n" });
  write(from.other, { "src/a.ts": `new\n${lines(30).replace("line 12\n", "three\n")}`, "b.ts": "changed\n" });
  const before = fingerprint(join(from.project, ".git"));
  const names = [from.project, from.other];
  const conflicts = [{ path: "src/a.ts", did: ["changed", "changed"], lines: ["12-13", "13"] }];
  expect(await foresee(from, names)).toMatchObject({ problems: [], pairs: [{ names, conflicts }] });
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("takes a side as it was made, and reads the files where that is gone; of older looks nothing stays", async () => {
  const from = twoTrees({ "a.txt": lines(9) });
  write(from.project, { "a.txt": "mine\n" });
  const { sides } = await foresee(from, [from.project, from.other]);
  const made = sides[0]!;
  write(from.project, { "a.txt": lines(9) });
  write(from.other, { "a.txt": "theirs\n" });
  const paths = async (side: string | MadeSide): Promise<unknown> => {
    const { pairs } = await foresee(from, [side, from.other]);
    return pairs.map(({ conflicts }) => conflicts.map(({ path }) => path));
  };
  expect(await paths(made)).toEqual([["a.txt"]]);
  expect(existsSync(sides[1]?.scratch ?? "")).toBe(false);
  rmSync(made.scratch, { recursive: true });
  expect(await paths(made)).toEqual([[]]);
  await clearForeseen(from.snapshots, []);
  expect(readdirSync(join(from.snapshots, "foreseen.work"))).toEqual([]);
});

it("merges from the common commit of the two HEADs, and names what each did to a file", async () => {
  const from = twoTrees({ "both.txt": lines(9), "gone.txt": lines(9), "old.txt": "x\n" });
  write(from.other, { "both.txt": "committed\n", "new.txt": "theirs\n" });
  rmSync(join(from.other, "gone.txt"));
  commitAll(from.other, "theirs");
  write(from.project, { "both.txt": "mine\n", "new.txt": "mine\n", "gone.txt": `${lines(9)}more\n`, "old.txt": "y\n" });
  const { pairs, sides } = await foresee(from, [from.project, from.other]);
  expect(pairs[0]?.conflicts.map(({ path, did }) => [path, did])).toEqual([
    ["both.txt", ["changed", "changed"]],
    ["gone.txt", ["changed", "deleted"]],
    ["new.txt", ["added", "added"]],
  ]);
  expect((await foresee(from, sides)).pairs).toEqual([]);
});

it("merges as the attributes of a work tree say, and leaves out what has no commit", async () => {
  const from = twoTrees({ ".gitattributes": "log.txt merge=union\n", "log.txt": "first\n" });
  write(from.project, { "log.txt": "first\nmine\n" });
  write(from.other, { "log.txt": "first\ntheirs\n" });
  const empty = makeProject();
  const { pairs, problems } = await foresee(from, [from.project, from.other, empty.project]);
  expect(pairs).toMatchObject([{ conflicts: [] }]);
  expect(problems).toEqual([`${empty.project}: it has no commit yet`]);
});

it("foresees exactly the files that git merge cannot merge, with lines in which each changed @night", async () => {
  const from = twoTrees({ "a.txt": lines(12) });
  const base = git(from.project, "rev-parse", "HEAD").trim();
  const line = fc.constantFrom("same", "left", "right");
  const edits = fc.array(fc.tuple(fc.nat(11), line), { maxLength: 4 });
  const edited = (changes: readonly (readonly [number, string])[]): string => {
    const text = lines(12).split("\n");
    for (const [at, word] of changes) text[at] = word;
    return text.join("\n");
  };
  await fc.assert(
    fc.asyncProperty(edits, edits, async (left, right) => {
      writeFileSync(join(from.project, "a.txt"), edited(left));
      writeFileSync(join(from.other, "a.txt"), edited(right));
      const found = (await foresee(from, [from.project, from.other])).pairs[0]?.conflicts ?? [];
      for (const folder of [from.project, from.other]) commitAll(folder, "final");
      expect(found.length > 0).toBe(!merges(from.project));
      for (const { lines: named } of found) for (const one of named) expect(one).toMatch(/^\d+/);
      for (const folder of [from.project, from.other]) git(folder, "reset", "--quiet", "--hard", base);
    }),
    { numRuns: 40 },
  );
});

function merges(project: string): boolean {
  try {
    git(project, "merge", "--quiet", "--no-edit", "other");
    return true;
  } catch {
    git(project, "merge", "--abort");
    return false;
  }
}
