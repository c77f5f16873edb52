import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { withLock } from "#src/platform/process-lock.ts";
import { identify, systemProcesses, type Processes } from "#src/platform/processes.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

function fail(): Promise<never> {
  return Promise.reject(new Error("body"));
}

const never = new AbortController().signal;

function lockPath(): string {
  return join(temporaryFolder(), "lock");
}

/** Of a process that has ended. */
const GONE = JSON.stringify({ boot: systemProcesses.boot(), pid: process.pid, start: "another start" });

it("[GS15] lets one at a time in, in this process", async () => {
  const path = lockPath();
  let inside = 0;
  let most = 0;
  const runs = Array.from({ length: 8 }, () =>
    withLock(path, systemProcesses, never, async () => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    }),
  );
  await Promise.all(runs);
  expect({ most, left: readdirSync(join(path, "..")) }).toEqual({ most: 1, left: [] });
});

it("[GS15] breaks the lock of a process that is gone, also one that died while it broke another", async () => {
  const path = lockPath();
  writeFileSync(path, GONE);
  writeFileSync(`${path}.break`, GONE);
  expect(await withLock(path, systemProcesses, never, () => Promise.resolve("in"))).toBe("in");
  expect(readdirSync(join(path, ".."))).toEqual([]);
});

it("[GS15] breaks a lock that says nothing of its owner", async () => {
  for (const content of ["", "no json", '{"boot":1}']) {
    const path = lockPath();
    writeFileSync(path, content);
    expect(await withLock(path, systemProcesses, never, () => Promise.resolve("in"))).toBe("in");
  }
});

it("[GS15] waits for a living owner until it is stopped, and leaves its lock alone", async () => {
  const path = lockPath();
  const owner = JSON.stringify(identify(systemProcesses, process.pid));
  writeFileSync(path, owner);
  const stop = AbortSignal.timeout(100);
  await expect(withLock(path, systemProcesses, stop, () => Promise.resolve())).rejects.toThrow(/another shim process/);
  expect(readFileSync(path, "utf8")).toBe(owner);
});

it("[GS15] gives up, instead of going on for ever, where a lock can never be broken", async () => {
  const path = lockPath();
  for (let depth = 0; depth < 10; depth++) writeFileSync(path + ".break".repeat(depth), GONE);
  const stop = AbortSignal.timeout(100);
  await expect(withLock(path, systemProcesses, stop, () => Promise.resolve())).rejects.toThrow(/another shim process/);
});

it("[GS15] passes on the failure of the file system and of the body, and is free after it", async () => {
  const path = lockPath();
  await expect(withLock(path, systemProcesses, never, fail)).rejects.toThrow("body");
  expect(existsSync(path)).toBe(false);
  const nowhere = join(path, "no folder", "lock");
  await expect(withLock(nowhere, systemProcesses, never, fail)).rejects.toThrow(/ENOENT/);
});

it("[GS15] works where a process cannot read its own facts", async () => {
  const blind: Processes = { boot: () => "boot", facts: () => null };
  expect(await withLock(lockPath(), blind, never, () => Promise.resolve("in"))).toBe("in");
});
