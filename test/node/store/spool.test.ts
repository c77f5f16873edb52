import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { append, drain, remove, claimSuffix, type DrainOptions, type SpoolEntry } from "#src/store/spool.ts";
import { tempHome, T0 } from "#harness/store/temp-store.ts";

const DEAD = ".taken-4194304-00000000";

it("[ST30] an entry waits in a private file of its process", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0, text: "ä" });
  append(folder, { at: T0 + 1 });
  const files = readdirSync(folder);
  expect(files).toHaveLength(1);
  expect(files[0]).toMatch(new RegExp(`^${process.pid}-\\d+\\.jsonl$`));
  expect(statSync(join(folder, files[0] ?? "")).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

it("[ST30] a full spool refuses with a clear error and keeps what it has", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 }, { maxBytes: 30 });
  expect(() => append(folder, { at: T0 + 1 }, { maxBytes: 30 })).toThrow(/could store.*shim doctor.*not kept/);
  expect(drained(folder)).toEqual([{ at: T0 }]);
});

it("[ST30] a spool that cannot be written is a clear error", () => {
  const { spool: folder } = tempHome();
  mkdirSync(join(folder, ".."), { recursive: true });
  writeFileSync(folder, "a file");
  expect(() => append(folder, { at: T0 })).toThrow(/cannot be opened/);
});

it("[ST31] entries of all files are applied in the order of time, then the files are gone", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 + 2 });
  writeFileSync(join(folder, "1-1.jsonl"), `\n{"at":${T0 + 3}}\n\n{"at":${T0 + 1}}\n`);
  expect(drained(folder).map(({ at }) => at - T0)).toEqual([1, 2, 3]);
  expect(readdirSync(folder)).toEqual([]);
  expect(drained(folder)).toEqual([]);
  expect(drained(join(folder, "none"))).toEqual([]);
});

it("[ST31] a line torn by its writer's death, or by a full disk, loses only itself", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  const path = join(folder, readdirSync(folder)[0] ?? "");
  appendFileSync(path, '\n{"at":17000,"text":"to');
  append(folder, { at: T0 + 1 });
  appendFileSync(path, '\n{"text":"no time"}\nnull\n{"at":');
  expect(drained(folder)).toEqual([{ at: T0 }, { at: T0 + 1 }]);
});

it("[ST31] when an entry cannot be applied all stay, and nothing that is written meanwhile is lost", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  append(folder, { at: T0 + 1 });
  const fails = (): number =>
    drain(folder, ({ at }) => {
      if (at > T0) throw new Error("store is locked");
    });
  expect(fails).toThrow("store is locked");
  append(folder, { at: T0 + 2 });
  expect(fails).toThrow("store is locked");
  append(folder, { at: T0 + 3 });
  expect(drained(folder).map(({ at }) => at - T0)).toEqual([0, 1, 2, 3]);
  expect(readdirSync(folder)).toEqual([]);
});

it("[ST31] nothing overtakes what a living process drains; a claim of a dead or a stopped process blocks nothing", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  const living = `8-8.jsonl${claimSuffix(systemProcesses, process.ppid)}`;
  writeFileSync(join(folder, living), `{"at":${T0 + 2}}\n`);
  writeFileSync(join(folder, `7-7.jsonl${DEAD}`), `{"at":${T0 + 1}}\n`);
  expect(drained(folder)).toEqual([]);
  expect(readdirSync(folder)).toContain("7-7.jsonl");
  expect(drained(folder, { now: () => Date.now() + 10_000 }).map(({ at }) => at - T0)).toEqual([0, 1]);
  expect(readdirSync(folder)).toEqual([living]);
});

it("[ST31] several processes write and drain at once: every acknowledged entry is applied", () => {
  const folder = tempHome().spool;
  const script = join(import.meta.dirname, "../../harness/store/spool-child.ts");
  const children = Array.from({ length: 4 }, (_, n) => `"${process.execPath}" "${script}" "${folder}" ${n} &`).join(
    " ",
  );
  const out = execFileSync("/bin/sh", ["-c", `${children} wait`], { encoding: "utf8" });
  const words = out.split("\n");
  const written = words.filter((word) => word.startsWith("+")).map((word) => word.slice(1));
  const applied = new Set(words.filter((word) => word.startsWith("-")).map((word) => word.slice(1)));
  for (const entry of drained(folder)) applied.add(String(entry["id"]));
  expect(written).toHaveLength(4 * 100);
  expect(written.filter((id) => !applied.has(id))).toEqual([]);
});

it("[ST32] entries of what is forgotten are removed, others stay", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0, session: "a" });
  append(folder, { at: T0 + 1, session: "b" });
  writeFileSync(join(folder, `7-7.jsonl${DEAD}`), '{"at":1,"session":"a"}\n');
  remove(folder, (entry) => entry["session"] === "a");
  remove(join(folder, "none"), () => true);
  expect(
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8"))
      .join(""),
  ).not.toContain('"a"');
  expect(drained(folder)).toEqual([{ at: T0 + 1, session: "b" }]);
});

function drained(folder: string, options: DrainOptions = {}): SpoolEntry[] {
  const entries: SpoolEntry[] = [];
  expect(drain(folder, (entry) => void entries.push(entry), options)).toBe(entries.length);
  return entries;
}

it("[ST31] a long queue is applied in portions, the oldest first; what is left is free for others", () => {
  const folder = tempHome().spool;
  mkdirSync(folder, { recursive: true });
  for (let n = 0; n < 20; n++) writeFileSync(join(folder, `9-${100 + n}.jsonl`), `{"at":${T0 + n}}\n`);
  const seen: number[] = [];
  let left = 3;
  const some = (options: object): number => drain(folder, ({ at }) => void seen.push(at - T0), options);
  expect(some({ maxFiles: 5 })).toBe(5);
  expect(some({ isTimeUp: () => (left -= 1) < 0 })).toBe(4);
  expect(some({ isTimeUp: () => true })).toBe(1);
  expect(readdirSync(folder).every((name) => /^9-\d+\.jsonl$/.test(name))).toBe(true);
  expect(some({})).toBe(10);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
});
