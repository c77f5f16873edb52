import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import type { ChatRig } from "./chat-rig.ts";
import { runShim } from "./real-clients.ts";

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

/**
 * The chat's last turn has written `one.ts` and done {@link shellWork}: takes it back, and that back.
 * One of the files is changed by hand first.
 */
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
