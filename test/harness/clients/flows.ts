import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import type { ChatRig } from "./chat-rig.ts";
import { runShim } from "./real-clients.ts";
import type { Step, ModelRequest } from "#harness/claude/scripted-model.ts";
import type { ToolCall } from "./model-formats.ts";

/** Command of the chat's shell tool, besides a write of `one.ts`. */
export const shellWork = "echo 'by command' > two.ts; rm three.ts; mkdir -p made; echo new > made/new.ts";
export const written = "export const written = true;\n";

function shim({ home, paths, project }: ChatRig, ...args: string[]): Record<string, unknown> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, SHIM_HOME: paths.home };
  return JSON.parse(runShim([...args, "--json"], { cwd: project, env })) as Record<string, unknown>;
}

function contentOf(rig: ChatRig): (string | null)[] {
  const names = ["one.ts", "two.ts", "three.ts", "made/new.ts"];
  return names.map((name) => (existsSync(rig.path(name)) ? readFileSync(rig.path(name), "utf8") : null));
}

/** The chat's last turn has written `one.ts` and done {@link shellWork}: takes it back, and that back. One of the files is changed by hand first. */
export function undoesTheTurn(rig: ChatRig): void {
  const text = "export {};\n";
  expect(contentOf(rig)).toEqual([written, "by command\n", null, "new\n"]);
  writeFileSync(rig.path("two.ts"), "by hand\n");
  // Nobody types within a moment of the chat's last command.
  const later = Date.now() / 1_000 + 5;
  utimesSync(rig.path("two.ts"), later, later);
  const undone = shim(rig, "undo", "--yes");
  expect(undone).toMatchObject({ left: [{ path: "two.ts", reason: "it was changed since, not by this chat" }] });
  expect(contentOf(rig)).toEqual([text, "by hand\n", text, null]);
  expect(existsSync(rig.path("made"))).toBe(false);
  shim(rig, "undo", "--redo", "--yes");
  expect(contentOf(rig)).toEqual([written, "by hand\n", null, "new\n"]);
}

/** Prints the word without naming it: only the result of the call holds it. */
export const poisonCommand = "printf 'POI%s' SON";

const refused: Step = { error: { status: 400, type: "invalid_request_error", message: "this content is not allowed" } };

/** An API that refuses each request with the word in it, whatever else is asked, and notes what it accepted. */
export function refusingPoison(call: ToolCall | null, accepted: string[] = []): (request: ModelRequest) => Step {
  let isCalled = call === null;
  return ({ messages }) => {
    const text = messages.map((message) => message.text).join("\n");
    if (text.includes("POISON")) return refused;
    accepted.push(text);
    if (isCalled || call === null) return { text: "Noted." };
    isCalled = true;
    return { tools: [call] };
  };
}
