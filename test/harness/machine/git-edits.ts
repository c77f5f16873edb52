import { chmodSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect } from "vitest";
import { git, purge, write, type GitProject } from "./git-project.ts";

const name = fc.constantFrom("a", "b.txt", "d/c", "d/e/f", "g h", "ü", "d.x", ".env", "k.pem", "out.log", "big");
const content = fc.oneof(
  fc.string({ maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, "x")),
);
export type Edit =
  | { kind: "write"; name: string; content: Buffer; isExecutable: boolean }
  | { kind: "remove" | "link"; name: string }
  | { kind: "add" }
  | { kind: "commit" }
  | { kind: "gc" };

/** One edit of a project, by hand or by git. */
export const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("write" as const), name, content, isExecutable: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("remove" as const, "link" as const), name }) },
  { weight: 1, arbitrary: fc.constantFrom<Edit>({ kind: "add" }, { kind: "commit" }, { kind: "gc" }) },
);

/** An edit that is not possible changes nothing. */
export function apply({ project }: GitProject, step: Edit): void {
  if (step.kind === "add") git(project, "add", "-A");
  else if (step.kind === "commit") git(project, "commit", "--quiet", "--allow-empty", "-a", "-m", "step");
  else if (step.kind === "gc") purge(project);
  else {
    const path = join(project, step.name);
    try {
      rmSync(path, { recursive: true, force: true });
      if (step.kind === "write") {
        write(project, { [step.name]: step.content });
        chmodSync(path, step.isExecutable ? 0o755 : 0o644);
      } else if (step.kind === "link") symlinkSync("b.txt", path);
    } catch (error) {
      // A parent is a file or a dangling link in this sequence: the edit is not possible, as for a user.
      expect(["ENOTDIR", "EEXIST", "ENOENT"]).toContain((error as NodeJS.ErrnoException).code);
    }
  }
}
