import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { compare } from "../shared/compare.ts";
import { ok, type Result } from "../shared/result.ts";
import { Measured } from "./measured.ts";
import { parseJson } from "../shared/json-fields.ts";

const maxFiles = 20;

/** Keeps what was measured on a commit: it is measured once for all changes that start from it. */
export class MeasuredFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * What cannot judge is not kept: tests that fail for want of a package may pass once it is there.
   *
   * @param settings all that has an effect on the result
   */
  async get(
    settings: readonly unknown[],
    measure: () => Promise<Result<Measured, string>>,
    { isRenewed = false } = {},
  ): Promise<Result<Measured, string>> {
    const name = createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 32);
    const path = join(this.#folder, `${name}.json`);
    const stored =
      !isRenewed && existsSync(path) ? (Measured.safeParse(parseJson(readFileSync(path, "utf8"))).data ?? null) : null;
    if (stored) return ok(stored);
    const measured = await measure();
    if (!measured.ok || !measured.value.tests.passed || measured.value.tests.flaky !== null) return measured;
    createPrivateFolder(this.#folder);
    writeAtomically(path, JSON.stringify(measured.value));
    this.#prune();
    return measured;
  }

  #prune(): void {
    const files = readdirSync(this.#folder)
      .map((name) => join(this.#folder, name))
      .map((path) => ({ path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
    const old = files.toSorted((a, b) => b.at - a.at || compare(a.path, b.path)).slice(maxFiles);
    for (const { path } of old) rmSync(path, { force: true });
  }
}
