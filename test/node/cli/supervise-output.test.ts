import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lookIn } from "#harness/machine/look-in-folder.ts";
import { PacedOutput, formatEvent, phaseText } from "#src/cli/commands/run-supervisor.ts";
import { openTerminal } from "#src/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "#src/supervisor/supervised-program.ts";
import { runProgram } from "#src/worker-runner/run-program.ts";
import { expect, it, onTestFinished } from "vitest";

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

it("[SU30] a program that prints more than its reader takes waits, and both continue when it reads again", async () => {
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
  const pid = await lookIn(folder, () => (existsSync(path) && Number(readFileSync(path, "utf8"))) || null);
  // The whole group, so it leads one.
  expect(process.kill(-pid, "SIGKILL")).toBe(true);
  await expect(openTerminal("shim-no-such-program", [], folder)).rejects.toMatchObject({ code: "ENOENT" });
});

const ended = { type: "ended", name: "fix", reason: null, againInMs: null, ranMs: 65_000, isProgram: true } as const;
const died = { type: "died", name: "chats", session: "s1", cause: "out_of_memory" } as const;

it.for([
  [{ type: "supervising", pid: 7, watched: ["fix", "chats"] }, "supervises fix, chats (pid 7)"],
  [
    { type: "started", name: "fix", how: "session s1 is resumed", session: "s1" },
    "fix: started (session s1 is resumed)",
  ],
  [{ ...ended, phase: "finished" }, "fix: finished; it ran for 65 s"],
  [
    { ...ended, phase: "finished", reason: "session s1 has ended" },
    "fix: finished: session s1 has ended; it ran for 65 s",
  ],
  [
    { ...ended, phase: "due", reason: "it ended with exit code 3", againInMs: 1_500 },
    "fix: it ended with exit code 3; starts in 2 s; it ran for 65 s",
  ],
  [{ ...ended, phase: "due", againInMs: 0 }, "fix: not started yet; starts now; it ran for 65 s"],
  [
    { ...ended, phase: "looping", reason: "x" },
    "fix: stopped, since it crashed again and again: x; it ran for 65 s. `shim worker supervise retry fix` starts it",
  ],
  [
    { ...ended, phase: "stopped", reason: "x" },
    "fix: stopped: x; it ran for 65 s. `shim worker supervise retry fix` starts it",
  ],
  [
    { ...ended, phase: "looping", name: "chats s1", isProgram: false },
    "chats s1: stopped, since it crashed again and again; it ran for 65 s",
  ],
  [{ ...died, checkpoint: "cp_1" }, "chats: session s1 died (out of memory), its last checkpoint is cp_1"],
  [{ ...died, checkpoint: null }, "chats: session s1 died (out of memory), with nothing to save"],
  [{ type: "restarting", name: "chats", session: "s1", how: "why" }, "chats: session s1 is started again (why)"],
  [
    { type: "restarting", name: "app", session: null, how: "open -a Claude" },
    "app: the app is started again (open -a Claude)",
  ],
  [
    { type: "held", name: "fix", reason: "session s1 is already running" },
    "fix: not started now: session s1 is already running",
  ],
  [{ type: "ending", reason: "asked to end" }, "ends (asked to end)"],
  [{ type: "problem", name: null, message: "no answer" }, "problem: no answer"],
  [{ type: "problem", name: "fix", message: "no answer" }, "fix: problem: no answer"],
] as const satisfies readonly (readonly [SupervisorEvent, string])[])(
  "[SU14] is told in one line: %o",
  ([event, text]) => {
    expect(formatEvent(event)).toEqual([text]);
  },
);

it("[SU14] each line that a program prints is shown, and nothing in it moves the cursor", () => {
  const text = "one\n\u001b[2Jtwo\r\nthree";
  expect(formatEvent({ type: "output", name: "fix", text })).toEqual([
    "fix | one",
    expect.stringContaining("two"),
    "fix | three",
  ]);
  expect(formatEvent({ type: "output", name: "fix", text }).join("")).not.toMatch(/[\r\n]/);
  expect(phaseText({ phase: "running", reason: null, againInMs: null })).toBe("running");
});
