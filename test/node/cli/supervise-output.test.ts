import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lookIn } from "#harness/machine/look-in-folder.ts";
import { formatEvent, phaseText } from "#src/cli/commands/run-supervisor.ts";
import { openTerminal } from "#src/runner/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "#src/runner/supervisor/supervised-program.ts";
import { expect, it, onTestFinished } from "vitest";

it("what opens a terminal runs in the chat's folder, in a group of its own, and is not waited for", async () => {
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
    { type: "held", name: "fix", reason: "session s1 is already running" },
    "fix: not started now: session s1 is already running",
  ],
  [{ type: "ending", reason: "asked to end" }, "ends (asked to end)"],
  [{ type: "problem", name: null, message: "no answer" }, "problem: no answer"],
  [{ type: "problem", name: "fix", message: "no answer" }, "fix: problem: no answer"],
] as const satisfies readonly (readonly [SupervisorEvent, string])[])("is told in one line: %o", ([event, text]) => {
  expect(formatEvent(event)).toEqual([text]);
});

it("each line that a program prints is shown, and nothing in it moves the cursor", () => {
  const text = "one\n\u001b[2Jtwo\r\nthree";
  expect(formatEvent({ type: "output", name: "fix", text })).toEqual([
    "fix | one",
    expect.stringContaining("two"),
    "fix | three",
  ]);
  expect(formatEvent({ type: "output", name: "fix", text }).join("")).not.toMatch(/[\r\n]/);
  expect(phaseText({ phase: "running", reason: null, againInMs: null })).toBe("running");
});
