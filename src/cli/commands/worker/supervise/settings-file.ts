import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { isOnPath } from "../../../../platform/program-path.ts";
import { isProgram, SupervisorSettings, type WatchTarget } from "../../../../supervisor/supervisor-settings.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import { notFound, wrongUsage, type FailedResult } from "../../../answer.ts";
import type { Cli } from "../../../cli.ts";
import { readInputFile } from "../../../plan-file.ts";

const maxChars = 1_048_576;
const example = `{"watch": {"chats": {"kind": "sessions"}, "worker": {"kind": "worker", "args": ["--config", "worker.yaml"]}}}`;

/** [SU14] Reads what to watch; errors are reported with their line before anything starts. */
export function readSettings(cli: Cli): Result<SupervisorSettings, FailedResult["error"]> {
  const settings = parseSettings(cli);
  if (!settings.ok) return settings;
  for (const [name, watched] of Object.entries(settings.value.watch)) {
    const problem = findProblem(cli, watched);
    if (problem !== null) return wrongUsage(`${fileOf(cli)}: ${name}: ${problem}.`);
  }
  return settings;
}

function fileOf({ paths }: Cli): string {
  return join(paths.home, "supervisor.json");
}

/** Leaves programs and folders unchecked: the caller's PATH may be another. */
export function parseSettings(cli: Cli): Result<SupervisorSettings, FailedResult["error"]> {
  const file = fileOf(cli);
  if (!existsSync(file)) return notFound(`there is no ${file}. It names what to watch, for example:\n${example}`);
  const expected = { schema: SupervisorSettings, form: "settings of a supervisor", name: "settings", maxChars };
  const read = readInputFile(cli, file, "the settings of the supervisor", expected);
  return read.ok ? ok(SupervisorSettings.parse(read.value)) : read;
}

function findProblem(cli: Cli, watched: WatchTarget): string | null {
  const program = programOf(watched);
  if (program !== null && !isOnPath(program, cli.io.env)) return `there is no program ${program}`;
  if (!isProgram(watched) || watched.folder === undefined) return null;
  const folder = resolve(cli.paths.home, watched.folder);
  const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  return isThere ? null : `there is no folder ${folder}`;
}

function programOf(watched: WatchTarget): string | null {
  switch (watched.kind) {
    case "command":
      return watched.command[0];
    case "claude":
      return watched.program;
    case "sessions":
    case "desktop":
      return watched.restartWith?.[0] ?? null;
    case "worker":
      return null;
  }
}
