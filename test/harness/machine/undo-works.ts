import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { write } from "./git-project.ts";
import type { ToolWork, UndoRig } from "./cli-rigs.ts";

export const command = (work: () => void): ToolWork => ({ tool: "Bash", work });

export function edit({ project }: UndoRig, path: string, text: string): ToolWork {
  return { tool: "Edit", path, work: () => write(project, { [path]: text }) };
}

/** A command that writes this line into each of the files. */
export function makes({ project }: UndoRig, text: string, ...names: readonly string[]): ToolWork {
  return command(() => write(project, Object.fromEntries(names.map((name) => [name, `${text}\n`]))));
}

export function read({ project }: UndoRig, ...names: readonly string[]): string[] {
  return names.map((name) => readFileSync(join(project, name), "latin1"));
}

export function makeFolder(project: string, name: string): string {
  mkdirSync(join(project, name), { recursive: true });
  return join(project, name);
}

export function reasons(left: readonly { readonly path: string; readonly reason: string }[]): Record<string, string> {
  return Object.fromEntries(left.map(({ path, reason }) => [path, reason]));
}

const newestFiles = "(SELECT id FROM checkpoints ORDER BY seq DESC LIMIT 1)";

/** The files of the newest checkpoint are not saved. */
export function loseFiles({ runtime }: UndoRig): void {
  const failed = `UPDATE snapshots SET state = 'failed', reason = 'no time', "commit" = NULL WHERE checkpointId = ${newestFiles}`;
  runtime.store.write((sql) => void sql.run(failed));
}

export const lastCall = "it was changed after the chat's last call";
