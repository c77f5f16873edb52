import { tmpdir } from "node:os";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { PacedOutput } from "#src/cli/commands/run/supervise/paced-output.ts";
import { runProgram } from "#src/worker-runner/run-program.ts";
import { openTerminal } from "#src/cli/commands/run/supervise/run-supervisor.ts";

interface Reader {
  readonly output: PacedOutput;
  readonly written: string[];
  isStuck: boolean;
  decide: (isDrained: boolean) => void;
}

/** A stdout whose reader the test plays. */
function aReader(): Reader {
  const reader: Reader = {
    written: [],
    isStuck: false,
    decide: (_isDrained) => undefined,
    output: new PacedOutput({
      stdout: (text) => void reader.written.push(text),
      drained: () => (reader.isStuck ? new Promise<boolean>((resolve) => (reader.decide = resolve)) : null),
    }),
  };
  return reader;
}

const told = (leftOut: number): string => `${leftOut} left out\n`;

it("[SU30] while the reader takes it, everything is written", async () => {
  const reader = aReader();
  reader.output.write("one\n", 1, told);
  expect(reader.output.pace()).toBeNull();
  reader.isStuck = true;
  const paused = reader.output.pace();
  reader.isStuck = false;
  reader.decide(true);
  await paused;
  reader.output.write("two\n", 1, told);
  expect(reader.written).toEqual(["one\n", "two\n"]);
});

it("[SU53] without a reader, lines are left out and counted, and this is said when there is one again", async () => {
  const reader = aReader();
  reader.isStuck = true;
  const paused = reader.output.pace();
  reader.decide(false);
  await paused;
  reader.output.write("one\ntwo\n", 2, told);
  reader.output.write("three\n", 1, told);
  expect(reader.written).toEqual([]);
  reader.isStuck = false;
  reader.output.write("four\n", 1, told);
  reader.output.write("five\n", 1, told);
  expect(reader.written).toEqual(["3 left out\nfour\n", "five\n"]);
});

it("[SU30] a program that prints more than its reader takes waits, and both go on when it reads again", async () => {
  let chars = 0;
  const reached = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let waits = 0;
  const pace = (): Promise<void> | null => {
    waits += 1;
    if (waits === 1) reached.resolve();
    return waits === 1 ? release.promise : null;
  };
  const script = `const block = ("x".repeat(999) + "\\n").repeat(1000);
    const write = (left) => left > 0 && process.stdout.write(block, () => write(left - 1));
    write(20);`;
  const ended = runProgram({
    command: process.execPath,
    args: ["-e", script],
    cwd: tmpdir(),
    env: process.env,
    input: "",
    signal: new AbortController().signal,
    graceMs: 300,
    onLine: (line) => void (chars += line.length + 1),
    onStderr: () => undefined,
    pace,
  });
  await reached.promise;
  expect(chars).toBeLessThan(500_000);
  release.resolve();
  expect(await ended).toEqual({ kind: "exited", code: 0 });
  expect(chars).toBe(20_000_000);
});

it("[SU41] what opens a terminal runs in the chat's folder, in a group of its own, and is not waited for", async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-open-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = `require("node:fs").writeFileSync("pid.txt", String(process.pid)); setInterval(() => 0, 1000)`;
  await openTerminal(process.execPath, ["-e", script], folder);
  const path = join(folder, "pid.txt");
  await vi.waitFor(() => expect(existsSync(path) && readFileSync(path, "utf8")).toMatch(/^\d+$/), { timeout: 10_000 });
  // The whole group, so it leads one.
  expect(process.kill(-Number(readFileSync(path, "utf8")), "SIGKILL")).toBe(true);
  await expect(openTerminal("shim-no-such-program", [], folder)).rejects.toMatchObject({ code: "ENOENT" });
});
