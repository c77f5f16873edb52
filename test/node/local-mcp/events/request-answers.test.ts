import { afterEach, expect, it, vi } from "vitest";
import { aRequestRig, rm, undecided } from "#harness/machine/request-rig.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";

afterEach(() => void vi.useRealTimers());

const ran = { ...rm, tool_use_id: "t1" };
const failed = { ...ran, error: "Exit code 1\nrm: build: Permission denied" };
const refusedThere = { ...ran, error: "The user rejected permission to use this specific tool call." };
const next = { tool_name: "Read", tool_use_id: "t2", "tool_input.file_path": "/p/a" };

it.each([
  ["allow", "the call runs", "PostToolUse", ran, "taken", "Allowed, and it ran"],
  ["allow", "the call fails", "PostToolUseFailure", failed, "taken", "Allowed, and it ran"],
  [
    "allow",
    "the call was refused",
    "PostToolUseFailure",
    refusedThere,
    "late",
    "Too late to allow: its terminal had denied it",
  ],
  ["allow", "the turn ends without it", "Stop", {}, "unknown", "Allow was sent, and nothing shows that it ran"],
  [
    "allow",
    "the user writes",
    "UserPromptSubmit",
    { prompt: "and?" },
    "sent",
    "Allow was sent. The chat has not shown yet that it runs",
  ],
  ["deny", "the call runs", "PostToolUse", ran, "late", "Too late to deny: its terminal had allowed it, and it ran"],
  [
    "deny",
    "the call fails",
    "PostToolUseFailure",
    failed,
    "late",
    "Too late to deny: its terminal had allowed it, and it ran",
  ],
  ["deny", "the call was refused", "PostToolUseFailure", refusedThere, "taken", "Denied"],
  [
    "deny",
    "the call ends with another error",
    "PostToolUseFailure",
    { ...ran, error: "no" },
    "unknown",
    "Deny was sent, and nothing shows whether it came first",
  ],
  ["deny", "the turn ends", "Stop", {}, "taken", "Denied"],
  ["deny", "the model tries it again", "PreToolUse", { ...ran, tool_use_id: "t9" }, "taken", "Denied"],
  [
    "deny",
    "another call begins at once",
    "PreToolUse",
    next,
    "sent",
    "Deny was sent. The chat has not shown yet that it came first",
  ],
  [
    "deny",
    "the user writes",
    "UserPromptSubmit",
    { prompt: "and?" },
    "sent",
    "Deny was sent. The chat has not shown yet that it came first",
  ],
] as const)(
  "an answer counts as taken by what the chat does next: %s, and %s",
  async (decision, _what, name, fields, outcome, text) => {
    const { runtime, event, list, held, answer } = await aRequestRig();
    const { id, asked } = await held();
    await answer(id, decision);
    await asked;
    await event(name, fields);
    const { answers } = await list();
    expect(answers).toMatchObject([{ request: id, decision, by: "Ada's Pixel", outcome, text }]);
    const words = { sent: "sent", taken: "taken", late: "too late", unknown: "not seen" };
    expect(listNewest(runtime, 9)).toMatchObject([{ detail: { result: `${decision}: ${words[outcome]}` } }]);
  },
);

it("what came of an answer stays what it was when the same command is asked for again and runs", async () => {
  const { event, list, held, first, answer } = await aRequestRig();
  const { id, asked } = await held();
  await answer(id, "deny");
  await asked;
  await event("PreToolUse", { ...ran, tool_use_id: "t9" });
  const again = event("PermissionRequest", rm);
  await first();
  await event("PostToolUse", { ...ran, tool_use_id: "t9" });
  expect(await again).toEqual(undecided);
  const { answers } = await list();
  expect(answers).toMatchObject([{ request: id, outcome: "taken" }]);
});

it("a request ends with its chat, whose hook lives on: a later yes says that the chat is dead, and one that was sent is not known", async () => {
  const { runtime, event, list, open, held, listed, answer } = await aRequestRig();
  await event("UserPromptSubmit", { prompt: "clean up" });
  void event("PermissionRequest", { ...rm, agent_id: "a1" });
  const [one] = await open(1);
  await answer(one?.id, "allow");
  const { id, asked } = await held();
  runtime.processes.kill(100);
  expect(await listed()).toEqual([]);
  expect(await asked).toEqual(undecided);
  const over = { code: "ended", message: expect.stringContaining("its chat is dead or has ended") as string };
  expect(await answer(id, "allow")).toMatchObject({ error: over });
  const { answers } = await list();
  expect(answers).toMatchObject([{ request: one?.id, outcome: "unknown" }]);
});
